"""What is read off a module without changing it."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from varprop.montecarlo.devices import DTYPES

# torch has one export, one default generator, and a module one mode: threads take turns
one_thread = threading.RLock()


@contextmanager
def evaluated(module: nn.Module) -> Iterator[None]:
    """The module in evaluation mode; afterwards its modes and its buffers are as they were."""
    modes = [(part, part.training) for part in module.modules()]
    buffers = [(part, dict(part._buffers)) for part in module.modules()]
    found = [b for _, own in buffers for b in own.values() if b is not None and _has_values(b)]
    values = [buffer.detach().clone() for buffer in found]
    module.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training
        for part, own in buffers:
            part._buffers.clear()
            part._buffers.update(own)
        _put_back(zip(found, values, strict=True))


@torch.no_grad()
def _put_back(buffers: Iterable[tuple[torch.Tensor, torch.Tensor]]) -> None:
    for buffer, value in buffers:
        if not torch.equal(buffer, value):
            buffer.resize_as_(value).copy_(value)


def _has_values(buffer: torch.Tensor) -> bool:
    return not is_lazy(buffer) and not buffer.is_meta


def likeness(module: nn.Module) -> tuple:
    """Equal for two modules of the same parts, settings and tensors, but for the latter's values.

    What a forward reads from elsewhere than numbers, strings and functions, it cannot see.
    """
    place: dict[int, str] = {}  # a tensor of two names tells a tied layer
    tensors = [
        (name, place.setdefault(id(t), name), t.shape, t.dtype, t.device)
        for name, t in tensors_of(module).items()
    ]
    settings = [
        (path, type(part), part.extra_repr(), {k: v for k, v in vars(part).items() if _told(k, v)})
        for path, part in module.named_modules(remove_duplicate=False)
    ]
    return tensors, settings


def _told(name: str, value: Any) -> bool:
    simple = isinstance(value, bool | int | float | str) or callable(value)
    return simple and name != "training"


def tensors_of(module: nn.Module) -> dict[str, torch.Tensor]:
    """Parameters and buffers by name; one that has several names is there under each."""
    named = module.named_parameters(remove_duplicate=False)
    return {**dict(module.named_buffers(remove_duplicate=False)), **dict(named)}


def kind_of(module: nn.Module) -> tuple[torch.dtype, torch.device]:
    """The dtype and the device of all its floating parameters; raises ValueError for several."""
    floats = [(n, t) for n, t in tensors_of(module).items() if t.is_floating_point()]
    if not floats:
        return torch.get_default_dtype(), torch.device("cpu")
    first, tensor = floats[0]
    for name, other in floats:
        if other.is_inference():
            raise ValueError(
                f"a module must be made outside of torch.inference_mode, got {name} from inside, "
                "of which torch computes no gradients; make it under torch.no_grad"
            )
        if (other.dtype, other.device) != (tensor.dtype, tensor.device):
            raise ValueError(
                "a module must have one dtype and one device, got "
                f"{first} in {tensor.dtype} on {tensor.device} and {name} in {other.dtype} on "
                f"{other.device}; move it with module.to(device, dtype)"
            )
    if tensor.dtype not in DTYPES.values():
        raise ValueError(
            f"a module must compute in one of {', '.join(DTYPES)}, got {tensor.dtype}; "
            "convert it with module.to(torch.float32)"
        )
    return tensor.dtype, tensor.device


def check_module(module: Any) -> nn.Module:
    """The module; raises ValueError for what is none."""
    if isinstance(module, nn.Module):
        return module
    hint = "; call it, and pass what it makes" if callable(module) else ""
    raise ValueError(f"a torch.nn.Module is needed, got {type(module).__name__}{hint}")


def type_name(module: nn.Module) -> str:
    return type(module).__name__
