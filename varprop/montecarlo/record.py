"""What is measured at a node: averages over channels, one row per drawn network, in float64."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch


@dataclass(frozen=True)
class Record:
    """Channel averages at one node for R draws and P points: x value, t tangent, g gradient.

    mean (R, P) x;  second (R, P, P) x x';  kurtosis (R, P) of the channels, centred;
    tangent_mean (R, P) t;  tangent_second (R, P) t^2;  tangent_cross (R, P) x t;
    grad_second (R, P, P) g g'.
    """

    mean: np.ndarray
    second: np.ndarray
    kurtosis: np.ndarray
    tangent_mean: np.ndarray
    tangent_second: np.ndarray
    tangent_cross: np.ndarray
    grad_second: np.ndarray

    @staticmethod
    def joined(parts: "Sequence[Record]", draws: int) -> "Record":
        """Blocks of draws, concatenated in their order; the first `draws` are kept."""
        names = [f.name for f in fields(Record)]
        return Record(*(np.concatenate([getattr(p, n) for p in parts])[:draws] for n in names))


def measure(
    value: torch.Tensor,
    tangent: torch.Tensor,
    gradient: torch.Tensor,
    exponents: tuple[torch.Tensor | float, torch.Tensor | float, torch.Tensor | float] = (0, 0, 0),
) -> Record:
    """The record of (draws, points, channels) tensors that stand for x 2^exponent."""
    x, t, g = value.double(), tangent.double(), gradient.double()
    n = x.shape[-1]
    a, b, c = (_power(e) for e in exponents)  # each (draws, 1, 1) or a number
    centred = x - x.mean(-1, keepdim=True)
    size = centred.square().mean(-1, keepdim=True).sqrt()
    flat = (centred / torch.where(size > 0, size, 1.0)).pow(4).mean(-1)
    tensors = (
        x.mean(-1) * _row(a),
        x @ x.mT / n * a * a,
        flat,
        t.mean(-1) * _row(b),
        t.square().mean(-1) * _row(b) ** 2,
        (x * t).mean(-1) * _row(a) * _row(b),
        g @ g.mT / n * c * c,
    )
    return Record(*(v.cpu().numpy() for v in tensors))


def fluctuation(squares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Var(s) / (E s)^2 over draws of squares s (draws, points), and its standard error.

    The error is that of the influence (s/E s - 1)^2 - V - 2 V (s/E s - 1) of one draw on V.
    """
    average = squares.mean(0)
    relative = squares / np.where(average > 0, average, np.nan) - 1
    value = relative.var(0, ddof=1)
    influence = relative**2 - 2 * value * relative
    return value, influence.std(0, ddof=1) / len(squares) ** 0.5


def _power(exponent: torch.Tensor | float) -> torch.Tensor | float:
    return torch.exp2(exponent) if isinstance(exponent, torch.Tensor) else 2.0**exponent


def _row(scale: torch.Tensor | float) -> torch.Tensor | float:
    return scale[..., 0] if isinstance(scale, torch.Tensor) else scale
