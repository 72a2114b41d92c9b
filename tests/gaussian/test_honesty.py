"""The error estimate covers the error, for integrands made to deceive a rule.

Nothing is declared here: kinks, jumps and oscillations lie at random places. Each truth is a
closed form at 40 digits.
"""

from collections.abc import Callable

import mpmath
import numpy as np
import pytest
from scipy import special

from varprop import gaussian
from varprop.gaussian import Estimate, expectation, pair_expectation, panels, rules

TRIALS = 60


def high(x: float) -> mpmath.mpf:
    return mpmath.mpf(float(x))


def step(x: np.ndarray) -> np.ndarray:
    return np.heaviside(x, 0.5)


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0.0)


def mean_step(s: float, t: float) -> mpmath.mpf:
    return mpmath.erfc(high(t) / high(s) / mpmath.sqrt(2)) / 2


def mean_relu(s: float, t: float) -> mpmath.mpf:
    return high(s) * mpmath.npdf(high(t) / high(s)) - high(t) * mean_step(s, t)


ONE: dict[str, tuple[Callable, Callable]] = {
    "jump": (lambda x, t: step(x - t), mean_step),
    "kink": (lambda x, t: relu(x - t), mean_relu),
    "small jump": (
        lambda x, t: x**2 + 1e-7 * step(x - t),
        lambda s, t: high(s) ** 2 + mpmath.mpf(1e-7) * mean_step(s, t),
    ),
    "sharp step": (
        lambda x, t: special.erf((x - t) / 1e-3),
        lambda s, t: -mpmath.erf(high(t) / mpmath.sqrt(mpmath.mpf(1e-3) ** 2 + 2 * high(s) ** 2)),
    ),
    "oscillation": (
        lambda x, t: np.cos(60 * t * x),
        lambda s, t: mpmath.exp(-((60 * high(t) * high(s)) ** 2) / 2),
    ),
    "growth": (
        lambda x, t: np.exp(4 * t * x),
        lambda s, t: mpmath.exp((4 * high(t) * high(s)) ** 2 / 2),
    ),
}


@pytest.mark.parametrize("name", ONE)
def test_one_variable(name, rng):
    function, exact = ONE[name]
    for s, t in zip(10 ** rng.uniform(-1, 1.5, TRIALS), rng.uniform(-2, 2, TRIALS), strict=True):
        t = t * min(1.0, 3 * s)  # what lies where no node is cannot be seen
        found = expectation(lambda x, t=t: function(x, t), 0.0, s)
        with mpmath.workdps(40):
            error = abs(high(found.value) - exact(s, t))
        assert error <= found.error, (s, t, found, float(error))


TWO: dict[str, tuple[Callable, Callable]] = {
    "jumps": (
        lambda x, y, t: step(x - t) * step(y + t),
        lambda t: mean_step(1, t) * mean_step(1, -t),
    ),
    "kinks": (
        lambda x, y, t: relu(x - t) * relu(y + t),
        lambda t: mean_relu(1, t) * mean_relu(1, -t),
    ),
    "a kink in one of them": (lambda x, y, t: relu(x - t) * y**2, lambda t: mean_relu(1, t)),
    "oscillations": (
        lambda x, y, t: np.cos(30 * t * x) * np.cos(20 * t * y),
        lambda t: mpmath.exp(-((30 * high(t)) ** 2) / 2 - (20 * high(t)) ** 2 / 2),
    ),
    "round bump": (
        lambda x, y, t: np.exp(-(x * x + y * y) * 1e3 * abs(t)),
        lambda t: 1 / (1 + 2000 * abs(high(t))),
    ),
}


@pytest.mark.parametrize("name", TWO)
def test_two_independent_variables(name, rng):
    function, exact = TWO[name]
    for t in rng.uniform(-2, 2, 5):
        found = pair_expectation(lambda x, y, t=t: function(x, y, t), 1.0, 1.0, 1.0)
        with mpmath.workdps(40):
            error = abs(high(found.value) - exact(t))
        assert error <= found.error, (t, found, float(error))


