"""Activations by name."""

import inspect
import re
from difflib import get_close_matches
from typing import Any

import sympy as sp

from varprop.activations import torch_names
from varprop.activations.activation import Activation
from varprop.activations.symbols import Number
from varprop.activations.table import ACTIVATIONS


def get(activation: Any, **parameters: Number) -> Activation:
    """The activation phi of that name: "relu", or "hardtanh" with `low=-2`, or "elu(0.5)".

    An `Activation` is returned as it is; `varprop.activations.ACTIVATIONS` lists the names.
    Names of torch's classes count ("LeakyReLU"), and so do the classes themselves and their
    instances: `get(torch.nn.LeakyReLU(0.2))`, as it is in evaluation mode.

    Raises ValueError for an unknown name or parameter, with the names that exist.
    """
    if isinstance(activation, Activation):
        return activation
    if (
        not isinstance(activation, str)
        and (module := torch_names.module_of(activation)) is not None
    ):
        activation, read = torch_names.read(module)
        parameters = {**read, **parameters}
    match = re.fullmatch(r"(\w+)\s*(?:\((.*)\))?", str(activation))
    name = torch_names.entry_of(match[1] if match else str(activation))
    if name not in ACTIVATIONS:
        near = get_close_matches(name.lower(), ACTIVATIONS, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ValueError(
            f"unknown activation {activation!r}; {hint}known: {', '.join(ACTIVATIONS)}; "
            "or build one with varprop.custom_activation(name, sympy_expression, kinks)"
        )
    factory = ACTIVATIONS[name]
    accepted = inspect.signature(factory).parameters
    takes = ", ".join(accepted) or "no parameter"
    positional: list[float] = []
    if match and match[2] is not None:
        if not accepted:
            raise ValueError(f"{name} takes no parameter; got {activation!r}: write {name!r}")
        positional, named = _written(name, match[2])
        parameters = {**named, **parameters}
    unknown = [key for key in parameters if key not in accepted]
    if unknown:
        raise ValueError(f"{name} takes {takes}; got {', '.join(unknown)}")
    several = [k for k, p in accepted.items() if p.kind is p.VAR_POSITIONAL]
    if several:
        return factory(*positional, *parameters.get(several[0], ()))
    if len(positional) > len(accepted):
        raise ValueError(f"{name} takes {takes}; got {len(positional)} values: {activation!r}")
    twice = [key for key in list(accepted)[: len(positional)] if key in parameters]
    if twice:
        raise ValueError(f"{name} got {', '.join(twice)} twice: {activation!r} and {parameters}")
    return factory(*positional, **parameters)


def _written(name: str, text: str) -> tuple[list[float], dict[str, Any]]:
    """The parameters in the brackets: `0.2`, `-1, 1` or `low=-1, high=1`."""
    positional, named = [], {}
    for part in text.split(","):
        key, equals, value = part.rpartition("=")
        if equals:
            named[key.strip()] = _number(value, name)
        elif named:
            raise ValueError(f"{name}({text}): values without a name come first")
        else:
            positional.append(_number(value, name))
    return positional, named


def _number(text: str, name: str) -> float:
    try:
        return float(sp.Rational(text.strip()))
    except (TypeError, ValueError, OverflowError, ZeroDivisionError):
        raise ValueError(
            f"the parameter of {name} must be a number, got {text.strip()!r}: {name}(0.2)"
        ) from None
