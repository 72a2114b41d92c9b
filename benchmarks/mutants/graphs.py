"""Mistakes in what joins branches: sums, scales, weights that are used twice."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import nan, sqrt

import numpy as np

from benchmarks.mutants.forward import changed
from benchmarks.mutants.mutant import ENGINE, THEORY, Mistake, Mutant, rule
from benchmarks.mutants.networks import LECUN
from varprop import activations
from varprop.builders import mlp, residual
from varprop.initializers import kaiming_normal
from varprop.layers import Add, Dense, Elementwise, Layer, Scale
from varprop.moments import Gradients, Moments, Tangents
from varprop.network import Graph, Network, Node

RELU = Elementwise(activations.get("relu"))


@dataclass(frozen=True)
class NoSkip(Add):
    """E y^2 = E b^2: the square of the skip is forgotten."""

    def moments(self, name: str, *inputs: Moments) -> Moments:
        return changed(super().moments(name, *inputs), inputs[1].second)


@dataclass(frozen=True)
class NoCross(Add):
    """E y^2 = E a^2 + E b^2, whatever the means and what the two depend on."""

    def moments(self, name: str, *inputs: Moments) -> Moments:
        a, b = inputs
        return changed(super().moments(name, *inputs), a.second + b.second)


@dataclass(frozen=True)
class BranchAlone(Add):
    """Only the branch carries gradient."""

    def gradients(
        self, name: str, inputs: tuple[Moments, ...], gradient: Gradients
    ) -> tuple[Gradients, ...]:
        return replace(gradient, second=np.zeros_like(gradient.second)), gradient

    def tangents(self, inputs: tuple[Moments, ...], tangents: tuple[Tangents, ...]) -> Tangents:
        return tangents[1]


def factor(change: Callable[[float], float]) -> Mistake:
    """Another factor in every `Scale`."""

    def mistake(node: Node) -> Layer:
        right = node.layer
        return Scale(change(right.factor)) if isinstance(right, Scale) else right

    return mistake


def stack(scale: float = 1.0, phi: str = "relu", closing: bool = False) -> Network:
    return residual(64, 2, activation=phi, scale=scale, closing=closing)


@dataclass(frozen=True)
class TakenAsFresh(Dense):
    """Weights that are used again are taken as fresh, without a word."""

    def _fresh(self) -> Dense:
        return Dense(self.fan_in, self.fan_out, self.weights, self.bias)

    def moments(self, name: str, *inputs: Moments) -> Moments:
        return self._fresh().moments(name, *inputs)

    def gradients(
        self, name: str, inputs: tuple[Moments, ...], gradient: Gradients
    ) -> tuple[Gradients, ...]:
        return self._fresh().gradients(name, inputs, gradient)


def normalized_sums() -> Network:
    """x -> (x + W2 relu(W1 x)) / sqrt(2), twice."""
    graph = Graph(32)
    x = graph.input
    for _ in range(2):
        branch = graph.add(RELU, graph.add(Dense(32, 32, kaiming_normal()), x))
        branch = graph.add(Dense(32, 32, LECUN), branch)
        x = graph.add(Scale(sqrt(0.5)), graph.add(Add(), x, branch))
    return graph.network()


def around_activation() -> Network:
    """z -> z + relu(z) between dense layers."""
    graph = Graph(32)
    x = graph.input
    for _ in range(2):
        z = graph.add(Dense(32, 32, LECUN), x)
        x = graph.add(Add(), z, graph.add(RELU, z))
    graph.add(Dense(32, 32, LECUN), x)
    return graph.network()


MUTANTS = (
    Mutant(
        "forgotten skip",
        "The square of the skip is left out of E (x + f)^2.",
        THEORY,
        lambda: stack(closing=True),
        rule(NoSkip),
    ),
    Mutant(
        "skip as independent",
        "2 E x E f is left out, as if the branch of non-zero mean were centred.",
        THEORY,
        lambda: stack(),
        rule(NoCross),
    ),
    Mutant(
        "one source as two",
        "z and relu(z) are added as if they were uncorrelated.",
        THEORY,
        around_activation,
        rule(NoCross),
    ),
    Mutant(
        "alpha not squared",
        "The scale .8 of a branch multiplies its second moment once.",
        THEORY,
        lambda: stack(0.8),
        factor(sqrt),
    ),
    Mutant(
        "alpha left out",
        "The network does not scale its branches by .5.",
        ENGINE,
        lambda: stack(0.5),
        factor(lambda a: 1.0),
    ),
    Mutant(
        "1/L for 1/sqrt(L)",
        "Branches of a stack of two blocks are scaled by 1/2, theory states 1/sqrt(2).",
        ENGINE,
        lambda: stack(sqrt(0.5), closing=True),
        factor(lambda a: 0.5),
    ),
    Mutant(
        "sums not normalized",
        "The factor 1/sqrt(2) after each sum is left out.",
        THEORY,
        normalized_sums,
        factor(lambda a: 1.0),
    ),
    Mutant(
        "tied weights as independent",
        "One matrix of 8 units is used six times, as over time; theory takes six fresh ones.",
        THEORY,
        lambda: mlp(8, 6, activation="identity", weights=LECUN, output=None, tied=True),
        rule(TakenAsFresh),
        by_hand=(
            "second_moment",
            nan,
        ),  # unknown of one step; over six layers tied_second_moment(6, 8) = 4.2 for 1
    ),
    Mutant(
        "gradient of the branch alone",
        "The gradient that passes the skip is forgotten.",
        THEORY,
        lambda: stack(0.8, closing=True),
        rule(BranchAlone),
    ),
)
