"""Phase diagrams over (sigma_w^2, sigma_b^2): fixed points of variance and correlation, and chi."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.optimize import elementwise

from varprop import activations
from varprop.activations import Activation
from varprop.results import Result
from varprop.theory.arguments import check_number, check_numbers
from varprop.theory.meanfield import angles, limits, tabulate
from varprop.theory.meanfield.fixed_points import MARGIN
from varprop.theory.meanfield.stack import KEEP, LARGEST, SKIP, START
from varprop.theory.meanfield.tabulate import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PER_DECADE = 36  # points at which the sign of q' - q is looked at


class Cell(NamedTuple):
    """One point of the grid."""

    weight_variance: float
    bias_variance: float
    fixed_point: float
    chi_parallel: float
    chi_perp: float
    phase: str
    correlation_fixed_point: float
    chi_correlation: float


@dataclass(frozen=True, repr=False, eq=False)
class PhaseDiagram(Result):
    """q*, chi_parallel and chi_perp, arrays (weight variances, bias variances).

    `error` is the largest error of q'/q and of chi_perp; the relative one of q* is about
    error / (1 - chi_parallel). `correlation_deficit` = 1 - c* and `chi_correlation` = dc'/dc there
    are made when first asked for; they are nan and 1 where correlations are kept, and nan where q
    outgrows any factor.
    """

    activation: Activation
    weight_variances: np.ndarray
    bias_variances: np.ndarray
    fixed_point: np.ndarray
    chi_parallel: np.ndarray
    chi_perp: np.ndarray
    error: float
    keep: float = 1.0
    skip: float = 0.0

    def __str__(self) -> str:
        rows, columns = self.fixed_point.shape
        kinds, counts = np.unique(self.phase, return_counts=True)
        told = ", ".join(f"{count} {kind}" for kind, count in zip(kinds, counts, strict=True))
        return f"phase diagram of {self.activation}, {rows} x {columns}: {told}"

    @property
    def phase(self) -> np.ndarray:
        """ "ordered", "critical", "chaotic" by chi_perp, or "divergent": q* infinite."""
        named = np.where(self.chi_perp < 1, "ordered", "chaotic")
        named = np.where(np.abs(self.chi_perp - 1) <= MARGIN, "critical", named)
        return np.where(np.isinf(self.fixed_point), "divergent", named)

    @property
    def depth_scale_q(self) -> np.ndarray:
        """1/|log chi_parallel|."""
        return _scale(self.chi_parallel)

    @property
    def depth_scale_gradient(self) -> np.ndarray:
        """1/|log chi_perp|; in the ordered phase also the depth scale of the correlation."""
        return _scale(self.chi_perp)

    @property
    def correlation_deficit(self) -> np.ndarray:
        """1 - c* of inputs of positive correlation, to about 1e-9 / (chi_perp - 1) of itself."""
        return self._correlation[0]

    @property
    def correlation_fixed_point(self) -> np.ndarray:
        """c*, the correlation that inputs of positive correlation reach."""
        return 1 - self.correlation_deficit

    @property
    def chi_correlation(self) -> np.ndarray:
        """dc'/dc at c*."""
        return self._correlation[1]

    @property
    def depth_scale_c(self) -> np.ndarray:
        """1/|log dc'/dc| at c*."""
        return _scale(self.chi_correlation)

    @cached_property
    def _correlation(self) -> tuple[np.ndarray, np.ndarray]:
        phi, q = self.activation, self.fixed_point
        weight = np.broadcast_to(self.weight_variances[:, None], q.shape)
        deficit, slope = np.full(q.shape, np.nan), np.full(q.shape, np.nan)
        inner = (q > 0) & np.isfinite(q)
        for cells, ends in _ends(phi, q):
            ratio = angles.tabulated(lambda _, e, ends=ends: ends.gap(e) / e, np.ones(1))
            size, kept = int(cells.sum()), np.full(int(cells.sum()), ends.gain)
            normal = self.skip**2 + weight[cells] / self.keep * kept
            if phi.homogeneous:
                normal = np.where(inner[cells] & (normal < 1 - MARGIN), 1.0, normal)
            layer = angles.Layer(weight[cells], normal, kept, self.keep, self.skip)
            many = angles.Angles(np.repeat(ratio.series, size, 0), ratio.edges)
            deficit[cells], slope[cells] = angles.solve(many, layer)
        if phi.homogeneous or not inner.any():
            return deficit, slope
        places = np.flatnonzero(inner.ravel())
        for group, made in angles.interior(phi, q.ravel()[places]):
            cells = places[group]
            at = q.flat[cells]
            kept = np.ones(at.size) if self.keep == 1 else phi.second_moment(at) / at
            layer = angles.Layer(weight.flat[cells], np.ones(at.size), kept, self.keep, self.skip)
            deficit.flat[cells], slope.flat[cells] = angles.solve(made, layer)
        return deficit, slope

    def rows(self) -> Iterator[Cell]:
        phase, star, chi = self.phase, self.correlation_fixed_point, self.chi_correlation
        for i, j in np.ndindex(phase.shape):
            yield Cell(
                float(self.weight_variances[i]),
                float(self.bias_variances[j]),
                float(self.fixed_point[i, j]),
                float(self.chi_parallel[i, j]),
                float(self.chi_perp[i, j]),
                str(phase[i, j]),
                float(star[i, j]),
                float(chi[i, j]),
            )

    def plot(self, quantity: str = "chi_perp", ax: "Axes | None" = None) -> "Axes":
        """A map of log10 of chi_perp, chi_parallel or fixed_point, and the line chi_perp = 1."""
        from varprop.theory.meanfield.plots import plot_diagram

        return plot_diagram(self, quantity, ax)


