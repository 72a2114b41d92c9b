"""The averages over channels that make a record, from Gram matrices."""

import numpy as np
import torch

from varprop.montecarlo.conditional.rows import Rows


def forward_half(rows: Rows, points: int) -> tuple[np.ndarray, ...]:
    """The fields of a record up to its gradients, of values followed by tangents."""
    n = rows.x.shape[-1]
    mean, gram = rows.x.mean(-1), _gram(rows)
    spread = rows.x[:, :points] - mean[:, :points, None]
    size = torch.linalg.vector_norm(spread, dim=-1, keepdim=True)
    spread /= torch.where(size > 0, size, 1.0)
    kurtosis = n * torch.linalg.vector_norm(spread.square_(), dim=-1).double().square()
    mean = mean.double()
    if rows.exponent is not None:
        mean = mean * torch.exp2(rows.exponent[..., 0])
    tensors = (
        mean[:, :points],
        gram[:, :points, :points],
        kurtosis,
        mean[:, points:],
        gram.diagonal(dim1=-2, dim2=-1)[:, points:],
        gram[:, :points, points:].diagonal(dim1=-2, dim2=-1),
    )
    return tuple(v.cpu().numpy() for v in tensors)


def squares(rows: Rows) -> np.ndarray:
    """x x' averaged over channels, (draws, k, k)."""
    return _gram(rows).cpu().numpy()


def _gram(rows: Rows) -> torch.Tensor:
    gram = rows.gram.double() / rows.x.shape[-1]
    if rows.exponent is None:
        return gram
    power = torch.exp2(rows.exponent)
    return gram * power * power.mT
