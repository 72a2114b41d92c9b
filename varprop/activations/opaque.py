"""A torch function as a SymPy function: values and slopes come from torch in float64."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import sympy as sp

from varprop.activations.symbols import X

STEP = 1e-6  # a change over 1e-12 that is a jump
GRID = np.linspace(-10.0037, 10.0041, 4001)  # between whose points a jump is looked for
BISECTIONS = 60  # from 5e-3 to the last digit of a float


class TorchFunction(sp.Function):
    """f, or its derivative of some order, of which nothing but numbers is known."""

    function: Callable
    order: int

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Pickled as its function: a class made at run time cannot be found by name."""
        return _applied, (self.function, self.order, self.args)


def opaque(function: Callable) -> Any:
    """f(X) as an expression; derivatives by autograd."""
    return _class(function, 0)(X)


def is_opaque(expression: sp.Expr) -> bool:
    return expression.has(TorchFunction)


def _applied(function: Callable, order: int, arguments: tuple) -> Any:
    return _class(function, order)(*arguments)


@cache
def _class(function: Callable, order: int) -> type[TorchFunction]:
    def fdiff(self: TorchFunction, argindex: int = 1) -> Any:
        return _class(function, order + 1)(self.args[0])

    members = {
        "function": staticmethod(function),
        "order": order,
        "fdiff": fdiff,
        "_imp_": staticmethod(lambda x: numbers(function, order, x)),
    }
    return type(f"torch_{id(function)}_{order}", (TorchFunction,), members)


def numbers(function: Callable, order: int, x: Any) -> np.ndarray:
    """The derivative of that order at float64 numbers."""
    return tensors(function, order, _tensor(x)).detach().numpy()


def _tensor(x: Any) -> Any:
    import torch

    return torch.as_tensor(np.array(x, float)).requires_grad_()


def tensors(function: Callable, order: int, z: Any) -> Any:
    """The derivative of that order, itself differentiable."""
    import torch

    if order and not z.requires_grad:
        z = z.detach().requires_grad_()
    value = function(z)
    for _ in range(order):
        if not value.requires_grad:
            return torch.zeros_like(z)
        value = torch.autograd.grad(value.sum(), z, create_graph=True, allow_unused=True)[0]
        if value is None:
            return torch.zeros_like(z)
    return value


def checked(name: str, function: Callable, kinks: tuple[float, ...]) -> Callable:
    """The function, if it maps float64 numbers elementwise and jumps nowhere."""
    z = np.array([-2.0, -0.3, 0.4, 1.7])
    try:
        values, alone = numbers(function, 0, z), [float(numbers(function, 0, v)) for v in z]
    except (AttributeError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(
            f"the torch function of {name} must map a float64 tensor to one of its shape; "
            f"it raised {error!r}"
        ) from error
    if values.shape != z.shape or not np.allclose(values, alone, rtol=1e-12, equal_nan=True):
        raise ValueError(
            f"the torch function of {name} must act elementwise; on {z} it gives {values}, on its "
            f"entries one by one {np.array(alone)}"
        )
    for kink in map(float, kinks):
        step = 1e-12 * max(1.0, abs(kink))
        low, high = numbers(function, 0, np.array([kink - step, kink + step]))
        if abs(high - low) > STEP:
            raise ValueError(_jumps(name, kink))
    place = _a_jump(function)
    if place is not None:
        raise ValueError(_jumps(name, round(place, 6) + 0.0))
    return function


def _jumps(name: str, place: float) -> str:
    return (
        f"the torch function of {name} jumps at {place}; give a SymPy expression too, as "
        "jumps are read from expressions"
    )


def _a_jump(function: Callable) -> float | None:
    """A point of the grid's range where f jumps: the halves with the larger step, bisected."""
    low, high = GRID[:-1], GRID[1:]
    below, above = numbers(function, 0, low), numbers(function, 0, high)
    with np.errstate(invalid="ignore", over="ignore"):
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            value = numbers(function, 0, middle)
            left = np.abs(value - below) >= np.abs(above - value)
            low, high = np.where(left, low, middle), np.where(left, middle, high)
            below, above = np.where(left, below, value), np.where(left, value, above)
        jumps = np.abs(above - below) > STEP * np.maximum(1.0, np.abs(below))
    return float(high[np.argmax(jumps)]) if np.any(jumps) else None


def same(name: str, phi: Callable, function: Callable) -> None:
    """Raise ValueError where the torch function is not the expression."""
    z = np.linspace(-5.03, 4.97, 101)
    found, expected = numbers(function, 0, z), np.asarray(phi(z))
    if not np.allclose(found, expected, rtol=1e-9, atol=1e-12):
        at = int(np.argmax(np.abs(found - expected)))
        raise ValueError(
            f"the torch function of {name} is not its expression: at {z[at]:.3g} they are "
            f"{found[at]:.6g} and {expected[at]:.6g}"
        )
