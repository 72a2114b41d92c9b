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
from functools import cache
from itertools import combinations
from typing import Any

import numpy as np
import sympy as sp
from scipy.optimize import brentq

from varprop import gaussian
from varprop.activations import quadrature
from varprop.activations.pairs import (
    deficit,
    elementwise,
    numeric_pair,
    ray_gap,
    symbolic_pair,
    variance_of,
)
from varprop.activations.symbols import Q1, Q2, SINE, THETA, C, Number, Q, X


@dataclass(frozen=True)
class Activation:
    """x = phi(z), elementwise.

    `expression` is phi in the symbol `X`; `kinks` are the points where phi' jumps;
    `homogeneous` says phi(a z) = a phi(z) for a > 0; `formulas` holds the closed forms in the
    symbols `Q`, or `Q1, Q2, C, THETA, SINE` for kernels. `torch_name` is a function of `torch` or
    `torch.nn.functional`, called with `arguments` after the tensor.
    """

    name: str
    expression: sp.Expr
    torch_name: str = ""
    arguments: tuple[float, ...] = ()
    kinks: tuple[float, ...] = ()
    homogeneous: bool = False
    formulas: Mapping[str, sp.Expr] = field(default_factory=dict, compare=False, repr=False)

    def __str__(self) -> str:
        return (
            f"{self.name}({', '.join(map(str, self.arguments))})" if self.arguments else self.name
        )

    @property
    def derivative(self) -> sp.Expr:
        return _derivative(self.expression)

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
            for root in _real_roots(inner.expression - sp.nsimplify(kink))
        )
        return _derived(
            f"{self} of {inner}",
            self.expression.subs(X, inner.expression),
            tuple(sorted({*inner.kinks, *outer_kinks})),
            homogeneous=self.homogeneous and inner.homogeneous,
        )

    def plus(self, other: "Activation") -> "Activation":
        """The sum phi(z) + other(z)."""
        return _derived(
            f"{self} + {other}",
            self.expression + other.expression,
            tuple(sorted({*self.kinks, *other.kinks})),
            homogeneous=self.homogeneous and other.homogeneous,
        )

    def times(self, factor: Number) -> "Activation":
        """The multiple factor phi(z)."""
        return _derived(
            f"{factor} {self}", factor * self.expression, self.kinks, homogeneous=self.homogeneous
        )

    # -- one input ---------------------------------------------------------------------------

    def mean(self, q: Number) -> Number:
        """E phi(z), z ~ N(0, q)."""
        return self._moment("mean", self.expression, q)

    def second_moment(self, q: Number) -> Number:
        """E phi(z)^2, z ~ N(0, q)."""
        return self._moment("second_moment", self.expression**2, q, self._at_one("kernel"))

    def fourth_moment(self, q: Number) -> Number:
        """E phi(z)^4, z ~ N(0, q)."""
        return self._moment("fourth_moment", self.expression**4, q)

    def derivative_second_moment(self, q: Number) -> Number:
        """E phi'(z)^2, z ~ N(0, q)."""
        formula = self._at_one("derivative_kernel")
        return self._moment("derivative_second_moment", self.derivative**2, q, formula)

    def derivative_mean(self, q: Number) -> Number:
        """E phi'(z), z ~ N(0, q); by Stein's lemma E z phi(z) = q E phi'(z)."""
        return self._moment("derivative_mean", self.derivative, q)

    def second_moment_slope(self, q: Number) -> Number:
        """d E phi(z)^2 / dq = E phi'(z)^2 + E phi(z) phi''(z) = E z phi(z) phi'(z) / q, q > 0."""
        formula = self.formulas.get("second_moment", self._at_one("kernel"))
        if formula is not None:
            return gaussian.evaluate(sp.diff(formula, Q), {Q: q})
        return self._moment("second_moment_slope", X * self.expression * self.derivative, q) / q

    def curvature(self, q: Number) -> Number:
        """E phi(z) phi''(z), q > 0, with the jumps of phi' at kinks counted in phi''."""
        return self.second_moment_slope(q) - self.derivative_second_moment(q)

    def moment(
        self, integrand: Callable[..., np.ndarray], q: Number, degree: int | None = None
    ) -> np.ndarray:
        """E f(z, phi(z), phi'(z)) by quadrature, z ~ N(0, q), for a NumPy integrand f.

        `degree`: f is homogeneous of that degree in z when phi is of degree one; then one
        integral serves every q.
        """
        if self.homogeneous and degree is not None and np.ndim(q):
            return self.moment(integrand, 1.0) * np.asarray(q) ** (degree / 2)
        found = gaussian.expectation(
            lambda z: integrand(z, self(z), self.slope(z)), 0.0, np.sqrt(q), self.kinks
        )
        return quadrature.trusted(found, f"a moment of {self}", q=q)

    def _at_one(self, kernel: str) -> sp.Expr | None:
        formula = self.kernel_formula(kernel)
        if formula is None:
            return None
        return _coincident(formula)

    def _moment(
        self, name: str, integrand: sp.Expr, q: Number, formula: sp.Expr | None = None
    ) -> Number:
        if not gaussian.is_symbolic(q):
            q = variance_of(q)
        formula = self.formulas.get(name, formula)
        if formula is not None:
            return gaussian.evaluate(formula, {Q: q})
        if gaussian.is_symbolic(q):
            return elementwise(lambda q: gaussian.symbolic_expectation(integrand, X, q), q)
        return quadrature.mean(self._integrand(name, integrand), q)

    def _integrand(self, name: str, expression: sp.Expr) -> quadrature.Integrand:
        return quadrature.Integrand(f"{name} of {self}", expression, self.kinks)

    # -- two inputs --------------------------------------------------------------------------

    def kernel_formula(self, name: str) -> sp.Expr | None:
        """The closed form of `kernel` or `derivative_kernel`; by Price's theorem, d/dC of it."""
        if name in self.formulas:
            return self.formulas[name]
        kernel = self.formulas.get("kernel")
        if name == "derivative_kernel" and kernel is not None and not kernel.has(THETA):
            return sp.diff(kernel, C)
        return None

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
        q1, q2, gap = np.broadcast_arrays(q1, q2, gap)
        missing, formula = deficit(q1, q2, gap), self.kernel_formula("derivative_kernel")
        if formula is None:
            return self._gap(q1, q2, missing)
        angle, weight = self._path(q1, q2, 2 * np.arcsin(np.sqrt(missing / 2)))
        sine, scale = np.sin(angle), np.sqrt(q1 * q2)
        at = {Q1: q1[..., None], Q2: q2[..., None], THETA: angle, SINE: sine}
        slope = gaussian.evaluate(formula, {**at, C: scale[..., None] * np.cos(angle)})
        return self._ray(q1, q2) + scale * np.sum(sine * slope * weight, -1)

    def _path(
        self, q1: np.ndarray, q2: np.ndarray, theta: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Nodes and weights on [0, theta], C = sqrt(q1 q2) cos(angle).

        The angle takes the roots at c = 1 and -1 away; a kernel of scale 1 varies within about
        1 / sqrt(1 + q) of both ends, so panels shrink by 4 down to there.
        """
        if self.homogeneous:  # linear in the angle
            node, weight = gaussian.legendre_unit(12)
            return theta[..., None] * node, theta[..., None] * weight
        levels = int(np.ceil(np.log(1 + np.max(np.maximum(q1, q2), initial=0.0)) / np.log(16)))
        marks = np.pi / 2 * 4.0 ** -np.arange(levels, -1, -1.0)
        marks = np.concatenate([[0.0], marks, np.pi - marks[-2::-1], [np.pi]])
        edges = np.minimum(marks, theta[..., None])
        node, weight = gaussian.legendre_unit(16)
        width = np.diff(edges)[..., None]
        shape = (*theta.shape, -1)
        angle = edges[..., :-1, None] + width * node
        return angle.reshape(shape), (width * weight).reshape(shape)

    def _ray(self, q1: np.ndarray, q2: np.ndarray) -> np.ndarray:
        """The gap at c = 1: E(phi(sqrt(q1) Z) - phi(sqrt(q2) Z))^2 / 2."""
        if self.homogeneous:
            return ray_gap(q1, q2) * self.second_moment(1.0)
        if np.array_equal(q1, q2):
            return np.zeros_like(q1)
        return self._gap(q1, q2, np.zeros_like(q1))

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
        if formula is not None:
            return gaussian.evaluate(formula, {k: values[k] for k in (Q1, Q2, C, THETA, SINE)})
        missing = values["deficit"]
        return quadrature.product(self._integrand(name, factor), q1, q2, missing)


def custom(
    name: str, expression: sp.Expr, kinks: tuple[float, ...] = (), *, homogeneous: bool = False
) -> Activation:
    """An activation from a SymPy expression in one symbol, integrated by quadrature.

    The kinks of Max, Min, Abs, sign, Heaviside and Piecewise are found; name any others.
    Raises ValueError for other expressions, and for `homogeneous` where phi(2 z) is not 2 phi(z).
    """
    if not isinstance(expression, sp.Expr):
        raise ValueError(
            f"the expression of {name} must be a SymPy expression in one symbol, got "
            f"{expression!r}; write it with sympy.Symbol('x')"
        )
    symbols = expression.free_symbols
    if len(symbols) > 1 and X not in symbols:
        raise ValueError(
            f"the expression of {name} must have one symbol, got "
            f"{', '.join(sorted(map(str, symbols)))}; write z as varprop.activations.X"
        )
    if symbols and X not in symbols and len(symbols) == 1:
        expression = expression.subs(symbols.pop(), X)  # type: ignore
    phi = _derived(name, expression, kinks, homogeneous=homogeneous)
    if homogeneous and expression.free_symbols <= {X}:
        z = np.array([-3.0, -0.7, 0.4, 2.0])
        if not np.allclose(phi(2 * z), 2 * phi(z), rtol=1e-9):
            raise ValueError(
                f"{name} is not homogeneous: phi(2 z) differs from 2 phi(z); leave the flag out"
            )
    return phi


def _derived(
    name: str, expression: sp.Expr, kinks: tuple[float, ...] = (), *, homogeneous: bool = False
) -> Activation:
    """An activation from an expression in `X`, where other symbols are parameters."""
    found = tuple(sorted({*map(float, kinks), *_kinks(expression)}))
    return Activation(name, expression, kinks=found, homogeneous=homogeneous)


def _difference(a: Any, b: Any) -> Any:
    return a - b


@cache
def _kinks(expression: sp.Expr) -> tuple[float, ...]:
    """The points where a function that is defined by cases changes its case."""
    edges: list = []
    for extreme in expression.atoms(sp.Max, sp.Min):
        edges += [_difference(a, b) for a, b in combinations(extreme.args, 2)]
    edges += [e.args[0] for e in expression.atoms(sp.Abs, sp.sign, sp.Heaviside)]
    for pieces in expression.atoms(sp.Piecewise):
        relations = pieces.atoms(sp.core.relational.Relational)
        edges += [_difference(relation.lhs, relation.rhs) for relation in relations]
    return tuple(root for edge in edges if edge.free_symbols == {X} for root in _real_roots(edge))


@cache
def _derivative(expression: sp.Expr) -> sp.Expr:
    """phi' away from the kinks; at a kink it takes the mean of both sides, a null set."""
    return sp.diff(expression, X).replace(  # type: ignore
        lambda e: isinstance(e, sp.DiracDelta), lambda e: sp.Integer(0)
    )


@cache
def _coincident(kernel: sp.Expr) -> sp.Expr:
    """A kernel at z = z'."""
    return sp.simplify(kernel.subs({Q1: Q, Q2: Q, C: Q, THETA: 0, SINE: 0}))


def _real_roots(expression: sp.Expr) -> list[float]:
    """Where the expression changes sign: all such points, or those in [-40, 40]."""
    try:
        roots = sp.solveset(expression, X, sp.S.Reals)
    except NotImplementedError:
        roots = sp.S.EmptySet
    if isinstance(roots, sp.FiniteSet):
        return [float(root) for root in roots]  # type: ignore
    f = gaussian.compiled(expression, (X,))
    grid = np.linspace(-40.0, 40.0, 8001)
    positive = np.broadcast_to(f(grid) > 0, grid.shape)
    changes = np.flatnonzero(positive[1:] != positive[:-1])
    return [_bisect(f, grid[i], grid[i + 1]) for i in changes]


def _bisect(f: Callable[..., np.ndarray], low: float, high: float) -> float:
    for point in (low, high):
        if f(point) == 0:
            return float(point)
    return float(brentq(f, low, high, xtol=1e-15))  # type: ignore[arg-type]
