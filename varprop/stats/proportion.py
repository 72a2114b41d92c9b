"""How well a rate is known from successes among trials."""

import numpy as np

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
