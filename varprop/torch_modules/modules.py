"""What is read off a module without changing it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from varprop.montecarlo.devices import DTYPES

# torch has one export, one default generator, and a module one mode: threads take turns
one_thread = threading.RLock()


@contextmanager
def evaluated(module: nn.Module) -> Iterator[None]:
    """The module in evaluation mode; afterwards every part is in the mode it was in."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training


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
