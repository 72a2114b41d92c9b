"""The second derivative of g(K) = E phi(sqrt(K) Z)^2, which bends the mean of a random kernel."""

from typing import Any

import numpy as np
import sympy as sp

from varprop import gaussian
from varprop.activations import Activation, Q


def second_moment_bend(phi: Activation, q: Any) -> Any:
    """g''(K) at K = q > 0.

    By parts, K g' = E h and 2 K^2 (E h)' = K E h z^2/K - K E h for h(z) = z phi(z) phi'(z), so

        g''(K) = E h(z) (z^2 - 3 K) / (2 K^3),

    free of phi''; the closed form of g is differentiated where q is a symbol.
    """
    if gaussian.is_symbolic(q):
        symbol = np.array([Q], dtype=object)
        formula = sp.diff(sp.sympify(phi.second_moment(symbol)[0]), Q, 2)
        return gaussian.evaluate(formula, {Q: q})
    if phi.homogeneous:
        return 0 * q
    q = np.asarray(q, float)
    safe = np.where(q > 0, q, 1.0)
    second = phi.moment(lambda z, value, slope: z * value * slope, q)
    fourth = phi.moment(lambda z, value, slope: z**3 * value * slope, q)
    return (fourth / safe - 3 * second) / (2 * safe**2)
