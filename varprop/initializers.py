"""Initializers: rules that pick the law of a weight from its fans.

Each is one function of the table below: given the fans and its arguments it returns the law of a
weight entry. Calling it by name, `kaiming_normal(mode="fan_out")`, makes an `Initializer`; its law
is `.at(fan_in, fan_out)`. Names and arguments are those of torch.nn.init without the underscore,
then those of JAX, Keras and Caffe, then PyTorch's own layer defaults.
"""

import difflib
import functools
import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Concatenate, NamedTuple, ParamSpec

import sympy
from sympy import Expr, Rational

from varprop import laws
from varprop.laws import Law, Scalar, exact


class Fans(NamedTuple):
    """Sizes of a weight whose matrix is (rows, fan_in); rows = fan_out unless it is a kernel."""

    fan_in: Expr
    fan_out: Expr
    rows: Expr


P = ParamSpec("P")
INITIALIZERS: dict[str, Callable[..., "Initializer"]] = {}
EXAMPLES: list["Initializer"] = []  # one or two of each, for tests and tables
_RULES: dict[str, Callable[..., Law]] = {}
_FAN_IN, _FAN_OUT = sympy.symbols("fan_in fan_out", positive=True, cls=sympy.Dummy)


def _if_constant(quantity: str) -> property:
    def read(initializer: "Initializer") -> Expr:
        value = getattr(initializer.at(_FAN_IN, _FAN_OUT), quantity)
        if value.has(_FAN_IN, _FAN_OUT):
            raise ValueError(
                f"the {quantity} of {initializer} depends on the fans, and none were given: "
                f"use .at(fan_in, fan_out).{quantity}"
            )
        return value

    return property(read, doc=f"The law's {quantity}, if it is the same for all fans.")


@dataclass(frozen=True)
class Initializer:
    """A named rule fans -> law, with its arguments. Made by the functions of this module."""

    name: str
    arguments: tuple[tuple[str, Any], ...] = ()

    def __post_init__(self) -> None:
        self.at(_FAN_IN, _FAN_OUT)  # arguments are checked here, by the laws they make

    def __str__(self) -> str:
        return f"{self.name}({', '.join(f'{name}={value!r}' for name, value in self.arguments)})"

    def at(self, fan_in: Scalar, fan_out: Scalar, rows: Scalar = None) -> Law:
        """Return the law of an entry of a weight with these fans: numbers or SymPy symbols.

        `rows` (default fan_out) counts the rows of the weight's matrix (rows, fan_in), which only
        laws with dependent entries use: c_out for a convolution, where fan_out = k^2 c_out/groups.
        """
        sizes = (fan_in, fan_out, fan_out if rows is None else rows)
        remedy = "pass the sizes of the weight, see fans(shape)"
        fans = Fans(
            *(exact(n, v, above=0, remedy=remedy) for n, v in zip(Fans._fields, sizes, strict=True))
        )
        return _choose("initializer", self.name, _RULES)(fans, **dict(self.arguments))

    mean = _if_constant("mean")
    variance = _if_constant("variance")
    kurtosis = _if_constant("kurtosis")


def get(initializer: "str | Initializer") -> Initializer:
    """Return an initializer as it is, or the one of this name with its default arguments."""
    if isinstance(initializer, Initializer):
        return initializer
    make = _choose("initializer", initializer, INITIALIZERS)
    try:
        return make()
    except TypeError as error:
        raise ValueError(
            f"a name alone stands for default arguments, got {initializer!r}, which has "
            f"{error}: call {initializer}(...) with it"
        ) from error


