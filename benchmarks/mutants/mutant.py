"""A mutant: one plausible mistake, planted in the theory alone or in the engine alone."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property

import numpy as np

from benchmarks.mutants.faces import as_type, with_faces
from varprop.comparison.steps import Step, steps
from varprop.layers import Layer
from varprop.layers.tangents import cross_of
from varprop.moments import Tangents
from varprop.montecarlo import Sample
from varprop.montecarlo.record import Record
from varprop.network import Network, Node
from varprop.theory import predict, tangents

Mistake = Callable[[Node], Layer]


def rule(wrong: type[Layer]) -> Mistake:
    """The wrong rules of a subclass, in the place of those of its layer's class."""
    right = wrong.__bases__[0]
    return lambda node: as_type(wrong, node.layer) if type(node.layer) is right else node.layer


class Side(Enum):
    """Where a mistake is planted; the other side stays true."""

    THEORY = "theory"
    ENGINE = "engine"


THEORY, ENGINE = Side


@dataclass(frozen=True)
class Mutant:
    """`mistake` makes the wrong layer of a node (the node's own where there is none).

    `network` is the true one. `pair`: the mistake is seen with two inputs only. `by_hand`: the
    quantity where it shows first, and the effect (nan if unknown), where no step of the rules has
    it.
    """

    name: str
    sentence: str
    side: Side
    network: Callable[[], Network]
    mistake: Mistake
    pair: bool = False
    by_hand: tuple[str, float] | None = None

    @property
    def inputs(self) -> np.ndarray | None:
        """Two inputs of correlation .6 and lengths 1 and 1.2, or None for a unit input."""
        if not self.pair:
            return None
        n = self.true.sizes[self.true.input]
        x, y = np.sqrt(2) * np.cos(2 * np.pi * np.outer((1, 2), np.arange(n)) / n)
        return np.stack([x, 1.2 * (0.6 * x + 0.8 * y)])

    @property
    def true(self) -> Network:
        return self.network()

    @property
    def wrong(self) -> Network:
        """The mistake on both sides."""
        nodes = tuple(n._replace(layer=self.mistake(n)) for n in self.true)
        return Network(nodes)

    @property
    def planted(self) -> Network:
        """The mistake on its side only."""
        if self.side is Side.THEORY:
            return with_faces(theory=self.wrong, engine=self.true)
        return with_faces(theory=self.true, engine=self.wrong)

    @property
    def lawful(self) -> bool:
        """Whether the mistake makes another network, not a wrong rule or a broken engine."""
        pairs = zip(self.true, self.wrong, strict=True)
        return self.by_hand is None and all(type(a.layer) is type(b.layer) for a, b in pairs)

    @property
    def effect(self) -> tuple[str, float]:
        """The largest of the `effects`, and where it is."""
        at = max(self.effects, key=lambda at: abs(self.effects[at]))
        return " ".join(at).strip(), self.effects[at]

    @cached_property
    def effects(self) -> dict[tuple[str, str], float]:
        """The relative difference at each (node, quantity), measured against expected.

        Positive where the measured is larger. These are the residuals of the steps of the theory's
        network on a sample without noise, which is what the rules give for the engine's network,
        to leading order in the width where they are wide.
        """
        engine_wrong = self.side is Side.ENGINE
        theory, engine = (self.true, self.wrong) if engine_wrong else (self.wrong, self.true)
        if self.by_hand is not None:
            quantity, size = self.by_hand
            return {("", quantity): size}
        found: dict[tuple[str, str], float] = {}
        for step in steps(theory, replace(noiseless(engine, self.inputs), network=theory)):
            at = step.node, step.quantity
            found[at] = max(found.get(at, 0.0), _residual(step), key=abs)
        return found


def _residual(step: Step) -> float:
    if step.refusal:
        raise ValueError(f"{step.node} has no {step.quantity}: {step.refusal}")
    return float("inf") if step.impossible else float(step.residual[0])


def noiseless(network: Network, inputs: np.ndarray | None) -> Sample:
    """One draw at which every average is what the rules predict."""
    theory = predict(network, inputs)
    zero = np.zeros_like(theory.moments[network.input].second)
    start = Tangents(zero[0], zero + 1.0, zero)
    moved = tangents(network, theory.moments, {network.input: start})
    records = {}
    for name, law in theory.moments.items():
        t, back = moved[name], theory.gradients[name].second
        cross = cross_of(law, t)
        fields = law.mean, law.second, 0 * law.mean + 3, t.mean, t.second, cross, back
        records[name] = Record(*(np.asarray(v, float)[None] for v in fields))
    return Sample(network, records, theory.inputs, 1, 0, "rules", "cpu", "float64")
