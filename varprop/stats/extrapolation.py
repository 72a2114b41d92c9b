r"""Does a gap vanish with the width, and at the stated rate?

    gap(n) = a + b / n^k + c / n^(k + 1),    measured at widths n_1 < ... < n_m, errors s_i known

by least squares with weights 1/s_i^2 (statsmodels); `terms` = 1: c = 0. Tests, at the stated k:

    fit    residual chi-square on m - terms degrees of freedom: is the gap such a sum at all?
    a      z-test of a in the regression on 1, n^-k(, n^-(k+1)): is there a gap at infinite width?
    k      with a = 0: chi-square(k) - min chi-square on one degree of freedom; its inversion is the
           interval of k

Two terms are honest where one is not, and cost power. Rejections in % at 5 % / 1 % of a = 0, k = 1
and the fit, seven widths from 16 to 128, errors .002 sqrt(16/n), 1 000 repetitions:

    gap             terms    a = 0         k = 1         fit           90 % of the k found
    -1/n            1        6.2 / 0.9     5.6 / 0.9     5.4 / 1.3     .95 to 1.05
    -1/n            2        5.8 / 1.4     6.6 / 1.2     4.5 / 1.0     .05 to 1.17
    -1/n + 3/n^2    1        75 / 52       85 / 66       61 / 37       .85 to .95 (no 1/n law)
    -1/n + 3/n^2    2        5.2 / 1.0     5.7 / 1.3     4.9 / 1.0     .11 to 1.17

Gaussian errors are taken as known: the replicate is the network, and its number in the hundreds.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, stats

from varprop.stats._checks import Floats, error_rate, finite, positive

FEWEST_WIDTHS = 4
STEEPEST = 8.0  # the largest k that is looked at
GRID = np.geomspace(0.05, STEEPEST, 60)  # of neighbours in it, none hides a second least value


class UnresolvedGap(ValueError):
    """Gaps that are zero within their errors, of which no rate can be told."""


@dataclass(frozen=True)
class WidthFit:
    """The fit of gaps at widths.

    stated          k that was tested
    limit           a, with its standard error, at the stated k
    amplitude       b, c (one number for each term) at the stated k with a = 0
    misfit          residual chi-square at the stated k, a = 0, and its p-value (m - terms)
    best            k of the least chi-square, a = 0
    limit_p, rate_p p-values of a = 0 and of k = stated
    limit_fit_p, rate_fit_p  of the residuals with a free, and with k free (one degree less)
    signal_p        p-value of no gap at any width
    """

    widths: Floats
    gaps: Floats
    errors: Floats
    stated: float
    limit: float
    limit_error: float
    amplitude: tuple[float, ...]
    misfit: float
    misfit_p: float
    best: float
    limit_p: float
    rate_p: float
    limit_fit_p: float
    rate_fit_p: float
    signal_p: float

    def limit_interval(self, level: float = 0.05) -> tuple[float, float]:
        """Values of a that the test does not reject at `level`: coverage 1 - level."""
        half = float(stats.norm.isf(error_rate("level", level) / 2)) * self.limit_error
        return self.limit - half, self.limit + half

    def rate_interval(self, level: float = 0.05) -> tuple[float, float]:
        """Exponents k that the test does not reject at `level`; (0, inf) where all are possible.

        From the least to the largest of them: two terms with b = 0 fit as well as one with k + 1.
        An end at 0 or beyond 8 is open: the interval then is (0, ...) or (..., inf).
        """
        bound = _misfit(self.best, *self._data) + float(
            stats.chi2.isf(error_rate("level", level), 1)
        )

        def excess(k: float) -> float:
            return _misfit(k, *self._data) - bound

        taken = [k for k, least in _valleys(*self._data) if least <= bound]
        below = [k for k in GRID if k < min(taken) and excess(k) > 0]
        above = [k for k in GRID if k > max(taken) and excess(k) > 0]
        low, high = 0.0, np.inf
        if excess(GRID[0]) > 0:
            low = float(optimize.brentq(excess, below[-1], min(taken)))  # pyright: ignore
        if excess(GRID[-1]) > 0:
            high = float(optimize.brentq(excess, max(taken), above[0]))  # pyright: ignore
        return low, high

    @property
    def _data(self) -> tuple[Floats, Floats, Floats, int]:
        return self.widths, self.gaps, self.errors, len(self.amplitude)

    def __call__(self, widths: ArrayLike) -> Floats:
        """The fitted gap at other widths, with a = 0 and the stated k."""
        n = np.asarray(widths, float)
        terms = (b * n ** -(self.stated + j) for j, b in enumerate(self.amplitude))
        return sum(terms, np.zeros_like(n))


def fit_widths(
    widths: ArrayLike,
    gaps: ArrayLike,
    standard_errors: ArrayLike,
    stated: float = 1.0,
    level: float = 1e-3,
    terms: int = 2,
) -> WidthFit:
    """Fit gaps (measured - predicted) at four or more widths; all arrays are (widths,).

    Raises UnresolvedGap where no gap is significant at `level`, and ValueError for fewer than four
    different widths or errors that are not positive.
    """
    n, gap, error = (
        finite(name, x)
        for name, x in (("widths", widths), ("gaps", gaps), ("standard_errors", standard_errors))
    )
    positive("stated", stated)
    check_terms(terms)
    if not (n.ndim == 1 and n.shape == gap.shape == error.shape):
        raise ValueError(
            "widths, gaps and standard_errors are three arrays (widths,), got shapes "
            f"{n.shape}, {gap.shape}, {error.shape}; average over draws first"
        )
    if len(set(n)) < FEWEST_WIDTHS or len(set(n)) < len(n) or (n <= 0).any():
        raise ValueError(
            f"an exponent, its next term and a limit need {FEWEST_WIDTHS} or more different "
            f"positive widths, got {n.tolist()}; add widths, such as doublings"
        )
    if (error <= 0).any():
        raise ValueError(
            f"standard_errors must be positive, got {error.min()}; gaps without error are compared "
            "with their formula directly"
        )
    signal_p = float(stats.chi2.sf(((gap / error) ** 2).sum(), len(n)))
    if signal_p > error_rate("level", level):
        worst = float(np.abs(gap / error).max())
        raise UnresolvedGap(
            f"no gap is resolved at any width: the largest is {worst:.1f} standard errors (p = "
            f"{signal_p:.2g} for none at all), so a rate cannot be told; take more draws, or "
            "narrower networks"
        )
    data = n, gap, error, terms
    whole, sums = _regression(stated, *data, constant=True), _regression(stated, *data)
    limit, limit_error = float(whole.params[0]), float(whole.bse[0])
    misfit, best = _misfit(stated, *data), _best(*data)
    least, lifted = _misfit(best, *data), max(0.0, misfit - (limit / limit_error) ** 2)
    freedom = len(n) - terms
    return WidthFit(
        widths=n,
        gaps=gap,
        errors=error,
        stated=float(stated),
        limit=limit,
        limit_error=limit_error,
        amplitude=tuple(float(b) for b in sums.params),
        misfit=misfit,
        misfit_p=float(stats.chi2.sf(misfit, freedom)),
        best=best,
        limit_p=float(2 * stats.norm.sf(abs(limit) / limit_error)),
        rate_p=float(stats.chi2.sf(max(0.0, misfit - least), 1)),
        limit_fit_p=float(stats.chi2.sf(lifted, freedom - 1)),
        rate_fit_p=float(stats.chi2.sf(least, freedom - 1)),
        signal_p=signal_p,
    )


def check_terms(terms: int) -> None:
    """Raises ValueError for other numbers of terms than one and two."""
    if isinstance(terms, bool) or terms not in (1, 2):
        raise ValueError(f"terms must be 1 (b/n^k) or 2 (and c/n^(k+1)), got {terms!r}")


def _columns(k: float, n: Floats, terms: int) -> Floats:
    """n^-k, n^-(k+1) in units of the narrowest width, so that no column vanishes."""
    return (n / n.min())[:, None] ** -(k + np.arange(terms))


def _regression(
    k: float, n: Floats, gap: Floats, error: Floats, terms: int, constant: bool = False
) -> "_Fitted":
    """statsmodels' weighted fit with known errors of (a,) b, c."""
    import statsmodels.api as sm

    columns, units = _columns(k, n, terms), n.min() ** -(k + np.arange(terms))
    if constant:
        columns, units = np.column_stack([np.ones_like(n), columns]), np.append(1.0, units)
    weights: Any = error**-2.0
    found = sm.WLS(gap, columns, weights=weights).fit(cov_type="fixed scale")
    return _Fitted(found.params / units, found.bse / units)


