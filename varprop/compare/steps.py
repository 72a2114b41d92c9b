"""One-step residuals: each measured node against what theory expects given the layer below.

The network's theory rules are folded from measured values to the next ones, for all draws at once:

    residual = (measured - E[measured | below]) / unit

has mean zero given the layer below, at any width, where the rule is exact for the law of the
weights; `variance` and `third` are its conditional cumulants where they are known, else None.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from varprop.activations import Activation
from varprop.layers import Dense, Elementwise
from varprop.moments import EXACT, Moments, Tangents
from varprop.montecarlo.record import Record
from varprop.montecarlo.simulate import Sample
from varprop.network import Network, Node

Array = np.ndarray


@dataclass(frozen=True)
class Step:
    """Residuals (draws,) of one node, quantity and point (or pair of points).

    `family` groups steps whose residuals are uncorrelated with each other, so that they add up.
    `exact` says whether the conditional mean is exact at this width.
    """

    node: str
    quantity: str
    point: int
    other: int | None
    family: str
    residual: Array
    exact: bool
    variance: Array | None = None
    third: Array | None = None
    terms: int = 1  # how many steps were added up in it


def steps(network: Network, sample: Sample) -> Iterator[Step]:
    """Every step that the theory of `network` has a rule for, in the order of the nodes.

    Values feed dense layers, or leave the network: there the measured ones replace the expected.
    """
    feeds = {i for node in network for i in node.inputs if isinstance(node.layer, Dense)}
    measured_at = feeds | {network.input, network.output}
    laws: dict[str, Moments] = {}
    slopes: dict[str, Tangents] = {}
    for node in network:
        record = sample.records[node.name]
        if node.inputs:
            before = tuple(laws[i] for i in node.inputs)
            moving = tuple(slopes[i] for i in node.inputs)
            laws[node.name] = node.layer.moments(node.name, *before)
            slopes[node.name] = node.layer.tangents(before, moving)
            size = network.sizes[node.name]
            below = sample.records[node.inputs[0]]
            yield from _node_steps(
                node, laws[node.name], slopes[node.name], record, below, before, moving, size
            )
        if node.name in measured_at:
            laws[node.name] = Moments.of_gram(record.mean, record.second, frozenset({node.name}))
            slopes[node.name] = Tangents(
                record.tangent_mean, record.tangent_second, record.tangent_cross
            )


def _node_steps(
    node: Node,
    law: Moments,
    slope: Tangents,
    record: Record,
    below: Record,
    before: tuple[Moments, ...],
    moving: tuple[Tangents, ...],
    size: int,
) -> Iterator[Step]:
    square, found = law.diagonal, np.diagonal(record.second, axis1=-2, axis2=-1)
    cumulants = _Cumulants(node, law, slope, below, before, moving, size)
    family = "dense" if isinstance(node.layer, Dense) else "activation"
    exact = law.second_regime == EXACT
    for p in range(square.shape[-1]):
        live = square[:, p] > 0
        unit = np.where(live, square[:, p], 1.0)
        residual = np.where(live, found[:, p] / unit - 1, found[:, p])
        variance, third = cumulants.second(p)
        yield Step(node.name, "second_moment", p, None, family, residual, exact, variance, third)
        if family == "activation":
            root = np.sqrt(unit)
            offset = (record.mean[:, p] - law.mean[:, p]) / root
            variance, third = cumulants.mean(p)
            ok = law.mean_regime == EXACT
            yield Step(node.name, "mean", p, None, family, offset, ok, variance, third)
        ahead = np.where(slope.second[:, p] > 0, slope.second[:, p], 1.0)
        moved = np.where(slope.second[:, p] > 0, record.tangent_second[:, p] / ahead - 1, 0.0)
        variance, third = cumulants.tangent(p)
        ok = exact and law.gaussian in (EXACT, None)
        yield Step(node.name, "grad_second_moment", p, None, family, moved, ok, variance, third)
        for o in range(p + 1, square.shape[-1]):
            pair = np.sqrt(
                np.where(square[:, p] * square[:, o] > 0, square[:, p] * square[:, o], 1)
            )
            off = (record.second[:, p, o] - law.second[:, p, o]) / pair
            variance, third = cumulants.cross(p, o)
            ok = law.cross_regime == EXACT
            yield Step(node.name, "cross_moment", p, o, family, off, ok, variance, third)


class _Cumulants:
    """Conditional variance and third cumulant of the residuals of one node, relative to the unit.

    For exactly Gaussian pre-activations the channels are iid given the layer below, so both are
    those of one channel over n and n^2; elsewhere they are unknown.
    """

    def __init__(
        self,
        node: Node,
        law: Moments,
        slope: Tangents,
        below: Record,
        before: tuple[Moments, ...],
        moving: tuple[Tangents, ...],
        size: int,
    ) -> None:
        self.layer, self.law, self.slope, self.size = node.layer, law, slope, size
        self.z = before[0] if before else law
        self.y = moving[0] if moving else slope
        self.below = below
        self.dense = isinstance(node.layer, Dense) and law.gaussian == EXACT
        self.activated = isinstance(node.layer, Elementwise) and self.z.gaussian == EXACT
        self.draws = len(law.mean)

    def _channel(self, variance: Array, third: Array) -> tuple[Array, Array]:
        full = np.ones(self.draws)
        return full * variance / self.size, full * third / self.size**2

    def second(self, p: int) -> tuple[Array | None, Array | None]:
        if self.dense:  # chi-square
            return self._channel(np.array(2.0), np.array(8.0))
        if not self.activated:
            return None, None
        phi, q = self._phi(p)
        m2 = phi.second_moment(q)
        m4 = phi.fourth_moment(q)
        m6 = phi.moment(lambda z, value, _: value**6, q, 6)
        return self._channel(*_relative(m2, m4, m6))

    def mean(self, p: int) -> tuple[Array | None, Array | None]:
        if not self.activated:
            return None, None
        phi, q = self._phi(p)
        m1, m2 = phi.mean(q), phi.second_moment(q)
        m3 = phi.moment(lambda z, value, _: value**3, q, 3)
        unit = np.where(m2 > 0, m2, 1.0)
        variance = np.where(m2 > 0, (m2 - m1**2) / unit, 1.0)
        return self._channel(variance, (m3 - 3 * m1 * m2 + 2 * m1**3) / unit**1.5)

    def cross(self, p: int, o: int) -> tuple[Array | None, Array | None]:
        if not self.dense:
            return None, None
        second = self.law.second
        scale = np.sqrt(second[:, p, p] * second[:, o, o])
        c = second[:, p, o] / np.where(scale > 0, scale, 1.0)
        return self._channel(1 + c**2, 6 * c + 2 * c**3)

    def tangent(self, p: int) -> tuple[Array | None, Array | None]:
        if self.dense:
            return self._channel(np.array(2.0), np.array(8.0))
        if not self.activated:
            return None, None
        phi, q = self._phi(p)
        live = np.where(q > 0, q, 1.0)
        r = self.y.cross[:, p] / live  # y = r z + independent N(0, w)
        w = np.maximum(self.y.second[:, p] - r**2 * live, 0.0)

        def e(power: int, degree: int) -> Array:
            return phi.moment(lambda z, _, slope: slope**power * z**degree, q, degree)

        m2 = r**2 * e(2, 2) + w * e(2, 0)
        m4 = r**4 * e(4, 4) + 6 * r**2 * w * e(4, 2) + 3 * w**2 * e(4, 0)
        m6 = (
            r**6 * e(6, 6)
            + 15 * r**4 * w * e(6, 4)
            + 45 * r**2 * w**2 * e(6, 2)
            + 15 * w**3 * e(6, 0)
        )
        return self._channel(*_relative(m2, m4, m6))

    def _phi(self, p: int) -> tuple[Activation, Array]:
        assert isinstance(self.layer, Elementwise)
        return self.layer.activation, self.z.diagonal[:, p]


def _relative(m2: Array, m4: Array, m6: Array) -> tuple[Array, Array]:
    """Cumulants two and three of X / E X from E X, E X^2, E X^3; a unit where E X = 0."""
    unit = np.where(m2 > 0, m2, 1.0)
    variance = np.where(m2 > 0, m4 / unit**2 - 1, 1.0)
    third = np.where(m2 > 0, m6 / unit**3 - 3 * m4 / unit**2 + 2, 0.0)
    return variance, third
