"""The mean field of a deep stack: where variance and correlation go, and how fast.

The layer is that of `stack`. Deep layers reach a fixed point q* of the variance, at which both chi
say how errors and gradients go on, and two inputs a fixed point c* of the correlation.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import sympy as sp

from varprop import activations
from varprop.activations import Activation
from varprop.activations.symbols import Number
from varprop.results import Result
from varprop.theory.arguments import check_number, check_numbers, check_whole
from varprop.theory.meanfield import correlation, limits
from varprop.theory.meanfield.fixed_points import (
    MARGIN,
    FixedPoint,
    VarianceMap,
    fixed_points,
    reached,
)
from varprop.theory.meanfield.stack import KEEP, LARGEST, SKIP, START, Stack

if TYPE_CHECKING:
    from matplotlib.axes import Axes


GRIDS = "use phase_diagram for grids"


class Quantity(NamedTuple):
    """One row of the table of a mean field."""

    quantity: str
    value: Any


@dataclass(frozen=True, repr=False)
class MeanField(Stack, Result):
    """The mean field of a stack; see `mean_field` for its arguments."""

    start: float = 1.0

    def __str__(self) -> str:
        setting = f"weight variance {self.weight_variance}, bias variance {self.bias_variance}"
        setting += f", keep {self.keep}" if self.keep != 1 else ""
        setting += f", skip {self.skip}" if self.skip != 0 else ""
        if self.symbolic:
            return f"mean field of {self.activation}, {setting}"
        told = f"q* = {self.fixed_point:.6g}, chi_parallel = {self.chi_parallel:.6g}"
        if self.activation.jumps:
            return f"mean field of {self.activation}, {setting}: {told}"
        return (
            f"mean field of {self.activation}, {setting}: {self.phase}, {told}, "
            f"chi_perp = {self.chi_perp:.6g}"
        )

    @cached_property
    def fixed_points(self) -> tuple[FixedPoint, ...]:
        """All fixed points of the variance map, in increasing order, each with its stability."""
        if self.activation.homogeneous:
            return self._affine()
        return fixed_points(self._map)

    @cached_property
    def _reached(self) -> FixedPoint:
        if self.symbolic:
            raise ValueError(
                f"the fixed point of {self.activation} has no closed form in symbols; give numbers,"
                " or use variance_map(q), chi_parallel_at(q) and chi_perp_at(q) with a symbol q"
            )
        if self.activation.homogeneous:
            (only,) = [p for p in self.fixed_points if p.stability != "unstable"]
            return only._replace(q=self.start) if only.stability == "neutral" else only
        return reached(self.fixed_points, self._map, self.start)

    @cached_property
    def fixed_point(self) -> Any:
        """q*, the variance that deep layers reach from `start`; may be 0 or infinity."""
        if self.symbolic and self.activation.homogeneous:
            return sp.simplify(self.bias_variance / (1 - self.chi_parallel))
        return self._reached.q

    @cached_property
    def stability(self) -> str:
        """How q* attracts: "stable", "half-stable", "neutral", or "unstable" if started on it."""
        return self._reached.stability

    @cached_property
    def chi_parallel(self) -> Any:
        """dq'/dq at q*."""
        if self.activation.homogeneous:
            return self._growth(self.activation.second_moment(sp.S.One if self.symbolic else 1.0))
        return self._reached.chi_parallel

    @cached_property
    def chi_perp(self) -> Any:
        """The factor of a gradient's second moment per layer, at q*.

        Raises ValueError for an activation with a jump, as do `phase` and `depth_scale_gradient`.
        """
        self._refuse_jumps()
        if self.activation.homogeneous:
            one = sp.S.One if self.symbolic else 1.0
            return self._growth(self.activation.derivative_second_moment(one))
        ends = self._ends
        return float(self.chi_perp_at(self.fixed_point)) if ends is None else self._growth(ends)

    def _affine(self) -> tuple[FixedPoint, ...]:
        """The fixed points of q' = chi q + sigma_b^2."""
        chi, bias = float(self.chi_parallel), float(self.bias_variance)
        if abs(chi - 1) <= 1e-14 and bias == 0:
            return (FixedPoint(self.start, 1.0, "neutral"),)
        if chi >= 1:
            zero = (FixedPoint(0.0, chi, "unstable"),) if bias == 0 else ()
            return (*zero, FixedPoint(np.inf, chi, "stable"))
        return (FixedPoint(bias / (1 - chi), chi, "stable"),)

    @cached_property
    def _map(self) -> VarianceMap:
        value, near = limits.at_zero(self.activation)
        far = limits.far_away(self.activation)
        return VarianceMap(
            self.variance_map,
            self.chi_parallel_at,
            float(self.weight_variance / self.keep * value + self.bias_variance),
            self._growth(near),
            np.inf if far is None else self._growth(far),
        )

    @cached_property
    def _ends(self) -> limits.Ends | None:
        """The homogeneous limit of the activation that deep layers see; None at 0 < q* < inf."""
        q = self.fixed_point
        if 0 < q < np.inf:
            return None
        if q == 0:
            return limits.at_zero(self.activation)[1]
        ends = limits.far_away(self.activation)
        if ends is None:
            return limits.Ends(np.inf, np.inf)
        limits.refuse_waves(self.activation, ends)
        return ends

    # -- correlation -------------------------------------------------------------------------

    @cached_property
    def _pair(self) -> correlation.PairMap:
        point = (self.fixed_point, self._ends)
        return correlation.PairMap(
            self.activation, self.weight_variance, self.keep, self.skip, *point
        )

    def correlation_map(self, deficit: Number) -> Number:
        """1 - c' of two inputs at q*, from their deficit 1 - c; inputs have independent masks."""
        return self._pair.next(self._deficits(deficit))

    def iterate_correlation(self, deficit: Number, depth: int) -> np.ndarray:
        """1 - c_0, ..., 1 - c_depth at q*: shape (depth + 1, *shape of deficit)."""
        check_whole("depth", depth, 0, "it counts the layers")
        layers = [self._deficits(deficit)]
        for _ in range(depth):
            layers.append(np.asarray(self._pair.next(layers[-1])))
        return np.stack(layers)

    def _deficits(self, deficit: Number) -> np.ndarray:
        return check_numbers("the deficit 1 - c", deficit, "give 1 - c, from 0 to 2")

    @cached_property
    def correlation_deficit(self) -> float:
        """1 - c*, for inputs of positive correlation; nan where every correlation is kept."""
        return self._pair.fixed_point()

    @cached_property
    def correlation_fixed_point(self) -> float:
        """c*, the correlation that inputs of positive correlation reach."""
        return 1 - self.correlation_deficit

    @cached_property
    def chi_correlation(self) -> float:
        """dc'/dc at c*."""
        if np.isnan(self.correlation_deficit):
            return 1.0
        return self._pair.slope(self.correlation_deficit)

    # -- depth -------------------------------------------------------------------------------

    @property
    def depth_scale_q(self) -> float:
        """xi_q = 1/|log chi_parallel|: layers in which q - q* changes by a factor e."""
        return depth_scale(self.chi_parallel)

    @property
    def depth_scale_c(self) -> float:
        """xi_c = 1/|log dc'/dc| at c*: layers in which c - c* shrinks by a factor e."""
        return depth_scale(self.chi_correlation)

    @property
    def depth_scale_gradient(self) -> float:
        """1/|log chi_perp|: layers in which gradient second moments change by a factor e."""
        return depth_scale(self.chi_perp)

    @property
    def phase(self) -> str:
        """ "ordered" (chi_perp < 1), "critical", "chaotic" (> 1), or "divergent": q* infinite."""
        if self.fixed_point == np.inf:
            return "divergent"
        if abs(self.chi_perp - 1) <= MARGIN:
            return "critical"
        return "ordered" if self.chi_perp < 1 else "chaotic"

    def rows(self) -> Iterator[Quantity]:
        names = ["fixed_point", "chi_parallel", "chi_perp"]
        if self.activation.jumps:  # E phi'^2 is infinite
            names = ["fixed_point", "chi_parallel", "stability", "depth_scale_q"]
        elif not self.symbolic:
            names += ["stability", "phase", "depth_scale_q", "depth_scale_gradient"]
        if not self.symbolic and self._pair.limited:
            names += ["correlation_fixed_point", "correlation_deficit", "depth_scale_c"]
        for name in names:
            yield Quantity(name, getattr(self, name))

    def plot(self, quantity: str = "correlation", ax: "Axes | None" = None) -> "Axes":
        """The map of the "correlation" (default) or of the "variance", and the diagonal."""
        from varprop.theory.meanfield.plots import plot_map

        return plot_map(self, quantity, ax)


