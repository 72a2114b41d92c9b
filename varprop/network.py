"""The network: a directed acyclic graph of layers."""

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from varprop.gaussian import is_symbolic
from varprop.layers import Dense, Input, Layer

LISTED = 12  # names that an error lists


class Node(NamedTuple):
    """A layer, its name, and the names of the nodes that it reads."""

    name: str
    layer: Layer
    inputs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Network:
    """Nodes, each reading earlier ones; the first is the input, the last the output.

    Raises ValueError for repeated names, unknown inputs, sizes that do not fit, unused nodes.
    """

    nodes: tuple[Node, ...]

    def __post_init__(self) -> None:
        given = self.nodes if isinstance(self.nodes, list | tuple) else (self.nodes,)
        strange = [v for v in given if not isinstance(v, Node) or not isinstance(v.layer, Layer)]
        if strange:
            raise ValueError(
                f"a network is a tuple of varprop.Node(name, layer, inputs), got {strange[0]!r}; "
                "varprop.Graph builds one"
            )
        object.__setattr__(self, "nodes", tuple(given))
        inputs = [node.name for node in self.nodes if isinstance(node.layer, Input)]
        if not self.nodes or inputs != [self.nodes[0].name]:
            raise ValueError(
                "a network begins with one Input node and has no other; got "
                f"{', '.join(inputs) or 'none'} among {len(self.nodes)} nodes"
            )
        repeated = [name for name, n in Counter(v.name for v in self.nodes).items() if n > 1]
        if repeated:
            raise ValueError(f"node names must differ; repeated: {', '.join(repeated)}")
        used = {name for node in self.nodes for name in node.inputs}
        unused = [node.name for node in self.nodes[:-1] if node.name not in used]
        if unused:
            raise ValueError(f"nodes that reach no output: {', '.join(unused)}; remove them")
        _ = self.sizes

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    def __getitem__(self, name: str) -> Node:
        if not isinstance(name, str) or name not in self._by_name:
            raise unknown("node", name, self._by_name)
        return self._by_name[name]

    @cached_property
    def _by_name(self) -> dict[str, Node]:
        return {node.name: node for node in self.nodes}

    @cached_property
    def sizes(self) -> dict[str, Any]:
        """Channels of each node."""
        sizes: dict[str, Any] = {}
        for node in self.nodes:
            missing = [name for name in node.inputs if name not in sizes]
            if missing:
                raise ValueError(f"{node.name} reads {missing[0]!r}, which is not an earlier node")
            self._check_tie(node, sizes)
            try:
                sizes[node.name] = node.layer.size(*(sizes[name] for name in node.inputs))
            except ValueError as error:
                raise ValueError(f"{node.name}: {error}") from None
        return sizes

    def _check_tie(self, node: Node, earlier: Collection[str]) -> None:
        """Raises ValueError for weights tied to no earlier dense layer of the same description."""
        if not isinstance(node.layer, Dense) or node.layer.tied is None:
            return
        owner = self._by_name.get(node.layer.tied)
        if owner is None or owner.name not in earlier:
            raise ValueError(
                f"{node.name} is tied to {node.layer.tied!r}, which is not an earlier node"
            )
        if owner.layer != replace(node.layer, tied=None):
            raise ValueError(
                f"{node.name} is tied to {owner.name}, and both must have the same fans, weights "
                "and bias; tie to a dense node of the same description that is not tied itself"
            )

    @property
    def tied(self) -> frozenset[str]:
        """The dense nodes whose weights are used more than once, and those that use them again."""
        users = [n for n in self.nodes if isinstance(n.layer, Dense) and n.layer.tied]
        return frozenset(n.name for n in users) | {n.layer.tied for n in users}  # type: ignore

    @property
    def input(self) -> str:
        """The name of the first node."""
        return self.nodes[0].name

    @property
    def output(self) -> str:
        """The name of the last node."""
        return self.nodes[-1].name

    @property
    def symbolic(self) -> bool:
        """Whether any width, variance or factor is a SymPy expression with free symbols."""
        values = (v for node in self.nodes for v in node.layer.arguments if is_symbolic(v))
        return any(v.free_symbols for v in values)

    @cached_property
    def parameter_count(self) -> int:
        """Weights and biases of one network; tied ones count once."""
        return sum(node.layer.parameter_count() for node in self.nodes)

    def check_inputs(self, inputs: Any) -> np.ndarray:
        """Real inputs as a float64 array of shape (points, channels); raises what is wrong."""
        if hasattr(inputs, "detach"):  # a torch tensor; NumPy knows no bfloat16
            inputs = inputs.detach().cpu()
            inputs = inputs if inputs.is_complex() else inputs.double()
        try:
            x = np.asarray(inputs)
        except ValueError:
            raise ValueError(
                "inputs must be an array, got rows of different lengths; give all one length"
            ) from None
        if np.iscomplexobj(x) or not np.issubdtype(x.dtype, np.number):
            raise ValueError(
                f"inputs must be real numbers, got an array of {x.dtype}; "
                "give floats of shape (points, channels)"
            )
        x = np.atleast_2d(x.astype(float))
        channels = self.sizes[self.input]
        if x.ndim != 2 or x.shape[1] != channels or not len(x):
            raise ValueError(
                f"inputs must have shape (points, {channels}) for this network, got {x.shape}; "
                "flatten each input to one row"
            )
        bad = np.argwhere(~np.isfinite(x))
        if bad.size:
            point, channel = bad[0]
            raise ValueError(
                f"inputs must be finite; point {point}, channel {channel} is {x[point, channel]} "
                f"({len(bad)} such values). Remove or impute them first"
            )
        return x

    def __str__(self) -> str:
        return f"network of {len(self.nodes)} nodes, {self.input} to {self.output}"


