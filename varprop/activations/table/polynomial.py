"""Polynomials. Closed forms follow from tilting without a tilt: Isserlis' theorem."""

import sympy as sp

from varprop.activations.activation import Activation
from varprop.activations.parameters import floats, natural, real
from varprop.activations.symbols import Number, X


def monomial(k: Number = 2) -> Activation:
    """phi(z) = z^k, k >= 1."""
    k = natural("monomial", 1, k=k)
    return Activation("monomial", X**k, "", (k,), homogeneous=k == 1)


def hermite(k: Number = 3) -> Activation:
    """phi(z) = He_k(z): He_0 = 1, He_1 = z, He_(k+1) = z He_k - k He_(k-1).

    At unit variances the kernel is k! c^k.
    """
    k = natural("hermite", 0, k=k)
    before, polynomial = sp.S.Zero, sp.S.One
    for j in range(k):
        before, polynomial = polynomial, sp.expand(X * polynomial - j * before)
    return Activation("hermite", polynomial, "", (k,), homogeneous=k == 1)


def polynomial(*coefficients: Number) -> Activation:
    """phi(z) = a_0 + a_1 z + a_2 z^2 + ...; by default 1 + z + z^2/2."""
    given = coefficients or (1, 1, 0.5)
    exact = [real("polynomial", coefficient=c) for c in given]
    expression = sp.Add(*(c * X**k for k, c in enumerate(exact)))
    linear = all(c == 0 for k, c in enumerate(exact) if k != 1)
    return Activation("polynomial", expression, "", floats(*exact), homogeneous=linear)


ENTRIES = {"monomial": monomial, "hermite": hermite, "polynomial": polynomial}
