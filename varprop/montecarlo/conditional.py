"""The conditional engine: dense Gaussian networks without their weights, exact in law.

Given the vectors V = (x_1, ..., t_1, ...) that enter a layer of iid Gaussian weights, the outputs
H = V W' have iid columns N(0, Var(w) V V'); given V and H,

    W'd = V' (V V')^+ H d + P w,      w ~ N(0, Var(w) |d|^2 I),  P the projection off span(V),

so a layer costs O(n) instead of O(n^2). All in float64. It knows only the description of a network
and is the oracle of the explicit engine.
"""

import numpy as np
import torch

from varprop.layers import Add, Dense, Elementwise, Input, Scale
from varprop.layers.elementwise import torch_function
from varprop.montecarlo.record import Record, measure
from varprop.montecarlo.streams import block_generator, on_sphere, signs
from varprop.network import Network

BLOCK = 128  # draws that share one random stream


def why_not(network: Network) -> str | None:
    """Why the engine is not exact for the network; None where it is."""
    for name, layer, _ in network:
        if isinstance(layer, Dense):
            law = layer.bias_law
            if layer.tied is not None:
                return f"{name} uses the weights of {layer.tied} again"
            if not layer.weight_law.gaussian or layer.weight_law.mean != 0:
                return f"{name} has weights that are not centred Gaussian: {layer.weights}"
            if law is not None and (law.mean != 0 or not (law.gaussian or law.variance == 0)):
                return f"{name} has a bias that is not centred Gaussian: {layer.bias}"
        elif not isinstance(layer, (Add, Elementwise, Input, Scale)):
            return f"{name} is a {layer.kind} layer"
    return None


def run_block(
    network: Network, inputs: np.ndarray | None, seed: int, block: int, device: torch.device
) -> dict[str, Record]:
    """The records of one block of draws."""
    generator = block_generator(seed, block, device)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64, device=device)

    first, last = network.sizes[network.input], network.sizes[network.output]
    t = on_sphere(BLOCK, 1, first, generator, device)
    u = signs(BLOCK, last, generator, device)
    if inputs is None:
        x = on_sphere(BLOCK, 1, first, generator, device)
    else:
        x = torch.as_tensor(inputs, dtype=torch.float64, device=device).expand(BLOCK, -1, -1)
    points = x.shape[1]
    # values and tangents travel together: (draws, 2 points, channels)
    joint = {network.input: torch.cat([x, t.expand_as(x)], 1)}
    linear, slopes = {}, {}
    for name, layer, names in network.nodes[1:]:
        ins = [joint[i] for i in names]
        if isinstance(layer, Dense):
            v = ins[0]
            h = _root(v @ v.mT * layer.weight_variance) @ normal(BLOCK, 2 * points, layer.fan_out)
            linear[name] = v, h
            b = normal(BLOCK, 1, layer.fan_out) * layer.bias_second**0.5
            joint[name] = torch.cat([h[:, :points] + b, h[:, points:]], 1)
        elif isinstance(layer, Elementwise):
            z, y = ins[0][:, :points], ins[0][:, points:]
            value, slopes[name] = _activate(layer, z)
            joint[name] = torch.cat([value, slopes[name] * y], 1)
        elif isinstance(layer, Scale):
            joint[name] = layer.factor * ins[0]
        else:
            joint[name] = ins[0] + ins[1]
    gradients = {network.output: u.expand(BLOCK, points, last)}
    for name, layer, names in reversed(network.nodes[1:]):
        g = gradients[name]
        if isinstance(layer, Dense):
            v, h = linear[name]
            noise = normal(BLOCK, points, layer.fan_in)
            g = _transposed(v, h, g, noise, layer.weight_variance)
        elif isinstance(layer, Elementwise):
            g = slopes[name] * g
        elif isinstance(layer, Scale):
            g = layer.factor * g
        for i in names:
            gradients[i] = gradients[i] + g if i in gradients else g
    return {
        name: measure(joint[name][:, :points], joint[name][:, points:], gradients[name])
        for name, _, _ in network
    }


def _activate(layer: Elementwise, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    with torch.enable_grad():
        z = z.detach().requires_grad_()
        value = torch_function(layer.activation)(z, *layer.activation.arguments)
        (slope,) = torch.autograd.grad(value.sum(), z)
    return value.detach(), slope


def _root(gram: torch.Tensor) -> torch.Tensor:
    """R with R R' = gram, for positive semidefinite matrices; safe for dependent vectors.

    At unit diagonal, so that a small vector beside a large one keeps its digits.
    """
    size, unit = _unit_diagonal(gram)
    values, vectors = torch.linalg.eigh(unit)
    return size * vectors * values.clamp_min(0).sqrt()[..., None, :]


def _unit_diagonal(gram: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """s (draws, points, 1) and unit with gram = s s' unit; a gram that is not finite gives nan."""
    size = gram.diagonal(dim1=-2, dim2=-1).clamp_min(0).sqrt()[..., None]
    live = torch.where(size > 0, size, 1.0)
    unit = gram / live / live.mT
    finite = torch.isfinite(unit).all(-1).all(-1)[:, None, None]
    return torch.where(finite, size, torch.nan), torch.where(finite, unit, 0.0)


def _transposed(
    v: torch.Tensor, h: torch.Tensor, d: torch.Tensor, noise: torch.Tensor, variance: float
) -> torch.Tensor:
    """W'd given V and H = V W', for d of shape (draws, points, fan_out)."""
    size, unit = _unit_diagonal(v @ v.mT)
    live = torch.where(size == 0, 1.0, size)
    v, h = v / live, h / live
    inverse = torch.linalg.pinv(unit, hermitian=True, rtol=1e-11)
    known = (inverse @ (h @ d.mT)).mT @ v
    fresh = _root(d @ d.mT * variance) @ noise
    return known + fresh - (fresh @ v.mT) @ inverse @ v
