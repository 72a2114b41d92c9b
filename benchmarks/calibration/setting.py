"""Where error rates are measured: one family of networks, its inputs and its engine."""

from dataclasses import dataclass
from math import sqrt

import numpy as np

import varprop as vp
from varprop.activations import get as activation
from varprop.initializers import Initializer, normal, orthogonal, sparse, variance_scaling
from varprop.layers import Dense, Elementwise
from varprop.network import Graph, Network

SCALES = {"relu": 2.0, "identity": 1.0, "tanh": 1.5, "gelu": 2.5}  # fan_in Var W
BIASES = {"tanh": 0.1, "gelu": 0.1}  # variances; none elsewhere
SPARSITY = 0.5
INPUTS_SEED = 2024  # the inputs are part of the setting: every study has the same


@dataclass(frozen=True)
class Setting:
    """`depth` square blocks z = W x + b, x = phi(z), and a dense readout.

    `weights`: a distribution of `variance_scaling`, "orthogonal" or "sparse", of variance
    scale / width with the scale of the activation. `inputs`: 1 is a unit input, fresh in each draw;
    more are fixed Gaussian vectors. `backward=False` measures values alone.
    """

    width: int
    depth: int
    activation: str = "relu"
    weights: str = "normal"
    inputs: int = 1
    engine: str = "conditional"
    backward: bool = True

    def network(self, factor: float = 1.0, planted: str = "none") -> Network:
        """The network, with variances `factor` times as large in the layers that are planted."""
        graph, phi = Graph(self.width), activation(self.activation)
        x, faulty = graph.input, self.faulty(planted)
        for level in range(self.depth + 1):
            own = factor if level in faulty else 1.0
            law = normal(variance=own * BIASES[self.activation]) if self.biased else None
            x = graph.add(Dense(self.width, self.width, self._law(own), law), x)
            if level < self.depth and self.activation != "identity":
                x = graph.add(Elementwise(phi), x)
        return graph.network()

    def faulty(self, planted: str) -> range:
        """The layers in which a fault lies: none, the one in the middle, the readout, or all."""
        middle, last = self.depth // 2, self.depth
        return {
            "none": range(0),
            "one": range(middle, middle + 1),
            "readout": range(last, last + 1),
            "all": range(last + 1),
        }[planted]

    @property
    def biased(self) -> bool:
        return self.activation in BIASES

    def _law(self, factor: float) -> Initializer:
        scale = factor * SCALES[self.activation]
        if self.weights == "orthogonal":
            return orthogonal(gain=sqrt(scale))
        if self.weights == "sparse":
            return sparse(SPARSITY, sqrt(scale / self.width / (1 - SPARSITY)))
        return variance_scaling(scale, "fan_in", self.weights)

    def points(self) -> np.ndarray | None:
        if self.inputs == 1:
            return None
        return np.random.default_rng(INPUTS_SEED).normal(size=(self.inputs, self.width))

    def predict(self) -> vp.Prediction:
        return vp.predict(self.network(), self.points())

    def simulate(self, network: Network, draws: int, seed: int) -> vp.Sample:
        how = {"engine": self.engine, "backward": self.backward, "device": "cpu"}
        return vp.simulate(network, self.points(), draws=draws, seed=seed, progress=False, **how)

    def __str__(self) -> str:
        inputs = "" if self.inputs == 1 else f", {self.inputs} inputs"
        values = "" if self.backward else ", values only"
        return (
            f"{self.activation}, {self.weights}, width {self.width}, depth {self.depth}"
            f"{inputs}{values}, {self.engine}"
        )
