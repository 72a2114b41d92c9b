"""A canonical description of an experiment: the same on every machine, and its hash.

Two equal networks have one description, and two that differ in anything that the draws depend on
have two. It holds names, numbers and expressions: nothing that a process made up (ids, hashes,
addresses).
"""

import contextlib
import functools
import hashlib
import inspect
import json
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import sympy as sp

from varprop.activations.opaque import TorchFunction, numbers

FAR = np.array([17.3, 51.9, 203.0, 1009.0])
PROBES = np.concatenate([-FAR, np.linspace(-8.3, 8.1, 83), FAR])  # where functions are read


def describe(value: Any) -> Any:
    """The value as JSON: numbers, text, lists, and objects with the name of their type.

    Raises ValueError for what has no description that a later process could compare.
    """
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer | sp.Integer):
        return int(value)
    if isinstance(value, float | np.floating | sp.Float):
        number = float(value)
        return int(number) if number.is_integer() else number
    if isinstance(value, sp.Basic):
        return {"sympy": sp.srepr(_named(value))}
    if isinstance(value, np.ndarray):
        return _array(value)
    if is_dataclass(value) and not isinstance(value, type):
        compared = [f.name for f in fields(value) if f.compare]
        return {"type": _name(type(value))} | {n: describe(getattr(value, n)) for n in compared}
    if isinstance(value, dict):
        return {str(key): describe(v) for key, v in sorted(value.items())}
    if isinstance(value, tuple | list):
        return [describe(v) for v in value]
    if callable(value):
        return _function(value)
    raise ValueError(
        f"{value!r} of {_name(type(value))} cannot name an experiment in a store; "
        "use numbers, strings, SymPy expressions, functions, or dataclasses of them"
    )


def digest(description: Any) -> str:
    """The SHA-256 of a description."""
    text = json.dumps(description, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _name(thing: Any) -> str:
    return f"{thing.__module__}.{thing.__qualname__}"


def _array(value: np.ndarray) -> dict[str, Any]:
    data = np.ascontiguousarray(value.astype(value.dtype.newbyteorder("<")))
    return {
        "shape": list(value.shape),
        "dtype": value.dtype.name,
        "sha256": hashlib.sha256(data.tobytes()).hexdigest(),
    }


def _named(expression: Any) -> Any:
    """The expression with torch functions under names that do not depend on the process."""
    found = {type(f) for f in expression.atoms(TorchFunction)}
    for kind in found:
        name = digest(_function(kind.function))
        expression = expression.replace(kind, sp.Function(f"torch_{name}_{kind.order}"))
    return expression


def _function(function: Any) -> dict[str, Any]:
    """A function by its name, its source where it is Python, and its values to ten digits.

    The values tell apart functions of one source that read different constants.
    """
    if isinstance(function, functools.partial):
        return {
            "partial": _function(function.func),
            "arguments": [describe(function.args), describe(function.keywords)],
        }
    named = function if hasattr(function, "__qualname__") else type(function)
    found: dict[str, Any] = {"function": _name(named)}
    if not inspect.isbuiltin(function) and not (named.__module__ or "").startswith("torch."):
        try:
            found["source"] = inspect.getsource(named)
        except (OSError, TypeError):
            raise ValueError(
                f"the function {named.__qualname__} cannot name an experiment in a store, for its "
                "source is unknown; define it in a file"
            ) from None
    with contextlib.suppress(TypeError):  # a function that needs more than a tensor
        found["values"] = [f"{v:.9e}" for v in np.ravel(numbers(function, 0, PROBES))]
    return found
