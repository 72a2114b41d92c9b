"""The standard deviation to pass to a truncated normal, given the one its weights are to have."""

from typing import Any

import numpy as np
from scipy.optimize import elementwise
from sympy import Expr, Rational

from varprop.laws.base import Scalar
from varprop.laws.numeric import _real, truncated_normal
from varprop.laws.truncated import TruncatedNormal

CLOSEST = 1e-9  # nearer to the uniform law, the scale that is asked for has no digits left
WIDEST = 1e9  # scales in units of the window at which the law is uniform to all digits


def truncated_std(
    target_std: Any,
    low: Any = -2.0,
    high: Any = 2.0,
    *,
    bounds: str = "absolute",
    mean: Any = 0.0,
) -> Any:
    """The std to pass, given the standard deviation that the weights are to have.

    `bounds="absolute"` (torch's trunc_normal_): low and high are values of the weights, and std s
    solves Var(N(mean, s^2) | low <= w <= high) = target_std^2. That variance rises with s from 0 to
    (high - low)^2 / 12, that of the uniform law, which it never reaches.
    `bounds="relative"` (JAX, Keras): low and high count standard deviations s from the mean, and
    s = target_std / std(N(0, 1) | low <= t <= high), always possible.

    Floats, or arrays that broadcast. Raises ValueError for a target out of reach.
    """
    target = _real("target_std", target_std)
    if not np.all((target > 0) & np.isfinite(target)):
        raise ValueError(
            f"target_std must be finite and above 0, got {target_std!r}: pass the std wanted"
        )
    if bounds == "relative":
        return target / truncated_normal(0.0, 1.0, low, high).std
    if bounds != "absolute":
        raise ValueError(
            f"bounds must be 'absolute' (torch) or 'relative' (JAX, Keras), got {bounds!r}"
        )
    window = truncated_normal(mean, 1.0, low, high)  # checks the bounds
    arrays = np.broadcast_arrays(target, window.loc, window.low, window.high)
    return _absolute(*(np.asarray(array, dtype=float) for array in arrays))


def relative_scale(std: Expr, low: Scalar, high: Scalar) -> Expr:
    """The same for relative bounds, exact: `std` and the bounds are SymPy expressions."""
    return std / TruncatedNormal(0, 1, low, high).variance ** Rational(1, 2)


def _absolute(target: Any, mean: Any, low: Any, high: Any) -> Any:
    limit = (high - low) / np.sqrt(12)
    if np.any(target >= limit * (1 - CLOSEST)):
        raise ValueError(
            "absolute bounds keep the standard deviation below (high - low)/sqrt(12) = "
            f"{np.min(limit):.6g}, that of the uniform law, got target_std={np.max(target):.6g}: "
            "widen the bounds, lower the target, or draw from varprop.init.uniform(low, high)"
        )
    reach = np.where(np.isfinite(limit), high - low, target)
    for edge in (low, high):
        reach = reach + np.where(np.isfinite(edge), np.abs(edge - mean), 0.0)

    def excess(log_scale: Any, target: Any, mean: Any, low: Any, high: Any) -> Any:
        return truncated_normal(mean, np.exp(log_scale), low, high).std / target - 1

    # cutting lowers the variance, so that the scale is at least the target
    bracket = (np.log(target) - 1e-6, np.log(np.maximum(WIDEST * reach, 2 * target)))
    found = elementwise.find_root(excess, bracket, args=(target, mean, low, high))
    assert np.all(found.success)
    return np.exp(found.x)[()]
