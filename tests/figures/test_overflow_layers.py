"""The judgements of the overflow figure: wrong weights are refuted."""

import numpy as np
import pytest

from figures import overflow_layers
from figures.overflow_layers import DOWN, STACKS, UP


def made(stack, width, dtypes, draws, seed):
    return overflow_layers.passes(stack, width, dtypes, 900, draws, seed, "cpu")


def judged(stack, found, width, dtype):
    judge = overflow_layers._early if stack == DOWN else overflow_layers._by_layer
    predicted = overflow_layers.shares(stack, width, dtype, "cpu")
    return judge(found, predicted, 0.35, dtype, width)


@pytest.mark.parametrize("stack", [UP, DOWN])
@pytest.mark.statistical
def test_layers_of_loss_are_judged_by_the_weights_they_were_drawn_with(stack, seed, monkeypatch):
    dtypes = ("float16", "bfloat16", "float32")
    drawn = made(stack, 32, dtypes, 256, seed)
    assert {judged(stack, drawn.lost[d], 32, d).verdict for d in dtypes} == {"CONFIRMED"}
    activation, std = STACKS[stack]
    monkeypatch.setitem(STACKS, stack, (activation, 1.3 * std))  # what theory now believes
    assert judged(stack, drawn.lost["float32"], 32, "float32").verdict == "REFUTED"


@pytest.mark.statistical
def test_float64_is_lost_where_its_squares_have_long_been(seed):
    drawn = made(UP, 8, ("float32", "float64"), 256, seed)
    assert judged(UP, drawn.lost["float64"], 8, "float64").verdict == "CONFIRMED"
    assert drawn.lost["float64"].min() > 200


@pytest.mark.statistical
def test_the_size_of_relu_is_judged_by_the_mean_of_its_logarithm(seed):
    stack = "ReLU, N(0, 1)"
    drawn = made(stack, 64, ("float32",), 256, seed)
    line = overflow_layers._typical(stack, overflow_layers.network(stack, 64, drawn.logs.shape[1]))
    assert overflow_layers._size_claim(drawn.logs, line, 0.4, stack).verdict == "CONFIRMED"
    wrong = line + 0.02 * np.arange(len(line))
    assert overflow_layers._size_claim(drawn.logs, wrong, 0.4, stack).verdict == "REFUTED"


def test_the_folklore_layer_is_the_32nd(seed):
    """Printed as 31 by a loop that starts at 0: width 256 in float32."""
    shares = overflow_layers.shares(UP, 256, "float32", "cpu")
    assert overflow_layers.expected_layer(shares) == pytest.approx(32, abs=1e-3)
    found = made(UP, 256, ("float32",), 8, seed).lost["float32"]
    assert (found == 32).all()
