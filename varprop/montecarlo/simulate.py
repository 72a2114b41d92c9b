"""simulate: draw many networks, measure every node."""

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch

from varprop.moments import NOTATION
from varprop.montecarlo import conditional, explicit
from varprop.montecarlo.record import Record, fluctuation
from varprop.network import Network, check_network, unknown
from varprop.results import Result

DTYPES = {
    "float64": torch.float64,
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
FLUCTUATIONS = ("length_fluctuation", "grad_length_fluctuation")  # of many networks
CHUNK_BYTES = 16 * 2**20  # weights held at once by default: about what the caches hold


class Averaged(NamedTuple):
    """A row of a sample: `value` is the average over draws, with its standard error."""

    node: str
    quantity: str
    point: int
    other: int | None
    value: float
    standard_error: float
    position: int | None = None


@dataclass(frozen=True, eq=False, repr=False)
class Sample(Result):
    """Measurements of drawn networks: `values(node, quantity)` has one row per network.

    `inputs` is None for a fresh unit input in each draw. `duality` (draws, points) is the defect
    |u.(J t) - (J'u).t| / (|u| |J t| + |J'u| |t|) of the explicit engine; None for the conditional.
    """

    network: Network
    records: Mapping[str, Record]
    inputs: np.ndarray | None
    draws: int
    seed: int
    engine: str
    device: str
    dtype: str
    duality: np.ndarray | None = None

    @property
    def points(self) -> int:
        return self.records[self.network.input].mean.shape[1]

    def values(self, node: str, quantity: str) -> np.ndarray:
        """One row per network: (draws, points), or (draws, points, points) for pairs."""
        name = self.network[node].name
        record = self.records[name]
        if quantity == "weight_grad_second_moment" and self._has_weights(name):
            x = self.records[self.network[name].inputs[0]]
            return _diagonal(record.grad_second) * _diagonal(x.second)
        if quantity == "ntk" and quantity in self.quantities(name):
            return self._ntk()
        read: dict[str, Callable[[], np.ndarray]] = {
            "mean": lambda: record.mean,
            "second_moment": lambda: _diagonal(record.second),
            "variance": lambda: _diagonal(record.second) - record.mean**2,
            "kurtosis": lambda: record.kurtosis,
            "cross_moment": lambda: record.second,
            "correlation": lambda: _correlation(record.second),
            "grad_second_moment": lambda: _diagonal(record.grad_second),
            "grad_cross_moment": lambda: record.grad_second,
        }
        if quantity in FLUCTUATIONS:
            raise ValueError(
                f"{quantity} is a number of many networks, not one of each: "
                f"read it from {quantity}(node) or frame()"
            )
        if quantity not in read:
            raise unknown(f"quantity of {node}", quantity, self.quantities(node))
        return read[quantity]()

    def length_fluctuation(self, node: str) -> tuple[np.ndarray, np.ndarray]:
        """Var(x.x/n) / (E x.x/n)^2 over the networks, (points,), and its standard error."""
        return fluctuation(self.values(node, "second_moment"))

    def grad_length_fluctuation(self, node: str) -> tuple[np.ndarray, np.ndarray]:
        """Var(g.g/n) / (E g.g/n)^2 over the networks, (points,), and its standard error."""
        return fluctuation(self.values(node, "grad_second_moment"))

    def quantities(self, node: str) -> tuple[str, ...]:
        node = self.network[node].name
        pairs = () if self.points > 1 else ("cross_moment", "correlation", "grad_cross_moment")
        weights = () if self._has_weights(node) else ("weight_grad_second_moment",)
        kernel = node == self.network.output and not self.network.tied
        inner = () if kernel else ("ntk",)
        apart = (*pairs, *weights, *inner, *FLUCTUATIONS)
        return tuple(q for q in NOTATION if q not in apart)

    def _ntk(self) -> np.ndarray:
        """u' Theta(x, x') u / n_L: sum over dense layers of (g.g') (x.x' + 1 with a bias) / n_L."""
        sizes = self.network.sizes
        total = np.zeros_like(self.records[self.network.output].second)
        for name, layer, inputs in self.network:
            if layer.parameter_count():
                bias = layer.parameter_count() > sizes[name] * sizes[inputs[0]]
                x, g = self.records[inputs[0]].second, self.records[name].grad_second
                total = total + sizes[name] * g * (sizes[inputs[0]] * x + bias)
        return total / sizes[self.network.output]

    def _has_weights(self, node: str) -> bool:
        """Whether the node has weights of its own, whose gradient is one product."""
        return self.network[node].layer.parameter_count() > 0 and node not in self.network.tied

    def rows(self) -> Iterator[Any]:
        for name, _, _ in self.network:
            for quantity in self.quantities(name):
                values = self.values(name, quantity)
                average = values.mean(0)
                size = np.where(average == 0, 1.0, np.abs(average))
                error = (values / size).std(0, ddof=1) * size / self.draws**0.5
                for index in np.ndindex(average.shape):
                    repeated = len(index) == 2 and index[0] >= index[1]
                    if repeated and not (quantity == "ntk" and index[0] == index[1]):
                        continue
                    point, other = index[0], index[1] if len(index) > 1 else None
                    numbers = float(average[index]), float(error[index])
                    yield Averaged(name, quantity, point, other, *numbers)
            for quantity, measured in (
                ("length_fluctuation", self.length_fluctuation(name)),
                ("grad_length_fluctuation", self.grad_length_fluctuation(name)),
            ):
                for point, (value, error) in enumerate(zip(*measured, strict=True)):
                    yield Averaged(name, quantity, point, None, float(value), float(error))

    def __str__(self) -> str:
        return (
            f"sample of {self.draws} networks ({self.network}), {self.points} input(s), "
            f"{self.engine} engine, {self.dtype} on {self.device}, seed {self.seed}"
        )


def simulate(
    network: Network,
    inputs: Any = None,
    *,
    draws: int,
    seed: int,
    device: str = "auto",
    dtype: "str | torch.dtype" = "float32",
    engine: str = "auto",
    chunk: int | None = None,
    track_scale: bool = True,
    progress: bool | None = None,
) -> Sample:
    """Measure `draws` networks with fresh parameters at `inputs` (points, channels) or unit inputs.

    `engine`: "explicit" draws real weight tensors; "conditional" is exact in law for dense networks
    of Gaussian or Haar weights at O(n) a layer; "auto" takes the latter where it is exact.
    `chunk` bounds the draws held in memory at once; results do not depend on it. `dtype` is that of
    weights and values; averages are always in float64. `track_scale=False` lets values overflow
    and underflow as in a plain forward pass. `progress` shows a bar (default: on a terminal).

    Raises ValueError for symbolic networks, unfit inputs, an absent device, an engine that is not
    exact for the network.
    """
    check_network(network)
    if network.symbolic:
        raise ValueError(
            "simulate needs numbers, and this network has SymPy symbols; "
            "build it with numeric widths and variances, or use predict for formulas"
        )
    draws, seed = whole("draws", draws, least=2), whole("seed", seed, least=0)
    chunk = None if chunk is None else whole("chunk", chunk, least=1)
    place, kind = find_device(device), find_dtype(dtype)
    x = None if inputs is None else network.check_inputs(inputs)
    engine = _engine(engine, network, kind, track_scale)
    if engine == "conditional":
        parts = _run_conditional(network, x, draws, seed, place, kind, progress)
        defects = None
    else:
        size = _chunk(network, chunk, kind)
        parts, defects = _run_explicit(
            network, x, draws, seed, place, kind, size, track_scale, progress
        )
    records = {name: Record.joined([part[name] for part in parts], draws) for name, _, _ in network}
    name = str(kind).removeprefix("torch.")
    return Sample(network, records, x, draws, seed, engine, str(place), name, defects)


def find_device(device: str) -> torch.device:
    """The torch device; "auto" is CUDA where there is one."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        place = torch.device(device)
    except (RuntimeError, TypeError):
        place = None
    if place is None or place.type not in ("cpu", "cuda"):
        raise ValueError(f"unknown device {device!r}; use 'auto', 'cpu', 'cuda'")
    if place.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device {device!r} asked for, but torch finds no CUDA device; use 'cpu'")
    return place


def find_dtype(dtype: "str | torch.dtype") -> torch.dtype:
    name = str(dtype).removeprefix("torch.")
    if name not in DTYPES:
        raise ValueError(f"unknown dtype {dtype!r}; use one of {', '.join(DTYPES)}")
    return DTYPES[name]


def _engine(engine: str, network: Network, dtype: torch.dtype, track_scale: bool) -> str:
    if engine not in ("auto", "explicit", "conditional"):
        raise ValueError(f"unknown engine {engine!r}; use 'auto', 'explicit' or 'conditional'")
    reason = conditional.why_not(network)
    if engine == "conditional" and reason is not None:
        raise ValueError(f"the conditional engine is not exact here: {reason}; use 'explicit'")
    if engine != "auto":
        return engine
    coarse = dtype in (torch.float16, torch.bfloat16) or not track_scale
    return "explicit" if reason is not None or coarse else "conditional"


def _chunk(network: Network, chunk: int | None, dtype: torch.dtype) -> int:
    """Blocks of the explicit engine that are held at once."""
    if chunk is not None:
        return -(-chunk // explicit.BLOCK)
    size = torch.finfo(dtype).bits // 8 * max(1, network.parameter_count)
    return max(1, CHUNK_BYTES // (size * explicit.BLOCK))


def _run_explicit(
    network: Network,
    x: np.ndarray | None,
    draws: int,
    seed: int,
    device: torch.device,
    dtype: torch.dtype,
    step: int,
    track_scale: bool,
    progress: bool | None,
) -> tuple[list[dict[str, Record]], np.ndarray]:
    blocks = -(-draws // explicit.BLOCK)
    parts, defects = [], []
    for start in tracked(range(0, blocks, step), "drawing networks", progress):
        some = range(start, min(start + step, blocks))
        records, defect = explicit.run_blocks(network, x, seed, some, device, dtype, track_scale)
        parts.append(records)
        defects.append(defect)
    return parts, np.concatenate(defects)[:draws]


def _run_conditional(
    network: Network,
    x: np.ndarray | None,
    draws: int,
    seed: int,
    device: torch.device,
    dtype: torch.dtype,
    progress: bool | None,
) -> list[dict[str, Record]]:
    blocks, workspace = range(-(-draws // conditional.BLOCK)), conditional.Workspace()
    return [
        conditional.run_block(network, x, seed, block, device, dtype=dtype, workspace=workspace)
        for block in tracked(blocks, "drawing networks", progress)
    ]


def tracked(steps: range, what: str, progress: bool | None) -> Any:
    """The steps, with a progress bar where wanted: by default for several steps on a terminal."""
    if progress is None:
        progress = len(steps) > 8 and sys.stderr.isatty()
    if not progress:
        return steps
    from rich.console import Console
    from rich.progress import track

    return track(steps, what, console=Console(stderr=True), transient=True)


def whole(name: str, value: Any, least: int) -> int:
    """The value as an int; ValueError for what is no whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}")
    return int(value)


def _diagonal(matrix: np.ndarray) -> np.ndarray:
    return np.diagonal(matrix, axis1=-2, axis2=-1)


def _correlation(second: np.ndarray) -> np.ndarray:
    root = np.sqrt(_diagonal(second))  # a product of squares may leave the range of floats
    with np.errstate(invalid="ignore", divide="ignore"):
        return second / root[..., :, None] / root[..., None, :]
