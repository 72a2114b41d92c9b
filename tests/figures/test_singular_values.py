"""The bracket of an average singular value, and the judgements that rest on it."""

import numpy as np
import pytest
import torch

import varprop as vp
from figures import singular_values
from figures.singular_values import Bracket, brackets_of, mean_root, measured


def test_the_bracket_holds_the_mean_of_the_quarter_circle():
    spectrum = vp.jacobian_spectrum("identity", 1)
    low, high = mean_root([1.0, *(float(spectrum.moment(k)) for k in range(1, 9))])
    assert low < 8 / (3 * np.pi) < high
    assert high - low < 0.04


def test_the_bracket_of_four_places_is_its_mean():
    """Gauss quadrature is exact for a law on four places; what is below is below."""
    places, masses = np.array([0.3, 1.0, 1.7, 4.0]), np.array([0.1, 0.4, 0.3, 0.2])
    moments = [float(masses @ places**k) for k in range(9)]
    low, high = mean_root(moments)
    assert low == pytest.approx(masses @ np.sqrt(places), rel=1e-9)
    assert high == pytest.approx(masses @ np.sqrt(places), rel=1e-9)


@pytest.mark.statistical
def test_layers_are_judged_by_the_law_they_were_drawn_from(seed):
    found = measured("standard", 0.5, 32, 240, seed, torch.device("cpu"))
    right, wrong = brackets_of("standard", 0.5), brackets_of("normalised", 0.5)

    def verdict(brackets: np.ndarray) -> str:
        row, bracket = found[:, 2], Bracket(*brackets[:, 2])
        return singular_values._inside(row, bracket, 0.06, "standard", 0.5, 3).verdict

    assert verdict(right) == "CONFIRMED"
    assert verdict(wrong) == "REFUTED"


@pytest.mark.statistical
def test_published_digits_are_judged_by_what_was_measured(rng):
    noise = 0.01 * rng.standard_normal(200)

    def verdicts(small: float, unit: float) -> list[str]:
        found = {0.01: small + noise, 1.0: unit + noise}
        return [c.verdict for c in singular_values._published("normalised", found)]

    assert verdicts(0.82, 0.68) == ["CONFIRMED", "CONFIRMED"]
    assert verdicts(0.70, 0.80) == ["REFUTED", "REFUTED"]
