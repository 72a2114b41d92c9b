"""The conditional engine against a loop over modules and against the normals that it needs."""

from functools import partial

import torch

import varprop as vp
from benchmarks.timing import (
    Benchmark,
    Times,
    cores,
    generate_normals,
    interleaved,
    on_all_cores,
    paired,
    threads,
)
from varprop.montecarlo import conditional
from varprop.network import Network

WIDTH, DEPTH = 256, 50
CPU = torch.device("cpu")
GOALS = {"loop over modules / engine": ">= 300", "engine / normals": "<= 2"}


def measure(quick: bool) -> Benchmark:
    """Depth 50, width 256, ReLU, unit input: forward, tangent and backward of every node."""
    rounds, blocks, modules = (2, 2, 2) if quick else (7, 80, 8)
    network = vp.mlp(WIDTH, DEPTH)
    draws = blocks * conditional.BLOCK
    workspaces = [conditional.Workspace() for _ in range(min(blocks, cores()))]
    numbers = draws * 3 * WIDTH * (DEPTH + 1)  # value and tangent ahead, gradient back
    times = interleaved(
        {
            "loop": partial(loop, modules),
            "engine": partial(engine, network, blocks, workspaces),
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


def engine(network: Network, blocks: int, workspaces: list[conditional.Workspace]) -> None:
    """Blocks of draws, one thread a core, each with memory of its own."""

    def some(first: int) -> None:
        for block in range(first, blocks, len(workspaces)):
            conditional.run_block(
                network, None, 0, block, CPU, dtype=torch.float32, workspace=workspaces[first]
            )

    on_all_cores([partial(some, first) for first in range(len(workspaces))])


def loop(count: int) -> None:
    """What is written today: fresh modules, hooks that measure, one backward pass."""
    with threads(cores()):
        for _ in range(count):
            found: list[float] = []

            def ahead(_m: torch.nn.Module, _i: object, out: torch.Tensor, found=found) -> None:
                found.append(out.square().mean().item())

            def back(_m: torch.nn.Module, _i: object, g: tuple, found=found) -> None:
                found.append(g[0].square().mean().item())

            layers = []
            for _ in range(DEPTH):
                dense = torch.nn.Linear(WIDTH, WIDTH, bias=False)
                torch.nn.init.kaiming_normal_(dense.weight)
                layers += [dense, torch.nn.ReLU()]
            layers.append(torch.nn.Linear(WIDTH, WIDTH, bias=False))
            torch.nn.init.kaiming_normal_(layers[-1].weight)
            for module in layers:
                module.register_forward_hook(ahead)
                module.register_full_backward_hook(back)
            x = torch.randn(1, WIDTH)
            x = (x * WIDTH**0.5 / x.norm()).requires_grad_()
            out = torch.nn.Sequential(*layers)(x)
            out.backward(torch.randint(2, out.shape) * 2.0 - 1.0)
