"""The neural tangent kernel at the output, in both parametrisations.

    Theta(x, x') = (1/n_L) sum over dense layers of fan_out E g.g' (a fan_in E x.x' + b)

with g = dL/dz of the layer, x its input, both per channel; a and b are the rates of weights and
biases. Standard: every weight and bias is a parameter of rate one (a = 1, b = 1). NTK
parametrisation, W = sigma_w/sqrt(fan_in) w and b = sigma_b beta with w, beta of unit variance as
the parameters (Jacot, Gabriel & Hongler 2018): a = Var(W), b = E b^2.
"""

from typing import Any

import numpy as np

from varprop.layers import Dense
from varprop.network import Network
from varprop.theory.predict import predict

PARAMETRISATIONS = ("standard", "ntk")


def ntk(network: Network, inputs: Any = None, parametrisation: str = "standard") -> np.ndarray:
    """Theta (points, points), per output channel: numbers, or SymPy for a symbolic network.

    "standard" is the `ntk` of `predict`; it grows like the width, where "ntk" stays finite.

    Raises ValueError for an unknown parametrisation, and where `predict` does.
    """
    if parametrisation not in PARAMETRISATIONS:
        raise ValueError(f"parametrisation must be 'standard' or 'ntk', got {parametrisation!r}")
    theory = predict(network, inputs)
    if parametrisation == "standard":
        return theory.value(network.output, "ntk")
    total = 0 * theory.moments[network.output].second
    for name, layer, (before, *_) in network.nodes[1:]:
        if isinstance(layer, Dense):
            x, g = theory.moments[before].second, theory.gradients[name].second
            rate = layer.weight_variance * layer.fan_in * x + layer.bias_second
            total = total + layer.fan_out * g * rate
    return total / network.sizes[network.output]
