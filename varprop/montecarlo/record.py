"""What is measured at a node: averages over channels, one row per drawn network, in float64."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch

Maybe = Any  # an array, or None


@dataclass(frozen=True)
class Record:
    """Channel averages at one node for R draws and P points: x value, t tangent, g gradient.

    mean (R, P) x;  second (R, P, P) x x';  kurtosis (R, P) of the channels, centred;
    tangent_mean (R, P) t;  tangent_second (R, P, P) t t';  tangent_cross (R, P, P) x t';
    grad_second (R, P, P) g g'.  None where tangents or gradients were not computed.
    """

    mean: np.ndarray
    second: np.ndarray
    kurtosis: np.ndarray
    tangent_mean: Maybe = None
    tangent_second: Maybe = None
    tangent_cross: Maybe = None
    grad_second: Maybe = None

    @staticmethod
    def joined(parts: "Sequence[Record]", draws: int) -> "Record":
        """Blocks of draws, concatenated in their order; the first `draws` are kept."""
        columns = [[getattr(part, f.name) for part in parts] for f in fields(Record)]
        joined: list[Any] = [None if c[0] is None else np.concatenate(c)[:draws] for c in columns]
        return Record(*joined)

    def split(self, count: int) -> "list[Record]":
        """As many records of equally many draws."""
        step, records = len(self.mean) // count, []
        for first in range(0, count * step, step):
            columns = [getattr(self, f.name) for f in fields(Record)]
            rows: list[Any] = [None if c is None else c[first : first + step] for c in columns]
            records.append(Record(*rows))
        return records


def measure(
    value: torch.Tensor,
    tangent: torch.Tensor | None = None,
    gradient: torch.Tensor | None = None,
    exponents: Sequence[torch.Tensor | float] = (0, 0, 0),
) -> Record:
    """The record of tensors (draws, points, channels) that stand for x 2^exponent.

    An exponent is a number, or a tensor (draws, points, 1) or (draws, 1, 1).
    """
    x = value.double()
    a, b, c = (_power(e) for e in exponents)
    average = x.mean(-1, keepdim=True)
    square = (x - average).square_()
    spread = square.mean(-1, keepdim=True)
    flat = square.div_(torch.where(spread > 0, spread, 1.0)).square_().mean(-1)
    found: list[Any] = [(average * a)[..., 0], _gram(x, x, a, a), flat, None, None, None, None]
    if tangent is not None:
        t = tangent.double()
        means = (t.mean(-1, keepdim=True) * b)[..., 0]
        found[3:6] = means, _gram(t, t, b, b), _gram(x, t, a, b)
    if gradient is not None:
        g = gradient.double()
        found[6] = _gram(g, g, c, c)
    arrays: list[Any] = [None if v is None else v.cpu().numpy() for v in found]
    return Record(*arrays)


def _gram(
    x: torch.Tensor, y: torch.Tensor, a: torch.Tensor | float, b: torch.Tensor | float
) -> torch.Tensor:
    """x y' / n for rows in multiples of a and of b."""
    gram = (x @ y.mT if x.shape[1] > 1 else _dots(x, y)) / x.shape[-1]
    return gram * a * (b.mT if isinstance(b, torch.Tensor) else b)


def _dots(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """a.b of each row, (draws, points, 1)."""
    return torch.linalg.vecdot(a, b)[..., None]


def fluctuation(squares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Var(s) / (E s)^2 over draws of squares s (draws, points), and its standard error.

    The error is that of the influence (s/E s - 1)^2 - V - 2 V (s/E s - 1) of one draw on V.
    """
    average = squares.mean(0)
    relative = squares / np.where(average > 0, average, np.nan) - 1
    value = deviation(relative) ** 2
    influence = relative**2 - 2 * value * relative
    return value, deviation(influence) / len(squares) ** 0.5


def deviation(values: np.ndarray) -> np.ndarray:
    """The standard deviation over draws, nan of one draw."""
    return values.std(0, ddof=1) if len(values) > 1 else np.full(values.shape[1:], np.nan)


def _power(exponent: torch.Tensor | float) -> torch.Tensor | float:
    return torch.exp2(exponent) if isinstance(exponent, torch.Tensor) else 2.0**exponent
