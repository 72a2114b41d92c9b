"""Simultaneous bands of an average over networks, layer by layer (Bonferroni over those shown).

And what figures say and draw of them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from scipy import special

from figures import style
from figures.results import Results
from varprop.stats import studentized_test


def product_bands(found: np.ndarray, shown: Sequence[int], level: float) -> np.ndarray:
    """(3, ..., shown) estimate, low, high of the mean of a layer by the product of one-step means.

    found (..., draws, L + 1). Right where the ratio of one layer to the next is independent of what
    is below, as in homogeneous networks with Gaussian weights: there the mean of layer l is the
    product of the mean ratios, whose logarithms have independent errors. Networks that died below
    have no ratio.
    """
    below, above = found[..., :-1], found[..., 1:]
    ratios = np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0)
    mean = np.nanmean(ratios, -2)
    count = np.isfinite(ratios).sum(-2)
    relative = np.nanvar(ratios, -2, ddof=1) / count / mean**2
    last = np.array(shown) - 1
    log, error = np.cumsum(np.log(mean), -1)[..., last], np.sqrt(np.cumsum(relative, -1)[..., last])
    reach = -special.stdtrit(found.shape[-2] - 1, level / 2 / len(shown)) * error
    return found[..., 0].mean(-1)[..., None] * np.exp([log, log - reach, log + reach])


def mean_bands(
    found: np.ndarray, line: np.ndarray, shown: Sequence[int], level: float
) -> np.ndarray:
    """(3, shown) estimate, low, high by plain means; no band where the test refuses the sample.

    found (draws, L + 1); line (L + 1,) is the size that each layer is measured in.
    """
    bands = np.full((3, len(shown)), np.nan)
    for k, layer in enumerate(shown):
        relative = found[:, layer] / line[layer]
        bands[0, k] = relative.mean() * line[layer]
        try:
            ends = studentized_test(relative, 0.0, level / len(shown)).interval(level / len(shown))
        except ValueError:
            continue
        bands[1:, k] = np.maximum(ends, 0.0) * line[layer]
    return bands


def looks(results: Results, panel: str, series: str, look: Mapping[str, Any]) -> tuple[str, str]:
    """Colour and legend text of a series: those of alarm where it is not CONFIRMED."""
    doubted = results.doubted(panel, series)
    return (style.ALARM, f"{series} ({doubted})") if doubted else (look["color"], series)


def points(axes: Axes, at: np.ndarray, band: np.ndarray, color: str, marker: str) -> None:
    """Open marks at the estimates, with their bars where there are any; band (3, len(at))."""
    value, low, high = band
    reach = np.nan_to_num(np.array([value - low, high - value]))
    axes.errorbar(
        at, value, reach, color=color, linestyle="none", marker=marker, markerfacecolor="white",
        markeredgewidth=0.8, elinewidth=0.8, capsize=1.5,
    )  # fmt: skip
