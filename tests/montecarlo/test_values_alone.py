"""backward=False: values without tangents and gradients, from both engines, judged forward."""

from __future__ import annotations

import numpy as np
import pytest

import varprop as vp
from tests.montecarlo.bits import arrays, assert_same_bits
from varprop.initializers import normal
from varprop.montecarlo.sample import BACKWARD

NET = vp.mlp(24, 3, activation="tanh", weights=normal(variance=1 / 24))
ENGINES = pytest.mark.parametrize("engine", ["explicit", "conditional"])


@ENGINES
def test_only_values_are_there(engine, seed):
    sample = vp.simulate(NET, draws=20, seed=seed, engine=engine, backward=False)
    assert not sample.backward and sample.duality is None
    assert {row.quantity for row in sample.rows()} & BACKWARD == set()
    assert {row.quantity for row in sample.rows()} >= {"mean", "kurtosis", "length_fluctuation"}
    whole = vp.simulate(NET, draws=20, seed=seed, engine=engine)
    assert {row.quantity for row in whole.rows()} & BACKWARD
    for node in NET:
        for quantity in whole.quantities(node.name):
            if quantity in BACKWARD:
                with pytest.raises(ValueError, match=f"{quantity} was not.*backward=True"):
                    sample.values(node.name, quantity)
            else:
                assert quantity in sample.quantities(node.name)
    with pytest.raises(ValueError, match=r"grad_second_moment was not measured.*backward=True"):
        sample.grad_length_fluctuation("input")


def test_the_explicit_networks_are_the_same_ones(seed):
    how = {"draws": 20, "seed": seed, "engine": "explicit", "dtype": "float64"}
    whole, half = (vp.simulate(NET, backward=back, **how) for back in (True, False))
    for node in NET:
        for quantity in ("mean", "second_moment"):
            a, b = (s.values(node.name, quantity) for s in (whole, half))
            assert np.allclose(a, b, rtol=1e-12, atol=1e-14)


@ENGINES
def test_the_store_keeps_them_apart(engine, tmp_path, seed):
    how = {"draws": 20, "seed": seed, "engine": engine, "store": tmp_path}
    for back in (True, False):
        fresh = vp.simulate(NET, backward=back, **how)
        assert_same_bits(fresh, vp.simulate(NET, backward=back, **how))
        assert len(arrays(fresh)) == len(NET.nodes) * (7 if back else 3)


def test_a_sweep_of_values_alone(seed):
    how = {"draws": 20, "seed": seed, "backward": False}
    found = vp.sweep([NET], **how)
    alone = vp.simulate(NET, **how)
    assert [tuple(row)[1:] for row in found.rows()] == [tuple(row) for row in alone.rows()]


@ENGINES
def test_compare_judges_the_forward_steps(engine, seed):
    sample = vp.simulate(NET, draws=4000, seed=seed, engine=engine, backward=False)
    for scope in ("steps", "depth"):
        report = vp.compare(vp.predict(NET), sample, scope=scope, margin=0.1)
        assert report.verdict is vp.Verdict.CONFIRMED, str(report)
        assert not {row.quantity for row in report.rows()} & BACKWARD
    wrong = vp.mlp(24, 3, activation="tanh", weights=normal(variance=1.2 / 24))
    assert vp.compare(vp.predict(wrong), sample).verdict is vp.Verdict.REFUTED


def test_an_activation_that_passes_no_gradient_is_judged_forward(seed):
    network = vp.mlp(32, 2, activation="sign")
    sample = vp.simulate(network, draws=4000, seed=seed, backward=False)
    assert vp.compare(vp.predict(network), sample).verdict is vp.Verdict.CONFIRMED
