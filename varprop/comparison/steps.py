"""One-step residuals: each measured node against what theory expects given the layer below.

The network's theory rules are folded from measured values to the next ones, for all draws at once:

    residual = (measured - E[measured | below]) / unit

has mean zero given the layer below, at any width, where the rule is exact for the law of the
weights; `variance` and `third` are its conditional cumulants where they are known, else None.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from varprop.comparison.cumulants import Cumulants, Pair
from varprop.comparison.rounding import tolerance
from varprop.comparison.vanished import NOTE, Vanished
from varprop.layers import Dense, Elementwise, Layer
from varprop.moments import EXACT, Moments, Tangents
from varprop.montecarlo import Sample
from varprop.montecarlo.record import Record
from varprop.network import Network, Node

Array = np.ndarray
Known = dict[str, Moments]


@dataclass(frozen=True)
class Step:
    """Residuals (draws,) of one node, quantity and point (or pair of points).

    `family` groups steps whose residuals are uncorrelated with each other, so that they add up;
    `sources` are the fresh weights on which the residual depends. `exact`: the conditional mean is
    exact at this width. `live`: the draws in which the residual can fluctuate; `impossible`: a
    draw in which it cannot, and is not zero. `refusal`: why there is no rule, hence no residual.
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
    live: Array = field(default_factory=lambda: np.ones(0, bool))
    impossible: bool = False
    sources: frozenset[str] = frozenset()
    refusal: str = ""
    terms: int = 1  # how many steps were added up in it


def steps(network: Network, sample: Sample) -> Iterator[Step]:
    """Every step that the theory of `network` has a rule for, in the order of the nodes.

    Values feed dense layers, or leave the network: there the measured ones replace the expected.
    So they do where there is no rule. A sample of values alone has no steps of tangents.
    """
    feeds = {i for node in network for i in node.inputs if isinstance(node.layer, Dense)}
    measured_at = feeds | {network.input, network.output}
    laws: Known = {}
    slopes: dict[str, Any] = {}  # None where only values were measured
    above: dict[str, frozenset[str]] = {network.input: frozenset()}
    loose: set[str] = set()  # values whose two parts are known at different moments of the draw
    gone, still = Vanished(), Vanished()  # values, tangents
    for node in network:
        name, record = node.name, sample.records[node.name]
        measured = Moments.of_gram(record.mean, record.second, frozenset({name}))
        moved = None
        if sample.backward:
            moved = Tangents(record.tangent_mean, record.tangent_second, record.tangent_cross)
        square = np.diagonal(record.second, axis1=-2, axis2=-1)
        lost = halted = np.zeros(square.shape, bool)
        ruled = rolled = False  # whether there is a rule for values, for tangents
        if node.inputs:
            before = tuple(laws[i] for i in node.inputs)
            moving = tuple(slopes[i] for i in node.inputs)
            above[name] = frozenset().union(*(above[i] for i in node.inputs))
            if isinstance(node.layer, Dense):
                above[name] |= {name}
            elif loose & set(node.inputs) or _mixed(node, laws, above):
                loose.add(name)
            lost = gone.below(node.inputs)
            try:
                laws[name], ruled = node.layer.moments(name, *before), True
            except ValueError as refusal:
                yield _refused(node, "second_moment", refusal)
            if ruled:
                lost = gone.expect(name, lost, laws[name].diagonal, record.mean, square)
                size, rounding = network.sizes[name], tolerance(sample.dtype)
                place = _Place(node, record, laws[name], before, moving, size, rounding)
                exact = name not in loose
                yield from place.values(exact, lost)
            if ruled and moved is not None:
                halted = lost | still.below(node.inputs)
                try:
                    slopes[name] = slope = after(node.layer, before, moving)
                    halted = still.expect(name, halted, slope.diagonal, moved.mean, moved.diagonal)
                    yield from place.tangents(slope, exact, halted)
                    rolled = True
                except ValueError as refusal:
                    yield _refused(node, "grad_second_moment", refusal)
        if name in measured_at or not ruled:
            laws[name] = measured
            gone.measure(name, lost, record.mean, square)
        if name in measured_at or not rolled:
            slopes[name] = moved
            if moved is not None:
                still.measure(name, halted, moved.mean, moved.diagonal)


def after(layer: Layer, before: tuple[Moments, ...], moving: tuple[Tangents, ...]) -> Tangents:
    """The layer's tangent rule on tangents of unit size: it is homogeneous, and its squares fit.

    Raises ValueError where the layer has no rule.
    """
    largest = np.max([t.diagonal for t in moving], axis=0)
    size = np.sqrt(np.where(largest > 0, largest, 1.0))
    units: dict[int, tuple[Tangents, Tangents]] = {}  # rules ask whether two bases are the same

    def unit(t: Tangents) -> Tangents:
        if id(t) not in units:
            base = None if t.base is None else unit(t.base)
            units[id(t)] = _scaled(np.divide, t, size, base), t
        return units[id(t)][0]

    out = layer.tangents(before, tuple(map(unit, moving)))
    base = next((t for scaled, t in units.values() if scaled is out.base), None)
    return _scaled(np.multiply, out, size, base)


