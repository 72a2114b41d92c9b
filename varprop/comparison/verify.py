"""verify: predict, simulate and compare in one call, drawing until the theory is decided."""

from concurrent.futures import Executor
from dataclasses import replace
from os import PathLike
from typing import Any

import torch

from varprop.comparison.checks import check_comparable, check_numeric, check_rates
from varprop.comparison.design import Design
from varprop.comparison.identities import broken_rules
from varprop.comparison.judge import judge
from varprop.comparison.report import Report
from varprop.layers import Elementwise
from varprop.montecarlo import grow
from varprop.montecarlo.devices import whole
from varprop.network import Network
from varprop.stats import Look
from varprop.theory import Prediction, predict


def verify(
    network: Network,
    inputs: Any = None,
    *,
    margin: float = 0.05,
    error_rate: float = 1e-6,
    false_pass: float = 1e-4,
    seed: int = 0,
    draws: int | None = None,
    budget: int | None = None,
    device: str = "auto",
    dtype: "str | torch.dtype" = "float32",
    engine: str = "explicit",
    executor: Executor | None = None,
    store: "str | PathLike[str] | None" = None,
    progress: bool | None = None,
) -> Report:
    """The report of `compare` on fresh draws, more and more of them until every row is decided.

    The looks share the error rates (`stats.sequential`), so `error_rate` and `false_pass` hold for
    the whole run. It ends when some row is refuted, when all rows are confirmed that networks can
    confirm, or at `budget` networks; by default so many that they decide every row whose null law
    is exact, however near to the margin its gap is, unless it is dead in many. `draws` asks for one
    look at that many. The rows are those of `compare` on the draws used, at the levels `Report.at`.

    See `compare` for margin and error rates, `simulate` for the rest. Raises ValueError for an
    activation that passes no gradient, like step: its backward steps are all zero.
    """
    check_rates(margin, error_rate, false_pass, "steps")
    theory = judged_theory(network, inputs)
    looks = _looks(theory, margin, error_rate, false_pass, draws, budget)
    broken = tuple(broken_rules(theory))
    samples = grow(
        network,
        inputs,
        draws=[look.draws for look in looks],
        seed=seed,
        device=device,
        dtype=dtype,
        engine=engine,
        executor=executor,
        store=store,
        progress=progress,
    )
    report = None
    for turn, (look, sample) in enumerate(zip(looks, samples, strict=True), start=1):
        check_comparable(theory, sample)
        report = judge(theory, sample, broken, margin, look)
        most = None if draws is not None else looks[-1].draws
        report = replace(report, error_rate=error_rate, looks=turn, budget=most)
        if report.settled:
            break
    assert report is not None  # there is a look
    return report


def judged_theory(network: Network, inputs: Any) -> Prediction:
    """The prediction; raises ValueError for networks that verify refuses."""
    theory = predict(network, inputs)
    check_numeric(theory)
    _check_slopes(network)
    return theory


def _looks(
    theory: Prediction,
    margin: float,
    error_rate: float,
    false_pass: float,
    draws: int | None,
    budget: int | None,
) -> tuple[Look, ...]:
    if draws is not None:
        if budget is not None:
            raise ValueError(
                f"draws={draws!r} asks for one look and budget={budget!r} for several; give one"
            )
        return (Look(whole("draws", draws, least=2), error_rate, false_pass),)
    most = None if budget is None else whole("budget", budget, least=2)
    return Design.of(theory, error_rate).looks(margin, error_rate, false_pass, most)


def _check_slopes(network: Network) -> None:
    """Raise ValueError for a piecewise constant activation."""
    for n in network:
        if not isinstance(n.layer, Elementwise):
            continue
        phi = n.layer.activation
        if phi.jumps and float(phi.moment(lambda z, _, slope: slope**2, 1.0)) == 0:
            raise ValueError(
                f"verify judges gradients, and autograd passes none through {phi} at {n.name}, "
                "which is constant between its jumps; compare predict with "
                "simulate(..., backward=False) for the forward steps alone"
            )
