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
from varprop.montecarlo.streams import start, stream_states
from varprop.network import Network

BLOCK = 8  # draws that share a block
LARGE = 2**15  # parameters of a node and network, from which each network has its own stream
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


@dataclass(frozen=True)
class Storage:
    """How many networks lie in memory at once, and which nodes keep their parameters there."""

    blocks: int
    draws: int
    kept: frozenset[str]

    def groups(self, blocks: range) -> Iterator[Group]:
        for first in range(blocks.start, blocks.stop, self.blocks):
            for draw in range(0, BLOCK, self.draws):
                stop = min(first + self.blocks, blocks.stop)
                yield Group(range(first, stop), range(draw, draw + self.draws))


def plan(network: Network, points: int, size: int, memory: int, keep: bool) -> Storage:
    """The storage for entries of `size` bytes that stays below `memory` bytes where it can.

    With `keep` parameters are needed twice, forward and backward. They are kept where those of at
    least one network fit; else as many nodes are kept as fit, and the others are drawn again.
    """
    owners = [node for node in network if node.layer.parameter_count()]
    weights = {node.name: size * node.layer.parameter_count() for node in owners}
    tiles = [size * max(math.prod(shape) for shape in _tile_shapes(node.layer)) for node in owners]
    values = 4 * size * points * sum(network.sizes.values())  # with tangents, gradients, leaves
    tile, total = max(tiles, default=0), sum(weights.values())
    stacked = sum(weights[n.name] for n in owners if n.layer.parameter_count() < LARGE)
    each = values + (total if keep else tile)
    if BLOCK * each <= memory:
        bound = min(memory, max(STACK, 4 * BLOCK * values) if keep else STACK)
        return Storage(max(1, bound // (BLOCK * each)), BLOCK, frozenset(weights if keep else ()))
    fits = [n for n in (4, 2, 1) if n * each <= memory]
    if fits and stacked * BLOCK / fits[0] <= total:  # whole stacks are drawn for each part
        return Storage(1, fits[0], frozenset(weights if keep else ()))
    draws = next((n for n in (8, 4, 2) if n * (values + 2 * tile) <= memory), 1)
    kept, left = set(), memory - draws * (values + tile)
    for name, bytes_ in weights.items():
        if keep and draws * bytes_ <= left:
            kept.add(name)
            left -= draws * bytes_
    return Storage(1, draws, frozenset(kept))


class Weights:
    """The parameters of a group of networks, node by node, in pieces of output channels."""

    def __init__(
        self,
        network: Network,
        seed: int,
        group: Group,
        kept: frozenset[str],
        dtype: torch.dtype,
        device: torch.device,
        buffer: torch.Tensor | None = None,
    ) -> None:
        self._network, self._seed, self._group = network, seed, group
        self._dtype, self._device = dtype, device
        self._index = {node.name: k for k, node in enumerate(network)}
        self._generator = torch.Generator(device)
        self._drawn: set[str] = set()
        self._places: dict[str, int] = {}  # kept nodes first, one place for all the others behind
        self._end = 0
        for name in kept:
            self._places[name] = self._end
            self._end += self._bytes(network[name].layer.shapes())
        others = [n.layer for n in network if n.name not in kept and n.layer.parameter_count()]
        spare = max((self._bytes(_tile_shapes(layer)) for layer in others), default=0)
        size = self._end + spare
        self._buffer = workspace(size, device) if buffer is None else buffer

    def pieces(self, name: str) -> Iterator[tuple[slice, Parameters]]:
        """Slices of the output channels of a node, and their parameters.

        What is not kept holds until the next piece is asked for.
        """
        layer = self._network[name].layer
        if isinstance(layer, Dense) and layer.tied is not None:
            yield from self.pieces(layer.tied)
            return
        shapes = layer.shapes()
        if not shapes:
            yield slice(None), ()
            return
        starts, step = tile_starts(layer), tile_outputs(layer)
        whole = len(starts) == 1
        place = self._places.get(name)
        for tile, first in enumerate(starts):
            last = None if whole else min(first + step, shapes[0][0])
            some = shapes if last is None else layer.shapes(last - first)
            offset = self._end if place is None else place
            parameters = self._views(some, offset)
            if place is not None:
                place += self._bytes(some)
            if name not in self._drawn:
                self._draw(name, layer, parameters, tile, len(starts))
            yield slice(first, last), parameters
        if name in self._places:
            self._drawn.add(name)

    def _draw(self, name: str, layer: Layer, out: Parameters, tile: int, tiles: int) -> None:
        draws, key = self._group.draws, self._index[name]
        for k, block in enumerate(self._group.blocks):
            mine = tuple(p[k * len(draws) : (k + 1) * len(draws)] for p in out)
            if layer.parameter_count() >= LARGE:
                states = stream_states(self._seed, (block, key), BLOCK * tiles)
                for row, draw in enumerate(draws):
                    generator = start(self._generator, states[draw * tiles + tile])
                    layer.fill(tuple(p[row : row + 1] for p in mine), generator)
                continue
            generator = start(self._generator, stream_states(self._seed, (block, key))[0])
            if len(draws) == BLOCK:
                layer.fill(mine, generator)
                continue
            stack = layer.draw(BLOCK, generator, self._dtype, self._device)
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


def tile_outputs(layer: Layer) -> int | None:
    """Output channels of one tile; None where the layer is one."""
    if layer.parameter_count() < HUGE or not layer.divisible:
        return None
    return max(1, HUGE // sum(math.prod(shape) for shape in layer.shapes(1)))


def tile_starts(layer: Layer) -> range:
    step = tile_outputs(layer)
    return range(1) if step is None else range(0, layer.shapes()[0][0], step)


def _tile_shapes(layer: Layer) -> tuple[tuple[int, ...], ...]:
    step = tile_outputs(layer)
    return layer.shapes() if step is None else layer.shapes(step)
