"""The neural tangent kernel at the output, summed over the layers.

    Theta(x, x') = (1/n_L) sum over dense layers of fan_out E g.g' (a fan_in E x.x' + b)

with g = dL/dz of the layer, x its input, both per channel; a and b are the rates of weights and
biases.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from varprop.layers import Dense
from varprop.moments import EXACT, Gradients, Moments, Regime
from varprop.network import Network

Rates = Callable[[Dense], tuple[Any, Any]]


def unit_rates(layer: Dense) -> tuple[Any, Any]:
    """Standard parametrisation: every weight and bias is a parameter of rate one."""
    return 1, 0 if layer.bias is None else 1


def variance_rates(layer: Dense) -> tuple[Any, Any]:
    """W = sigma_w w and b = sigma_b beta, with w and beta of unit variance as the parameters."""
    return layer.weight_variance, layer.bias_second


def tangent_kernel(
    network: Network,
    moments: Mapping[str, Moments],
    gradients: Mapping[str, Gradients],
    rates: Rates = unit_rates,
) -> tuple[np.ndarray, Regime]:
    """Theta (points, points), per output channel, and how true it is."""
    total, regime = 0 * moments[network.output].second, EXACT
    for name, layer, inputs in network:
        if isinstance(layer, Dense):
            x, g = moments[inputs[0]], gradients[name]
            a, b = rates(layer)
            total = total + layer.fan_out * g.second * (a * layer.fan_in * x.second + b)
            regime = max(regime, g.regime, x.second_regime)
            if len(total) > 1:
                regime = max(regime, g.cross_regime, x.cross_regime)
    return total / network.sizes[network.output], regime
