"""python -m figures [names] [--quick | --full] [--device auto] [--out DIR] [--seed N] [--data DIR]
python -m figures gallery [--out DIR]

Without names all but the training figures, which take minutes; `training` names these. They train
on scikit-learn's digits, or on CIFAR-10 with --data, and keep states in OUT/states: run again what
was killed.
The gallery is the page that shows the figures which lie in DIR.

Exit status: 0 if every claim is CONFIRMED; 1 if one is not (the figures are drawn, and marked);
2 for arguments that cannot be used; 3 if a figure could not be made (the others are); 130 if
interrupted. Finished figures are kept: the same command goes on with the rest.
"""

import argparse
import os
import sys
import time
import traceback
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from figures.produce import Drawable, Produced, produce

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
TRAINING = (
    "initializers_compared",
    "he_depth",
    "trainability",
    "constant_weights",
    "glorot_saturation",
)
KNOWN = NAMES + STUDIES + TRAINING
GALLERY = "gallery"
UNCONFIRMED, UNUSABLE, FAILED, INTERRUPTED = 1, 2, 3, 130  # exit statuses


class OneLine(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> None:  # type: ignore[override]
        self.exit(UNUSABLE, f"figures: {message}\n")


def parser() -> argparse.ArgumentParser:
    asked = OneLine("figures", description="Compute, judge and draw the figures.")
    names = f"of {', '.join(KNOWN)}; training: its figures; {GALLERY}: the page that shows them"
    asked.add_argument("names", nargs="*", help=names)
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
    if asked.names == [GALLERY]:
        idle = {**vars(asked), "names": [], "out": None}
        if idle != {**vars(asking.parse_args([])), "out": None}:
            asking.error(f"{GALLERY} takes --out alone: it shows the figures that lie there")
        return _gallery(asked.out)
    names = [n for name in asked.names for n in (TRAINING if name == "training" else (name,))]
    _refuse(asking, asked, names)
    try:
        return _all(tuple(dict.fromkeys(names or NAMES + STUDIES)), asked)
    except KeyboardInterrupt:
        print("figures: interrupted; finished figures are kept", file=sys.stderr)
        return INTERRUPTED


def _refuse(
    asking: argparse.ArgumentParser, asked: argparse.Namespace, names: Sequence[str]
) -> None:
    """End with one line for arguments that cannot be used."""
    from varprop.montecarlo.devices import find_device

    unknown = [name for name in names if name not in KNOWN]
    if GALLERY in unknown:
        asking.error(f"{GALLERY} stands alone: make the figures first, then the page")
    if unknown:
        asking.error(f"unknown figure {unknown[0]!r}; the figures are {', '.join(KNOWN)}")
    if asked.data != "digits" and not set(names) & set(TRAINING):
        asking.error(f"--data is for the training figures ({', '.join(TRAINING)}): name one")
    if asked.seed < 0:
        asking.error(f"--seed must not be negative, got {asked.seed}")
    try:
        find_device(asked.device)
    except ValueError as error:
        asking.error(f"--device: {error}")
    if set(names) & set(TRAINING):
        from figures.training.data import check

        try:
            check(asked.data)
        except ValueError as error:
            asking.error(f"--data: {error}")
    nearest = next(path for path in (asked.out, *asked.out.absolute().parents) if path.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        asking.error(f"--out {asked.out}: cannot write in {nearest}; name a folder")


def _all(names: Sequence[str], asked: argparse.Namespace) -> int:
    """Every figure, one after the other, whatever becomes of each."""
    made, failed = [], []
    for number, name in enumerate(names, 1):
        print(f"figures: {number} of {len(names)}, {name}", file=sys.stderr, flush=True)
        try:
            made.append(_one(name, asked))
        except Exception as error:
            failed.append(name)
            if not isinstance(error, ValueError):
                traceback.print_exc()
            print(f"{name}: FAILED, {type(error).__name__}: {error}", file=sys.stderr, flush=True)
    if len(names) > 1:
        _summary(made, failed)
    if failed:
        return FAILED
    return 0 if all(one.results.verdict == "CONFIRMED" for one in made) else UNCONFIRMED


def load(name: str) -> Drawable:
    return import_module(f"figures.{name}")  # type: ignore[return-value]


def _one(name: str, asked: argparse.Namespace) -> Produced:
    from figures import checkout
    from figures.style import told

    module = load(name)
    if name in TRAINING:
        module = resumable(module, asked.data, asked.out / "states")
    start = time.perf_counter()
    made = produce(name, module, module.parameters(asked.full), asked.seed, asked.device, asked.out)
    code = checkout.told(made.results.about.get("git"))
    how = "computed and drawn" if made.computed else f"drawn from saved results of {code},"
    print(f"{name}: {made.results.verdict}, {how} in {time.perf_counter() - start:.1f} s")
    for claim in told(made.results.claims):
        print(f"  {claim.verdict}: {claim.statement}. {claim.evidence}")
    for path in made.files:
        print(f"  {path}")
    sys.stdout.flush()
    return made


def resumable(module: Any, data: str, states: Path) -> Drawable:
    """A training figure as any other: its data chosen, and its states kept in a folder."""
    bound: Any = SimpleNamespace(**vars(module))
    bound.parameters = partial(module.parameters, data=data)
    bound.compute = partial(module.compute, states=states)
    return bound


def _summary(made: Sequence[Produced], failed: Sequence[str]) -> None:
    from figures.judging import false_alarms

    found = [str(one.results.verdict) for one in made]
    counts = [f"{found.count(verdict)} {verdict}" for verdict in sorted(set(found))]
    counts += [f"{len(failed)} FAILED ({', '.join(failed)})"] if failed else []
    print(f"{len(made) + len(failed)} figures: {', '.join(counts)}")
    if made:
        print(f"  {false_alarms([one.results for one in made])}")


def _gallery(out: Path) -> int:
    """Training figures take minutes and are shown where there are any; the others all."""
    from figures import gallery

    absent = [name for name in TRAINING if not (out / f"{name}.npz").exists()]
    modules = {name: load(name) for name in KNOWN if name not in absent}
    try:
        written = gallery.write(modules, out, absent=absent)
    except ValueError as error:
        parser().error(f"{GALLERY}: {error}")
        raise
    for path in written:
        print(f"  {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
