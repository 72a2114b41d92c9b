"""python -m figures [names] [--quick | --full] [--device auto] [--out DIR] [--seed N] [--data DIR]

Without names all but the training figures, which take minutes; `training` names these. They train
on scikit-learn's digits, or on CIFAR-10 with --data, and keep states in OUT/states: run again what
was killed.
Exit status: 0 if every claim is CONFIRMED, 1 if one is not (the figures are drawn, and marked),
2 for arguments that cannot be used.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from figures.produce import Drawable, produce

NAMES = (
    "std_by_layer",
    "glorot_activations",
    "glorot_gradients",
    "phase_diagram",
    "gain_table",
    "depth_scales",
    "c_map",
    "jacobian_spectra",
    "coherence",
    "lognormal_lengths",
    "fluctuation_growth",
    "mean_against_median",
    "truncation",
    "residual_growth",
    "relu_ended_branches",
    "kurtosis_of_weights",
    "pytorch_default",
    "naive_intervals",
    "overflow_layers",
    "slow_decay",
    "phase_families",
    "filters",
    "bases_propagation",
    "singular_values",
)
STUDIES = ("calibration",)  # drawn from results that `python -m benchmarks` saved
TRAINING = ("initializers_compared",)
KNOWN = NAMES + STUDIES + TRAINING


class OneLine(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> None:  # type: ignore[override]
        self.exit(2, f"figures: {message}\n")


def parser() -> argparse.ArgumentParser:
    asked = OneLine("figures", description="Compute, judge and draw the figures.")
    asked.add_argument("names", nargs="*", help=f"of {', '.join(KNOWN)}; training: its figures")
    size = asked.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="small networks, seconds (default)")
    size.add_argument("--full", action="store_true", help="the published sizes, minutes")
    asked.add_argument("--device", default="auto", help="auto, cpu or cuda")
    asked.add_argument("--out", type=Path, default=Path("build/figures"), metavar="DIR")
    asked.add_argument("--seed", type=int, default=0, metavar="N")
    asked.add_argument("--data", default="digits", metavar="DIR", help="CIFAR-10, binary version")
    return asked


def main(arguments: Sequence[str] | None = None) -> int:
    asking = parser()
    asked = asking.parse_args(arguments)
    names = [n for name in asked.names for n in (TRAINING if name == "training" else (name,))]
    unknown = [name for name in names if name not in KNOWN]
    if unknown:
        asking.error(f"unknown figure {unknown[0]!r}; the figures are {', '.join(KNOWN)}")
    if asked.data != "digits" and not set(names) & set(TRAINING):
        asking.error(f"--data is for the training figures ({', '.join(TRAINING)}): name one")
    if asked.seed < 0:
        asking.error(f"--seed must not be negative, got {asked.seed}")
    nearest = next(path for path in (asked.out, *asked.out.absolute().parents) if path.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        asking.error(f"--out {asked.out}: cannot write in {nearest}; name a folder")
    confirmed = True
    for name in dict.fromkeys(names or NAMES + STUDIES):
        confirmed &= _one(name, asked)
    return 0 if confirmed else 1


def _one(name: str, asked: argparse.Namespace) -> bool:
    from figures.style import told

    module: Drawable = import_module(f"figures.{name}")  # type: ignore[assignment]
    start = time.perf_counter()
    try:
        if name in TRAINING:
            module = resumable(module, asked.data, asked.out / "states")
        made = produce(
            name, module, module.parameters(asked.full), asked.seed, asked.device, asked.out
        )
    except ValueError as error:
        parser().error(f"{name}: {error}")
        raise
    how = "computed and drawn" if made.computed else "drawn from saved results"
    print(f"{name}: {made.results.verdict}, {how} in {time.perf_counter() - start:.1f} s")
    for claim in told(made.results.claims):
        print(f"  {claim.verdict}: {claim.statement}. {claim.evidence}")
    for path in made.files:
        print(f"  {path}")
    return made.results.verdict == "CONFIRMED"


def resumable(module: Any, data: str, states: Path) -> Drawable:
    """A training figure as any other: its data chosen, and its states kept in a folder."""
    bound: Any = SimpleNamespace(**vars(module))
    bound.parameters = partial(module.parameters, data=data)
    bound.compute = partial(module.compute, states=states)
    return bound


if __name__ == "__main__":
    sys.exit(main())
