"""How long `predict` takes, by activation and number of inputs: `python benchmarks/predict.py`.

CPU seconds of one process, the least of several runs with fresh inputs. The memory of integrals
that were done before is emptied before each run.
"""

import argparse
import math
import time

import numpy as np

import varprop as vp
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
}


def seconds(activation: str, depth: int, inputs: int, runs: int) -> float:
    """Least CPU seconds of `predict` for a network of that depth, 64 wide."""
    weights = vp.init.normal(std=math.sqrt(GAINS[activation] / 64))
    network = vp.mlp(64, depth, activation=activation, weights=weights)
    taken = []
    for run in range(runs):
        x = np.random.default_rng(run).normal(size=(inputs, 64))
        forget()
        start = time.process_time()
        vp.predict(network, x)
        taken.append(time.process_time() - start)
    return min(taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--depth", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=list(GAINS), choices=GAINS)
    options = parser.parse_args()
    print(f"{options.depth} layers         1 input   16 inputs   ratio")
    for activation in options.only:
        one, many = (seconds(activation, options.depth, n, options.runs) for n in (1, 16))
        print(f"{activation:16s} {one:8.2f} s {many:9.2f} s {many / one:7.1f}", flush=True)


if __name__ == "__main__":
    main()