def depth_scale(chi: float) -> float:
    """1/|log|chi||: infinite at |chi| = 1, zero at chi = 0 and at infinity."""
    with np.errstate(divide="ignore"):
        return float(1 / np.abs(np.log(np.abs(np.float64(chi)))))


def mean_field(
    activation: str | Activation,
    *,
    weight_variance: Number,
    bias_variance: Number = 0.0,
    keep: Number = 1,
    skip: Number = 0,
    start: float = 1.0,
) -> MeanField:
    """The mean field of z' = skip z + W (mask phi(z)) / keep + b.

    weight_variance  sigma_w^2 = fan_in Var(w)        bias_variance  sigma_b^2 = Var(b)
    keep             probability that dropout keeps a unit (divided by it: inverted dropout)
    skip             factor of the shortcut of a residual stack, 0 for a plain one
    start            q_0, which decides among several stable fixed points

    SymPy expressions give formulas where the activation has closed forms. Raises ValueError for
    a negative variance, weights of variance 0, keep outside (0, 1], a start that is not positive.
    Poole et al. (2016), Schoenholz et al. (2017).
    """
    phi = activations.get(activation)
    check_number("weight_variance", weight_variance, f"it is fan_in Var(w); {GRIDS}", above=0)
    check_number("bias_variance", bias_variance, f"it is Var(b); {GRIDS}", least=0)
    check_number("keep", keep, KEEP, above=0, most=1)
    check_number("skip", skip, SKIP, least=-LARGEST, most=LARGEST)
    check_number("start", start, START, above=0, symbols=False)
    return MeanField(phi, weight_variance, bias_variance, keep, skip, float(start))
