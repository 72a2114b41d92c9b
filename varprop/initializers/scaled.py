"""Zero-mean laws of the variance scale / fan, by the name of their distribution."""

from collections.abc import Callable

import sympy
from sympy import Expr

from varprop import laws
from varprop.initializers.initializer import Fans, choose
from varprop.laws import Law, Scalar, exact


def centred_uniform(variance: Expr) -> Law:
    bound = sympy.sqrt(variance / laws.Uniform(-1, 1).variance)
    return laws.Uniform(-bound, bound)


def _truncated_normal(variance: Expr) -> Law:
    std = laws.relative_scale(sympy.sqrt(variance), -2, 2)
    return laws.TruncatedNormal(0, std, -2 * std, 2 * std)


_DISTRIBUTIONS: dict[str, Callable[[Expr], Law]] = {  # zero mean, by variance
    "normal": lambda variance: laws.Normal(0, variance),
    "uniform": centred_uniform,
    "truncated_normal": _truncated_normal,
    "rademacher": lambda variance: laws.Rademacher(sympy.sqrt(variance)),
    "laplace": laws.Laplace,
}


def scaled(fans: Fans, scale: Scalar, mode: str, distribution: str) -> Law:
    """Zero-mean law of variance scale / n, where `mode` says which fan n is."""
    m, n = fans.fan_in, fans.fan_out
    average = dict.fromkeys(("fan_avg", "average"), 2 / (m + n))  # Keras' word, and Caffe's
    inverses = {"fan_in": 1 / m, "fan_out": 1 / n, **average}
    variance = exact("scale", scale, at_least=0) * choose("mode", mode, inverses)
    return choose("distribution", distribution, _DISTRIBUTIONS)(variance)


def gained(fans: Fans, gain: Scalar, mode: str, distribution: str) -> Law:
    """Zero-mean law of variance gain^2 / n."""
    gain = exact("gain", gain, at_least=0, remedy="pass the magnitude, the law is symmetric")
    return scaled(fans, gain**2, mode, distribution)
