"""How well a rate is known from successes among trials, and the difference of two rates."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from varprop.stats._checks import error_rate


def binomial_interval(successes: int, trials: int, level: float = 0.05) -> tuple[float, float]:
    """Clopper-Pearson interval: coverage at least 1 - level at any rate and any number of trials.

    Source: Clopper and Pearson (1934), Biometrika 26, 404; computed by statsmodels.
    """
    from statsmodels.stats.proportion import proportion_confint

    if not 0 <= successes <= trials or trials < 1:
        raise ValueError(
            f"successes must lie between 0 and trials >= 1, got {successes} of {trials}."
        )
    low, high = proportion_confint(
        successes, trials, alpha=error_rate("level", level), method="beta"
    )
    return float(np.asarray(low)), float(np.asarray(high))


LEAST_P = 1e-30


@dataclass(frozen=True)
class RateDifference:
    """rate(b) - rate(a), from successes among trials of each.

    The interval is that of two binomial intervals, each at half of the level: it covers at any
    rates and numbers of trials, and whether or not the two samples share their random numbers.
    """

    a: int
    of_a: int
    b: int
    of_b: int

    @property
    def estimate(self) -> float:
        return self.b / self.of_b - self.a / self.of_a

    def interval(self, level: float) -> tuple[float, float]:
        """Coverage at least 1 - level."""
        low_a, high_a = binomial_interval(self.a, self.of_a, level / 2)
        low_b, high_b = binomial_interval(self.b, self.of_b, level / 2)
        return low_b - high_a, high_b - low_a

    def p_value(self, margin: float = 0.0) -> float:
        """Of |rate(b) - rate(a)| <= margin: the level at which the interval begins to leave it out.

        Not below 1e-30.
        """

        def beyond(log_level: float) -> float:
            low, high = self.interval(float(np.exp(log_level)))
            return max(low, -high) - margin

        ends = np.log(LEAST_P), np.log(0.999)
        if beyond(ends[1]) <= 0:
            return 1.0
        return LEAST_P if beyond(ends[0]) > 0 else float(np.exp(brentq(beyond, *ends)))  # pyright: ignore