@pytest.mark.parametrize("d", [1e-6, 0.02, 0.7, 1.0, 1.9])
def test_two_dependent_variables(d):
    """P(z > 0, z' > 0) = (pi - theta) / (2 pi), with a jump at zero that is not declared."""
    found = pair_expectation(lambda x, y: step(x) * step(y), 2.0, 0.3, d)
    with mpmath.workdps(40):
        truth = (mpmath.pi - mpmath.acos(1 - high(d))) / (2 * mpmath.pi)
        assert abs(high(found.value) - truth) <= found.error


def test_what_is_out_of_reach_has_a_large_error():
    """Four thousand radians to a standard deviation; an integral that does not exist."""
    found = expectation(lambda x: np.cos(4e4 * x), 0.0, 1.0)
    assert abs(found.value) <= found.error
    assert found.error > 1e-6
    assert expectation(lambda x: np.exp(x**2), 0.0, 1.0).error > 1.0
    assert np.isinf(expectation(lambda x: np.exp(x**4), 0.0, 2.0).error)
    assert np.isinf(expectation(lambda x: np.sqrt(x), 0.0, 1.0).error)


# -- planted faults: each makes the estimate optimistic, or the value coarse ---------------------


def covers(found: Estimate, truth: float) -> bool:
    return bool(abs(float(found.value) - truth) <= found.error)


def test_fault_one_rule_thrice(monkeypatch):
    """Rules with the same even nodes agree about everything, an alias included."""
    rules.trapezoid.cache_clear()
    monkeypatch.setattr(rules, "VARIANTS", ((1.0, 0.0), (1.0, 0.0), (1.0, 0.0)))
    monkeypatch.setattr(rules, "STRETCH", 1e5)  # evenly spaced
    try:
        rate = 2 * np.pi / rules.STEP
        assert not covers(expectation(lambda x: np.cos(rate * x), 0.0, 1.0), 0.0)
    finally:
        monkeypatch.undo()
        rules.trapezoid.cache_clear()


def test_fault_no_null_rules(monkeypatch):
    """Without them nothing tells a panel that holds a jump from one that does not."""
    monkeypatch.setattr(panels, "null_rules", lambda order, count: np.zeros((order, count)))
    found = expectation(lambda x: step(x - 0.1), 0.0, 1.0)
    assert not covers(found, float(mean_step(1.0, 0.1)))


def test_fault_no_bisection(monkeypatch):
    """Without bisection a kink that is not declared costs its digits, and the estimate says so."""
    monkeypatch.setattr(panels, "ROUNDS", 1)
    found = expectation(lambda x: relu(x - 0.1), 0.0, 1.0)
    truth = float(mean_relu(1.0, 0.1))
    assert abs(found.value - truth) > 1e-9
    assert covers(found, truth)


@pytest.mark.parametrize("kinks", [(), (0.0,)])
def test_fault_no_rim(monkeypatch, kinks):
    """The difference of two rules does not see what both leave out."""
    rate = 14.0
    truth = float(mpmath.exp(mpmath.mpf(rate) ** 2 / 2))
    assert covers(expectation(np.exp, 0.0, rate, kinks), truth)
    monkeypatch.setattr(panels, "beyond", lambda rim, size, most: 0 * rim)
    assert not covers(expectation(np.exp, 0.0, rate, (0.0,)), truth)


def test_a_jump_costs_more_than_a_kink_and_both_are_found():
    for f, truth in ((step, mean_step), (relu, mean_relu)):
        found = expectation(lambda x, f=f: f(x - 0.1), 0.0, 1.0)
        assert found.error < 1e-12
        assert covers(found, float(truth(1.0, 0.1)))
    assert gaussian.Estimate._fields == ("value", "error", "size")
