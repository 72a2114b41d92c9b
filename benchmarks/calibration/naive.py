"""What is done in place of steps, and why not: its size for a true theory of ReLU networks.

Networks are drawn here by hand, without varprop: given the layer below, the pre-activations of a
Gaussian layer without bias are iid N(0, 2 |x|^2 / n), which is all that their lengths depend on.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy import stats

from benchmarks.calibration.cells import Row, row

METHODS = ("t on q_L", "pooled neurons")
NUMBERS_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class Naive:
    """How often a t-test rejects the true E q_L = 1, or the true E z^2 = 2.

    "t on q_L": q_L is the mean square of the last of `depth` hidden layers: one number of a
    network, heavy tailed. "pooled neurons": the squares of all neurons of the readout of all
    draws, as if independent; they share the layers below.
    """

    kind: ClassVar[str] = "naive"
    width: int
    depth: int
    draws: int
    samples: int
    method: str
    level: float = 0.05

    def measure(self, seed: int) -> list[Row]:
        generator = np.random.default_rng(seed)
        at_once = max(1, NUMBERS_AT_ONCE // (self.width * self.draws))
        rejected = done = 0
        while done < self.samples:
            count = min(at_once, self.samples - done)
            length = lengths(self.width, self.depth, count * self.draws, generator)
            if self.method == "t on q_L":
                values, mean = length.reshape(count, self.draws), 1.0
            else:
                z = generator.standard_normal((len(length), self.width))
                values, mean = (2 * length[:, None] * z**2).reshape(count, -1), 2.0
            rejected += int((stats.ttest_1samp(values, mean, axis=1).pvalue <= self.level).sum())
            done += count
        return [row("refuted", self.level, rejected, self.samples)]


def lengths(width: int, depth: int, draws: int, generator: np.random.Generator) -> np.ndarray:
    """|x|^2 / n (draws,) at the last of `depth` hidden layers, for inputs with |x|^2 = n."""
    length = np.ones(draws)
    for _ in range(depth):
        x = np.maximum(generator.standard_normal((draws, width)), 0)
        length *= 2 * (x**2).mean(-1)
    return length
