"""The judgements of the slow-decay figure: a wrong law and a wrong map are refuted."""

import numpy as np
import pytest

from figures import mean_field, slow_decay
from varprop.theory.meanfield import PowerLaw

SIZES = {"width": 64, "draws": 2048, "margin": 0.3, "shown": [2, 4]}


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "CONFIRMED"), (1.03, "REFUTED")])
def test_a_map_is_judged_by_its_power_law(factor, verdict):
    layers = np.arange(1, 1001)
    line = 5.0 / layers**2 * (1 + 1 / layers)
    law = PowerLaw("1 - correlation", -2.0, 5.0 * factor)
    claim = slow_decay._law_claim(line, law, 0.01, ("1 - correlation", "x"))
    assert claim.verdict == verdict


@pytest.mark.statistical
def test_networks_are_judged_by_the_map_of_their_own_weights(seed):
    where = ("second_moment", "sin")
    field = slow_decay.field_of(*where)
    line = field.iterate(field.weight_variance, 3)
    made = slow_decay._second_moment(field, line, SIZES, seed, "cpu", where)
    assert {claim.verdict for claim in made.claims} == {"CONFIRMED"}
    wrong = slow_decay._second_moment(field, line * [1, 1, 1, 2.5], SIZES, seed, "cpu", where)
    assert [claim.verdict for claim in wrong.claims] == ["CONFIRMED", "REFUTED"]


@pytest.mark.statistical
def test_correlations_are_judged_by_the_map_of_their_own_weights(seed, monkeypatch):
    where = ("1 - correlation", "ReLU")
    field = slow_decay.field_of("1 - correlation", "relu")
    right = mean_field.decay(field, 0.5, {**SIZES, "shown": [2]}, seed, "cpu", where)
    assert right.claims[0].verdict == "CONFIRMED"
    kept = mean_field.stack
    monkeypatch.setattr(mean_field, "stack", lambda name, *rest: kept("identity", *rest))
    wrong = mean_field.decay(field, 0.5, {**SIZES, "shown": [4]}, seed, "cpu", where)
    assert wrong.claims[0].verdict == "REFUTED"
