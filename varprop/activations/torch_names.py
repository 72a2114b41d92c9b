"""torch's names of activations: classes such as "LeakyReLU", modules, and their parameters."""

from collections.abc import Mapping
from typing import Any

from varprop.activations.table import ACTIVATIONS

PARAMETERS: dict[str, dict[str, str]] = {  # torch's names of the parameters, then ours
    "leaky_relu": {"negative_slope": "a"},
    "prelu": {"weight": "a"},
    "rrelu": {"lower": "lower", "upper": "upper"},
    "elu": {"alpha": "alpha"},
    "celu": {"alpha": "alpha"},
    "hardtanh": {"min_val": "low", "max_val": "high"},
    "hardshrink": {"lambd": "a"},
    "softshrink": {"lambd": "a"},
    "threshold": {"threshold": "a", "value": "value"},
    "softplus": {"beta": "beta", "threshold": "threshold"},
}
HOMES = ("torch.nn.modules.activation", "torch.nn.modules.linear")


def _bare(name: str) -> str:
    return name.lower().replace("_", "")


_BARE = {_bare(name): name for name in ACTIVATIONS}


def entry_of(name: str) -> str:
    """The table's name: "LeakyReLU" is leaky_relu; what is not in the table is left as it is."""
    return name if name in ACTIVATIONS else _BARE.get(_bare(name), name)


def module_of(activation: Any) -> Any:
    """The module, made from a class of torch by its defaults; None for what is neither."""
    import torch

    if isinstance(activation, torch.nn.Module):
        return activation
    if not (isinstance(activation, type) and issubclass(activation, torch.nn.Module)):
        return None
    try:
        return activation()
    except TypeError as error:
        raise ValueError(
            f"a class of torch stands for its defaults, and {activation.__name__} has none: pass "
            f"an instance, such as torch.nn.{activation.__name__}(...)"
        ) from error


def read(module: Any) -> tuple[str, Mapping[str, float]]:
    """The table's name and parameters of an activation of torch.nn, in evaluation mode.

    Raises ValueError for any other module, and for a slope of PReLU for each channel.
    """
    kind = type(module)
    name = entry_of(kind.__name__)
    if kind.__module__ not in HOMES or name not in ACTIVATIONS:
        raise ValueError(
            f"an elementwise activation of torch.nn is needed, got {module}; build one of your own "
            "with varprop.custom_activation, or read the whole network with varprop.trace"
        )
    if getattr(module, "approximate", "none") != "none":
        name = f"{name}_{module.approximate}"
    values = {ours: getattr(module, torchs) for torchs, ours in PARAMETERS.get(name, {}).items()}
    return name, {ours: _number(module, value) for ours, value in values.items()}


def _number(module: Any, value: Any) -> float:
    if not hasattr(value, "numel"):
        return float(value)
    if value.numel() != 1:
        raise ValueError(
            f"an activation has one function for all channels, got {module} with {value.numel()} "
            "slopes; use num_parameters=1"
        )
    return value.item()
