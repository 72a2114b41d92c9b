"""The exact truncated law at infinite bounds, and its sampler in every kind of window."""

import math

import numpy as np
import pytest
import scipy.stats
import sympy
import torch
from scipy.special import log_ndtr

from varprop import initializers, laws

N, LEVEL = 100_000, 1e-6
WINDOWS = (  # loc, scale, low, high
    (0, 1, -2, 2),
    (3, 2, -1, 2),
    (0, 1, -0.1, 6),
    (0, 1, 0, 0.5),
    (0, 1, 0.3, 4),
    (0, 1, 5, 7),
    (0, 1, -9, -6),
    (0, 1, 40, 41),
    (0, 0.5, -1e4 - 1, -1e4),
    (0, 1, -1e-9, 1e-9),
    (0, 1, 3, 3 + 2**-40),
    (0, 0.02, -2, 2),
    (1, 2, 0, math.inf),
    (1, 2, -math.inf, -8),
    (0, 1, -math.inf, math.inf),
)


def uniforms(law: laws.TruncatedNormal, w: np.ndarray) -> np.ndarray:
    """P(law <= w), by log Phi on the side that keeps digits, or by the tilted window's area.

    With s the distance from the nearer bound and o its place, the density is e^(-o s - s^2/2):
    where s^2 is below the precision that is needed, that of an exponential.
    """
    loc, scale, low, high = map(float, (law.loc, law.scale, law.low, law.high))
    if low + high < 2 * loc:
        mirrored = laws.TruncatedNormal(-law.loc, law.scale, -law.high, -law.low)
        return uniforms(mirrored, -w)
    o, width, s = (low - loc) / scale, (high - low) / scale, (w - low) / scale
    if width < 1e-4 or (o > 100 and min(width, 10 / o) ** 2 < 0.02):
        return np.expm1(-o * s) / math.expm1(-o * width) if o else s / width
    tail = [log_ndtr(-(x - loc) / scale) for x in (low, w, high)]
    return np.expm1(tail[1] - tail[0]) / np.expm1(tail[2] - tail[0])


@pytest.mark.parametrize("window", WINDOWS, ids=str)
@pytest.mark.statistical
def test_sampler_follows_its_law(window, generator):
    law = laws.TruncatedNormal(*window)
    w = law.sample((N,), generator=generator, dtype=torch.float64).numpy()
    low, high = float(law.low), float(law.high)
    assert ((w >= low) & (w <= high)).all()
    assert len(np.unique(w)) > 0.5 * min(N, (high - low) / np.spacing(max(abs(low), abs(high))))
    grain = np.spacing(np.abs(w).max()) / (high - low)  # of float64 in this window
    found = scipy.stats.kstest(uniforms(law, w), "uniform")
    threshold = scipy.stats.kstwo.isf(LEVEL, N)
    assert found.statistic < threshold + grain


@pytest.mark.parametrize("window", WINDOWS[:4] + WINDOWS[5:8], ids=str)
def test_a_shift_of_four_standard_errors_of_ks_is_noticed(window, generator):
    """The test above can fail: weights drawn with a scale that is 10 % off."""
    loc, scale, low, high = window
    wrong = laws.TruncatedNormal(loc, 1.1 * scale, low, high)
    w = wrong.sample((N,), generator=generator, dtype=torch.float64).numpy()
    stated = laws.TruncatedNormal(*window)
    p_value = scipy.stats.kstest(uniforms(stated, w), "uniform").pvalue
    narrow = (high - low) / scale < 1  # where the scale hardly matters
    assert (p_value > LEVEL) if narrow else (p_value < LEVEL)


@pytest.mark.statistical
def test_wide_bounds_are_never_hit(generator):
    """A sampler that inverts erf in floats puts weights at bounds a hundred sigma away."""
    law = initializers.trunc_normal(std=0.02).at(3, 3)
    w = law.sample((1_000_000,), generator=generator)
    largest = float(w.abs().max())
    assert largest < 0.02 * scipy.stats.norm.isf(LEVEL / 2 / w.numel())
    excess = float((w.double() ** 4).mean() / (w.double() ** 2).mean() ** 2) - 3
    assert abs(excess) < 5 * math.sqrt(24 / w.numel()) * 1.2


@pytest.mark.parametrize("shape", [(), (0,), (2, 3, 4)])
def test_shapes(shape, generator):
    assert laws.TruncatedNormal().sample(shape, generator=generator).shape == shape


def test_infinite_bounds_have_exact_moments():
    mu = sympy.Symbol("mu", real=True)
    s = sympy.Symbol("s", positive=True)
    half = laws.TruncatedNormal(0, s, 0, sympy.oo)
    assert sympy.simplify(half.mean - s * sympy.sqrt(2 / sympy.pi)) == 0
    assert sympy.simplify(half.moment(2) - s**2) == 0
    assert sympy.simplify(half.moment(4) - 3 * s**4) == 0
    whole = laws.TruncatedNormal(mu, s, -sympy.oo, sympy.oo)
    assert (whole.mean, whole.variance, whole.kurtosis) == (mu, s**2, 3)
    assert laws.TruncatedNormal(0, 1, -math.inf, math.inf).symmetric
    assert not half.symmetric


@pytest.mark.parametrize("bounds", [(math.inf, math.inf), (-math.inf, -math.inf)])
def test_bounds_without_a_window_are_refused(bounds):
    with pytest.raises(ValueError, match=r"bounds must leave a window, got .*: swap or widen"):
        laws.TruncatedNormal(0, 1, *bounds)
