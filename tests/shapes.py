"""The shapes that the docstrings promise, checked on every state that any test builds."""

from collections.abc import Callable
from typing import Any

import numpy as np
from beartype import beartype
from jaxtyping import Bool, Float, Shaped, jaxtyped

from varprop.comparison.steps import Step
from varprop.moments import Gradients, Moments, Tangents
from varprop.montecarlo.record import Record

checked = jaxtyped(typechecker=beartype)
# Entries are floats, or SymPy expressions in object arrays: any dtype, one shape.
Sites = Shaped[np.ndarray, "*cases sites"]
Pairs = Shaped[np.ndarray, "*cases sites sites"]
Rows = Float[np.ndarray, "draws points"]
RowPairs = Float[np.ndarray, "draws points points"]
Draws = Float[np.ndarray, "draws"]
Flags = Bool[np.ndarray, "draws"]


@checked
def moments(mean: Sites, second: Pairs, gap: Pairs) -> None: ...


@checked
def gradients(second: Pairs) -> None: ...


@checked
def tangents(mean: Sites, second: Pairs, cross: Pairs | None) -> None: ...


@checked
def record(
    mean: Rows,
    second: RowPairs,
    kurtosis: Rows,
    tangent_mean: Rows | None,
    tangent_second: RowPairs | None,
    tangent_cross: RowPairs | None,
    grad_second: RowPairs | None,
) -> None: ...


@checked
def step(residual: Draws, variance: Draws | None, live: Flags) -> None: ...


CONTRACTS: dict[type, Callable[..., None]] = {
    Moments: moments,
    Gradients: gradients,
    Tangents: tangents,
    Record: record,
    Step: step,
}


def guard(cls: type, contract: Callable[..., None]) -> None:
    """Make `cls` check its arrays whenever one is built."""
    names = [name for name in contract.__annotations__ if name != "return"]
    built = cls.__init__

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        built(self, *args, **kwargs)
        contract(**{name: getattr(self, name) for name in names})

    cls.__init__ = __init__
