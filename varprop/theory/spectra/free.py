"""Moments of products of free matrices, by the S-transform.

For the spectral law of a positive matrix with moments m_1, m_2, ...

    psi(t) = sum_k m_k t^k,   chi = psi^(-1),   S(z) = (1 + z) chi(z) / z

and S of a product of free matrices is the product of theirs (Voiculescu 1987). What is carried here
is T = 1/S, a power series whose coefficients are positive for Gaussian weights:

    T = sigma_w^2 (1 + z)  for W W', W square with iid entries of variance sigma_w^2 / n
    T = sigma_w^2          for W = sigma_w Q, Q Haar-orthogonal

and by Lagrange's inversion m_k = (1/k) [z^(k-1)] ((1 + z) T(z))^k.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from varprop.theory.spectra.series import Series, multiply, power, tidy


@dataclass(frozen=True)
class Factor:
    """`count` equal layers D W of a square network, D = diag phi'(z).

    gain    sigma_w^2 = n Var(w)
    haar    W is sigma_w times a Haar-orthogonal matrix; else its entries are iid
    slopes  E phi'^2, E phi'^4, ...: the moments of D^2
    gate    (p, s): phi'^2 = s with probability p, else 0; None for other laws of phi'
    count   the number of layers: a number or a symbol
    """

    gain: Any
    haar: bool
    slopes: Series
    gate: tuple[Any, Any] | None = None
    count: Any = 1

    def inverse_s(self, order: int) -> Series:
        """The first `order` coefficients of T = 1/S of D W W' D, to the power `count`."""
        weights = (self.gain, 0 if self.haar else self.gain, *[0] * order)[:order]
        return power(multiply(weights, inverse_s(self.slopes[:order])), self.count)


def inverse_s(moments: Sequence[Any]) -> Series:
    """T = 1/S of a law with these moments: as many coefficients as there are moments.

    chi_j = (1/j) [t^(j-1)] (psi/t)^(-j) by Lagrange, and 1/T = (1 + z) chi(z)/z.
    """
    order = len(moments)
    chi = [power(moments, -j)[j - 1] / j for j in range(1, order + 1)]
    one_plus_z = (1, 1, *[0] * order)
    return power(multiply(one_plus_z, chi), -1)


def product_moments(factors: Sequence[Factor], order: int) -> Series:
    """m_1, ..., m_order of the product of free layers."""
    total: Series = (1, 1, *[0] * order)[:order]
    for factor in factors:
        total = multiply(total, factor.inverse_s(order))
    return tuple(tidy(power(total, k)[k - 1] / k) for k in range(1, order + 1))
