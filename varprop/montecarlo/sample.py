"""Sample: what was measured at every node of many drawn networks."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from varprop.moments import NOTATION, correlation
from varprop.montecarlo.record import Record, deviation, fluctuation
from varprop.network import Network, unknown
from varprop.results import Result
from varprop.stats import tail_guard

BACKWARD = frozenset(q for q in NOTATION if "grad" in q) | {"ntk"}  # what needs gradients
TINY, SMALL = 1e-300, 1e-200  # near the end of float64; zeros beside the latter may be lost lengths
FLUCTUATIONS = ("length_fluctuation", "grad_length_fluctuation")  # of many networks


class Averaged(NamedTuple):
    """A row of a sample: `value` is the average over draws, with its standard error
    (nan of one draw).

    `trusted`: no single draw carries either (`stats.tail_guard`); else see `Sample.log_mean`.
    """

    node: str
    quantity: str
    point: int
    other: int | None
    value: float
    standard_error: float
    trusted: bool
    position: int | None = None


@dataclass(frozen=True, eq=False, repr=False)
class Sample(Result):
    """Measurements of drawn networks: `values(node, quantity)` has one row per network.

    `inputs` is None for a fresh unit input in each draw. `duality` (draws, points) is the defect
    |u.(J t) - (J'u).t| / (|u| |J t| + |J'u| |t|) of the explicit engine, or relative to |g| |t| of
    the node where it is largest if the sum cancels; None for the conditional.
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
        """The number of inputs."""
        return self.records[self.network.input].mean.shape[1]

    @property
    def backward(self) -> bool:
        """Whether gradients were measured, and not values alone."""
        return self.records[self.network.input].grad_second is not None

    def values(self, node: str, quantity: str) -> np.ndarray:
        """One row per network: (draws, points), or (draws, points, points) for pairs."""
        name = self.network[node].name
        if quantity in BACKWARD and not self.backward:
            raise not_measured(quantity)
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
            "correlation": lambda: correlation(record.second),
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

    def log_mean(self, node: str, quantity: str) -> tuple[np.ndarray, np.ndarray]:
        """E[log q | q > 0] over networks and its standard error, in the shape of one draw's q.

        For lengths, whose own mean is beyond reach where depth exceeds width; `length_law` and
        `gradient_law` know it exactly. Raises ValueError for quantities with negative values, and
        where fewer than two networks have q > 0, or where some q left the range of float64.
        """
        values = self.values(node, quantity)
        if lost := _lost(values):
            raise ValueError(
                f"a mean logarithm needs numbers within the range of float64, and {quantity} of "
                f"{node} left it in {lost} of {self.draws} draws; take fewer layers, or weights "
                "nearer criticality"
            )
        live = values > 0
        count = live.sum(0)
        if np.any(values < 0) or np.any(count < 2):
            raise ValueError(
                f"a mean logarithm needs two positive values and no negative ones; {quantity} of "
                f"{node} has {int(count.min())} positive of {self.draws}, "
                f"least {float(values.min()):.3g}; take a second moment, or more draws, or fewer "
                "layers where lengths fall below the range of float64"
            )
        logs = np.where(live, np.log(np.where(live, values, 1.0)), 0.0)
        mean = logs.sum(0) / count
        spread = np.where(live, (logs - mean) ** 2, 0.0).sum(0) / (count - 1)
        return mean, np.sqrt(spread / count)

    def quantities(self, node: str) -> tuple[str, ...]:
        """The names of the quantities that `values` gives at the node."""
        node = self.network[node].name
        pairs = () if self.points > 1 else ("cross_moment", "correlation", "grad_cross_moment")
        weights = () if self._has_weights(node) else ("weight_grad_second_moment",)
        kernel = node == self.network.output and not self.network.tied
        inner = () if kernel else ("ntk",)
        back = () if self.backward else BACKWARD
        apart = (*pairs, *weights, *inner, *back, *FLUCTUATIONS)
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
                size = _or_one(np.abs(average))
                error = deviation(values / size) * size / self.draws**0.5
                trusted = _trusted(values)
                for index in np.ndindex(average.shape):
                    repeated = len(index) == 2 and index[0] >= index[1]
                    if repeated and not (quantity == "ntk" and index[0] == index[1]):
                        continue
                    point, other = index[0], index[1] if len(index) > 1 else None
                    numbers = float(average[index]), float(error[index])
                    even = bool(trusted[index])
                    yield Averaged(name, quantity, point, other, *numbers, even)
            for quantity in FLUCTUATIONS if self.backward else FLUCTUATIONS[:1]:
                squares = self.values(name, quantity.replace("length_fluctuation", "second_moment"))
                spread = (squares / _or_one(squares.mean(0)) - 1) ** 2
                measured = *fluctuation(squares), _trusted(spread)
                for point, (value, error, even) in enumerate(zip(*measured, strict=True)):
                    numbers = float(value), float(error), bool(even)
                    yield Averaged(name, quantity, point, None, *numbers)

    def __str__(self) -> str:
        return (
            f"sample of {self.draws} networks ({self.network}), {self.points} input(s), "
            f"{self.engine} engine, {self.dtype} on {self.device}, seed {self.seed}"
        )


def not_measured(quantity: str) -> ValueError:
    """The error for a quantity that needs gradients, asked for where only values are measured."""
    return ValueError(
        f"{quantity} was not measured, as with backward=False only values are; "
        "simulate with backward=True"
    )


def _trusted(values: np.ndarray) -> np.ndarray:
    """The tail guard of each number of a draw; False where one is not finite, or alone."""
    flat = values.reshape(len(values), -1)
    finite = np.isfinite(flat).all(0) & (len(flat) > 1)
    trusted = np.zeros(flat.shape[1], bool)
    if finite.any():
        trusted[finite] = tail_guard(flat[:, finite]).trusted
    return trusted.reshape(values.shape[1:])


def _lost(values: np.ndarray) -> int:
    """How many draws have a number that is not finite, below TINY, or 0 where others are SMALL.

    Zeros beside numbers of ordinary size are dead networks, and are not lost.
    """
    small = np.any((values > 0) & (values < SMALL), axis=0)
    lost = ~np.isfinite(values) | ((values >= 0) & (values < TINY) & small)
    return int(lost.reshape(len(values), -1).any(1).sum())


def _or_one(values: np.ndarray) -> np.ndarray:
    return np.where(values == 0, 1.0, values)


def _diagonal(matrix: np.ndarray) -> np.ndarray:
    return np.diagonal(matrix, axis1=-2, axis2=-1)
