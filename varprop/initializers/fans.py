"""Fans of a weight tensor, and torch's table of gains."""

import math
from numbers import Integral

import sympy
from sympy import Expr, Rational

from varprop.initializers.initializer import choose
from varprop.laws import Scalar, exact


def fans(shape: tuple[Scalar, ...], groups: int = 1) -> tuple[Scalar, Scalar]:
    """Return (fan_in, fan_out) of a weight (out, in) or (c_out, c_in/groups, *kernel).

    fan_in = |kernel| c_in/groups, the terms in one output; fan_out = |kernel| c_out/groups, the
    outputs that one input enters (stride 1). torch.nn.init leaves out /groups in fan_out, and reads
    a transposed convolution's weight (c_in, c_out/groups, *kernel) as if it were this one.
    """
    if not isinstance(shape, list | tuple) or len(shape) < 2:
        raise ValueError(
            f"fans need a weight of at least 2 axes, got shape {shape!r}: "
            "for a bias, pass the shape of the weight it is added to"
        )
    rows, channels, *kernel = shape
    whole = isinstance(groups, Integral) and not isinstance(groups, bool) and groups > 0
    if not whole and not (isinstance(groups, Expr) and groups.is_positive is not False):
        raise ValueError(
            f"groups must be a positive integer or a SymPy expression, got {groups!r}: pass the "
            "groups of the layer"
        )
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
    if isinstance(nonlinearity, str) and nonlinearity == "leaky_relu":
        slope = exact("the slope a of leaky_relu", 0.01 if param is None else param)
        return sympy.sqrt(2 / (1 + slope**2))
    return choose("nonlinearity", nonlinearity, GAINS)


_LINEAR = ("linear", *(f"conv{t}{d}d" for t in ("", "_transpose") for d in (1, 2, 3)), "sigmoid")
GAINS: dict[str, Expr] = {
    **dict.fromkeys(_LINEAR, sympy.S.One),
    "tanh": Rational(5, 3),
    "relu": sympy.sqrt(2),
    "selu": Rational(3, 4),
}
