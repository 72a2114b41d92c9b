"""A torch function from a SymPy expression, differentiable, with the right value on each piece."""

from collections.abc import Callable
from typing import Any

import sympy as sp
from sympy.codegen.cfunctions import expm1

from varprop.activations.opaque import TorchFunction, tensors
from varprop.activations.pieces import find_kinks, pieces
from varprop.activations.special import erfcx, softplus, tanh_residual
from varprop.activations.symbols import X

NAMES: dict[Any, str] = {
    sp.exp: "exp",
    sp.log: "log",
    expm1: "expm1",
    sp.sin: "sin",
    sp.cos: "cos",
    sp.tan: "tan",
    sp.asin: "asin",
    sp.acos: "acos",
    sp.atan: "atan",
    sp.sinh: "sinh",
    sp.cosh: "cosh",
    sp.tanh: "tanh",
    sp.asinh: "asinh",
    sp.erf: "erf",
    sp.erfc: "special.erfc",
    sp.gamma: "special.gamma",
    sp.loggamma: "lgamma",
    sp.Abs: "abs",
    sp.sign: "sign",
    erfcx: "special.erfcx",
}


def torch_code(expression: sp.Expr, kinks: tuple[float, ...] = ()) -> Callable[..., Any]:
    """f(z, *ignored) for tensors.

    Each piece is evaluated on its own interval only, so that no other piece can overflow and make
    its gradient nan; at a kink the value is the expression's own. Raises ValueError for a function
    that torch lacks.
    """
    kinks = tuple(sorted({*kinks, *find_kinks(expression)}))
    parts = pieces(expression, kinks)
    for part in parts:
        _check(part.expression)

    def function(z: Any, *ignored: Any) -> Any:
        import torch

        total = 0 * z
        for low, high, smooth in parts:
            inside = (z > float(low)) & (z <= float(high)) if kinks else torch.ones_like(z).bool()
            inside = inside | z.isnan()
            value = _tensor(smooth, z.clamp(float(low), float(high)) if kinks else z)
            total = torch.where(inside, value, total)
        for kink in kinks:
            total = torch.where(z == kink, total - total.detach() + at[kink], total)
        return total

    at = {kink: float(expression.subs(X, kink)) for kink in kinks}
    return function


def _check(expression: Any) -> None:
    for node in sp.preorder_traversal(expression):
        known = isinstance(
            node, sp.Add | sp.Mul | sp.Pow | softplus | tanh_residual | TorchFunction
        )
        if not known and node.args and node.func not in NAMES:
            raise ValueError(
                f"no torch function is known for {node.func.__name__} in {expression}; give "
                "varprop.custom_activation(..., torch_function=...)"
            )


def _tensor(expression: Any, z: Any) -> Any:
    """The smooth expression at the tensor z."""
    import torch

    if expression == X:
        return z
    if not expression.has(X):
        return torch.full_like(z, float(expression))
    if isinstance(expression, sp.exp):
        return torch.exp(_tensor(expression.args[0], z))
    constant, rest = expression.as_independent(X, as_Add=isinstance(expression, sp.Add))
    if isinstance(expression, sp.Add | sp.Mul):
        arguments = [_tensor(a, z) for a in rest.args] if rest.func == expression.func else []
        arguments = arguments or [_tensor(rest, z)]
        return _fold(expression, float(constant), arguments)
    first: Any = _tensor(expression.args[0], z) if expression.args[0].has(X) else None
    if isinstance(expression, sp.Pow):
        base, power = expression.args
        if power.has(X):
            root: Any = first if base.has(X) else float(base)
            return torch.pow(root, _tensor(power, z))
        return first ** (int(power) if power.is_Integer else float(power))
    if isinstance(expression, softplus):
        return torch.logaddexp(first, torch.zeros_like(z))
    if isinstance(expression, tanh_residual):
        return first - torch.tanh(first)
    if isinstance(expression, TorchFunction):
        return tensors(type(expression).function, expression.order, first)
    return _named(NAMES[expression.func])(first)


def _fold(expression: Any, constant: float, arguments: list) -> Any:
    """Sum or product, without the neutral constant."""
    total, *others = arguments
    for other in others:
        total = total + other if isinstance(expression, sp.Add) else total * other
    if isinstance(expression, sp.Add):
        return total + constant if constant else total
    return total * constant if constant != 1 else total


def _named(path: str) -> Any:
    import torch

    found: Any = torch
    for name in path.split("."):
        found = getattr(found, name)
    return found
