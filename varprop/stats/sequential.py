r"""Looking at a growing sample: after how many draws, and at which levels.

Look k is a test of the first R_k draws at the levels a w_k and b w_k, where a and b are the error
rates of the whole run and the shares w_k are positive with sum_k w_k = 1. Then

    P(some look refutes what is true)     <= sum_k P(look k does) <= sum_k a w_k = a
    P(some look confirms what is wrong)   <= sum_k P(look k does) <= sum_k b w_k = b

whatever the dependence between looks (each sample holds the earlier ones), and so for the look at
which a run stops, whatever stopped it. Each look keeps the null law of its test: one that is exact
for R_k draws is exact here, a studentized one is as good here as it is alone.
"""

from typing import NamedTuple

from varprop.stats._checks import error_rate as rate

FIRST = 32
RATIO = 2**0.5
FALL = 1.5


class Look(NamedTuple):
    """A test of the first `draws` draws at these levels."""

    draws: int
    error_rate: float
    false_pass: float


def schedule(planned: int, budget: int, error_rate: float, false_pass: float) -> tuple[Look, ...]:
    """Looks around the `planned` draws, where most runs end; the last one is at `budget`.

    They double from about FIRST up to half of the planned draws, then grow by RATIO. A look that is
    j looks away from the planned one has a share in proportion to (1 + j)^-FALL. Raises ValueError
    for fewer than two draws.
    """
    if planned < 2 or budget < 2:
        raise ValueError(f"planned and budget must be at least 2, got {planned} and {budget}.")
    rate("error_rate", error_rate)
    rate("false_pass", false_pass)
    middle = float(min(planned, budget))
    before = [middle / RATIO, middle / RATIO**2]
    while before[-1] / 2 >= FIRST:
        before.append(before[-1] / 2)
    draws = [round(n) for n in reversed(before) if n >= FIRST]
    here = len(draws)
    while round(middle) < budget:
        draws.append(round(middle))
        middle *= RATIO
    draws.append(budget)
    shares = [(1 + abs(k - here)) ** -FALL for k in range(len(draws))]
    parts = [share / sum(shares) for share in shares]
    return tuple(
        Look(count, error_rate * part, false_pass * part)
        for count, part in zip(draws, parts, strict=True)
    )
