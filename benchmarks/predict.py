"""How long `predict` takes, by activation and number of inputs."""

import math
import time

import numpy as np

import varprop as vp
from benchmarks.timing import Benchmark
from varprop.gaussian import forget

GAINS = {  # fan_in Var W
    "relu": 2.0,
    "erf": 1.3,
    "tanh": 1.5,
    "sigmoid": 1.5,
    "hardtanh": 2.5,
    "hardswish": 2.5,
    "step": 2.5,
    "hardshrink": 2.5,
    "silu": 2.5,
    "gelu_tanh": 2.5,
    "elu": 2.5,
    "softplus": 2.5,
}
INPUTS = (1, 16)


def measure(quick: bool) -> Benchmark:
    """CPU seconds of networks of width 64, the least of several runs with fresh inputs."""
    depth, runs = (100, 1) if quick else (1000, 3)
    rows = []
    for activation in GAINS:
        one, many = (seconds(activation, depth, n, runs) for n in INPUTS)
        rows.append(
            {"case": activation, "cpu_s_1_input": one, "cpu_s_16_inputs": many, "ratio": many / one}
        )
    about = f"CPU seconds of {depth} layers of width 64, warm, no integral remembered"
    return {"about": about, "rows": rows, "ratios": {}, "notes": []}


def seconds(activation: str, depth: int, inputs: int, runs: int) -> float:
    """Least CPU seconds of `predict` for a network of that depth, 64 wide.

    The memory of integrals that were done before is emptied before each run.
    """
    weights = vp.init.normal(std=math.sqrt(GAINS[activation] / 64))
    network = vp.mlp(64, depth, activation=activation, weights=weights)
    taken = []
    for run in range(runs + 1):  # the first compiles the formulas
        x = np.random.default_rng(run).normal(size=(inputs, 64))
        forget()
        start = time.process_time()
        vp.predict(network, x)
        taken.append(time.process_time() - start)
    return min(taken)
