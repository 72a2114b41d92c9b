"""A known truth to test the tests on (He networks), and an exact reading of rates."""

import numpy as np
import pytest

from varprop.stats import binomial_interval

NEVER_FLAKES = 1e-6


def relu_chain(rng, draws, width, depth, gain=1.0):
    """Mean squares q (draws, depth + 1) of He networks with zero bias, exact in law.

    Given x, z = W x has iid N(0, 2 |x|^2/n) entries, so x'.x'/n = (2 q/n) chi-square_B, with B, the
    number of positive z, Binomial(n, 1/2).  gain (depth,): planted factors of q.
    """
    alive = rng.binomial(width, 0.5, size=(draws, depth))
    steps = 4 / width * rng.standard_gamma(alive / 2) * gain
    return np.concatenate([np.ones((draws, 1)), np.cumprod(steps, axis=1)], axis=1)


def rate_contains(hits, nominal):
    """Is the nominal rate inside the binomial interval of the measured one?"""
    low, high = binomial_interval(int(np.sum(hits)), int(np.size(hits)), NEVER_FLAKES)
    return low <= nominal <= high


@pytest.fixture(name="relu_chain")
def relu_chain_fixture():
    return relu_chain


@pytest.fixture(name="rate_contains")
def rate_contains_fixture():
    return rate_contains
