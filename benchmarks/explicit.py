"""The explicit engine against what a person writes today, and against the floor of the machine.

Depth 50, width 256, ReLU, one unit input, float32: values, tangents and gradients of every layer
from varprop; values and gradients only from the loop and from the stacked products.
"""

import json
import os
import subprocess
from functools import cache, partial
from pathlib import Path
from typing import Any

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
from varprop.montecarlo.weights import BLOCK

WIDTH, DEPTH = 256, 50
JOB = {"depth": 10, "width": 512, "networks": 64}  # that of neural-tangents
PYTHON = "NEURAL_TANGENTS_PYTHON"  # the interpreter of an environment that has it


def measure(quick: bool) -> Benchmark:
    rounds, blocks = (2, 4 * cores()) if quick else (5, 24 * cores())
    network = vp.mlp(WIDTH, DEPTH)
    draws = blocks * BLOCK
    tasks = {
        "loop over nn.Sequential with hooks": partial(loop, 1),
        "stacked bmm": partial(stacked, BLOCK),
        "varprop": partial(engine, network, draws),
        "varprop, one thread": partial(engine, network, draws, workers=1),
        "varprop, values only": partial(engine, network, draws, backward=False),
        "floor: normals": partial(generate_normals, draws * network.parameter_count),
        "floor: products": partial(products, draws),
    }
    networks = [1, BLOCK, draws, draws, draws, draws, draws]
    times = interleaved(tasks, rounds)
    rows = [t.row(name, n) for (name, t), n in zip(times.items(), networks, strict=True)]
    hooks, bmm, ours, _, _, normals, multiply = times.values()
    floor = Times(
        *(
            tuple(map(sum, zip(getattr(normals, k), getattr(multiply, k), strict=True)))
            for k in ("wall", "cpu")
        )
    )
    ratios = {
        f"varprop / floor of {cores()} cores": (paired(ours, floor), "<= 1.3"),
        "varprop / floor, CPU seconds": (paired(ours, floor, "cpu"), None),
        "loop / varprop": (paired(hooks, ours, scale=draws), ">= 4"),
        "stacked bmm / varprop": (paired(bmm, ours, scale=draws / BLOCK), None),
    }
    about = f"one network of depth {DEPTH}, width {WIDTH}, relu, float32, forward and backward"
    measured: Benchmark = {
        "about": about,
        "rows": rows,
        "ratios": {k: {"value": v, "goal": goal} for k, (v, goal) in ratios.items()},
        "notes": [f"loop and bmm on {cores()} threads of torch; varprop on {cores()} threads"],
    }
    against_neural_tangents(measured, rounds)
    return measured


def engine(network: vp.Network, draws: int, workers: int | None = None, **how: Any) -> None:
    with threads(workers or cores()):
        vp.simulate(network, draws=draws, seed=0, engine="explicit", **how)


def loop(draws: int) -> None:
    """The script of today: build modules, initialize, hook, run, backpropagate, average."""
    with threads(cores()):
        for _ in range(draws):
            modules: list[torch.nn.Module] = []
            for _ in range(DEPTH):
                modules += [_dense(), torch.nn.ReLU()]
            net = torch.nn.Sequential(*modules, _dense())
            values, gradients = [], []
            for module in net:
                module.register_forward_hook(partial(_note_value, values))
                module.register_full_backward_hook(partial(_note_gradient, gradients))
            x = torch.randn(1, WIDTH)
            net(x.div_(x.norm()).mul_(WIDTH**0.5).requires_grad_()).sum().backward()


def _dense() -> torch.nn.Linear:
    linear = torch.nn.Linear(WIDTH, WIDTH, bias=False)
    torch.nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
    return linear


def _note_value(values: list[float], module: Any, inputs: Any, output: torch.Tensor) -> None:
    values.append(float(output.detach().square().mean()))


def _note_gradient(gradients: list[float], module: Any, below: Any, above: Any) -> None:
    gradients.append(float(above[0].square().mean()))


def stacked(draws: int) -> None:
    """Many networks as one product a layer, with autograd."""
    with threads(cores()):
        x = torch.randn(draws, 1, WIDTH)
        x = x / x.norm(dim=-1, keepdim=True) * WIDTH**0.5
        values = [x.requires_grad_()]
        for _ in range(DEPTH):
            weight = torch.randn(draws, WIDTH, WIDTH).mul_((2 / WIDTH) ** 0.5)
            values.append(torch.bmm(values[-1], weight.mT))
            values.append(values[-1].relu())
        grads = torch.autograd.grad(values[-1].sum(), values)
        for v in (*values, *grads):
            v.detach().square().mean((1, 2)).tolist()


def products(draws: int) -> None:
    """The floor of multiplying: value and tangent forward, gradient back, on all cores."""

    def share(part: int) -> None:
        for layer in range(DEPTH + 1):
            weight = _weights()[layer]
            for _ in range(part, draws // BLOCK, cores()):
                torch.bmm(_rows(2), weight.mT)
                torch.bmm(_rows(1), weight)

    on_all_cores([partial(share, part) for part in range(cores())])


@cache
def _weights() -> torch.Tensor:
    return torch.randn(DEPTH + 1, BLOCK, WIDTH, WIDTH)


@cache
def _rows(count: int) -> torch.Tensor:
    return torch.randn(BLOCK, count, WIDTH)


def against_neural_tangents(measured: Benchmark, rounds: int) -> None:
    """Its Monte Carlo kernel on its own job, in a process of its own environment."""
    python = os.environ.get(PYTHON)
    if python is None:
        measured["notes"].append(
            f"neural-tangents not compared: name an interpreter that has it in {PYTHON}"
        )
        return
    script = Path(__file__).with_name("neural_tangents_job.py")
    said = subprocess.run(
        [python, str(script), json.dumps({**JOB, "rounds": rounds})], capture_output=True, text=True
    )
    if said.returncode:
        why = said.stderr.strip().splitlines()[-1]
        measured["notes"].append(f"neural-tangents not compared, it does not run: {why}")
        return
    theirs = json.loads(said.stdout.splitlines()[-1])
    network = vp.mlp(JOB["width"], JOB["depth"], output=1)
    ours = interleaved({"ours": partial(engine, network, JOB["networks"])}, rounds)["ours"]
    row = ours.row("their job: varprop, with tangents", JOB["networks"])
    measured["rows"].append(row)
    for kind in ("first", "warm"):
        case = f"their job: neural-tangents, {kind}"
        ms = 1e3 * theirs[kind] / JOB["networks"]
        measured["rows"].append({"case": case, "wall_ms": ms, "rounds": theirs["rounds"]})
        name = f"neural-tangents ({kind} call) / varprop"
        measured["ratios"][name] = {"value": ms / row["wall_ms"], "goal": ">= 1"}
    measured["notes"].append(
        f"neural-tangents {theirs['version']} on jax {theirs['jax']}: monte_carlo_kernel_fn, nngp "
        f"and ntk, {JOB}"
    )