def phase_diagram(
    activation: str | Activation,
    weight_variances: Any,
    bias_variances: Any,
    *,
    keep: float = 1.0,
    skip: float = 0.0,
    start: float = 1.0,
) -> PhaseDiagram:
    """The fixed point reached from `start` on the grid of weight and bias variances.

    Arguments as in `mean_field`, which also tells fixed points apart that lie closer than 7 %.
    Raises ValueError for grids that are not one-dimensional, or of variances out of range, and for
    an activation with a jump: its chi_perp is infinite.
    """
    phi = activations.get(activation)
    limits.refuse_jumps(phi, "a phase diagram", "use mean_field for the variance alone")
    one = "give a one-dimensional array of them"
    weights = check_numbers("each of weight_variances", weight_variances, one, above=0)
    biases = check_numbers("each of bias_variances", bias_variances, one, least=0)
    for name, grid in (("weight_variances", weights), ("bias_variances", biases)):
        if grid.ndim != 1 or not grid.size:
            raise ValueError(
                f"{name} must be one-dimensional and not empty, got shape {grid.shape}; {one}"
            )
    check_number("keep", keep, KEEP, above=0, most=1, symbols=False)
    check_number("skip", skip, SKIP, least=-LARGEST, most=LARGEST, symbols=False)
    check_number("start", start, START, above=0, most=LARGEST, symbols=False)
    keep, skip, start = float(keep), float(skip), float(start)
    strength = weights[:, None] / keep
    if phi.homogeneous:
        second, slope = phi.second_moment(1.0), phi.derivative_second_moment(1.0)
        chi = np.broadcast_to(skip**2 + strength * second, (weights.size, biases.size))
        perp = np.broadcast_to(skip**2 + strength * slope, chi.shape)
        return PhaseDiagram(
            phi, weights, biases, _affine(chi, biases, start), chi, perp, 4e-16, keep, skip
        )
    made = tabulate.table(phi)
    rows = [_row(made, a, biases, skip, start) for a in strength[:, 0]]
    q = _refined(made, np.stack(rows), strength, biases, skip)
    chi, perp = _factors(phi, made, q, strength, skip)
    inner = (q > 0) & np.isfinite(q)
    moved = np.broadcast_to(strength, q.shape)[inner] * made.error(q[inner])
    error = float(moved.max(initial=0.0))
    return PhaseDiagram(phi, weights, biases, q, chi, perp, error, keep, skip)


