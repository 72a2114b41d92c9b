"""The 1/n terms of squared gradients for general activations, read from the output down.

E (dL/dx)^2 is E |J t|^2 for tangents t of iid normals: a second input whose "activation" is
phi'(z) y, y = W t. Given the layer below, rows (z, y) are iid normal with a kernel of three entries

    K = E z^2,   H = E z y,   M = E y^2

which one layer maps, with g = E phi^2 and d = E phi'^2, by

    K' = g(K),   H' = g'(K) H,   M' = d(K) M + 2 d'(K) H^2

up to what n neurons scatter. In units of the limits of K and M,

    S  shift of K     s  shift of M     c  Cov(K, M)     w  E H^2
    T  Var K                            v  Var M

    r = K g'/g   i = K d'/d   j = K^2 d''/d   o = K g'^2/(g d)   e = E phi^2 phi'^2/(g d)
    f = E phi'^4/d^2

    s' = s + i (S + c + 2 w) + j T/2                 c' = r (c + i T) + (e - 1)/n
    v' = v + 2 i c + i^2 T + (3 f - 1)/n             w' = o w + e/n

and a dense layer multiplies c, w by u and T by u^2, u the share of E z^2 that is from weights. What
reaches the output is linear in (s, c, w, v) at a node, so one pass down from the output gives the
coefficients for tangents that start at any node:

    s_out = s + A c + B w + G,      v_out = v + P c + Q.

A tangent that starts at a node of the block z, ..., x = phi(z) has the slope psi from that node to
x in place of phi', and c = w = v = 0 below it. Cotangents of independent signs take (2/3) 3 f/n of
the last layer from v_out. Source: the method of Roberts, Yaida & Hanin (2022), chapters 4 and 9.
"""

from typing import Any, NamedTuple

import numpy as np

from varprop.activations import Activation
from varprop.theory.finite_width.refusal import NoTheory, moments_needed

TINY = 1e-70  # its fourth power is a float


class Block(NamedTuple):
    """What one block does to a tangent that meets the slope psi in it; see the module."""

    gain: Any  # r
    first: Any  # i
    second: Any  # j
    overlap: Any  # o
    joint: Any  # e
    fourth: Any  # f


class Reach(NamedTuple):
    """(A, B, G, P, Q): what reaches the output from a kernel; all zero at the output."""

    shift_by_common: Any = 0
    shift_by_overlap: Any = 0
    shift: Any = 0
    spread_by_common: Any = 0
    spread: Any = 0

    def scaled(self, share: Any) -> "Reach":
        """Below a dense layer of that share u."""
        return self._replace(
            shift_by_common=share * self.shift_by_common,
            shift_by_overlap=share * self.shift_by_overlap,
            spread_by_common=share * self.spread_by_common,
        )


def below(
    above: Reach, of: Block, channels: Any, shift: Any, shared: Any, *, top: bool = False
) -> Reach:
    """What reaches the output from the kernel of z, of S = `shift` and T = `shared`.

    `top`: the block ends at the output.
    """
    common = (of.joint - 1) / channels + of.gain * of.first * shared
    scatter = of.fourth - 1 if top else 3 * of.fourth - 1
    return Reach(
        shift_by_common=of.first + of.gain * above.shift_by_common,
        shift_by_overlap=2 * of.first + of.overlap * above.shift_by_overlap,
        shift=above.shift
        + above.shift_by_common * common
        + above.shift_by_overlap * of.joint / channels
        + of.first * shift
        + of.second * shared / 2,
        spread_by_common=2 * of.first + of.gain * above.spread_by_common,
        spread=above.spread
        + above.spread_by_common * common
        + of.first**2 * shared
        + scatter / channels,
    )


FREE = Block(1.0, 0.0, 0.0, 1.0, 1.0, 1.0)  # psi = 1, and phi = z where a kernel is below


def block_of(phi: Activation, psi: Activation, q: np.ndarray) -> Block:
    """The moments of phi and psi at z ~ N(0, q), q > 0.

    By parts, with Z = z/sqrt(q), K d' = E psi^2 (Z^2 - 1)/2 and
    K^2 d'' = E psi^2 (Z^4 - 6 Z^2 + 3)/4, free of psi'. Raises NoTheory where a moment
    cannot be had.
    """
    if np.any(q < TINY):
        raise NoTheory("an input is zero here, or too small for fourth powers in floats")
    at = np.ones_like(q) if phi.homogeneous else q
    both = Activation(f"{phi}, {psi}", phi.expression, kinks=tuple({*phi.kinks, *psi.kinks}))

    def mean(function: Any) -> Any:
        return both.moment(lambda z, value, _: function(z, value, psi(z) + 0 * z), at)

    with moments_needed():
        square, slope = phi.second_moment(at), phi.second_moment_slope(at)
        d, two, four = (mean(lambda z, _, s, k=k: z**k * s**2) / at ** (k // 2) for k in (0, 2, 4))
        joint = mean(lambda _, x, s: x**2 * s**2)
        fourth = mean(lambda _, __, s: s**4)
    if np.any(d == 0):
        raise NoTheory(f"{phi} of this value is constant, so it has no gradient")
    return Block(
        gain=at * slope / square,
        first=(two - d) / (2 * d),
        second=(four - 6 * two + 3 * d) / (4 * d),
        overlap=at * slope**2 / (square * d),
        joint=joint / square / d,
        fourth=fourth / d**2,
    )
