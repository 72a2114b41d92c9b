"""Conditional variance and third cumulant of the residuals of one node, where they are known.

For exactly Gaussian pre-activations the channels are iid given the layer below, so both are those
of one channel over n and n^2; elsewhere they are unknown (None).
"""

from typing import Any

import numpy as np

from varprop.activations import Activation, X
from varprop.layers import Dense, Elementwise
from varprop.layers.tangents import tangent_moment, whole_power
from varprop.moments import EXACT, Moments, Tangents
from varprop.network import Node

Array = np.ndarray
Pair = tuple[Array | None, Array | None]

CONSTANT = 1e-12  # a relative variance that is rounding


class Cumulants:
    """Of one node with law `law`, given the laws and tangents of its inputs; `size` channels.

    Relative to the unit of the residual, so that no power of a large or small signal is formed.
    """

    def __init__(
        self,
        node: Node,
        law: Moments,
        before: tuple[Moments, ...],
        moving: tuple[Any, ...],  # None where only values were measured
        size: int,
    ) -> None:
        self.layer, self.law, self.size = node.layer, law, size
        self.z, self.y = before[0], moving[0]
        linear = isinstance(node.layer, Dense) or (
            isinstance(node.layer, Elementwise) and node.layer.activation.expression == X
        )
        self.dense = linear and law.gaussian == EXACT  # of a Gaussian law, chi-square
        self.activated = isinstance(node.layer, Elementwise) and self.z.gaussian == EXACT
        self.draws = len(law.mean)

    def _channel(self, variance: Array, third: Array) -> tuple[Array, Array]:
        full = np.ones(self.draws)
        return full * variance / self.size, full * third / self.size**2

    def second(self, p: int) -> Pair:
        if self.dense:  # chi-square
            return self._channel(np.array(2.0), np.array(8.0))
        if not self.activated:
            return None, None
        phi, q = self._phi(p)
        m2 = phi.second_moment(q)
        m4 = phi.fourth_moment(q)
        m6 = phi.moment(lambda z, value, _: whole_power(value, 6), q, 6)
        return self._channel(*_relative(m2, m4, m6))

    def mean(self, p: int) -> Pair:
        if not self.activated:
            return None, None
        phi, q = self._phi(p)
        m1, m2 = phi.mean(q), phi.second_moment(q)
        m3 = phi.moment(lambda z, value, _: whole_power(value, 3), q, 3)
        unit = np.where(m2 > 0, m2, 1.0)
        variance = np.where(m2 > 0, np.maximum(m2 - m1**2, 0.0) / unit, 0.0)
        return self._channel(variance, (m3 - 3 * m1 * m2 + 2 * m1**3) / unit**1.5)

    def cross(self, p: int, o: int) -> Pair:
        return self._product(self.law.second, p, o)

    def tangents(self, moved: Tangents, p: int, o: int) -> Pair:
        return self._product(moved.second, p, o)

    def _product(self, second: Array, p: int, o: int) -> Pair:
        """Of z z' for normal z, z' with these second moments."""
        if not self.dense:
            return None, None
        scale = np.sqrt(second[:, p, p]) * np.sqrt(second[:, o, o])
        c = second[:, p, o] / np.where(scale > 0, scale, 1.0)
        return self._channel(1 + c**2, 6 * c + 2 * c**3)

    def tangent(self, p: int) -> Pair:
        if self.dense:
            return self._channel(np.array(2.0), np.array(8.0))
        if not self.activated:
            return None, None
        phi, q = self._phi(p)
        live, second = self.z.diagonal[:, p] > 0, self.y.diagonal[:, p]
        size = np.sqrt(np.where(second > 0, second, 1.0))
        root = np.sqrt(np.where(live, self.z.diagonal[:, p], 1.0))
        square = (self.y.cross[:, p, p] / root / size) ** 2  # what z explains of y^2
        rest = np.maximum(1 - square, 0.0)
        m2, m4, m6 = (tangent_moment(phi, q, square, rest, power) for power in (2, 4, 6))
        return self._channel(*_relative(m2, m4, m6))

    def _phi(self, p: int) -> tuple[Activation, Array]:
        """The activation and E z^2 by draw: 1 where the scale of z drops out of every ratio."""
        assert isinstance(self.layer, Elementwise)
        phi, q = self.layer.activation, self.z.diagonal[:, p]
        return phi, np.where(q > 0, 1.0, 0.0) if phi.homogeneous else q


def _relative(m2: Array, m4: Array, m6: Array) -> tuple[Array, Array]:
    """Cumulants two and three of X / E X from E X, E X^2, E X^3; zero where X is constant."""
    unit = np.where(m2 > 0, m2, 1.0)
    spread = m4 / unit**2 - 1
    live = (m2 > 0) & (spread > CONSTANT)
    third = m6 / unit**3 - 3 * m4 / unit**2 + 2
    return np.where(live, spread, 0.0), np.where(live, third, 0.0)
