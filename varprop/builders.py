"""Common networks: the multilayer perceptron and the plain residual stack."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from varprop import activations, initializers
from varprop.activations import Activation
from varprop.initializers import Initializer, variance_scaling
from varprop.layers import Add, Dense, Elementwise, Scale
from varprop.network import Graph, Network

DEEPEST = 1_000_000


def mlp(
    width: Any = None,
    depth: int | None = None,
    *,
    widths: Sequence[Any] | None = None,
    activation: str | Activation = "relu",
    weights: str | Initializer = "kaiming_normal",
    bias: str | Initializer | None = None,
    input: Any = None,
    output: Any = "width",
    tied: bool = False,
) -> Network:
    """`depth` blocks x = phi(W x + b) of `width` channels, then a readout of `output` channels.

    `output=None` leaves the readout out; by default it has the width. `input` is the input size
    (default: the width). `widths=[n_0, ..., n_out]` spells out every size instead, the last being
    the readout's. Weights and biases are initializers or their names; no bias by default.
    `tied`: all blocks of one shape use the weights of the first such block, as a recurrent network
    does over time; this is outside the theory, and `predict` marks it so.

    Raises ValueError for a depth that is no positive integer, a width that is neither that nor a
    SymPy symbol, unknown names, and sizes that are given twice or not at all.
    """
    if (width is None or depth is None) == (widths is None):
        raise ValueError("give either width and depth, or widths=[input, hidden..., output]")
    if widths is not None:
        if input is not None or not _as_wide(output) or width is not None or depth is not None:
            raise ValueError("widths spells out every size; leave width, depth, input, output out")
        if not isinstance(widths, Sequence | np.ndarray) or np.size(widths) < 2:
            raise ValueError(f"widths needs an input and an output size, got {widths!r}")
        first, *hidden, last = widths
    else:
        first = width if input is None else input
        hidden = [width] * _checked_depth(depth)
        last = width if _as_wide(output) else output
    if not isinstance(tied, bool):
        raise ValueError(
            f"tied is True (one matrix for all blocks of a shape) or False, got {tied!r}"
        )
    phi, w, b = activations.get(activation), initializers.get(weights), _bias(bias)
    graph = Graph(first)
    x, size = graph.input, first
    owners: dict[tuple[Any, Any], str] = {}
    for n in hidden:
        dense = graph.add(Dense(size, n, w, b, owners.get((size, n))), x)
        if tied:
            owners.setdefault((size, n), dense)
        x, size = graph.add(Elementwise(phi), dense), n
    if last is not None:
        graph.add(Dense(size, last, w, b), x)
    return graph.network()


def residual(
    width: Any,
    depth: int,
    *,
    activation: str | Activation = "relu",
    weights: str | Initializer = "kaiming_normal",
    branch_weights: str | Initializer | None = None,
    bias: str | Initializer | None = None,
    scale: Any = 1,
    closing: bool = True,
) -> Network:
    """`depth` blocks  x -> x + scale W2 phi(W1 x + b)  of `width` channels.

    With `closing=False` the branch ends in its activation: x -> x + scale phi(W1 x + b).
    `weights` is the law of W1, `branch_weights` that of W2 (default: N(0, 1/fan_in)).

    Raises ValueError for a width or depth that is no positive integer (a width may be a SymPy
    symbol), and for unknown names.
    """
    phi, w, b = activations.get(activation), initializers.get(weights), _bias(bias)
    ending = variance_scaling(1, "fan_in", "normal")
    if branch_weights is not None:
        ending = initializers.get(branch_weights)
    scaled = Scale(scale)
    if not isinstance(closing, bool):
        raise ValueError(f"closing is True (branches end in weights) or False, got {closing!r}")
    graph = Graph(width)
    x = graph.input
    for _ in range(_checked_depth(depth)):
        branch = graph.add(Elementwise(phi), graph.add(Dense(width, width, w, b), x))
        if closing:
            branch = graph.add(Dense(width, width, ending), branch)
        if scale != 1:
            branch = graph.add(scaled, branch)
        x = graph.add(Add(), x, branch)
    return graph.network()


def _as_wide(output: Any) -> bool:
    return isinstance(output, str) and output == "width"


def _bias(bias: str | Initializer | None) -> Initializer | None:
    return None if bias is None else initializers.get(bias)


def _checked_depth(depth: Any) -> int:
    if isinstance(depth, bool) or not isinstance(depth, (int, np.integer)) or depth < 1:
        raise ValueError(f"depth must be a positive integer, got {depth!r}")
    if depth > DEEPEST:
        raise ValueError(
            f"depth must be at most {DEEPEST}, as every layer is a node, got {depth}; "
            "for deeper stacks see varprop.recurrence and varprop.mean_field"
        )
    return int(depth)
