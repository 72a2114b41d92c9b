"""Parts of modules whose values have positions, which those of a network have not."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.conv import _ConvNd

from varprop.torch_modules.modules import type_name

POSITIONS: dict[type[nn.Module], str] = {
    _ConvNd: "a convolution",
    nn.RNNBase: "a recurrent layer",
    nn.MultiheadAttention: "an attention layer",
    nn.Embedding: "an embedding",
}


@contextmanager
def blaming_positions(module: nn.Module) -> Iterator[None]:
    """What cannot be read of a module that has such parts is explained by the first of them."""
    try:
        yield
    except ValueError as error:
        for path, part in module.named_modules():
            for kind, what in POSITIONS.items():
                if isinstance(part, kind):
                    raise ValueError(_refusal(module, path, part, what)) from error
        raise


def _refusal(module: nn.Module, path: str, part: nn.Module, what: str) -> str:
    where = f"{path!r} of {type_name(module)}" if path else "the module"
    return (
        f"values must have shape (points, channels), without positions in an image or a sequence, "
        f"but {where} is {what}: {part}; no layer of a network expresses it. Trace the parts "
        "around it by themselves, such as trace(module.head, features) of a dense head"
    )
