"""Parameters of drawn networks: where they lie in memory, and which are drawn a second time.

How the streams are cut is fixed by the network alone, so no number depends on memory. A node has
one stream in a block, which draws its parameters for all networks of the block; one for each
network where they are `LARGE`; one for each tile of output channels where they are `HUGE`. So one
network of a block can be drawn without the others, one tile of a layer without the rest, and each
of them again.
"""

import math
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch

from varprop.layers import Dense, Layer
from varprop.layers.base import Parameters
from varprop.montecarlo.streams import Stream, stream_states
from varprop.network import Network, Node

BLOCK = 8  # draws that share a block
LARGE = 2**17  # parameters of a node and network, from which each network has its own stream
HUGE = 2**22  # from which each tile of this many has its own
STACK = 2**24  # bytes of small networks to stack: enough to hide the cost of a call
ALIGN = 64  # bytes

_held = threading.local()


class Group(NamedTuple):
    """Networks that are computed together: whole blocks, or some draws of one block."""

    blocks: range
    draws: range  # within each block

    def __len__(self) -> int:
        return len(self.blocks) * len(self.draws)


class Pieces(NamedTuple):
    """How the parameters of a node are cut: into tiles of output channels, each with its shapes."""

    index: int  # of the node in the network
    layer: Layer
    large: bool  # each network has its own streams
    tiles: tuple[tuple[slice, tuple[tuple[int, ...], ...]], ...]

    @property
    def largest(self) -> int:
        """Parameters of the largest tile of one network."""
        return max(sum(map(math.prod, shapes)) for _, shapes in self.tiles)


