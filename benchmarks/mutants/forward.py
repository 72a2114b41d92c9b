"""Mistakes in the moments of activations, of one input and of pairs."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import sympy as sp
from scipy.stats import chi2

from benchmarks.mutants.mutant import ENGINE, THEORY, Mistake, Mutant, rule
from benchmarks.mutants.networks import LECUN, tanh_net
from varprop.activations import ACTIVATIONS, Activation, X, custom
from varprop.builders import mlp
from varprop.initializers import normal
from varprop.layers import Dense, Elementwise, Layer
from varprop.moments import Moments, correlation, gap_of
from varprop.network import Network, Node


def activation(other: Activation, only: str = "") -> Mistake:
    """Another activation everywhere, or at the node of that name."""

    def mistake(node: Node) -> Layer:
        here = isinstance(node.layer, Elementwise) and only in ("", node.name)
        return Elementwise(other) if here else node.layer

    return mistake


def squares(law: Moments) -> np.ndarray:
    """sqrt(E x^2 E x'^2) over pairs."""
    root = np.sqrt(law.diagonal)
    return root[..., :, None] * root[..., None, :]


def changed(law: Moments, second: np.ndarray) -> Moments:
    return replace(law, second=second, gap=gap_of(second))


@dataclass(frozen=True)
class Centred(Elementwise):
    """Var x for E x^2."""

    def moments(self, name: str, *inputs: Moments) -> Moments:
        law = super().moments(name, *inputs)
        return changed(law, law.second - law.mean[..., :, None] * law.mean[..., None, :])


@dataclass(frozen=True)
class Uncorrelated(Elementwise):
    """E x x' = E x E x' for two inputs."""

    def moments(self, name: str, *inputs: Moments) -> Moments:
        law = super().moments(name, *inputs)
        product = law.mean[..., :, None] * law.mean[..., None, :]
        return changed(law, np.where(np.eye(product.shape[-1]) > 0, law.second, product))


@dataclass(frozen=True)
class SameAngle(Elementwise):
    """The correlation of x, x' is that of z, z'."""

    def moments(self, name: str, *inputs: Moments) -> Moments:
        law = super().moments(name, *inputs)
        return changed(law, correlation(inputs[0].second) * squares(law))


@dataclass(frozen=True)
class ArcSine(Elementwise):
    """The correlation map of erf, (arcsine), in the place of ReLU's (arccosine)."""

    def moments(self, name: str, *inputs: Moments) -> Moments:
        law = super().moments(name, *inputs)
        other = Elementwise(ACTIVATIONS["erf"]()).moments(name, *inputs)
        return changed(law, correlation(other.second) * squares(law))


@dataclass(frozen=True)
class BiasOfItsOwn(Dense):
    """The bias enters E z^2, not E z z'."""

    def moments(self, name: str, *inputs: Moments) -> Moments:
        law = super().moments(name, *inputs)
        eye = np.eye(law.second.shape[-1])
        return changed(law, law.second - (1 - eye) * self.bias_second)


@dataclass(frozen=True)
class MedianLength(Dense):
    """The median of |z|^2/n for its mean."""

    def moments(self, name: str, *inputs: Moments) -> Moments:
        law = super().moments(name, *inputs)
        return changed(law, law.second * float(chi2.median(self.fan_out)) / self.fan_out)


def net(phi: Activation | str) -> Callable[[], Network]:
    return lambda: mlp(32, 3, activation=phi, weights=normal(variance=2 / 32))


def entry(name: str) -> Activation:
    return ACTIVATIONS[name]()


MUTANTS = (
    Mutant(
        "variance for second moment",
        "After ReLU the variance is passed on, not E x^2.",
        THEORY,
        net("relu"),
        rule(Centred),
    ),
    Mutant(
        "median for mean",
        "The median length of a layer of 8 units is taken for the mean length.",
        THEORY,
        lambda: mlp(8, 3, activation="identity", weights=LECUN),
        rule(MedianLength),
    ),
    Mutant(
        "ReLU's half for GELU",
        "E phi^2 = q/2 is used for GELU.",
        THEORY,
        net("gelu"),
        activation(entry("relu")),
    ),
    Mutant(
        "SiLU as GELU",
        "The network computes SiLU where GELU is stated.",
        ENGINE,
        net("gelu"),
        activation(entry("silu")),
    ),
    Mutant(
        "SELU without lambda",
        "The scale 1.0507 of SELU is left out.",
        THEORY,
        net("selu"),
        activation(ACTIVATIONS["elu"](1.6732632423543772)),
    ),
    Mutant(
        "tanh without 1.7159",
        "LeCun's tanh is taken without its factor.",
        THEORY,
        net("lecun_tanh"),
        activation(custom("tanh", sp.tanh(2 * X / 3))),
    ),
    Mutant(
        "erf without sqrt(2)",
        "The network computes erf(z), theory states erf(z/sqrt(2)).",
        ENGINE,
        net(custom("erf", sp.erf(X / sp.sqrt(2)))),
        activation(entry("erf")),
    ),
    Mutant(
        "tanh as the identity",
        "The linear regime of tanh is assumed at pre-activations of variance 2.",
        THEORY,
        net("tanh"),
        activation(entry("identity")),
    ),
    Mutant(
        "one activation too few",
        "The last hidden layer is taken as linear.",
        THEORY,
        net("relu"),
        activation(entry("identity"), "relu_3"),
    ),
    Mutant(
        "sign of the leaky slope",
        "The slope .3 enters with a minus sign: every square is right, the mean is not.",
        ENGINE,
        net(ACTIVATIONS["leaky_relu"](0.3)),
        activation(ACTIVATIONS["leaky_relu"](-0.3)),
    ),
    Mutant(
        "slope forgotten in the call",
        "leaky_relu is called with its default slope .01, theory states .3.",
        ENGINE,
        net(ACTIVATIONS["leaky_relu"](0.3)),
        activation(ACTIVATIONS["leaky_relu"]()),
    ),
    Mutant(
        "two inputs as independent",
        "E x x' is factorised into E x E x'.",
        THEORY,
        net("tanh"),
        rule(Uncorrelated),
        pair=True,
    ),
    Mutant(
        "angles kept",
        "ReLU is taken to keep the correlation of two inputs, as linear layers do.",
        THEORY,
        net("relu"),
        rule(SameAngle),
        pair=True,
    ),
    Mutant(
        "arcsine for arccosine",
        "The correlation map of erf is used for ReLU.",
        THEORY,
        net("relu"),
        rule(ArcSine),
        pair=True,
    ),
    Mutant(
        "a bias for each input",
        "The bias, which two inputs share, is left out of E z z'.",
        THEORY,
        tanh_net,
        rule(BiasOfItsOwn),
        pair=True,
    ),
)