def fans(shape: tuple[Scalar, ...], groups: int = 1) -> tuple[Scalar, Scalar]:
    """Return (fan_in, fan_out) of a weight (out, in) or (c_out, c_in/groups, *kernel).

    fan_in = |kernel| c_in/groups, the terms in one output; fan_out = |kernel| c_out/groups, the
    outputs that one input enters (stride 1). torch.nn.init leaves out /groups in fan_out, and reads
    a transposed convolution's weight (c_in, c_out/groups, *kernel) as if it were this one.
    """
    if len(shape) < 2:
        raise ValueError(
            f"fans need a weight of at least 2 axes, got shape {tuple(shape)}: "
            "for a bias, pass the shape of the weight it is added to"
        )
    rows, channels, *kernel = shape
    if sympy.Mod(rows, groups).is_zero is False:
        raise ValueError(
            f"groups must divide the output channels, got groups={groups} for shape "
            f"{tuple(shape)}: pass the groups of the layer"
        )
    area = math.prod(kernel)
    return channels * area, area * (rows // groups if isinstance(rows, int) else rows / groups)


def calculate_gain(nonlinearity: str, param: Scalar = None) -> Expr:
    """Return torch's recommended gain, exact; `param` is leaky_relu's slope (default 1/100).

    Variance gain^2 / fan. The table is torch's convention, not a theorem for each entry.
    """
    if nonlinearity == "leaky_relu":
        slope = exact("the slope a of leaky_relu", 0.01 if param is None else param)
        return sympy.sqrt(2 / (1 + slope**2))
    return _choose("nonlinearity", nonlinearity, _GAINS)


_LINEAR = ("linear", *(f"conv{t}{d}d" for t in ("", "_transpose") for d in (1, 2, 3)), "sigmoid")
_GAINS: dict[str, Expr] = {
    **dict.fromkeys(_LINEAR, sympy.S.One),
    "tanh": Rational(5, 3),
    "relu": sympy.sqrt(2),
    "selu": Rational(3, 4),
}


def _choose(kind: str, name: str, table: dict[str, Any]) -> Any:
    if name in table:
        return table[name]
    close = difflib.get_close_matches(str(name), table, n=3)
    hint = f"did you mean {' or '.join(close)}? " if close else ""
    everything = f"choose from {', '.join(sorted(table))}"
    if kind == "initializer":
        everything = "all are listed in varprop.initializers.INITIALIZERS"
    raise ValueError(f"the {kind} must be a known name, got {name!r}: {hint}{everything}")


def _uniform(variance: Expr) -> Law:
    bound = sympy.sqrt(variance / laws.Uniform(-1, 1).variance)
    return laws.Uniform(-bound, bound)


def _truncated_normal(variance: Expr) -> Law:
    std = sympy.sqrt(variance / laws.TruncatedNormal(0, 1, -2, 2).variance)
    return laws.TruncatedNormal(0, std, -2 * std, 2 * std)


_DISTRIBUTIONS: dict[str, Callable[[Expr], Law]] = {  # zero mean, by variance
    "normal": lambda variance: laws.Normal(0, variance),
    "uniform": _uniform,
    "truncated_normal": _truncated_normal,
    "rademacher": lambda variance: laws.Rademacher(sympy.sqrt(variance)),
    "laplace": laws.Laplace,
}


def _scaled(fans: Fans, scale: Scalar, mode: str, distribution: str) -> Law:
    """Zero-mean law of variance scale / n, where `mode` says which fan n is."""
    m, n = fans.fan_in, fans.fan_out
    average = dict.fromkeys(("fan_avg", "average"), 2 / (m + n))  # Keras' word, and Caffe's
    inverses = {"fan_in": 1 / m, "fan_out": 1 / n, **average}
    variance = exact("scale", scale, at_least=0) * _choose("mode", mode, inverses)
    return _choose("distribution", distribution, _DISTRIBUTIONS)(variance)


def _gained(fans: Fans, gain: Scalar, mode: str, distribution: str) -> Law:
    """Zero-mean law of variance gain^2 / n."""
    gain = exact("gain", gain, at_least=0, remedy="pass the magnitude, the law is symmetric")
    return _scaled(fans, gain**2, mode, distribution)


def _entry(
    **example: Any,
) -> Callable[[Callable[Concatenate[Fans, P], Law]], Callable[P, Initializer]]:
    """Enter a rule in the tables, with an example away from its defaults: return its maker."""

    def enter(rule: Callable[Concatenate[Fans, P], Law]) -> Callable[P, Initializer]:
        name = rule.__name__
        parameters = list(inspect.signature(rule).parameters.values())[1:]
        signature = inspect.Signature(parameters, return_annotation=Initializer)

        @functools.wraps(rule)
        def make(*args: P.args, **kwargs: P.kwargs) -> Initializer:
            bound = signature.bind(*args, **kwargs)
            given = set(bound.arguments)
            bound.apply_defaults()
            if {"std", "variance"} <= given:
                raise ValueError(f"{name} takes std or variance, got both: drop one")
            unused = "std" if "variance" in given else "variance"
            return Initializer(name, tuple(x for x in bound.arguments.items() if x[0] != unused))

        make.__signature__ = signature  # pyright: ignore[reportAttributeAccessIssue]
        _RULES[name] = rule
        INITIALIZERS[name] = make
        if all(p.default is not p.empty for p in parameters):
            EXAMPLES.append(INITIALIZERS[name]())
        if example:
            EXAMPLES.append(INITIALIZERS[name](**example))
        return make

    return enter


# torch.nn.init
@_entry(a=-0.3, b=0.7)
def uniform(fans: Fans, a: Scalar = 0, b: Scalar = 1) -> Law:
    """w ~ U(a, b)."""
    return laws.Uniform(a, b)


@_entry(mean=0.5, variance=0.3)
def normal(fans: Fans, mean: Scalar = 0, std: Scalar = 1, variance: Scalar = None) -> Law:
    """w ~ N(mean, std^2), or N(mean, variance) if the variance is given instead of std."""
    if variance is None:
        variance = exact("std", std, at_least=0) ** 2
    return laws.Normal(mean, variance)


@_entry(mean=0.3, std=1.7, a=-1, b=2.5)
def trunc_normal(
    fans: Fans, mean: Scalar = 0, std: Scalar = 1, a: Scalar = -2, b: Scalar = 2
) -> Law:
    """w ~ N(mean, std^2) given a <= w <= b: absolute bounds, and std is that of the uncut normal.

    `variance_scaling` cuts at two standard deviations instead and restores the variance.
    """
    return laws.TruncatedNormal(mean, std, a, b)


@_entry(val=-0.4)
def constant(fans: Fans, val: Scalar) -> Law:
    """w = val."""
    return laws.Constant(val)


@_entry()
def ones(fans: Fans) -> Law:
    """w = 1."""
    return laws.Constant(1)


@_entry()
def zeros(fans: Fans) -> Law:
    """w = 0."""
    return laws.Constant(0)


@_entry()
def eye(fans: Fans) -> Law:
    """W = I, cut to (rows, fan_in)."""
    return laws.Eye(fans.rows, fans.fan_in)


@_entry(kernel=(2, 2), groups=2)
def dirac(fans: Fans, kernel: tuple[int, ...], groups: int = 1) -> Law:
    """Identity between channels at the centre of the kernel; the kernel's sizes must be named."""
    return laws.Dirac(fans.rows, fans.fan_in, kernel, groups)


@_entry(gain=0.8)
def xavier_uniform(fans: Fans, gain: Scalar = 1) -> Law:
    """w ~ U(-r, r), r = gain sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010)."""
    return _gained(fans, gain, "fan_avg", "uniform")


@_entry(gain=0.8)
def xavier_normal(fans: Fans, gain: Scalar = 1) -> Law:
    """w ~ N(0, 2 gain^2 / (fan_in + fan_out))."""
    return _gained(fans, gain, "fan_avg", "normal")


@_entry(a=0.2, mode="fan_out")
def kaiming_uniform(
    fans: Fans, a: Scalar = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu"
) -> Law:
    """w ~ U(-r, r), r = gain sqrt(3 / fan) (He et al. 2015); a is leaky_relu's negative slope."""
    return _gained(fans, calculate_gain(nonlinearity, a), mode, "uniform")


@_entry(mode="fan_out", nonlinearity="tanh")
def kaiming_normal(
    fans: Fans, a: Scalar = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu"
) -> Law:
    """w ~ N(0, gain^2 / fan) (He et al. 2015); a is leaky_relu's negative slope."""
    return _gained(fans, calculate_gain(nonlinearity, a), mode, "normal")


@_entry(gain=0.8)
def orthogonal(fans: Fans, gain: Scalar = 1) -> Law:
    """W = gain Q, Q Haar with orthonormal rows or columns: variance gain^2 / max(rows, fan_in)."""
    return laws.Orthogonal(gain, fans.rows, fans.fan_in)


@_entry(sparsity=0.3, std=0.8)
def sparse(fans: Fans, sparsity: Scalar, std: Scalar = 0.01) -> Law:
    """N(0, std^2), but ceil(sparsity rows) zeros per column at random places (Martens 2010)."""
    return laws.Sparse(sparsity, std, fans.rows, fans.fan_in)


# JAX and Keras
@_entry(scale=0.7, mode="fan_avg", distribution="uniform")
def variance_scaling(
    fans: Fans, scale: Scalar = 1, mode: str = "fan_in", distribution: str = "truncated_normal"
) -> Law:
    """Var w = scale / n, n = fan_in, fan_out or fan_avg; `distribution` has mean zero.

    truncated_normal is cut at two standard deviations, then widened to the variance stated.
    """
    return _scaled(fans, scale, mode, distribution)


def _alias(name: str, scale: int, mode: str, distribution: str) -> Callable[[], Initializer]:
    def rule(fans: Fans) -> Law:
        return _scaled(fans, scale, mode, distribution)

    rule.__name__ = rule.__qualname__ = name
    rule.__doc__ = f"`variance_scaling({scale}, {mode!r}, {distribution!r})`, as in JAX and Keras."
    return _entry()(rule)


lecun_normal = _alias("lecun_normal", 1, "fan_in", "truncated_normal")
lecun_uniform = _alias("lecun_uniform", 1, "fan_in", "uniform")
he_normal = _alias("he_normal", 2, "fan_in", "truncated_normal")  # torch's: kaiming_normal
he_uniform = _alias("he_uniform", 2, "fan_in", "uniform")
glorot_normal = _alias("glorot_normal", 1, "fan_avg", "truncated_normal")  # xavier_normal
glorot_uniform = _alias("glorot_uniform", 1, "fan_avg", "uniform")


@_entry(maxval=0.2)
def random_uniform(fans: Fans, minval: Scalar = -0.05, maxval: Scalar = 0.05) -> Law:
    """w ~ U(minval, maxval), Keras' defaults."""
    return laws.Uniform(minval, maxval)


@_entry(mean=0.1)
def random_normal(fans: Fans, mean: Scalar = 0, stddev: Scalar = 0.05) -> Law:
    """w ~ N(mean, stddev^2), Keras' defaults."""
    return laws.Normal(mean, exact("stddev", stddev, at_least=0) ** 2)


# Caffe
@_entry(variance_norm="average")
def xavier_filler(fans: Fans, variance_norm: str = "fan_in") -> Law:
    """w ~ U(-r, r), r = sqrt(3 / n), n = fan_in, fan_out or their average."""
    return _scaled(fans, 1, variance_norm, "uniform")


@_entry(variance_norm="fan_out")
def msra_filler(fans: Fans, variance_norm: str = "fan_in") -> Law:
    """w ~ N(0, 2 / n), n = fan_in, fan_out or their average."""
    return _scaled(fans, 2, variance_norm, "normal")


# Laws of kurtosis 1 and 6, to see what depends on more than the variance
@_entry(scale=0.7, mode="fan_avg")
def rademacher(fans: Fans, scale: Scalar = 1, mode: str = "fan_in") -> Law:
    """w = +s or -s with probability 1/2 each, s^2 = scale / n."""
    return _scaled(fans, scale, mode, "rademacher")


@_entry(scale=0.7, mode="fan_out")
def laplace(fans: Fans, scale: Scalar = 1, mode: str = "fan_in") -> Law:
    """Laplace law (density falling as e^(-|w|/b), 2 b^2 = variance), Var w = scale / n."""
    return _scaled(fans, scale, mode, "laplace")


# Defaults of PyTorch's layers
@_entry()
def torch_default_weight(fans: Fans) -> Law:
    """w ~ U(-r, r), r = 1/sqrt(fan_in): Linear and Conv, kaiming_uniform with a = sqrt(5)."""
    return _uniform(1 / (3 * fans.fan_in))


@_entry()
def torch_default_bias(fans: Fans) -> Law:
    """b ~ U(-r, r), r = 1/sqrt(fan_in), of the weight in the same Linear or Conv."""
    return _uniform(1 / (3 * fans.fan_in))


@_entry()
def torch_default_embedding(fans: Fans) -> Law:
    """w ~ N(0, 1)."""
    return laws.Normal(0, 1)


@_entry(hidden=12)
def torch_default_recurrent(fans: Fans, hidden: Scalar) -> Law:
    """w ~ U(-r, r), r = 1/sqrt(hidden): every tensor of RNN, LSTM and GRU, whatever its fans."""
    return _uniform(1 / (3 * exact("hidden", hidden, above=0)))


@_entry(in1=12)
def torch_default_bilinear(fans: Fans, in1: Scalar) -> Law:
    """w ~ U(-r, r), r = 1/sqrt(in1): Bilinear's weight and bias; its sums have in1 in2 terms."""
    return _uniform(1 / (3 * exact("in1", in1, above=0)))


@_entry()
def torch_default_in_proj(fans: Fans) -> Law:
    """w ~ U(-r, r), r = sqrt(6 / (E + 3E)), E = fan_in: query, key, value in MultiheadAttention.

    xavier_uniform on the packed (3E, E) weight: half the variance of three separate projections.
    """
    return _gained(Fans(fans.fan_in, 3 * fans.fan_in, fans.rows), 1, "fan_avg", "uniform")
