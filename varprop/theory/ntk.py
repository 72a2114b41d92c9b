"""The neural tangent kernel in both parametrisations, for a network and its inputs."""

from typing import Any

import numpy as np

from varprop.network import Network
from varprop.theory.predict import predict
from varprop.theory.tangent_kernel import tangent_kernel, unit_rates, variance_rates

RATES = {"standard": unit_rates, "ntk": variance_rates}


def ntk(network: Network, inputs: Any = None, parametrisation: str = "standard") -> np.ndarray:
    """Theta (points, points), per output channel: numbers, or SymPy for a symbolic network.

        Theta(x, x') = E sum_k rate_k dy(x)/dtheta_k dy(x')/dtheta_k,   over all parameters theta_k

    "standard" has a rate of one for every weight and bias, and is the `ntk` of `predict`; it grows
    like the width. "ntk" writes W = sigma_w w, b = sigma_b beta and stays finite (Jacot, Gabriel &
    Hongler 2018).

    Raises ValueError for an unknown parametrisation, for weights that are used more than once, and
    where `predict` does.
    """
    if not isinstance(parametrisation, str) or parametrisation not in RATES:
        raise ValueError(f"parametrisation must be 'standard' or 'ntk', got {parametrisation!r}")
    theory = predict(network, inputs)
    if network.tied:
        raise ValueError(
            f"the tangent kernel sums over layers of fresh weights, and {min(network.tied)} shares "
            "its own; untie them, or measure it on modules"
        )
    return tangent_kernel(network, theory.moments, theory.gradients, RATES[parametrisation])[0]
