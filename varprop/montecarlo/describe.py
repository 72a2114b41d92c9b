"""A canonical description of an experiment: the same on every machine, and its hash.

Two equal networks have one description, and two that differ in anything that the draws depend on
have two. It holds names, numbers and expressions: nothing that a process made up (ids, hashes,
addresses).
"""

import contextlib
import dis
import functools
import hashlib
import inspect
import json
import sys
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np
import sympy as sp
import torch

from varprop.activations.opaque import TorchFunction, numbers

FAR = np.array([17.3, 51.9, 203.0, 1009.0])
PROBES = np.concatenate([-FAR, np.linspace(-8.3, 8.1, 83), FAR])  # where functions are read
REMEDY = "use numbers, strings, SymPy expressions, functions, or dataclasses of them, or no store"
NAMED = {*sys.stdlib_module_names, "torch", "varprop"}  # known by name
ARRAYS = {torch.float64, torch.float32, torch.float16, torch.int64, torch.int32, torch.bool}


def describe(value: Any, within: tuple[Any, ...] = ()) -> Any:
    """The value as JSON: numbers, text, lists, and objects with the name of their type.

    `within`: the functions and objects that hold it. Raises ValueError for what has no description
    that a later process could compare.
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
    if isinstance(value, torch.dtype | torch.device):
        return {"torch": str(value)}
    if isinstance(value, sp.Basic):
        return {"sympy": sp.srepr(_named(value))}
    if isinstance(value, torch.Tensor) and value.dtype in ARRAYS:
        return {"tensor": _array(value.detach().cpu().numpy())}
    if isinstance(value, np.ndarray) and value.dtype != object:
        return _array(value)
    if any(value is holder for holder in within):
        return {"again": [value is holder for holder in within].index(True)}
    if is_dataclass(value) and not isinstance(value, type):
        compared = [f.name for f in fields(value) if f.compare]
        inner = (*within, value)
        kind = {"type": _name(type(value))} | (_class(type(value), inner) if within else {})
        return kind | {n: describe(getattr(value, n), within) for n in compared}
    if isinstance(value, dict):
        return {str(k): describe(value[k], within) for k in sorted(value, key=str)}
    if isinstance(value, tuple | list):
        return [describe(v, within) for v in value]
    if isinstance(value, set | frozenset):
        return {"set": sorted(digest(describe(v, within)) for v in value)}
    if isinstance(value, ModuleType):
        return _module(value)
    if callable(value):
        return _function(value, within)
    raise ValueError(
        f"{value!r} of {_name(type(value))} cannot name an experiment in a store; {REMEDY}"
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


def _function(function: Any, within: tuple[Any, ...] = ()) -> dict[str, Any]:
    """A function by its name, by its source and all that it reads where it is Python, and, unless
    another one holds it, by its values to ten digits.
    """
    found = _callable(function, (*within, function))
    if not within:
        with contextlib.suppress(TypeError):  # a function that needs more than a tensor
            found["values"] = [f"{v:.9e}" for v in np.ravel(numbers(function, 0, PROBES))]
    return found


def _callable(function: Any, within: tuple[Any, ...]) -> dict[str, Any]:
    if isinstance(function, functools.partial):
        return {
            "partial": describe(function.func, within),
            "arguments": [describe(v, within) for v in (function.args, function.keywords)],
        }
    if isinstance(function, type):
        return _class(function, within)
    if isinstance(function, FunctionType):
        return _python(function, within)
    if inspect.ismethod(function):
        return {"method": describe(function.__func__, within)} | _held(function, within)
    if inspect.isbuiltin(function):
        return {"function": _name(function)} | _held(function, within)
    if hasattr(function, "__wrapped__"):  # a cache
        return {"wrapped": describe(function.__wrapped__, within)}
    read = _read(function, vars(function) if hasattr(function, "__dict__") else {}, within)
    return _class(type(function), within) | {"attributes": read}


def _held(method: Any, within: tuple[Any, ...]) -> dict[str, Any]:
    """The object that a method is of; the functions of modules have none."""
    owner = method.__self__
    if owner is None or isinstance(owner, ModuleType):
        return {}
    return {"self": describe(owner, within)}


def _python(function: Any, within: tuple[Any, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {"function": _name(function)}
    top = (function.__module__ or "").partition(".")[0]
    code, closure = function.__code__, function.__closure__ or ()
    if top != "torch":
        found["source"] = _source(code, function.__qualname__)
        if found["source"].count("lambda") > 1:  # which of them
            found["code"] = [[i.opname, i.argrepr.partition(" at 0x")[0]] for i in _steps(code)]
    try:
        read = dict(zip(code.co_freevars, (cell.cell_contents for cell in closure), strict=True))
    except ValueError:
        raise ValueError(
            f"the function {function.__qualname__} reads a variable that is not yet set, and "
            "cannot name an experiment in a store; set it before, or use no store"
        ) from None
    if top not in NAMED:
        names = {i.argval for i in _steps(code) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
        read |= {name: function.__globals__[name] for name in names & {*function.__globals__}}
    found["reads"] = _read(function, read, within)
    found["defaults"] = _read(
        function,
        {"its defaults": function.__defaults__, "its keywords": function.__kwdefaults__},
        within,
    )
    return found


def _class(kind: type, within: tuple[Any, ...]) -> dict[str, Any]:
    """A class by its name, its source, and what its methods read; those of libraries by name."""
    found: dict[str, Any] = {"class": _name(kind)}
    if kind.__module__.partition(".")[0] in NAMED:
        return found
    found["source"] = _source(kind, kind.__qualname__)
    methods = {
        name: method
        for name, method in vars(kind).items()
        if isinstance(method, FunctionType) and name != "__repr__"  # of a dataclass: not written
    }
    written = {n: m for n, m in methods.items() if not m.__code__.co_filename.startswith("<")}
    found["methods"] = _read(kind, written, (*within, kind))
    found["bases"] = [describe(base, (*within, kind)) for base in kind.__bases__]
    return found


def _module(module: ModuleType) -> dict[str, Any]:
    """A module by its name, with its version or its source."""
    found = {"module": module.__name__}
    if module.__name__.partition(".")[0] in NAMED:
        return found
    version = getattr(module, "__version__", None)
    return found | {"version": version or _source(module, module.__name__)}


def _read(reader: Any, values: dict[str, Any], within: tuple[Any, ...]) -> dict[str, Any]:
    """What a function or object reads, by name; raises ValueError with the name."""
    found = {}
    for name in sorted(values):
        try:
            found[name] = describe(values[name], within)
        except ValueError as error:
            who = getattr(reader, "__qualname__", type(reader).__qualname__)
            raise ValueError(f"{who} reads {name}: {error}") from error
    return found


def _steps(code: CodeType) -> Iterator[dis.Instruction]:
    """The instructions of the code and of the functions that are written in it."""
    yield from dis.get_instructions(code)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _steps(constant)


def _source(thing: Any, name: str) -> str:
    try:
        return inspect.getsource(thing)
    except (OSError, TypeError):
        raise ValueError(
            f"the function {name} cannot name an experiment in a store, for its source is unknown; "
            "define it in a file, or use no store"
        ) from None