def _scaled(by: np.ufunc, t: Tangents, size: Array, base: Tangents | None) -> Tangents:
    """t multiplied or divided by the size (draws, points)."""
    ours, theirs = size[..., :, None], size[..., None, :]
    cross = None if t.cross is None else by(t.cross, theirs)
    return Tangents(by(t.mean, size), by(by(t.second, ours), theirs), cross, base)


def _mixed(node: Node, laws: Known, above: dict[str, frozenset[str]]) -> bool:
    """Whether a sum adds a value not yet drawn to one that was measured after it was drawn."""
    pairs = [(a, b) for a in node.inputs for b in node.inputs if a != b]
    return any(
        not laws[a].fixed and laws[a].sources & (above[b] - laws[b].sources) for a, b in pairs
    )


def _refused(node: Node, quantity: str, refusal: ValueError) -> Step:
    return Step(node.name, quantity, 0, None, "", np.zeros(0), False, refusal=str(refusal))


class _Place:
    """The steps of one node: measured `record`, expected `law`, from the laws of its inputs."""

    def __init__(
        self,
        node: Node,
        record: Record,
        law: Moments,
        before: tuple[Moments, ...],
        moving: tuple[Any, ...],
        size: int,
        rounding: float,
    ) -> None:
        self.node, self.record, self.law, self.before = node, record, law, before
        self.rounding = rounding
        self.cumulants = Cumulants(node, law, before, moving, size)
        self.family = "dense" if isinstance(node.layer, Dense) else "activation"
        self.root = np.sqrt(law.diagonal)

    def values(self, exact: bool, lost: Array) -> Iterator[Step]:
        law, record, root = self.law, self.record, self.root
        square, found = law.diagonal, np.diagonal(record.second, axis1=-2, axis2=-1)
        for p in range(square.shape[-1]):
            live, q, gone = square[:, p] > 0, square[:, p], lost[:, p]
            sure = exact and law.second_regime == EXACT
            known = self.cumulants.second(p)
            yield self._step("second_moment", p, None, sure, known, found[:, p], q, q, live, gone)
            if self.family == "activation":
                sure = exact and law.mean_regime == EXACT
                known, found_mean, mean = self.cumulants.mean(p), record.mean[:, p], law.mean[:, p]
                size = root[:, p]
                yield self._step("mean", p, None, sure, known, found_mean, mean, size, live, gone)
            for o in range(p + 1, square.shape[-1]):
                sure = exact and law.cross_regime == EXACT
                size, both = root[:, p] * root[:, o], live & (square[:, o] > 0)
                found_pair, pair = record.second[:, p, o], law.second[:, p, o]
                known = self.cumulants.cross(p, o)
                either = gone | lost[:, o]
                yield self._step(
                    "cross_moment", p, o, sure, known, found_pair, pair, size, both, either
                )

    def tangents(self, slope: Tangents, exact: bool, lost: Array) -> Iterator[Step]:
        law, layer = self.law, self.node.layer
        exact = exact and law.gaussian in (EXACT, None)
        own, cross = (exact and r == EXACT for r in (law.second_regime, law.cross_regime))
        square, root = slope.diagonal, np.sqrt(slope.diagonal)
        flat = np.zeros(square.shape, bool)
        if isinstance(layer, Elementwise) and 0.0 in layer.activation.kinks:
            flat = self.before[0].diagonal == 0  # no slope there
        live = (square > 0) & ~flat
        for p in range(square.shape[-1]):
            q, known = square[:, p], self.cumulants.tangent(p)
            found = np.where(flat[:, p], q, self.record.tangent_second[:, p, p])
            yield self._step(
                "grad_second_moment", p, None, own, known, found, q, q, live[:, p], lost[:, p]
            )
            for o in range(p + 1, square.shape[-1]):
                both, either = live[:, p] & live[:, o], lost[:, p] | lost[:, o]
                size, known = root[:, p] * root[:, o], self.cumulants.tangents(slope, p, o)
                pair = slope.second[:, p, o]
                found = np.where(flat[:, p] | flat[:, o], pair, self.record.tangent_second[:, p, o])
                yield self._step(
                    "grad_cross_moment", p, o, cross, known, found, pair, size, both, either
                )

    def _step(
        self,
        quantity: str,
        point: int,
        other: int | None,
        exact: bool,
        known: Pair,
        found: Array,
        expected: Array,
        unit: Array,
        live: Array,
        lost: Array,
    ) -> Step:
        live, found = live & ~lost, np.where(lost, expected, found)
        zero = ~(unit > 0)
        residual = (found - expected) / np.where(zero, 1.0, unit)
        variance, third = known
        if exact and variance is not None and third is not None and np.any(variance > 0):
            live = live & (variance > 0)
            variance, third = np.where(live, variance, 0.0), np.where(live, third, 0.0)
        else:
            variance, third = None, None
        nothing = NOTE if lost.any() and not live.any() else ""
        wrong = np.abs(residual) > np.where(zero, 0.0, self.rounding)
        impossible = exact and bool(np.any(wrong & ~live))
        return Step(
            self.node.name,
            quantity,
            point,
            other,
            self.family,
            np.where(live, residual, 0.0),
            exact,
            variance,
            third,
            live,
            impossible,
            self.law.sources,
            "" if impossible else nothing,
        )
