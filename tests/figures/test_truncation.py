"""The judgements of the truncation figure: a wrong law and outliers are refuted."""

import pytest
import torch

from figures import truncation
from figures.truncation import ASKED, clipped, convention, truncated


def judged(tensors, laws):
    """The verdict on second and fourth moments, as the right panel takes it."""
    tests = {k: truncation._moment_test(tensors, laws, k) for k in (2, 4)}
    return truncation._moments_claim(tests, 0.15, "cut", "truncated")


@pytest.mark.parametrize("law", [truncated(1.0, 1.5), clipped(1.0, 1.5)])
@pytest.mark.statistical
def test_tensors_are_judged_by_the_law_they_were_drawn_from(law, seed):
    w = truncation._draw(law, 2**15, seed, torch.device("cpu"))
    assert judged([w], [law]).verdict == "CONFIRMED"
    other = clipped(1.0, 1.5) if not law.clipped else truncated(1.0, 1.5)
    wrong = judged([w], [other])
    assert wrong.verdict == "REFUTED"


@pytest.mark.statistical
def test_the_pitfall_is_refuted_by_the_law_of_the_convention_it_was_meant_for(seed):
    w = truncation._draw(convention(ASKED[1], 0.02), 2**13, seed, torch.device("cpu"))
    assert judged([w], [convention(ASKED[2], 0.02)]).verdict == "REFUTED"


def test_the_pitfall_comes_out_right_only_where_both_bounds_are_the_same():
    """std/0.8796 = 1 is passed for a wanted 0.8796: bounds of +-2 are then two deviations."""
    right = convention(ASKED[2], 0.3).std / 0.3
    assert convention(ASKED[1], 1 / right).moment(2) ** 0.5 == pytest.approx(1 / right, rel=1e-12)


def test_a_tensor_with_outliers_is_refuted_and_told(generator):
    law = truncated(0.02, 2.0)
    w = torch.nn.init.trunc_normal_(torch.empty(2**14), std=0.02, generator=generator)
    assert truncation._outliers_claim([w], [law], "x").verdict == "CONFIRMED"
    w[7] = 2.0
    found = truncation._outliers_claim([w, w], [law, law], "x")
    assert found.verdict == "REFUTED"
    assert found.evidence == "2 of 2 have; the largest entry of “x” is 100.0 std"
