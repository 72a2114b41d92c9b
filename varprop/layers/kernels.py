"""Kernels of an activation over all pairs of sites of a law: the matrices of its moment rules."""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np

from varprop.activations import Activation
from varprop.moments import Moments

MOST_ENTRIES = 2**18  # of the matrices that are computed at once
_FIELDS = "mean", "second", "gap"


@cache
def pairs(sites: int) -> tuple[np.ndarray, np.ndarray]:
    """The first and the second site of each pair."""
    return np.triu_indices(sites, 1)


def by_pair(law: Moments, single: Any, pair: Any) -> np.ndarray:
    """The matrix E f(z) f(z') over sites: `single` on the diagonal, `pair` off it."""
    q = law.diagonal
    second = np.zeros(law.second.shape, object if law.symbolic else float)
    sites = np.arange(q.shape[-1])
    second[..., sites, sites] = single(q)
    rows, columns = pairs(sites.size)
    if rows.size:
        value = pair(q[..., rows], q[..., columns], gap=law.gap[..., rows, columns])
        second[..., rows, columns] = second[..., columns, rows] = value
    return second


def seconds(law: Moments, phi: Activation, gap: np.ndarray) -> np.ndarray:
    """E phi(z) phi(z') over sites; without a closed form, from the gap: one quadrature for both."""
    if law.symbolic or phi.kernel_formula("kernel") is not None:
        return by_pair(law, phi.second_moment, phi.kernel)
    square = phi.second_moment(law.diagonal)
    return (square[..., :, None] + square[..., None, :]) / 2 - gap


def gaps(law: Moments, phi: Activation) -> np.ndarray:
    q = law.diagonal
    gap = np.zeros(law.gap.shape, object if law.symbolic else float)
    rows, columns = pairs(q.shape[-1])
    if rows.size:
        value = phi.gap(q[..., rows], q[..., columns], law.gap[..., rows, columns])
        gap[..., rows, columns] = gap[..., columns, rows] = value
    return gap


def slopes(law: Moments, phi: Activation) -> np.ndarray:
    """E phi'(z) phi'(z') over sites."""
    return by_pair(law, phi.derivative_second_moment, phi.derivative_kernel)


def slopes_of_many(phi: Activation, laws: Sequence[Moments]) -> Iterator[np.ndarray]:
    """`slopes` of each law of numbers, many of them in one call: a call costs more than a law."""
    each = max(1, MOST_ENTRIES // laws[0].second.size)
    for start in range(0, len(laws), each):
        part = laws[start : start + each]
        mean, second, gap = (np.stack([getattr(z, f) for z in part]) for f in _FIELDS)
        yield from slopes(Moments(mean, second, gap), phi)
