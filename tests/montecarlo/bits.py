"""What the tests of the runner share: samples compared bit by bit, and a task."""

import numpy as np

import varprop as vp
from varprop.montecarlo import conditional
from varprop.montecarlo.sample import Sample
from varprop.montecarlo.simulate import make_task
from varprop.montecarlo.task import Task
from varprop.network import Network


def arrays(sample: Sample) -> list[np.ndarray]:
    return [v for record in sample.records.values() for v in vars(record).values() if v is not None]


def assert_same_bits(a: Sample, b: Sample) -> None:
    for left, right in zip(arrays(a), arrays(b), strict=True):
        assert np.array_equal(left, right)


def make(
    network: Network, inputs=None, seed: int = 0, engine: str = "conditional", dtype="float32"
) -> Task:
    return make_task(network, inputs, seed, "cpu", dtype, engine, True)


SMALL = vp.mlp(12, 2)
BLOCKS = 12
DRAWS = BLOCKS * conditional.BLOCK - 36  # conditional units of 1, 2, 4 and 8 blocks
