"""Activations: a SymPy expression, its torch function, and its closed forms.

For pre-activations z, z' ~ N(0, [[q1, C], [C, q2]]), C = c sqrt(q1 q2):

    mean(q)                       E phi(z)
    second_moment(q)              E phi(z)^2          fourth_moment(q)   E phi(z)^4
    derivative_second_moment(q)   E phi'(z)^2
    kernel(q1, q2, c)             E phi(z) phi(z')
    derivative_kernel(q1, q2, c)  E phi'(z) phi'(z')

Each is a closed form where the table has one (single-input moments follow from the kernel at
z = z'), otherwise quadrature; on SymPy arguments a formula. To add an activation, add a table entry.
"""

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

import numpy as np
import sympy as sp

from varprop import gaussian

X = sp.Symbol("x", real=True)
Q, Q1, Q2 = sp.symbols("q q_1 q_2", positive=True)
C = sp.Symbol("C", real=True)  # covariance of z and z'
THETA = sp.Symbol("theta", real=True)  # angle: C = sqrt(q1 q2) cos(theta)
SINE = sp.Symbol("s", nonnegative=True)  # sin(theta), carried because it is small near c = 1

Number = Any  # float, NumPy array, or SymPy expression


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
        return f"{self.name}({', '.join(map(str, self.arguments))})" if self.arguments else self.name

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
            float(root)
            for kink in self.kinks
            for root in _real_roots(inner.expression - sp.nsimplify(kink))
        )
        return custom(
            f"{self} of {inner}",
            self.expression.subs(X, inner.expression),
            tuple(sorted({*inner.kinks, *outer_kinks})),
            homogeneous=self.homogeneous and inner.homogeneous,
        )

    def plus(self, other: "Activation") -> "Activation":
        """The sum phi(z) + other(z)."""
        return custom(
            f"{self} + {other}",
            self.expression + other.expression,
            tuple(sorted({*self.kinks, *other.kinks})),
            homogeneous=self.homogeneous and other.homogeneous,
        )

    def times(self, factor: Number) -> "Activation":
        """The multiple factor phi(z)."""
        return custom(
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

    def moment(
        self, integrand: Callable[..., np.ndarray], q: Number, degree: int | None = None
    ) -> np.ndarray:
        """E f(z, phi(z), phi'(z)) by quadrature, z ~ N(0, q), for a NumPy integrand f.

        `degree`: f is homogeneous of that degree in z when phi is of degree one; then one
        integral serves every q.
        """
        if self.homogeneous and degree is not None and np.ndim(q):
            return self.moment(integrand, 1.0) * np.asarray(q) ** (degree / 2)
        return gaussian.expectation(
            lambda z: integrand(z, self(z), self.slope(z)), 0.0, np.sqrt(q), self.kinks
        ).value

    def _at_one(self, kernel: str) -> sp.Expr | None:
        formula = self.kernel_formula(kernel)
        if formula is None:
            return None
        return _coincident(formula)

    def _moment(
        self, name: str, integrand: sp.Expr, q: Number, formula: sp.Expr | None = None
    ) -> Number:
        formula = self.formulas.get(name, formula)
        if formula is not None:
            return gaussian.evaluate(formula, {Q: q})
        if gaussian.is_symbolic(q):
            return _elementwise(lambda q: gaussian.symbolic_expectation(integrand, X, q), q)
        f = gaussian.compiled(integrand, (X,))
        return gaussian.expectation(
            lambda x: np.broadcast_to(f(x), np.shape(x)), 0.0, np.sqrt(q), self.kinks
        ).value[()]

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
        return self._pair("kernel", lambda x, y: self(x) * self(y), q1, q2, c, gap)

    def derivative_kernel(
        self, q1: Number, q2: Number, c: Number = None, *, gap: Number = None
    ) -> Number:
        """E phi'(z) phi'(z') at correlation `c`, or at `gap` = E(z - z')^2 / 2."""
        name, product = "derivative_kernel", lambda x, y: self.slope(x) * self.slope(y)
        return self._pair(name, product, q1, q2, c, gap)

    def gap(self, q1: Number, q2: Number, gap: Number) -> Number:
        """E(phi(z) - phi(z'))^2 / 2 from `gap` = E(z - z')^2 / 2, without cancellation.

        By Price's theorem dK/dC = E phi' phi': the gap at c = 1 plus the integral of the
        derivative kernel over the covariance that is missing.
        """
        if gaussian.is_symbolic(q1, q2, gap):
            average = (self.second_moment(q1) + self.second_moment(q2)) / 2
            return average - self.kernel(q1, q2, gap=gap)
        q1, q2, gap = np.broadcast_arrays(q1, q2, gap)
        if self.kernel_formula("derivative_kernel") is None:
            return gaussian.pair_expectation(
                lambda x, y: (self(x) - self(y)) ** 2 / 2, q1, q2, _deficit(q1, q2, gap), self.kinks
            ).value
        ray = _ray_gap(q1, q2)
        node, weight = gaussian.legendre_unit(24)
        missing = np.maximum(gap - ray, 0.0)[..., None]
        path = ray[..., None] + missing * node**2  # squared: the integrand has a root at c = 1
        slope = self.derivative_kernel(q1[..., None], q2[..., None], gap=path)
        return self._ray(q1, q2) + np.sum(2 * missing * node * weight * slope, -1)

    def _ray(self, q1: np.ndarray, q2: np.ndarray) -> np.ndarray:
        """The gap at c = 1: E(phi(sqrt(q1) Z) - phi(sqrt(q2) Z))^2 / 2."""
        if self.homogeneous:
            return _ray_gap(q1, q2) * self.second_moment(1.0)
        if np.array_equal(q1, q2):
            return np.zeros_like(q1)
        return gaussian.pair_expectation(
            lambda x, y: (self(x) - self(y)) ** 2 / 2, q1, q2, np.zeros_like(q1), self.kinks
        ).value

    def _pair(
        self, name: str, product: Callable, q1: Number, q2: Number, c: Number, gap: Number
    ) -> Number:
        if (c is None) == (gap is None):
            raise ValueError(f"{name} takes the correlation c or the gap, exactly one of them")
        symbolic = gaussian.is_symbolic(q1, q2, c, gap)
        formula = self.kernel_formula(name)
        if symbolic and formula is None:
            raise ValueError(
                f"{self} has no closed-form {name}; give numbers for q1, q2 and the correlation"
            )
        values = _symbolic_pair(q1, q2, c, gap) if symbolic else _numeric_pair(q1, q2, c, gap)
        if formula is not None:
            return gaussian.evaluate(formula, {k: values[k] for k in (Q1, Q2, C, THETA, SINE)})
        deficit = values["deficit"]
        return gaussian.pair_expectation(product, q1, q2, deficit, self.kinks).value[()]


# -- pairs: every parametrisation of two variances and their closeness ------------------------


def _ray_gap(q1: np.ndarray, q2: np.ndarray) -> np.ndarray:
    """The smallest gap that variances q1, q2 allow: (sqrt(q1) - sqrt(q2))^2 / 2, at c = 1."""
    total = np.sqrt(q1) + np.sqrt(q2)
    return ((q1 - q2) / np.where(total > 0, total, 1.0)) ** 2 / 2


def _deficit(q1: np.ndarray, q2: np.ndarray, gap: np.ndarray) -> np.ndarray:
    """1 - c from the gap: gap = ray gap + sqrt(q1 q2) (1 - c)."""
    scale = np.sqrt(q1 * q2)
    missing = np.asarray(gap) - _ray_gap(q1, q2)
    return np.clip(missing / np.where(scale > 0, scale, 1.0), 0.0, 2.0)


def _numeric_pair(q1: Number, q2: Number, c: Number, gap: Number) -> dict:
    q1, q2 = np.asarray(q1, float), np.asarray(q2, float)
    if c is not None and np.any(np.abs(c) > 1):
        raise ValueError(f"a correlation lies in [-1, 1]; got {np.max(np.abs(c))}")
    deficit = 1.0 - np.asarray(c, float) if gap is None else _deficit(q1, q2, gap)
    return {
        Q1: q1,
        Q2: q2,
        C: np.sqrt(q1 * q2) * (1 - deficit),
        THETA: 2 * np.arcsin(np.sqrt(deficit / 2)),
        SINE: np.sqrt(deficit * (2 - deficit)),
        "deficit": deficit,
    }


def _symbolic_pair(q1: Number, q2: Number, c: Number, gap: Number) -> dict:
    """The same with exact expressions; object arrays are broadcast against each other."""

    def from_gap(q1: sp.Expr, q2: sp.Expr, gap: sp.Expr) -> sp.Expr:
        return sp.simplify((sp.sympify(q1) + q2) / 2 - gap)

    def correlation(q1: sp.Expr, q2: sp.Expr, covariance: sp.Expr) -> sp.Expr:
        return sp.simplify(covariance / sp.sqrt(sp.sympify(q1) * q2))

    if gap is None:
        covariance = _elementwise(lambda q1, q2, c: c * sp.sqrt(sp.sympify(q1) * q2), q1, q2, c)
    else:
        covariance = _elementwise(from_gap, q1, q2, gap)
        c = _elementwise(correlation, q1, q2, covariance)
    return {
        Q1: q1,
        Q2: q2,
        C: covariance,
        THETA: _elementwise(sp.acos, c),
        SINE: _elementwise(lambda c: sp.sqrt(1 - c**2), c),
    }


def _elementwise(function: Callable, *values: Number) -> Number:
    if any(isinstance(v, np.ndarray) for v in values):
        return np.frompyfunc(function, len(values), 1)(*values)
    return function(*values)


@lru_cache(maxsize=None)
def _derivative(expression: sp.Expr) -> sp.Expr:
    """phi' away from the kinks; at a kink it takes the mean of both sides, a null set."""
    return sp.diff(expression, X).replace(
        lambda e: isinstance(e, sp.DiracDelta), lambda e: sp.Integer(0)
    )


@lru_cache(maxsize=None)
def _coincident(kernel: sp.Expr) -> sp.Expr:
    """A kernel at z = z'."""
    return sp.simplify(kernel.subs({Q1: Q, Q2: Q, C: Q, THETA: 0, SINE: 0}))


def _real_roots(expression: sp.Expr) -> list[sp.Expr]:
    try:
        roots = sp.solveset(expression, X, sp.S.Reals)
    except NotImplementedError:
        roots = sp.S.EmptySet
    return list(roots) if isinstance(roots, sp.FiniteSet) else []


# -- the table ------------------------------------------------------------------------------


def leaky_relu(a: Number = 0.01) -> Activation:
    """phi(z) = max(z, 0) + a min(z, 0); relu (a = 0), abs (a = -1), identity (a = 1).

    Kernel: arc-cosine kernel of order one, Cho & Saul (2009).
    """
    a = sp.nsimplify(a, rational=True) if isinstance(a, float) else sp.sympify(a)
    linear, even = ((1 + a) / 2) ** 2, ((1 - a) / 2) ** 2
    arc = sp.pi / 2 - THETA  # asin(c)
    name = {0: "relu", -1: "abs", 1: "identity"}.get(a, "leaky_relu")
    kernel = linear * C + even * 2 / sp.pi * sp.sqrt(Q1 * Q2) * (SINE + arc * sp.cos(THETA))
    return Activation(
        name,
        {0: sp.Max(X, 0), -1: sp.Abs(X), 1: X}.get(a, sp.Max(X, 0) + a * sp.Min(X, 0)),
        {"identity": "clone"}.get(name, name),
        (float(a),) if name == "leaky_relu" and a.is_number else (),
        () if name == "identity" else (0.0,),
        homogeneous=True,
        formulas={
            "mean": (1 - a) * sp.sqrt(Q / (2 * sp.pi)),
            "derivative_mean": (1 + a) / 2,
            "fourth_moment": 3 * (1 + a**4) / 2 * Q**2,
            "kernel": kernel,
            "derivative_kernel": linear + even * 2 / sp.pi * arc,
        },
    )


def relu() -> Activation:
    """phi(z) = max(z, 0)."""
    return leaky_relu(0)


def prelu(a: Number = 0.25) -> Activation:
    """phi(z) = max(z, 0) + a min(z, 0), with the initial slope that torch.nn.PReLU learns from."""
    return leaky_relu(a)


def absolute() -> Activation:
    """phi(z) = |z|."""
    return leaky_relu(-1)


def identity() -> Activation:
    """phi(z) = z."""
    return leaky_relu(1)


def tanh() -> Activation:
    """phi(z) = tanh z."""
    return Activation("tanh", sp.tanh(X), "tanh", formulas={"mean": sp.Integer(0)})


def sigmoid() -> Activation:
    """phi(z) = 1 / (1 + exp(-z))."""
    return Activation(
        "sigmoid", (1 + sp.tanh(X / 2)) / 2, "sigmoid", formulas={"mean": sp.Rational(1, 2)}
    )


def silu() -> Activation:
    """phi(z) = z sigmoid(z)."""
    half = sp.Rational(1, 2)  # E sigmoid'(z) z = 0 by symmetry
    expression = X * (1 + sp.tanh(X / 2)) / 2
    return Activation("silu", expression, "silu", formulas={"derivative_mean": half})


def erf() -> Activation:
    """phi(z) = erf z.  Kernel: Williams (1997)."""
    return Activation(
        "erf",
        sp.erf(X),
        "erf",
        formulas={
            "mean": sp.Integer(0),
            "derivative_mean": 2 / sp.sqrt(sp.pi * (1 + 2 * Q)),
            "kernel": 2 / sp.pi * sp.asin(2 * C / sp.sqrt((1 + 2 * Q1) * (1 + 2 * Q2))),
        },
    )


def gelu() -> Activation:
    """phi(z) = z Phi(z), Phi the standard normal distribution function."""
    spread = (1 + Q1) * (1 + Q2)
    determinant = spread - C**2
    cross = Q1 * Q2 + C**2 - C**2 * Q1 / (1 + Q1) - C**2 * Q2 / (1 + Q2)
    kernel = (
        C / 4
        + C * sp.asin(C / sp.sqrt(spread)) / (2 * sp.pi)
        + cross / (2 * sp.pi * sp.sqrt(determinant))
    )
    return Activation(
        "gelu",
        X * (1 + sp.erf(X / sp.sqrt(2))) / 2,
        "gelu",
        formulas={
            "mean": Q / sp.sqrt(2 * sp.pi * (1 + Q)),
            "derivative_mean": sp.Rational(1, 2),
            "kernel": kernel,
        },
    )


def sin() -> Activation:
    """phi(z) = sin z."""
    average = (Q1 + Q2) / 2
    return Activation(
        "sin",
        sp.sin(X),
        "sin",
        formulas={
            "mean": sp.Integer(0),
            "derivative_mean": sp.exp(-Q / 2),
            "fourth_moment": (3 - 4 * sp.exp(-2 * Q) + sp.exp(-8 * Q)) / 8,
            "kernel": (sp.exp(C - average) - sp.exp(-C - average)) / 2,
        },
    )


ACTIVATIONS: dict[str, Callable[..., Activation]] = {
    "identity": identity,
    "relu": relu,
    "leaky_relu": leaky_relu,
    "prelu": prelu,
    "abs": absolute,
    "tanh": tanh,
    "sigmoid": sigmoid,
    "erf": erf,
    "gelu": gelu,
    "silu": silu,
    "sin": sin,
}


def custom(
    name: str, expression: sp.Expr, kinks: tuple[float, ...] = (), *, homogeneous: bool = False
) -> Activation:
    """An activation from a SymPy expression in one symbol, integrated by quadrature."""
    symbols = expression.free_symbols
    if symbols and X not in symbols and len(symbols) == 1:
        expression = expression.subs(symbols.pop(), X)
    return Activation(name, expression, kinks=kinks, homogeneous=homogeneous)


def get(activation: "str | Activation", **parameters: Number) -> Activation:
    """The activation of that name: `get("relu")`, `get("leaky_relu", a=0.2)`.

    Raises ValueError for an unknown name or parameter, with the names that exist.
    """
    if isinstance(activation, Activation):
        return activation
    match = re.fullmatch(r"(\w+)(?:\(([-+.\d/e]+)\))?", str(activation))
    name = match[1] if match else str(activation)
    if name not in ACTIVATIONS:
        near = get_close_matches(name, ACTIVATIONS, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ValueError(
            f"unknown activation {activation!r}; {hint}known: {', '.join(ACTIVATIONS)}; "
            "or build one with varprop.custom_activation(name, sympy_expression, kinks)"
        )
    factory = ACTIVATIONS[name]
    if match and match[2]:
        parameters = {"a": float(sp.Rational(match[2])), **parameters}
    accepted = inspect.signature(factory).parameters
    unknown = [key for key in parameters if key not in accepted]
    if unknown:
        takes = ", ".join(accepted) or "no parameter"
        raise ValueError(f"{name} takes {takes}; got {', '.join(unknown)}")
    return factory(**parameters)
