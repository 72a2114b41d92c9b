"""True theories are refuted by the products of two inputs' tangents at the stated rate.

Slices of one sample are samples, as replicates are networks; their rows of `grad_cross_moment` and
the drifts of these are judged alone, at RATE, and counted. Where the rule is exact the null law is
that of each row; elsewhere the null is a difference within the margin.
"""

import numpy as np
import pytest

import varprop as vp
from benchmarks.calibration.slices import cut, residuals
from varprop.comparison.decide import judge_steps
from varprop.comparison.judge import drifts
from varprop.stats import Verdict, binomial_interval

LEVEL, RATE = 1e-6, 1e-2  # of each statement below, and of a false alarm
WIDTH, SIZE = 16, 300


def scaled(scale, distribution="normal"):
    return vp.init.variance_scaling(scale, "fan_in", distribution)


BIAS = vp.init.normal(variance=0.1)
NETWORKS = {
    "relu": lambda: vp.mlp(WIDTH, 3, weights=scaled(2)),
    "leaky relu, bias": lambda: vp.mlp(
        WIDTH, 3, activation="leaky_relu", weights=scaled(1.9), bias=BIAS
    ),
    "gelu, bias": lambda: vp.mlp(WIDTH, 2, activation="gelu", weights=scaled(2), bias=BIAS),
    "tanh, bias": lambda: vp.mlp(WIDTH, 1, activation="tanh", weights=scaled(1.5), bias=BIAS),
    "linear": lambda: vp.mlp(WIDTH, 3, activation="identity", weights=scaled(1)),
    "residual relu": lambda: vp.residual(WIDTH, 2, weights=scaled(2), scale=0.7),
    "residual gelu, bias": lambda: vp.residual(WIDTH, 1, activation="gelu", bias=BIAS),
    "relu, uniform": lambda: vp.mlp(WIDTH, 3, weights=scaled(2, "uniform")),
    "relu, orthogonal": lambda: vp.mlp(WIDTH, 3, weights=vp.init.orthogonal(gain=2**0.5)),
    "relu, signs": lambda: vp.mlp(WIDTH, 2, weights=vp.init.rademacher(std=(2 / WIDTH) ** 0.5)),
}


def inputs(rng):
    """Two inputs of correlation about .5 and different lengths."""
    x = rng.normal(size=(2, WIDTH))
    return np.stack([x[0], 0.5 * x[0] + 0.8 * x[1]])


def alarms(network, x, samples, seed):
    """How many of the samples refute the true theory by a product of two gradients."""
    theory = vp.predict(network, x)
    how = {"seed": seed, "engine": "explicit", "progress": False}
    sample = vp.simulate(network, x, draws=SIZE * samples, **how)
    count = 0
    for piece in cut(residuals(theory, sample), SIZE):
        rows = [step for step in piece if step.quantity == "grad_cross_moment"]
        assert rows
        rates = 0.05, RATE / 2, 1e-4, 1e-5
        judged = [*judge_steps(rows, *rates), *judge_steps(drifts(rows), *rates)]
        count += any(row.verdict is Verdict.REFUTED for row in judged)
    return count


@pytest.mark.statistical
@pytest.mark.parametrize("name", ["relu", "residual relu"])
def test_products_of_gradients_raise_no_more_false_alarms_than_stated(name, seed, rng):
    count = alarms(NETWORKS[name](), inputs(rng), 40, seed)
    assert binomial_interval(count, 40, LEVEL)[0] <= RATE


@pytest.mark.slow
@pytest.mark.statistical
@pytest.mark.parametrize("name", NETWORKS)
def test_false_alarms_at_length(name, seed, rng):
    count = alarms(NETWORKS[name](), inputs(rng), 300, seed)
    assert binomial_interval(count, 300, LEVEL)[0] <= RATE


@pytest.mark.statistical
def test_false_alarms_of_a_wrong_rule_are_flagged(seed, rng, monkeypatch):
    """A planted fault: E phi'(z) y phi'(z') y' is taken 15 % too large."""
    from varprop.layers import tangents

    products = tangents._products
    monkeypatch.setattr(tangents, "_products", lambda *a: 1.15 * products(*a))
    monkeypatch.setattr("benchmarks.calibration.slices.broken_rules", lambda theory: ())
    count = alarms(NETWORKS["relu"](), inputs(rng), 40, seed)
    assert binomial_interval(count, 40, LEVEL)[0] > RATE
