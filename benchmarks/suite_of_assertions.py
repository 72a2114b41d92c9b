"""Thirty assertions such as a user's test suite has: MLPs of depth 20, width 128, default budget.

pytest benchmarks/suite_of_assertions.py [-n 2]
"""

import pytest

import varprop as vp

WIDTH, DEPTH = 128, 20
GAINS = {  # fan_in Var W near criticality, of six activations
    "relu": 2.0,
    "leaky_relu": 1.9,
    "tanh": 1.1,
    "erf": 0.9,
    "selu": 1.0,
    "gelu": 2.2,
}
FACTORS = (0.9, 1.0, 1.1)
BIASES = (0.0, 0.01)
PLAIN = ("relu", "leaky_relu", "tanh", "erf")


def law(variance: float) -> vp.Initializer:
    return vp.init.normal(std=variance**0.5)


@pytest.mark.parametrize("bias", BIASES)
@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("activation", PLAIN)
def test_forward_and_backward(matches_theory, activation, factor, bias):
    weights = law(factor * GAINS[activation] / WIDTH)
    matches_theory(
        vp.mlp(
            WIDTH, DEPTH, activation=activation, weights=weights, bias=law(bias) if bias else None
        )
    )


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("activation", sorted(set(GAINS) - set(PLAIN)))
def test_without_bias(matches_theory, activation, factor):
    weights = law(factor * GAINS[activation] / WIDTH)
    matches_theory(vp.mlp(WIDTH, DEPTH, activation=activation, weights=weights))