class _Fitted(NamedTuple):
    params: Floats
    bse: Floats


def _misfit(k: float, n: Floats, gap: Floats, error: Floats, terms: int) -> float:
    """Least residual chi-square over b and c, with a = 0."""
    columns = _columns(k, n, terms) / error[:, None]
    target = gap / error
    solved = np.linalg.lstsq(columns, target, rcond=None)[0]
    return float(((target - columns @ solved) ** 2).sum())


def _valleys(*data: Any) -> list[tuple[float, float]]:
    """The exponents in (0, 8] with less chi-square than their neighbours, and that chi-square."""
    values = [_misfit(k, *data) for k in GRID]
    found = []
    for place, value in enumerate(values):
        around = max(place - 1, 0), min(place + 1, len(GRID) - 1)
        if value > min(values[j] for j in around):
            continue
        ends = tuple(GRID[j] for j in around)
        least = optimize.minimize_scalar(lambda k: _misfit(k, *data), bounds=ends, method="bounded")
        k, fun = float(least.x), float(least.fun)  # pyright: ignore
        found.append((k, fun) if fun < value else (float(GRID[place]), value))
    return found


def _best(*data: Any) -> float:
    """The exponent of the least chi-square in (0, 8]."""
    return min(_valleys(*data), key=lambda valley: valley[1])[0]
