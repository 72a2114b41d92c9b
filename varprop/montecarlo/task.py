"""Task: everything that fixes the draws of an experiment, cut into units of work.

A unit is a range of blocks that one engine call draws. The cut depends on the task alone, so a draw
is computed with the same neighbours, to the same bits, whatever runs it and however many are asked
for.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import numpy as np
import torch

from varprop.montecarlo import conditional, explicit
from varprop.montecarlo.devices import DTYPES
from varprop.montecarlo.record import Record, measure
from varprop.montecarlo.shared import own_numbers
from varprop.montecarlo.weights import Needs, needs
from varprop.network import Network

Packed = dict[str, np.ndarray]  # by field of Record: (nodes that have it, draws, ...)

FIRST_DRAWS, FIRST_BYTES = 32, 2 * 2**20  # the first unit: a short run draws few more
MOST_BYTES = 16 * 2**20  # later units double up to this: about what the caches hold
MEASURING = 6 * 8  # bytes an entry: the float64 tensors of `measure`
DUALITY = "duality"  # the defects of the explicit engine, packed like a field of one node


def block_size(engine: str, network: Network, points: int) -> int:
    """Networks that one stream of the engine draws."""
    return explicit.BLOCK if engine == "explicit" else conditional.block_size(network, points)


@dataclass(frozen=True, eq=False)
class Task:
    """`run(blocks)` draws and measures blocks of `block` networks each; `draws` are numbered.

    `inputs` (points, channels), or None for unit inputs; `dtype` is a name. Without `backward` only
    values are measured. `memory`: bytes that a unit of the explicit engine keeps to where it can;
    it changes no draw.
    """

    network: Network
    inputs: np.ndarray | None
    seed: int
    engine: str
    dtype: str
    device: str
    track_scale: bool
    block: int
    backward: bool = True
    memory: int = explicit.MEMORY

    @property
    def points(self) -> int:
        return 1 if self.inputs is None else len(self.inputs)

    def units(self, draws: int) -> list[range]:
        """The units that hold the first `draws` draws; a longer run begins with the same units."""
        blocks, start, units = -(-draws // self.block), 0, []
        size, most = self.unit_sizes
        while start < blocks:
            units.append(range(start, start + size))
            start, size = start + size, min(2 * size, most)
        return units

    @property
    def unit_sizes(self) -> tuple[int, int]:
        """Blocks of the first unit and of the largest ones; units double from one to the other."""
        first = max(1, min(FIRST_DRAWS // self.block, FIRST_BYTES // self.block_bytes))
        return first, max(first, MOST_BYTES // self.block_bytes)

    @property
    def block_bytes(self) -> int:
        """What the weights and values of one block take, about, in the memory of a default run."""
        if self.engine == "conditional":  # random numbers and values, with those of tangents
            numbers = 3 if self.backward else 2
            each = DTYPES[self.dtype].itemsize if self.points == 1 else 8
            return self.block * numbers * each * self.points * sum(self.network.sizes.values())
        one = self._needs
        weights = one.total if self.backward else one.tile
        return min(self.block * (one.values + weights), explicit.MEMORY)

    @property
    def unit_bytes(self) -> int:
        """What the largest unit takes, about: its measurements, and blocks one after another."""
        most = self.unit_sizes[1]
        if self.engine == "conditional":
            return self._beside + self.block_bytes
        return self._beside + max(self._least, min(most * self.block_bytes, self.memory))

    def within(self, memory: int) -> "Task":
        """The task with units of at most `memory` bytes, or the least that they can do with."""
        if self.engine == "conditional" or self.unit_bytes <= memory:
            return self
        return replace(self, memory=max(self._least, memory - self._beside))

    @property
    def _beside(self) -> int:
        """The measurements of the largest unit, and the tensors by which they are made."""
        kept = self.unit_sizes[1] * self.block * self.record_bytes
        if self.engine == "conditional":
            return kept
        widest = 2 * self.points * max(self.network.sizes.values())
        return kept + MEASURING * max(explicit.TOGETHER, widest)

    @property
    def _least(self) -> int:
        """One network, whose weights are drawn tile by tile."""
        return self._needs.values + self._needs.tile

    @property
    def _needs(self) -> Needs:
        return needs(self.network, self.points, DTYPES[self.dtype].itemsize)

    @property
    def record_bytes(self) -> int:
        """What the measurements of one draw take: a few numbers for each node and (pair of) points.

        For one point, 56 bytes a node: 10^5 draws of 50 dense and 50 ReLU layers keep 566 MB.
        """
        zero = torch.zeros(1, self.points, 1)
        one = measure(zero, zero, zero) if self.backward else measure(zero)
        return len(self.network.nodes) * sum(v.nbytes for v in vars(one).values() if v is not None)

    def run(self, blocks: range) -> Packed:
        """The measurements of the draws in `blocks`.

        Raises RuntimeError where the task was cut by a varprop with other blocks.
        """
        block = block_size(self.engine, self.network, self.points)
        if self.block != block:
            raise RuntimeError(
                f"this task has blocks of {self.block} draws, and the {self.engine} engine here "
                f"draws {block}; install one version of varprop on all workers"
            )
        with own_numbers(place := torch.device(self.device)):
            return self._measured(blocks, place)

    def _measured(self, blocks: range, place: torch.device) -> Packed:
        kind = DTYPES[self.dtype]
        if self.engine == "conditional":
            at = (self.network, self.inputs, self.seed)
            how = {"dtype": kind, "backward": self.backward}
            parts = [pack(conditional.run_block(*at, b, place, **how)) for b in blocks]
            return {name: np.concatenate([p[name] for p in parts], 1) for name in parts[0]}
        records, defects = explicit.run_blocks(
            self.network,
            self.inputs,
            self.seed,
            blocks,
            place,
            kind,
            self.track_scale,
            tangents=self.backward,
            backward=self.backward,
            memory=self.memory,
        )
        return pack(records) | ({} if defects is None else {DUALITY: defects[None]})


def pack(records: Mapping[str, Record]) -> Packed:
    """One array for each field of the records, nodes first."""
    packed = {}
    for name in (f.name for f in fields(Record)):
        values = [getattr(record, name) for record in records.values()]
        if any(v is not None for v in values):  # a field is measured everywhere or nowhere
            packed[name] = np.stack(values)
    return packed


def unpack(packed: Packed, names: list[str]) -> dict[str, Record]:
    """Records by name of node; each field is a view of the packed array."""
    known = [f.name for f in fields(Record)]
    return {
        node: Record(**{f: packed[f][i] if f in packed else None for f in known})  # type: ignore
        for i, node in enumerate(names)
    }
