"""The conditional engine against a loop over modules and against the normals that it needs."""

from functools import partial

import varprop as vp
from benchmarks.explicit import loop
from benchmarks.timing import (
    Benchmark,
    Times,
    cores,
    generate_normals,
    interleaved,
    paired,
    threads,
)
from varprop.montecarlo import conditional
from varprop.network import Network

WIDTH, DEPTH = 256, 50
GOALS = {"loop over modules / engine": ">= 300", "engine / normals": "<= 2"}


def measure(quick: bool) -> Benchmark:
    """Depth 50, width 256, ReLU, unit input: forward, tangent and backward of every node."""
    rounds, blocks, modules = (2, 2, 2) if quick else (7, 40, 8)
    network = vp.mlp(WIDTH, DEPTH)
    draws = blocks * conditional.BLOCK
    numbers = draws * 3 * WIDTH * (DEPTH + 1)  # value and tangent ahead, gradient back
    times = interleaved(
        {
            "loop": partial(loop, modules),
            "engine": partial(engine, network, draws),
            "normals": partial(generate_normals, numbers),
        },
        rounds,
    )
    units = {"loop": modules, "engine": draws, "normals": draws}
    about = f"milliseconds a network of {DEPTH} layers, {WIDTH} wide, float32"
    million = 1e6 * min(times["engine"].wall) / draws / 60
    return {
        "about": about,
        "rows": [t.row(name, units[name]) for name, t in times.items()],
        "ratios": _ratios(times, draws / modules),
        "notes": [f"10^6 draws at the least time: {million:.1f} minutes"],
    }


def _ratios(times: dict[str, Times], scale: float) -> dict:
    found = {
        "loop over modules / engine": paired(times["loop"], times["engine"], scale=scale),
        "engine / normals": paired(times["engine"], times["normals"]),
        "engine / normals, CPU seconds": paired(times["engine"], times["normals"], by="cpu"),
    }
    return {name: {"value": v, "goal": GOALS.get(name)} for name, v in found.items()}


def engine(network: Network, draws: int) -> None:
    with threads(cores()):
        vp.simulate(network, draws=draws, seed=0, engine="conditional")
