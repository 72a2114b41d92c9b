"""Signals whose squares are below the range of floats: nothing can be said of them, or from them.

A record keeps E x and E x^2 as plain floats, so from |x| of about 1e-154 down the mean is still
there and the square is not. A draw is left out of a step by what is known before the step: its
expected square, and whether the signal below had vanished. What is measured never decides, or the
draws that are left would be too large on average.
"""

from collections.abc import Iterable

import numpy as np

from varprop.montecarlo import Sample
from varprop.theory import Prediction

Array = np.ndarray

LEAST = np.finfo(float).tiny  # smaller floats have fewer digits
NOTE = (
    f"the squares of the signal are below {LEAST:.1e}, where floats end, so nothing was tested; "
    "compare a shallower network, or one whose variances are nearer to one"
)


class Vanished:
    """By node, the draws and points (draws, points) in which one kind of signal has vanished."""

    def __init__(self) -> None:
        self._at: dict[str, Array] = {}

    def below(self, names: Iterable[str]) -> Array:
        """Where it has for one of the nodes."""
        return np.any([self._at[name] for name in names], axis=0)

    def expect(self, name: str, below: Array, expected: Array, mean: Array, square: Array) -> Array:
        """Where no step to the node can be tested, given its expected and its measured square.

        An expected 0 is one that vanished where the measured signal is that small, yet not 0.
        """
        present = (square > 0) | (mean != 0)
        tiny = np.where(expected > 0, expected < LEAST, (square < LEAST) & present)
        self._at[name] = below | tiny
        return self._at[name]

    def measure(self, name: str, lost: Array | bool, mean: Array, square: Array) -> None:
        """The measured signal replaces the expected one; of a lost one, 0 may be no true 0."""
        self._at[name] = (square < LEAST) & (lost | (square > 0) | (mean != 0))


def dead_draws(theory: Prediction, sample: Sample) -> int:
    """The draws in which all channels of some node are exactly 0, where the theory says E x^2 > 0.

    `compare` keeps them: a dead layer is a value like any other, and the steps above it test
    nothing.
    """
    dead = np.zeros(sample.draws, bool)
    for name, record in sample.records.items():
        square = np.diagonal(record.second, axis1=-2, axis2=-1)
        alive = theory.moments[name].diagonal > 0
        dead |= ((square == 0) & (record.mean == 0) & alive).any(-1)
    return int(dead.sum())
