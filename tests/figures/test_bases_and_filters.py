"""Vectors as weights: the judgements of the figures of filters and of bases."""

import numpy as np
import pytest

import varprop as vp
from figures import bases_propagation, filters
from figures.bases_propagation import BASES, layers
from figures.coherence import random_claim


def test_shufflenet_has_more_filters_than_dimensions_at_one_size_only():
    """Source: the published channels of stage 2, after a first convolution of 24 channels."""
    found = {layer.count: layer.count > layer.dimension for layer in filters.SHUFFLE}
    assert found == {48: False, 116: False, 176: False, 244: True}
    assert {layer.dimension for layer in filters.SHUFFLE} == {216}


@pytest.mark.statistical
def test_random_filters_are_judged_by_their_dimension(rng):
    def verdict(expected: float) -> str:
        return random_claim(row, expected, 64, 0.05, "x").verdict

    row = np.array([vp.frames.coherence(vp.frames.random_frame(64, 27, rng)) for _ in range(600)])
    assert verdict(vp.frames.random_coherence(64, 27)) == "CONFIRMED"
    assert verdict(vp.frames.random_coherence(64, 20)) == "REFUTED"


def test_vectors_below_the_bound_are_refuted():
    assert filters._bound_claim(np.array([0.5, 0.3]), 0.31, "x").verdict == "REFUTED"
    assert filters._bound_claim(np.array([0.5, 0.3]), 0.29, "x").verdict == "CONFIRMED"


def test_a_frame_that_is_not_tight_is_refuted(rng):
    frames = bases_propagation.frames_of(0, 1)
    numbers = np.array([bases_propagation._numbers(v) for v in frames.values()])
    assert bases_propagation._tight_claim(frames, numbers).verdict == "CONFIRMED"
    numbers[0] = bases_propagation._numbers(vp.frames.random_frame(16, 16, rng))
    assert bases_propagation._tight_claim(frames, numbers).verdict == "REFUTED"


def test_signs_keep_the_mean_square_of_any_basis_exactly():
    """All 2^4 signs of each layer's columns: E |x|^2 after two layers, by enumeration."""
    signs = np.array(np.meshgrid(*[[-1.0, 1.0]] * 4)).reshape(4, -1).T
    for basis in BASES.values():
        x = np.array([[0.3, -1.2, 0.8, 2.0]])
        for _ in range(2):
            x = (x[:, None] * signs).reshape(-1, 4)
            x = np.sqrt(2) * np.maximum(x @ basis(4).T, 0.0)
        assert np.mean(x**2) == pytest.approx(np.mean(np.square([0.3, -1.2, 0.8, 2.0])), rel=1e-12)


@pytest.mark.parametrize("name", BASES)
@pytest.mark.statistical
def test_only_signs_keep_the_signal(name, rng):
    kept = layers(BASES[name](64), 8, 3000, rng, signs=True)
    bare = layers(BASES[name](64), 8, 500, rng, signs=False)
    assert bases_propagation._kept(kept, 0.4, name).verdict == "CONFIRMED"
    assert bases_propagation._kept(bare, 0.4, name).verdict == "REFUTED"
    assert bases_propagation._doubling(bare, name).verdict == "CONFIRMED"
    assert bases_propagation._doubling(kept[:, :6], name).verdict == "REFUTED"
