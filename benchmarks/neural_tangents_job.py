"""Run by the interpreter of an environment with neural-tangents: one JSON line of seconds."""

import json
import statistics
import sys
import time

import jax
import neural_tangents as nt
from neural_tangents import stax


def main() -> None:
    job = json.loads(sys.argv[1])
    layers = [stax.Dense(job["width"], W_std=2**0.5), stax.Relu()] * job["depth"]
    init, apply, _ = stax.serial(*layers, stax.Dense(1, W_std=2**0.5))
    key = jax.random.PRNGKey(0)
    kernel = nt.monte_carlo_kernel_fn(init, apply, key, n_samples=job["networks"])
    x = jax.random.normal(key, (1, job["width"]))
    taken = []
    for _ in range(job["rounds"] + 1):
        start = time.perf_counter()
        jax.block_until_ready(kernel(x, None, ("nngp", "ntk")))
        taken.append(time.perf_counter() - start)
    found = {
        "first": taken[0],
        "warm": statistics.median(taken[1:]),
        "rounds": job["rounds"],
        "version": nt.__version__,
        "jax": jax.__version__,
    }
    print(json.dumps(found))


main()
