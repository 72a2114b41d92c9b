"""predict: fold the rules over a network."""

from typing import Any

import numpy as np
import sympy as sp

from varprop.gaussian import is_symbolic
from varprop.moments import Moments
from varprop.network import ByNode, Network, check_network
from varprop.theory.arguments import check_number
from varprop.theory.fold import backward, forward
from varprop.theory.prediction import Prediction


def predict(network: Network, inputs: Any = None, *, order: int | None = 0) -> Prediction:
    """The theory of a network for `inputs`: the fold of its layers' moment rules.

    Forward from the law of the input to E x, E x^2 and E x x' at each node; backward from output
    cotangents u with E u u' = I to E (dL/dx)^2. Each number has a `Regime`.

    `inputs`: real data of shape (points, channels) (NumPy or torch); None for one input with
    x.x/n = 1; a SymPy expression for one input with that x.x/n; or a `Moments`.

    `order` 0 is the limit of infinite width (exact where the regime says so). 1 adds the 1/n term,
    which is `corrected`, where it is known: second moments, products of two inputs, second moments
    of gradients and the kurtosis of pre-activations (exact after ReLU-like layers) in chains of
    dense layers with Gaussian weights; `notes()` names the assumption that fails elsewhere, and
    says where a network is so deep and narrow that the terms correct nothing. None is the best
    there is: the 1/n term where it is known and small, else the limit. The limit is the default,
    since it is what papers state and the 1/n term of two inputs costs ten two-dimensional
    integrals for each pair and layer.

    Raises ValueError for inputs that do not fit, and for layers without a rule.
    """
    check_network(network)
    whole = isinstance(order, int | np.integer) and not isinstance(order, bool)
    if order is not None and not (whole and order in (0, 1)):
        raise ValueError(
            "order must be 0 (the limit), 1 (with the 1/n term) or None (the best there is), "
            f"got {order!r}"
        )
    start = input_law(network, inputs)
    laws = ByNode(forward(network, {network.input: start}))
    data = None
    if inputs is not None and not isinstance(inputs, Moments) and not _one_symbol(inputs):
        data = network.check_inputs(inputs)
    return Prediction(network, laws, ByNode(backward(network, laws)), data, order)


def input_law(network: Network, inputs: Any) -> Moments:
    """The law of the input node."""
    if isinstance(inputs, Moments):
        return inputs
    if inputs is None:
        return Moments.unit(second=sp.Integer(1) if network.symbolic else 1.0)
    if _one_symbol(inputs):
        check_number("x.x/n", inputs, "declare it positive, or give the inputs", least=0)
        return Moments.unit(second=inputs)
    return Moments.of_data(network.check_inputs(inputs))


def _one_symbol(inputs: Any) -> bool:
    return is_symbolic(inputs) and not isinstance(inputs, np.ndarray)
