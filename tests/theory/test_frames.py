"""Frames against the Welch bound, and random coherence against simulation."""

import numpy as np
import pytest
import sympy as sp
from scipy import stats

import varprop as vp
from varprop.theory import frames
from varprop.theory.tied import tied_second_moment

CLOSED = [
    frames.dct_basis(7),
    frames.hadamard_basis(8),
    frames.haar_basis(16),
    frames.simplex_frame(5),
    frames.paley_frame(5),
    frames.paley_frame(29),
]


@pytest.mark.parametrize("frame", CLOSED, ids=lambda f: f"{len(f)} in R^{f.shape[1]}")
def test_closed_forms_are_tight_and_meet_the_bound(frame):
    np.testing.assert_allclose(np.linalg.norm(frame, axis=1), 1, rtol=1e-12)
    assert frames.coherence(frame) == pytest.approx(vp.frames.welch_bound(*frame.shape), abs=1e-12)
    ratio = len(frame) / frame.shape[1]
    assert frames.frame_bounds(frame) == pytest.approx((ratio, ratio), rel=1e-12)


def test_coherence_is_the_largest_cosine(rng):
    vectors = rng.standard_normal((7, 4))
    largest = max(
        abs(a @ b) / np.sqrt(a @ a * (b @ b)) for i, a in enumerate(vectors) for b in vectors[:i]
    )
    assert frames.coherence(3 * vectors) == pytest.approx(largest, rel=1e-12)


def test_two_random_vectors_exactly():
    """E |cos| = Gamma(m/2) / (sqrt(pi) Gamma((m+1)/2))."""
    for m in (2, 3, 10):
        stated = sp.gamma(sp.Rational(m, 2)) / sp.sqrt(sp.pi) / sp.gamma(sp.Rational(m + 1, 2))
        assert frames.random_coherence(2, m) == pytest.approx(float(stated), rel=1e-9)


@pytest.mark.statistical
@pytest.mark.parametrize("vectors, dimension", [(2, 3), (40, 30), (244, 216)])
def test_random_coherence_is_that_of_simulation(vectors, dimension, rng):
    """Within z at 1e-6 plus 1 % for the dependence of pairs."""
    draws = 400
    found = [frames.coherence(frames.random_frame(vectors, dimension, rng)) for _ in range(draws)]
    error = np.std(found, ddof=1) / draws**0.5
    expected = frames.random_coherence(vectors, dimension)
    assert abs(np.mean(found) - expected) < stats.norm.isf(0.5e-6) * error + 0.01 * expected


@pytest.mark.parametrize("vectors, dimension", [(6, 3), (14, 7), (9, 8)])
def test_packing_finds_equiangular_frames(vectors, dimension, rng):
    packed = min(frames.coherence(frames.packed_frame(vectors, dimension, rng)) for _ in range(4))
    bound = frames.welch_bound(vectors, dimension)
    assert bound - 1e-12 <= packed < 1.02 * bound


def test_packing_depends_on_its_generator_only():
    a, b = (frames.packed_frame(9, 4, np.random.default_rng(3), steps=50) for _ in range(2))
    np.testing.assert_array_equal(a, b)


def test_the_bound_is_exact_for_sympy_integers():
    """Six lines in R^3 at 1/sqrt(5), the icosahedron's axes; 0 below the dimension."""
    assert frames.welch_bound(sp.Integer(6), sp.Integer(3)) == 1 / sp.sqrt(5)
    assert frames.welch_bound(sp.Integer(2), sp.Integer(3)) == 0


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: frames.welch_bound(1, 4), "vectors must be .* at least 2 .* got 1; a frame has"),
        (lambda: frames.welch_bound("a", 2), "vectors must be .* or a SymPy expression, got 'a'"),
        (lambda: frames.welch_bound(2.5, 2), "vectors must be a whole number .* got 2.5"),
        (lambda: frames.welch_bound(sp.Symbol("N"), "m"), "dimension must be .* got 'm'; frames"),
        (lambda: frames.random_coherence("a", 5), "vectors must be a whole number .* got 'a'"),
        (lambda: frames.simplex_frame(2.5), "dimension must be .* at least 1, got 2.5; frames"),
        (lambda: frames.dct_basis("a"), "dimension must be .* got 'a'"),
        (lambda: frames.hadamard_basis(4.0), "power of two, got 4.0"),
        (lambda: frames.haar_basis("a"), "power of two, got 'a'"),
        (lambda: frames.paley_frame(5.0), "a prime of the form 4k \\+ 1, got 5.0"),
        (lambda: frames.random_frame(3, 2, 0), "numpy Generator, got 0; use np.random.default_rng"),
        (lambda: frames.coherence("a"), "array of real numbers, got 'a'; pass floats"),
        (lambda: tied_second_moment(2, -5), "width must be a positive integer or .* got -5"),
        (lambda: tied_second_moment(2, 0), "width must be a positive integer or .* got 0"),
        (lambda: tied_second_moment(2, float("nan")), "width must be a positive .* got nan"),
        (lambda: tied_second_moment(2, "a"), "width must be a positive .* got 'a'"),
        (lambda: frames.hadamard_basis(12), "power of two, got 12; use dct_basis"),
        (lambda: frames.haar_basis(0), "power of two, got 0"),
        (lambda: frames.paley_frame(7), "prime of the form 4k \\+ 1, got 7"),
        (lambda: frames.coherence([1.0, 2.0]), r"got shape \(2,\)"),
        (lambda: frames.coherence([[0.0, 0.0], [1.0, 0.0]]), "finite vectors other than zero"),
        (lambda: tied_second_moment(7, 10), "whole number 1 to 6"),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.statistical
@pytest.mark.parametrize("steps", [2, 3, 4])
def test_tied_second_moment_at_width_six(steps, rng):
    """Error rate 1e-6, by a z-score with its skewness removed (Hall 1992)."""
    n, draws = 6, 200_000
    matrix = rng.standard_normal((draws, n, n)) / n**0.5
    found = (np.linalg.matrix_power(matrix, steps) ** 2).sum((1, 2)) / n
    z = (found.mean() - tied_second_moment(steps, n)) / (found.std() / draws**0.5)
    a = stats.skew(found) / draws**0.5
    assert abs(z + a * z**2 / 3 + a**2 * z**3 / 27 + a / 6) < stats.norm.isf(0.5e-6)
