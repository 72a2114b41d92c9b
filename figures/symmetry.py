"""Neurons of one layer that are equal: how far apart they are, and one step of training from there.

Of layers in a chain, all neurons of each but the last are equal if all rows of their weights are,
all biases, and all weights out of them. Parameters are tensors (R, ...) by name, in the order of
the layers, as `Network.draw` makes them.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional

from figures.training.data import Dataset
from figures.training.layers import Pass
from figures.training.network import Network, stream

Parameters = Mapping[str, Tensor]
Optimizer = Callable[[list[Tensor]], torch.optim.Optimizer]


def tied(parameters: Parameters) -> dict[str, Tensor]:
    """The parameters with every neuron of a layer replaced by its first one.

    Inputs and classes are no neurons: the columns of the first layer and the rows of the last stay.
    """
    weights = [name for name in parameters if name.endswith(".weight")]
    equal = {}
    channels = None  # of the layer below, none for the input
    for name in weights:
        weight, bias = parameters[name], parameters[name.replace(".weight", ".bias")]
        runs, rows = weight.shape[:2]
        # After flattening, a column of a dense layer is one place of one channel.
        one = weight.reshape(runs, rows, channels or 1, -1)
        if channels is not None:
            one = one[:, :, :1].expand_as(one)
        if name != weights[-1]:
            one, bias = one[:, :1].expand_as(one), bias[:, :1].expand_as(bias)
        equal[name] = one.reshape(weight.shape)
        equal[name.replace(".weight", ".bias")] = bias.clone()
        channels = rows
    return equal


def parted(parameters: Parameters) -> Tensor:
    """(R,) the largest difference between a neuron's number and that of the layer's first one."""
    equal = tied(parameters)
    gaps = [(w - equal[name]).flatten(1).abs().amax(1) for name, w in parameters.items()]
    return torch.stack(gaps).amax(0)


def parted_by_steps(
    network: Network, start: Parameters, data: Dataset, optimizer: Optimizer, steps: int, batch: int
) -> list[float]:
    """How far each step parts the neurons of a net in float64 that are made equal before it.

    start  parameters (1, ...) of one net; neurons that are not equal at the start stay as they are

    Made equal each time, since matrix products may round equal neurons differently, and training,
    Adam above all, amplifies that.
    """
    held = {name: w.double().clone().requires_grad_() for name, w in start.items()}
    keep_equal = float(parted(start)) == 0
    step = optimizer(list(held.values()))
    images, labels = data.train.double(), data.train_labels
    order = torch.randperm(len(images), generator=stream(0, 1))
    found = []
    for k in range(steps):
        rows = order[(torch.arange(batch) + k * batch) % len(images)]
        step.zero_grad()
        logits = network(images[rows].unsqueeze(1), held, Pass(batch=True))
        functional.cross_entropy(logits[:, 0], labels[rows]).backward()
        step.step()
        now = {name: w.detach() for name, w in held.items()}
        found.append(float(parted(now)))
        if keep_equal:
            for name, w in tied(now).items():
                now[name].copy_(w.clone())
    return found
