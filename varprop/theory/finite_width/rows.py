"""What the fourth moments of a weight matrix do to the length of its output.

For y = W x with rows y_i, v = Var(w), A = |x|^4 and B = sum_j x_j^4,

    E[y_i^4 | x]       = v^2 (a A + b B)
    E[y_i^2 y_j^2 | x] = v^2 (c A + d B),   i != j

    iid entries of kurtosis k          a = 3,  b = k - 3,  c = 1,  d = 0
    Haar, N = max(rows, cols)          a = 3 r,  b = 0,  c = r,  d = 0,   r = N / (N + 2)
    rows on a sphere, n cols           a = 3 n/(n + 2),  b = 0,  c = 1,  d = 0
    m of r entries a column not zero   a = 3,  b = k - 3,  c = 1,  d = k (m - 1) / (r - 1) / 3 - 1

The same numbers rule g = W' h from above: where rows keep their law when the sign of any is
changed, E (h.W x)^4 = v^2 ((a A + b B) H + 3 (c A + d B) (G - H)), G = |h|^4, H = sum_i h_i^4, and
E (g.x)^4 of given g is sum_j g_j^4 x_j^4 + 3 sum_(j != k) g_j^2 g_k^2 x_j^2 x_k^2. So in averages
over j, and over k != j,

    a' = 3 (c + d),  b' = a + b - 3 (c + d),  c' = c,  d' = a/3 - c.
"""

from functools import lru_cache
from typing import Any, NamedTuple

import sympy as sp

from varprop.laws import Law, Orthogonal, Sparse, Spherical
from varprop.theory.finite_width.refusal import NoTheory


class Rows(NamedTuple):
    """(a, b, c, d) of the module's equations: `same` row and two `other` rows, by A and by B."""

    same: Any
    same_fourth: Any
    other: Any
    other_fourth: Any

    @property
    def backward(self) -> "Rows":
        """(a', b', c', d'), which rule g = W' h."""
        other = 3 * (self.other + self.other_fourth)
        return Rows(
            other, self.same + self.same_fourth - other, self.other, self.same / 3 - self.other
        )

    def through(self, fluctuation: Any, per: Any) -> tuple[Any, Any]:
        """E y_i^4 / (E y^2)^2 and Cov(y_i^2, y_j^2) / (E y^2)^2 of y = W x.

        `fluctuation` is that of x, `per` is B / (E |x|^2)^2.
        """
        a, b, c, d = self
        return a * (1 + fluctuation) + b * per, c - 1 + c * fluctuation + d * per


@lru_cache(maxsize=1024)
def rows(law: Law) -> Rows:
    """The numbers of a law of zero mean; SymPy expressions.

    Raises NoTheory for a law whose fourth moments are infinite or not known.
    """
    if isinstance(law, Orthogonal):
        size = sp.Max(law.rows, law.cols)
        ratio = size / (size + 2)
        return Rows(3 * ratio, sp.S.Zero, ratio, sp.S.Zero)
    kurtosis = finite_kurtosis(law, "weights")
    if isinstance(law, Spherical):  # a row is Haar, and the others know nothing of it
        return Rows(kurtosis, sp.S.Zero, sp.S.One, sp.S.Zero)
    if law.independent:
        return Rows(sp.Integer(3), kurtosis - 3, sp.S.One, sp.S.Zero)
    if isinstance(law, Sparse):
        kept = law.rows - law.zeros
        both = kurtosis / 3 * (kept - 1) / (law.rows - 1) if law.rows != 1 else sp.S.One
        return Rows(sp.Integer(3), kurtosis - 3, sp.S.One, both - 1)
    raise NoTheory(
        "fourth moments of lengths are known for independent, orthogonal, spherical and sparse "
        f"weights, got {law}; measure this network with varprop.simulate instead"
    )


def finite_kurtosis(law: Law, what: str) -> sp.Expr:
    """The kurtosis; 3 for a constant, which does not use it. NoTheory where it is infinite."""
    if law.variance.is_zero:
        return sp.Integer(3)
    kurtosis = sp.sympify(law.kurtosis)
    if kurtosis.is_finite is False or kurtosis is sp.nan:
        raise NoTheory(
            f"fourth moments of lengths need {what} of finite kurtosis, and {law} has {kurtosis}; "
            "cut its tails, or measure medians with varprop.simulate"
        )
    return kurtosis
