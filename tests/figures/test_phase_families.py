"""The marks of the families: gradients judged by the factor of their own weights."""

import pytest

import varprop as vp
from figures import mean_field, phase_families
from figures.phase_diagram import line_of, measured

SIZES = {"width": 64, "draws": 2048, "margin": 0.3}


@pytest.mark.parametrize("slope", [-1.0, 0.4])
@pytest.mark.statistical
def test_a_mark_is_judged_by_the_weights_that_were_drawn(slope, seed, monkeypatch):
    field = vp.mean_field(phase_families.leaky(slope), weight_variance=1.3)
    claim, factor, *_ = measured(field, SIZES, seed, "cpu")
    assert claim.verdict == "CONFIRMED"
    assert factor == pytest.approx(1.3 * (1 + slope**2) / 2, rel=0.15)
    drawn = mean_field.stack
    monkeypatch.setattr(mean_field, "stack", lambda name, w, *rest: drawn(name, 1.6 * w, *rest))
    assert measured(field, SIZES, seed, "cpu")[0].verdict == "REFUTED"


@pytest.mark.parametrize("name", phase_families.LINES)
def test_lines_pass_through_the_critical_weights(name):
    """Two routes: the line by its fixed point, and the root for one bias variance."""
    weights, biases = line_of(name, phase_families.PLANE[1])
    middle = len(biases) // 2
    assert 0 < biases[middle] < phase_families.PLANE[1]
    assert vp.critical_line(name, biases[middle]) == pytest.approx(weights[middle], rel=1e-6)
