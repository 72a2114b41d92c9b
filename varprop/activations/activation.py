"""Activations: a SymPy expression, its torch function, and its closed forms.

For pre-activations z, z' ~ N(0, [[q1, C], [C, q2]]), C = c sqrt(q1 q2):

    mean(q)                       E phi(z)
    second_moment(q)              E phi(z)^2          fourth_moment(q)   E phi(z)^4
    derivative_second_moment(q)   E phi'(z)^2
    second_moment_slope(q)        d E phi(z)^2 / dq      curvature(q)   E phi(z) phi''(z)
    kernel(q1, q2, c)             E phi(z) phi(z')
    derivative_kernel(q1, q2, c)  E phi'(z) phi'(z')

Each is a closed form where the table has one (single-input moments follow from the kernel at
z = z'), otherwise quadrature; on SymPy arguments a formula.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import sympy as sp

from varprop import gaussian
from varprop.activations import closed_forms, conditioning, gaps, origin, point_masses, quadrature
from varprop.activations.opaque import is_opaque
from varprop.activations.pairs import (
    check_variance,
    deficit,
    elementwise,
    numeric_pair,
    ray_gap,
    symbolic_pair,
    variance_of,
)
from varprop.activations.pieces import (
    derivative,
    exact,
    find_jumps,
    find_kinks,
    power,
    real_roots,
    steps,
)
from varprop.activations.special import bivariate_normal
from varprop.activations.symbols import Q1, Q2, SINE, THETA, C, Number, Q, X

SYMBOLS = (Q1, Q2, C, THETA, SINE)


@dataclass(frozen=True)
class Activation:
    """x = phi(z), elementwise.

    `expression` is phi in the symbol `X`; `kinks` are the points where phi is not smooth;
    `homogeneous` says phi(a z) = a phi(z) for a > 0; `formulas` holds the closed forms in the
    symbols `Q`, or `Q1, Q2, C, THETA, SINE` for kernels, and `stable` the same functions written so
    that floats keep their digits. `torch_name` is a function of `torch` or `torch.nn.functional`,
    called with `arguments` after the tensor; `function` is any other; without both, the torch
    function is made from the expression. phi varies over lengths of `scale` or more.
    """

    name: str
    expression: sp.Expr
    torch_name: str = ""
    arguments: tuple[float, ...] = ()
    kinks: tuple[float, ...] = ()
    homogeneous: bool = False
    formulas: Mapping[str, sp.Expr] = field(default_factory=dict, compare=False, repr=False)
    stable: Mapping[str, sp.Expr] = field(default_factory=dict, compare=False, repr=False)
    function: Callable | None = None
    scale: float = 1.0

    def __str__(self) -> str:
        inside = ", ".join(map(str, self.arguments))
        return f"{self.name}({inside})" if inside else self.name

    @property
    def derivative(self) -> sp.Expr:
        """phi' in the symbol `X`, without the point masses of jumps."""
        return derivative(self.expression)

    def __call__(self, z: Number) -> Number:
        return gaussian.evaluate(self.expression, {X: z})

    def slope(self, z: Number) -> Number:
        """phi'(z)."""
        return gaussian.evaluate(self.derivative, {X: z})

    def of(self, inner: "Activation") -> "Activation":
        """The composition phi(inner(z)); the identity leaves the other one as it is."""
        if inner.expression == X:
            return self
        if self.expression == X:
            return inner
        outer_kinks = tuple(
            root
            for kink in self.kinks
            for root in real_roots(inner.expression - sp.nsimplify(kink))
        )
        return derived(
            f"{self} of {inner}",
            self.expression.subs(X, inner.expression),
            tuple(sorted({*inner.kinks, *outer_kinks})),
            homogeneous=self.homogeneous and inner.homogeneous,
        )

    def plus(self, other: "Activation") -> "Activation":
        """The sum phi(z) + other(z)."""
        return derived(
            f"{self} + {other}",
            self.expression + other.expression,
            tuple(sorted({*self.kinks, *other.kinks})),
            homogeneous=self.homogeneous and other.homogeneous,
        )

    def times(self, factor: Number) -> "Activation":
        """The multiple factor phi(z)."""
        return derived(
            f"{factor} {self}", factor * self.expression, self.kinks, homogeneous=self.homogeneous
        )

    # -- one input ---------------------------------------------------------------------------

    def mean(self, q: Number) -> Number:
        """E phi(z), z ~ N(0, q)."""
        return self._moment("mean", self.expression, q)

    def second_moment(self, q: Number) -> Number:
        """E phi(z)^2, z ~ N(0, q)."""
        return self._moment("second_moment", power(self.expression, 2), q)

    def fourth_moment(self, q: Number) -> Number:
        """E phi(z)^4, z ~ N(0, q)."""
        return self._moment("fourth_moment", power(self.expression, 4), q)

    def derivative_second_moment(self, q: Number) -> Number:
        """E phi'(z)^2, z ~ N(0, q); raises ValueError for phi with a jump, where it is infinite."""
        self._refuse_jumps("E phi'(z)^2 of {} is infinite: phi' has a point mass at each jump {}")
        return self._moment("derivative_second_moment", power(self.derivative, 2), q)

    def derivative_mean(self, q: Number) -> Number:
        """E phi'(z), z ~ N(0, q); by Stein's lemma E z phi(z) = q E phi'(z), jumps counted."""
        added = point_masses.mean_slope(self.masses)
        return self._moment("derivative_mean", self.derivative, q, added=added)

    def second_moment_slope(self, q: Number) -> Number:
        """d E phi(z)^2 / dq = E phi'(z)^2 + E phi(z) phi''(z) = E z phi(z) phi'(z) / q.

        At q = 0 the limit from above; raises ValueError where it is infinite.
        """
        integrand = X * self.expression * self.derivative
        added = point_masses.square_slope(self.expression, self.kinks, self.masses)

        def positive(q: Number) -> Number:
            return self._moment("second_moment_slope", integrand, q, Q, added)

        if gaussian.is_symbolic(q) or np.all(variance_of(q)):
            return positive(q)
        q = np.asarray(q, float)
        value = np.full(q.shape, origin.square_slope(str(self), self.expression, self.kinks))
        value[q > 0] = positive(q[q > 0])
        return value[()]

    def curvature(self, q: Number) -> Number:
        """E phi(z) phi''(z), q > 0, with the jumps of phi' at kinks counted in phi''.

        Raises ValueError for phi with a jump, where it is infinite.
        """
        self._refuse_jumps("E phi(z) phi''(z) of {} is infinite: phi jumps at {}")
        if gaussian.is_symbolic(q) or is_opaque(self.expression):
            return self.second_moment_slope(q) - self.derivative_second_moment(q)
        corners = zip(sorted(self.kinks), steps(self.derivative, self.kinks), strict=True)
        bends = ((exact(a), h * self.expression.subs(X, exact(a))) for a, h in corners)
        added = point_masses.mean_slope(tuple(bends))
        return self._moment(
            "curvature", self.expression * derivative(self.derivative), q, added=added
        )

    def formula(self, name: str) -> sp.Expr | None:
        """The closed form of a moment or kernel, in the symbols of kernels or `Q`; None if none.

        From the table, from the kernel at z = z', or from the pieces of a piecewise
        polynomial-exponential phi.
        """
        return closed_forms.find(self.formulas, self.expression, self.kinks, name)

    @property
    def jumps(self) -> tuple[float, ...]:
        """The kinks at which phi itself jumps."""
        return find_jumps(self.expression, self.kinks)

    @property
    def slope_function(self) -> "Activation":
        """phi' as an activation."""
        return Activation(f"{self}'", self.derivative, kinks=self.kinks)

    @property
    def masses(self) -> point_masses.Jumps:
        """The jumps and their heights: the point masses of phi'."""
        if not self.jumps:
            return ()
        heights = dict(zip(sorted(self.kinks), steps(self.expression, self.kinks), strict=True))
        return tuple((exact(a), heights[a]) for a in self.jumps)

    def _refuse_jumps(self, message: str) -> None:
        if self.jumps:
            raise ValueError(
                message.format(self, ", ".join(map(str, self.jumps)))
                + "; its derivative_kernel at |c| < 1 is finite"
            )

    def moment(
        self, integrand: Callable[..., np.ndarray], q: Number, degree: int | None = None
    ) -> np.ndarray:
        """E f(z, phi(z), phi'(z)) by quadrature, z ~ N(0, q), for a NumPy integrand f.

        f acts elementwise, on nodes of any of the q: it cannot know which. `degree`: f is
        homogeneous of that degree in z when phi is of degree one; then one integral serves every q.
        """
        if self.homogeneous and degree is not None and np.ndim(q):
            return self.moment(integrand, 1.0) * np.asarray(q) ** (degree / 2)
        found = gaussian.expectation(
            lambda z: integrand(z, self(z), self.slope(z)), 0.0, np.sqrt(q), self.kinks
        )
        return quadrature.trusted(found, f"a moment of {self}", q=q)

    def _moment(
        self, name: str, integrand: sp.Expr, q: Number, over: Any = sp.S.One, added: Any = sp.S.Zero
    ) -> Number:
        """E integrand / over + added: the formula where it is sound, else quadrature."""
        formula = self.formula(name)
        if gaussian.is_symbolic(q):
            check_variance(q)
            if formula is not None:
                return gaussian.evaluate(formula, {Q: q})
            mean = gaussian.symbolic_expectation(integrand, X, Q) / over + added
            return elementwise(lambda q: mean.subs(Q, q), q)

        def by_quadrature(q: np.ndarray) -> np.ndarray:
            value = quadrature.mean(self._integrand(name, integrand), q)
            return value / gaussian.evaluate(over, {Q: q}) + gaussian.evaluate(added, {Q: q})

        formula = self.stable.get(name, formula)
        return conditioning.closed_or(formula, {Q: variance_of(q)}, by_quadrature)

    # -- two inputs --------------------------------------------------------------------------

    def kernel_formula(self, name: str) -> sp.Expr | None:
        """The closed form of `kernel` or `derivative_kernel`."""
        return closed_forms.find(self.formulas, self.expression, self.kinks, name)

    def kernel(self, q1: Number, q2: Number, c: Number = None, *, gap: Number = None) -> Number:
        """E phi(z) phi(z') at correlation `c`, or at `gap` = E(z - z')^2 / 2 when c is near 1."""
        return self._pair("kernel", self.expression, q1, q2, c, gap)

    def derivative_kernel(
        self, q1: Number, q2: Number, c: Number = None, *, gap: Number = None
    ) -> Number:
        """E phi'(z) phi'(z') at correlation `c`, or at `gap` = E(z - z')^2 / 2."""
        return self._pair("derivative_kernel", self.derivative, q1, q2, c, gap)

    def gap(self, q1: Number, q2: Number, gap: Number) -> Number:
        """E(phi(z) - phi(z'))^2 / 2 from `gap` = E(z - z')^2 / 2, without cancellation.

        By Price's theorem dK/dC = E phi' phi': the gap at c = 1 plus the integral of the
        derivative kernel over the covariance that is missing.
        """
        if gaussian.is_symbolic(q1, q2, gap):
            average = (self.second_moment(q1) + self.second_moment(q2)) / 2
            return average - self.kernel(q1, q2, gap=gap)
        q1, q2 = variance_of(q1), variance_of(q2)
        q1, q2, missing = np.broadcast_arrays(q1, q2, deficit(q1, q2, gap))
        formula = self.kernel_formula("derivative_kernel")
        if formula is None:
            return self._gap(q1, q2, missing)
        formula = self.stable.get("derivative_kernel", formula)
        if self.homogeneous:
            added, lost = gaps.beyond_ray(formula, q1, q2, missing, None)
            total = np.asarray(added + ray_gap(q1, q2) * self.second_moment(1.0))
        else:
            phi = self._integrand("gap", self.expression)
            dear = formula.has(bivariate_normal)
            least = quadrature.WIDE if dear else quadrature.WIDEST
            total, known = quadrature.wide_gap(phi, q1, q2, missing, least)
            lost = np.asarray(~known)
            if lost.any():
                total[lost], lost[lost] = self._closed_gap(
                    formula, q1[lost], q2[lost], missing[lost]
                )
        if lost.any():
            total[lost] = self._gap(q1[lost], q2[lost], missing[lost])
        return total[()]

    def _closed_gap(
        self, slopes: sp.Expr, q1: np.ndarray, q2: np.ndarray, missing: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The gap from the closed form of E phi' phi', and where its digits are lost."""
        total, lost = gaps.beyond_ray(slopes, q1, q2, missing, self._finest, self._jump)
        total[~lost] += self._ray(q1[~lost], q2[~lost], total[~lost])
        return total, lost

    def _ray(self, q1: np.ndarray, q2: np.ndarray, beside: np.ndarray) -> np.ndarray:
        """The gap at c = 1, E(phi(sqrt(q1) Z) - phi(sqrt(q2) Z))^2 / 2, where it shows `beside`."""
        phi, slope = (self._integrand("gap", f) for f in (self.expression, self.derivative))
        return quadrature.ray(phi, slope, q1, q2, beside)

    def _integrand(self, name: str, expression: sp.Expr) -> quadrature.Integrand:
        return quadrature.Integrand(f"{name} of {self}", expression, self.kinks)

    def _gap(self, q1: np.ndarray, q2: np.ndarray, missing: np.ndarray) -> np.ndarray:
        phi, slope = (self._integrand("gap", f) for f in (self.expression, self.derivative))
        return quadrature.gap(phi, slope, q1, q2, missing)

    def _pair(
        self, name: str, factor: sp.Expr, q1: Number, q2: Number, c: Number, gap: Number
    ) -> Number:
        if (c is None) == (gap is None):
            raise ValueError(f"{name} takes the correlation c or the gap, exactly one of them")
        symbolic = gaussian.is_symbolic(q1, q2, c, gap)
        formula = self.kernel_formula(name)
        if symbolic and formula is None:
            raise ValueError(
                f"{self} has no closed-form {name}; give numbers for q1, q2 and the correlation"
            )
        values = symbolic_pair(q1, q2, c, gap) if symbolic else numeric_pair(q1, q2, c, gap)
        if symbolic and formula is not None:
            return gaussian.evaluate(formula, {k: values[k] for k in SYMBOLS})

        def by_quadrature(q1: np.ndarray, q2: np.ndarray, missing: np.ndarray) -> np.ndarray:
            if (
                name == "kernel"
                and (slopes := self.kernel_formula("derivative_kernel")) is not None
            ):
                return self._kernel_from_zero(slopes, q1, q2, missing)
            value = quadrature.product(self._integrand(name, factor), q1, q2, missing)
            if name == "kernel" or not self.jumps:
                return value
            pair = point_masses.derivative_pair
            return value + pair(self.slope, self.kinks, self.masses, q1, q2, missing)

        missing = values["deficit"]
        if name == "derivative_kernel" and np.any((missing == 0) | (missing == 2)):
            self._refuse_jumps("E phi'(z) phi'(z') of {} is infinite at |c| = 1: phi jumps at {}")
        formula = self.stable.get(name, formula)
        return conditioning.closed_or(
            formula, {k: values[k] for k in SYMBOLS}, by_quadrature, (q1, q2, missing)
        )

    def _kernel_from_zero(
        self, slopes: sp.Expr, q1: np.ndarray, q2: np.ndarray, missing: np.ndarray
    ) -> np.ndarray:
        """E phi(z) phi(z') from its value at c = 0 by Price's theorem, else by quadrature."""
        slopes = self.stable.get("derivative_kernel", slopes)
        apart = self.mean(q1) * self.mean(q2)
        value, lost = gaps.beyond_independence(slopes, apart, q1, q2, missing)
        if np.any(lost):
            r1, r2, d = q1[lost], q2[lost], missing[lost]
            square = (self.second_moment(r1) + self.second_moment(r2)) / 2
            value[lost] = square - self.gap(r1, r2, ray_gap(r1, r2) + np.sqrt(r1 * r2) * d)
            lost[lost] = np.abs(value[lost]) * gaps.CANCELS < square
        if np.any(lost):
            phi = self._integrand("kernel", self.expression)
            value[lost] = quadrature.product(phi, q1[lost], q2[lost], missing[lost])
        return value

    @property
    def _jump(self) -> float:
        """The jump nearest to 0."""
        return min(self.jumps, key=abs, default=0.0)

    @property
    def _finest(self) -> float:
        """The smallest length over which phi varies."""
        return min([self.scale, *(abs(kink) for kink in self.kinks if kink)])


def derived(
    name: str,
    expression: sp.Expr,
    kinks: tuple[float, ...] = (),
    *,
    homogeneous: bool = False,
    function: Callable | None = None,
) -> Activation:
    """An activation from an expression in `X`, where other symbols are parameters."""
    found = tuple(sorted({*map(float, kinks), *find_kinks(expression)}))
    return Activation(name, expression, kinks=found, homogeneous=homogeneous, function=function)
