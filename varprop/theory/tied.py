"""Tied weights: one Gaussian matrix used at every step, as in a linear recurrent network."""

from collections.abc import Iterator
from functools import cache
from typing import Any

from varprop.layers.dense import check_width

MOST_STEPS = 6  # 10 395 pairings


def tied_second_moment(steps: int, width: Any) -> Any:
    """E |A^t x|^2 / |x|^2, A of shape (n, n) with independent N(0, 1/n) entries, at any width n.

    By Wick's formula the sum over pairings of the 2t factors of n^(free indices - t - 1): a
    polynomial in 1/n that begins with 1, the value of t independent matrices. `width` may be a
    SymPy symbol. Raises ValueError for steps outside 1 to 6, and a width that is no
    positive integer.
    """
    if isinstance(steps, bool) or not isinstance(steps, int) or not 1 <= steps <= MOST_STEPS:
        raise ValueError(
            f"steps must be a whole number 1 to {MOST_STEPS}, since all (2t - 1)!! pairings of the "
            f"2t factors are counted one by one (10 395 for 6, 135 135 for 7); got {steps!r}. "
            "Measure longer products with varprop.simulate, of a network with tied layers"
        )
    check_width("width", width)
    return sum(count / width**power for power, count in _powers(steps).items())


@cache
def _powers(steps: int) -> dict[int, int]:
    """How many pairings give n^-k, by k."""
    # A[a_(k+1), a_k] and A[b_(k+1), b_k]; both chains share a_0 and a_t. Index b_k is number t + k.
    inner = range(steps + 1, 2 * steps)
    rows = [*range(1, steps + 1), *inner, steps]
    columns = [*range(steps), 0, *inner]
    found: dict[int, int] = {}
    for pairs in _pairings(tuple(range(2 * steps))):
        links = [(of[i], of[j]) for i, j in pairs for of in (rows, columns)]
        power = steps + 1 - _components(links, {*rows, *columns})
        found[power] = found.get(power, 0) + 1
    return dict(sorted(found.items()))


def _pairings(items: tuple[int, ...]) -> Iterator[tuple[tuple[int, int], ...]]:
    if not items:
        yield ()
        return
    first, *others = items
    for k, other in enumerate(others):
        for rest in _pairings((*others[:k], *others[k + 1 :])):
            yield ((first, other), *rest)


def _components(links: list[tuple[int, int]], indices: set[int]) -> int:
    root = {index: index for index in indices}

    def find(index: int) -> int:
        while root[index] != index:
            index = root[index]
        return index

    for a, b in links:
        root[find(a)] = find(b)
    return sum(find(index) == index for index in indices)