def check_network(network: Any) -> None:
    """Raises ValueError for anything that is no network."""
    if not isinstance(network, Network):
        raise ValueError(
            f"a varprop Network is needed, got {type(network).__name__}; "
            "build one with varprop.mlp, varprop.residual or varprop.Graph"
        )


def check_not_symbolic(network: Any, needs: str, otherwise: str = "") -> None:
    """Raises ValueError for what is no network of numbers; `needs`: "simulate needs"."""
    check_network(network)
    if network.symbolic:
        raise ValueError(
            f"{needs} numbers, and this network has SymPy symbols; "
            f"build it with numeric widths and variances{otherwise}"
        )


def unknown(kind: str, name: Any, known: Collection[str]) -> ValueError:
    """The error for a name that is none of the known ones, with those nearest to it."""
    near = get_close_matches(str(name), known, n=3)
    listed = [*known][:LISTED]
    more = f", ... ({len(known)} in all)" if len(known) > LISTED else ""
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    return ValueError(f"unknown {kind} {name!r}: {hint}known: {', '.join(listed)}{more}")


class ByNode(dict):
    """A table by node name, in which an unknown name is a ValueError."""

    def __getitem__(self, name: Any) -> Any:
        if not isinstance(name, str) or name not in self:
            raise unknown("node", name, self)
        return super().__getitem__(name)


class Graph:
    """Builds a network node by node; names follow the kind: dense_1, relu_1, dense_2, ...

    `channels` is the input size: a whole number or a SymPy symbol.
    """

    def __init__(self, channels: Any) -> None:
        self._nodes = [Node("input", Input(channels))]
        self._counts: Counter[str] = Counter()

    @property
    def input(self) -> str:
        """The name of the input node, which layers read."""
        return self._nodes[0].name

    def add(self, layer: Layer, *inputs: str) -> str:
        """Append a layer that reads the nodes `inputs`; returns the new node's name.

        Raises ValueError for what is no layer.
        """
        if not isinstance(layer, Layer):
            raise ValueError(
                f"a layer is needed, got {layer!r}; make one with varprop.Dense, "
                "varprop.Elementwise, varprop.Add or varprop.Scale"
            )
        self._counts[layer.kind] += 1
        name = f"{layer.kind}_{self._counts[layer.kind]}"
        self._nodes.append(Node(name, layer, inputs))
        return name

    def network(self) -> Network:
        """The network of the nodes added so far; raises ValueError as `Network` does."""
        return Network(tuple(self._nodes))
