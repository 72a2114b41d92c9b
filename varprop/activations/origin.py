"""Small variances: what E phi(z)^2 does at q = 0, from phi on both sides of 0.

With g = phi^2,  E g(sqrt(q) Z) = (g(0+) + g(0-)) / 2 + (g'(0+) - g'(0-)) sqrt(q / (2 pi))
+ (g''(0+) + g''(0-)) q / 4 + o(q);  what kinks elsewhere add falls as exp(-a^2 / (2 q)).
"""

from functools import cache

import numpy as np
import sympy as sp

from varprop import gaussian
from varprop.activations.opaque import is_opaque
from varprop.activations.pieces import Piece, derivative, pieces
from varprop.activations.symbols import X

NEAR = 1e-12  # of a kink at 0, where one side of a torch function is read


@cache
def square_slope(name: str, expression: sp.Expr, kinks: tuple[float, ...]) -> float:
    """d E phi^2 / dq at q = 0+: (g''(0+) + g''(0-)) / 4, phi'(0)^2 + phi(0) phi''(0) if smooth.

    Raises ValueError where g' jumps at 0, since the slope then grows as 1 / sqrt(q).
    """
    around = [p for p in pieces(expression, kinks) if p.low <= 0 <= p.high]
    below, above = around[0], around[-1]
    (left, bend_left), (right, bend_right) = _of_square(below, -1), _of_square(above, 1)
    if abs(right - left) > 1e-9 * (1 + abs(left)):
        raise ValueError(
            f"the slope d E phi(z)^2 / dq of {name} is infinite at q = 0: phi^2 has slopes "
            f"{left:g} and {right:g} at the two sides of 0; take q > 0"
        )
    return (bend_left + bend_right) / 4


def _of_square(piece: Piece, side: int) -> tuple[float, float]:
    """First and second derivative of phi^2 at 0, from within the piece."""
    slope = derivative(piece.expression**2)
    at_edge = 0 in (piece.low, piece.high)
    return _at_zero(slope, side * at_edge), _at_zero(derivative(slope), side * at_edge)


def _at_zero(expression: sp.Expr, side: int) -> float:
    with np.errstate(all="ignore"):
        point = side * NEAR if is_opaque(expression) else 0.0
        value = float(gaussian.evaluate(expression, {X: point}))
    if np.isfinite(value):
        return value
    return float(sp.limit(expression, X, 0, "-" if side < 0 else "+"))  # type: ignore[arg-type]
