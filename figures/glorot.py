"""The networks of Glorot and Bengio (2010), figures 6 and 7, on real digits; one drawn by hand.

Five hidden tanh layers and ten outputs, weights U(±1/√n) ("standard") or U(±√6/√(n + n'))
("normalised"), no bias, inputs from scikit-learn's digits with each pixel standardised.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import sympy as sp
import torch

import varprop as vp
from figures.hashing import data_hash

INITS = ("standard", "normalised")
TITLES = {"standard": "U(±1/√n), standard", "normalised": "U(±√6/√(n + n′)), normalised"}
DEPTH, OUTPUTS = 5, 10


def parameters(full: bool) -> dict[str, Any]:
    """The paper's 1000 units a layer, or 300."""
    sizes = {"margin": 0.1, "draws": 1024, "judged_points": 2, "points": 300, "bins": 61}
    return {"width": 1000 if full else 300, **sizes}


def weights(init: str) -> vp.Initializer:
    """U(±1/sqrt(n)) has n Var w = 1/3."""
    if init == "standard":
        return vp.init.variance_scaling(sp.Rational(1, 3), "fan_in", "uniform")
    return vp.init.get("xavier_uniform")


def network(init: str, width: int, inputs: int, readout: bool = True) -> vp.Network:
    output = OUTPUTS if readout else None
    return vp.mlp(
        width, DEPTH, activation="tanh", weights=weights(init), input=inputs, output=output
    )


def pixels() -> np.ndarray:
    """All digits of scikit-learn (1797, 64)."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise ValueError("the digits come with scikit-learn: pip install 'varprop[data]'") from None
    return np.asarray(load_digits(return_X_y=True)[0], dtype=float)


def data(points: int) -> dict[str, Any]:
    """The data in the manifest."""
    x = pixels()
    name = "scikit-learn digits, each pixel standardised"
    return {"name": name, "points": min(points, len(x)), "of": len(x), "sha256": data_hash(x)}


def digits(points: int) -> np.ndarray:
    """The first `points` digits (points, 64), each pixel with mean 0 and variance 1 over all."""
    x = pixels()
    spread = x.std(0)
    return ((x - x.mean(0)) / np.where(spread > 0, spread, 1.0))[:points]


def by_point(net: vp.Network, x: np.ndarray) -> vp.Prediction:
    """The prediction for each input alone, all at once: values have shape (points, 1)."""
    square = np.mean(x**2, axis=1)[:, None, None]
    law = vp.Moments.of_gram(x.mean(1)[:, None], square, frozenset({net.input}))
    return vp.predict(net, law)


def one_network(
    net: vp.Network, x: np.ndarray, seed: int, device: torch.device
) -> tuple[Mapping[str, np.ndarray], Mapping[str, np.ndarray]]:
    """Values and back-propagated gradients (points, channels) of every node of one network.

    The gradient is that of u.y for output cotangents u with random signs, fresh for each input.
    """
    generator = torch.Generator(device)
    generator.manual_seed(seed)
    how = (generator, torch.float32, device)
    values = {net.input: torch.as_tensor(x, dtype=torch.float32, device=device)[None]}
    values[net.input].requires_grad_()
    for name, layer, inputs in net.nodes[1:]:
        values[name] = layer.apply(layer.draw(1, *how), *(values[i] for i in inputs))
    out = values[net.output]
    signs = torch.randint(2, out.shape, generator=generator, device=device) * 2 - 1
    found = torch.autograd.grad(out, list(values.values()), signs.to(out.dtype))
    gradients = dict(zip(values, found, strict=True))
    return _arrays(values), _arrays(gradients)


def _arrays(tensors: Mapping[str, torch.Tensor]) -> dict[str, np.ndarray]:
    return {name: t[0].detach().cpu().numpy().astype(float) for name, t in tensors.items()}


def density(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """The histogram of all values, as a density."""
    counts, _ = np.histogram(values, edges)
    return counts / values.size / np.diff(edges)