def _ends(phi: Activation, q: np.ndarray) -> list[tuple[np.ndarray, limits.Ends]]:
    """The cells at which layers see a homogeneous function: all, those of q* = 0 or infinite."""
    if phi.homogeneous:
        return [(np.ones(q.shape, bool), limits.at_zero(phi)[1])]
    found = [(q == 0, limits.at_zero(phi)[1]), (np.isinf(q), limits.far_away(phi))]
    return [(cells, ends) for cells, ends in found if ends is not None and cells.any()]


def _affine(chi: np.ndarray, biases: np.ndarray, start: float) -> np.ndarray:
    """The fixed points of q' = chi q + sigma_b^2."""
    with np.errstate(divide="ignore", invalid="ignore"):
        q = np.where(chi < 1, biases / (1 - chi), np.inf)
    return np.where((np.abs(chi - 1) <= 1e-14) & (biases == 0), start, q)


def _row(made: Table, a: float, biases: np.ndarray, skip: float, start: float) -> np.ndarray:
    """Ends of intervals around the fixed points reached, (biases, 2); twice 0 or inf for these."""
    size = round(np.log10(made.high / tabulate.LOW)) * PER_DECADE
    q = np.union1d(np.geomspace(tabulate.LOW, made.high * (1 - 1e-12), size), [start])
    first = int(np.searchsorted(q, start))
    up = a * made.kept(q) + biases[:, None] / q + skip**2 - 1 > 0  # q' > q
    above, below = ~up[:, first:], up[:, : first + 1]
    above_at = first + np.argmax(above, 1)
    below_at = first - np.argmax(below[:, ::-1], 1)
    rising = up[:, first]
    low = np.where(rising, q[np.maximum(above_at - 1, 0)], q[below_at])
    high = np.where(rising, q[above_at], q[np.minimum(below_at + 1, q.size - 1)])
    lost = np.where(rising, ~above.any(1), ~below.any(1))
    end = np.where(rising, np.inf, 0.0)
    return np.stack([np.where(lost, end, low), np.where(lost, end, high)], 1)


def _refined(
    made: Table, ends: np.ndarray, strength: np.ndarray, biases: np.ndarray, skip: float
) -> np.ndarray:
    """The root of q' = q in each interval, by Chandrupatla's method in log q."""
    inside = (ends[..., 0] > 0) & np.isfinite(ends[..., 0])
    a, b = (np.broadcast_to(v, inside.shape)[inside] for v in (strength, biases))

    def excess(log: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        q = np.exp(log)
        return a * made.kept(q) + b / q + skip**2 - 1

    q = ends[..., 0].copy()
    if inside.any():
        bracket = tuple(np.log(ends[inside]).T)
        q[inside] = np.exp(elementwise.find_root(excess, bracket, args=(a, b)).x)
    return q


def _factors(
    phi: Activation, made: Table, q: np.ndarray, strength: np.ndarray, skip: float
) -> tuple[np.ndarray, np.ndarray]:
    """chi_parallel and chi_perp at q, by the limits of phi at 0 and infinity."""
    near, far = limits.at_zero(phi)[1].gain, limits.far_away(phi)
    inner = np.where((q > 0) & np.isfinite(q), q, 1.0)
    found = []
    for values in (made.rise(inner), made.slope(inner)):
        grown = np.inf if far is None else far.gain
        kept = np.select([q == 0, np.isinf(q)], [near, grown], values)
        found.append(skip**2 + strength * kept)
    return found[0], found[1]


def _scale(chi: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return 1 / np.abs(np.log(np.abs(chi)))