def cut(network: Network) -> dict[str, Pieces]:
    """The nodes that have parameters of their own."""
    found = {}
    for index, (name, layer, _) in enumerate(network):
        count = layer.parameter_count()
        if not count:
            continue
        tiles: list = [(slice(None), layer.shapes())]
        if count >= HUGE and layer.divisible:
            outputs, step = (
                layer.shapes()[0][0],
                max(1, HUGE // sum(map(math.prod, layer.shapes(1)))),
            )
            bounds = ((k, min(k + step, outputs)) for k in range(0, outputs, step))
            tiles = [(slice(k, stop), layer.shapes(stop - k)) for k, stop in bounds]
        found[name] = Pieces(index, layer, count >= LARGE, tuple(tiles))
    return found


@dataclass(frozen=True)
class Storage:
    """How many networks lie in memory at once, and which nodes keep their parameters there."""

    nodes: dict[str, Pieces]
    blocks: int
    draws: int
    kept: frozenset[str]

    def groups(self, blocks: range) -> Iterator[Group]:
        for first in range(blocks.start, blocks.stop, self.blocks):
            for draw in range(0, BLOCK, self.draws):
                stop = min(first + self.blocks, blocks.stop)
                yield Group(range(first, stop), range(draw, draw + self.draws))


class Needs(NamedTuple):
    """Bytes of one network: values with tangents, gradients and leaves; its largest tile; all."""

    values: int
    tile: int
    total: int


def needs(network: Network, points: int, size: int) -> Needs:
    """For entries of `size` bytes."""
    pieces = cut(network).values()
    return Needs(
        4 * size * points * sum(network.sizes.values()),
        size * max((piece.largest for piece in pieces), default=0),
        size * sum(piece.layer.parameter_count() for piece in pieces),
    )


def plan(network: Network, points: int, size: int, memory: int, keep: bool) -> Storage:
    """The storage for entries of `size` bytes that stays below `memory` bytes where it can.

    With `keep` parameters are needed twice, forward and backward. They are kept where those of at
    least one network fit; else as many nodes are kept as fit, and the others are drawn again.
    """
    nodes = cut(network)
    weights = {name: size * piece.layer.parameter_count() for name, piece in nodes.items()}
    values, tile, total = needs(network, points, size)
    stacked = sum(weights[name] for name, piece in nodes.items() if not piece.large)
    each = values + (total if keep else tile)
    if BLOCK * each <= memory:
        bound = min(memory, max(STACK, 4 * BLOCK * values) if keep else STACK)
        return Storage(
            nodes, max(1, bound // (BLOCK * each)), BLOCK, frozenset(weights if keep else ())
        )
    fits = [n for n in (4, 2, 1) if n * each <= memory]
    if fits and stacked * BLOCK / fits[0] <= total:  # whole stacks are drawn for each part
        return Storage(nodes, 1, fits[0], frozenset(weights if keep else ()))
    draws = next((n for n in (8, 4, 2) if n * (values + 2 * tile) <= memory), 1)
    kept, left = set(), memory - draws * (values + tile)
    for name, bytes_ in weights.items():
        if keep and draws * bytes_ <= left:
            kept.add(name)
            left -= draws * bytes_
    return Storage(nodes, 1, draws, frozenset(kept))


class Weights:
    """The parameters of a group of networks, node by node, in pieces of output channels."""

    def __init__(
        self,
        storage: Storage,
        seed: int,
        group: Group,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        self._nodes, self._seed, self._group = storage.nodes, seed, group
        self._dtype, self._device = dtype, device
        self._stream = Stream(device)
        self._drawn: set[str] = set()
        self._places: dict[str, int] = {}  # kept nodes first, one place for all the others behind
        self._end = spare = 0
        for name, piece in storage.nodes.items():
            if name in storage.kept:
                self._places[name] = self._end
                self._end += sum(self._bytes(shapes) for _, shapes in piece.tiles)
            else:
                spare = max(spare, *(self._bytes(shapes) for _, shapes in piece.tiles))
        self._buffer = workspace(self._end + spare, device)

    def pieces(self, node: Node) -> Iterator[tuple[slice, Parameters]]:
        """Slices of the output channels of a node, and their parameters.

        What is not kept holds until the next piece is asked for.
        """
        name = node.name
        if isinstance(node.layer, Dense) and node.layer.tied is not None:
            name = node.layer.tied
        if name not in self._nodes:
            yield slice(None), ()
            return
        place = self._places.get(name)
        for tile, (outputs, shapes) in enumerate(self._nodes[name].tiles):
            parameters = self._views(shapes, self._end if place is None else place)
            if place is not None:
                place += self._bytes(shapes)
            if name not in self._drawn:
                self._draw(self._nodes[name], parameters, tile)
            yield outputs, parameters
        if place is not None:
            self._drawn.add(name)

    def _draw(self, piece: Pieces, out: Parameters, tile: int) -> None:
        draws, tiles = self._group.draws, len(piece.tiles)
        for k, block in enumerate(self._group.blocks):
            mine = [p[k * len(draws) : (k + 1) * len(draws)] for p in out]
            if piece.large:
                states = stream_states(self._seed, (block, piece.index), BLOCK * tiles)
                for draw, *own in zip(draws, *(p.split(1) for p in mine), strict=True):
                    piece.layer.fill(tuple(own), self._stream.start(states[draw * tiles + tile]))
                continue
            generator = self._stream.start(stream_states(self._seed, (block, piece.index))[0])
            if len(draws) == BLOCK:
                piece.layer.fill(tuple(mine), generator)
                continue
            stack = piece.layer.draw(BLOCK, generator, self._dtype, self._device)
            for part, full in zip(mine, stack, strict=True):
                part.copy_(full[draws.start : draws.stop])

    def _bytes(self, shapes: tuple[tuple[int, ...], ...]) -> int:
        return sum(self._room(shape) for shape in shapes)

    def _room(self, shape: tuple[int, ...]) -> int:
        size = len(self._group) * math.prod(shape) * self._dtype.itemsize
        return -(-size // ALIGN) * ALIGN

    def _views(self, shapes: tuple[tuple[int, ...], ...], offset: int) -> Parameters:
        views = []
        for shape in shapes:
            full = (len(self._group), *shape)
            piece = self._buffer[offset : offset + math.prod(full) * self._dtype.itemsize]
            views.append(piece.view(self._dtype).view(full))
            offset += self._room(shape)
        return tuple(views)


def workspace(size: int, device: torch.device) -> torch.Tensor:
    """At least `size` bytes that belong to this thread until it asks again.

    Fresh pages cost as much as the normals that are written to them. A CUDA device's allocator
    keeps its pages itself.
    """
    if device.type != "cpu":
        return torch.empty(size, dtype=torch.uint8, device=device)
    buffer = getattr(_held, "buffer", None)
    if buffer is None or not size <= buffer.numel() <= 2 * size + STACK:
        _held.buffer = buffer = None  # before the next is made
        _held.buffer = buffer = torch.empty(size, dtype=torch.uint8)
    return buffer
