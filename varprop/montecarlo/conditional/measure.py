"""Records from what each node kept: a few numbers a draw, all nodes at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from varprop.montecarlo.conditional.rows import Rows
from varprop.montecarlo.record import Record


@dataclass(frozen=True)
class Sums:
    """Of rows x 2^exponent: the channels' mean of each, all products, and centred power sums.

    `square` is sum c^2 and `fourth` the root of sum c^4, c = x - mean, of the first `points`.
    """

    size: int
    exponent: torch.Tensor | None
    gram: torch.Tensor
    mean: torch.Tensor
    square: torch.Tensor
    fourth: torch.Tensor

    @staticmethod
    def of(rows: Rows, points: int) -> "Sums":
        mean = rows.x.mean(-1, keepdim=True)
        squares = (rows.x[:, :points] - mean[:, :points]).square_()
        square, fourth = squares.sum(-1), torch.linalg.vector_norm(squares, dim=-1)
        return Sums(rows.x.shape[-1], rows.exponent, rows.gram, mean[..., 0], square, fourth)


def records(
    sums: Mapping[str, Sums], gradients: Mapping[str, Rows] | None, points: int
) -> dict[str, Record]:
    """The records of all nodes; `gradients` hold Gram matrices only.

    Fields of tangents or gradients that were not computed are None.
    """
    sizes = np.array([s.size for s in sums.values()], float)[:, None, None]
    scale = _scales([s.exponent for s in sums.values()])
    gram = _averages([s.gram for s in sums.values()], scale, sizes[..., None])
    mean = _stacked([s.mean for s in sums.values()]) * scale
    square, fourth = (
        _stacked([getattr(s, name) for s in sums.values()]) for name in ("square", "fourth")
    )
    kurtosis = sizes * (fourth / np.where(square > 0, square, 1.0)) ** 2
    moving: tuple[Any, ...] = (None, None, None)
    if gram.shape[-1] > points:
        moving = mean[..., points:], gram[..., points:, points:], gram[..., :points, points:]
    grads = None
    if gradients is not None:
        some = [gradients[name] for name in sums]
        scale = _scales([g.exponent for g in some])
        grads = _averages([g.gram for g in some], scale, sizes[..., None])
    fields = (mean[..., :points], gram[..., :points, :points], kurtosis, *moving, grads)
    return {
        name: Record(*(None if f is None else f[i] for f in fields))  # type: ignore
        for i, name in enumerate(sums)
    }


def _averages(grams: list[torch.Tensor], scale: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    return _stacked(grams) / sizes * scale[..., :, None] * scale[..., None, :]


def _scales(exponents: list[torch.Tensor | None]) -> np.ndarray:
    """2^exponent by node, (nodes, draws, k), or ones that broadcast."""
    some = next((e for e in exponents if e is not None), None)
    if some is None:
        return np.ones((len(exponents), 1, 1))
    zero = torch.zeros_like(some)
    return np.exp2(_stacked([(zero if e is None else e)[..., 0] for e in exponents]))


def _stacked(tensors: list[torch.Tensor]) -> np.ndarray:
    return torch.stack(tensors).double().cpu().numpy()
