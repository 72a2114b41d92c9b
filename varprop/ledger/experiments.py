"""The kinds of experiment that claims are made of."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from varprop.comparison import Report, compare, draws_for, margin_p_value
from varprop.laws import Law
from varprop.ledger.claim import Evidence, Experiment, Series, Settings
from varprop.montecarlo import Sample, simulate
from varprop.network import Network
from varprop.stats import (
    TooFewDraws,
    Verdict,
    decide_equivalence,
    decide_exact,
    moment_test,
    overall,
    smallest_detectable,
    studentized_test,
)
from varprop.theory import Prediction, predict

MARGIN = 0.075  # a claim is confirmed when every step is known to this
ERROR_RATE = 1e-6  # false alarms, per experiment
FALSE_PASS = 1e-4  # false confirmations, per experiment


def digits(points: int = 2) -> np.ndarray:
    """The first `points` of scikit-learn's 8 x 8 digits, (points, 64), grey levels in [0, 1]."""
    return labelled_digits(points)[0]


def labelled_digits(points: int) -> tuple[np.ndarray, np.ndarray]:
    """The same with their labels (points,)."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise ValueError(
            "the claims on real data need scikit-learn's digits: pip install 'varprop[data]'"
        ) from None
    pixels, labels = load_digits(return_X_y=True)
    return np.asarray(pixels)[:points] / 16.0, np.asarray(labels)[:points]


def networks(
    name: str,
    stated: Network,
    drawn: Network,
    *,
    inputs: Callable[[], np.ndarray] | None = None,
    quantity: str = "second_moment",
    margin: float = MARGIN,
    scope: str = "steps",
    engine: str = "explicit",
    draws: int | None = None,
) -> Experiment:
    """`stated`: the network as the claim describes it, in the source's own numbers. `drawn`: the
    network that is simulated, by the initializer that people call. Judged step by step."""

    def run(settings: Settings) -> Evidence:
        x = None if inputs is None else inputs()
        theory = predict(stated, x)
        count = settings.draws(draws or draws_for(drawn, margin, FALSE_PASS, theory=theory))
        sample = simulate(
            drawn,
            x,
            draws=count,
            seed=settings.seed,
            device=settings.device,
            engine=engine,
            progress=False,
        )
        report = compare(
            theory,
            sample,
            margin=margin,
            error_rate=ERROR_RATE,
            false_pass=FALSE_PASS,
            scope=scope,
        )
        return Evidence(
            name,
            report.verdict,
            str(report),
            _figures(report, drawn, count),
            (profile(theory, sample, quantity),),
            ("layer", quantity.replace("_", " ")),
        )

    return _named(run, name)


@dataclass(frozen=True)
class Stated:
    """A number that a source states: `quantity` of `node` (first point) is `value`."""

    node: str
    quantity: str
    value: float


def values(
    name: str,
    drawn: Network,
    stated: Sequence[Stated],
    *,
    draws: int,
    inputs: Callable[[], np.ndarray] | None = None,
    margin: float = MARGIN,
    engine: str = "auto",
    quantity: str = "second_moment",
) -> Experiment:
    """Averages over networks against stated numbers, by equivalence within the relative margin."""

    def run(settings: Settings) -> Evidence:
        x = None if inputs is None else inputs()
        sample = simulate(
            drawn,
            x,
            draws=settings.draws(draws),
            seed=settings.seed,
            device=settings.device,
            engine=engine,
            progress=False,
        )
        verdicts, words, figures = [], [], {}
        for one in stated:
            column = sample.values(one.node, one.quantity)[:, 0]
            figures[f"{one.node} {one.quantity}"] = float(column.mean())
            try:
                verdict, low, high = against(column / one.value, margin, ERROR_RATE / len(stated))
            except TooFewDraws as refusal:
                verdicts.append(Verdict.UNDECIDED)
                words.append(f"{one.node} {one.quantity}: {refusal}")
                continue
            verdicts.append(verdict)
            words.append(
                f"{one.node} {one.quantity}: stated {one.value:.6g}, measured "
                f"{column.mean():.6g}, gap in [{low:+.2%}, {high:+.2%}]"
            )
        figures["networks"] = float(sample.draws)
        series = profile(predict(drawn, x), sample, quantity)
        axes = ("layer", quantity.replace("_", " "))
        return Evidence(name, overall(verdicts), "; ".join(words), figures, (series,), axes)

    return _named(run, name)


def against(ratio: np.ndarray, margin: float, level: float) -> tuple[Verdict, float, float]:
    """The verdict on E ratio = 1 within the margin, refuted at `level`, and its interval."""
    test = studentized_test(ratio, 1.0, 2 * FALSE_PASS)
    low, high = (float(v) for v in test.interval(2 * FALSE_PASS))
    verdict = decide_equivalence(low, high, margin)
    if verdict is Verdict.REFUTED:
        p_value = margin_p_value(test, ratio - 1, exact=False, margin=margin, level=level)
        verdict = verdict if p_value <= level else Verdict.UNDECIDED
    return verdict, low, high


def bounded(
    name: str, drawn: Network, node: str, quantity: str, at_most: float, *, draws: int
) -> Experiment:
    """The claim that an average over networks is at most a stated number, one-sided."""

    def run(settings: Settings) -> Evidence:
        count = settings.draws(draws)
        sample = simulate(
            drawn, draws=count, seed=settings.seed, device=settings.device, progress=False
        )
        column = sample.values(node, quantity)[:, 0]
        verdict = Verdict.UNDECIDED
        try:
            test = studentized_test(column / at_most, 1.0, ERROR_RATE)
            low, high = (float(v) for v in test.interval(2 * FALSE_PASS))
            found = f"gap in [{low:+.2%}, {high:+.2%}], {count} networks"
            if low > 0 and float(test.p_value) <= ERROR_RATE:
                verdict = Verdict.REFUTED
            elif high < 0:
                verdict = Verdict.CONFIRMED
        except TooFewDraws as refusal:
            found = str(refusal)
        summary = (
            f"{node} {quantity}: at most {at_most:.6g} stated, measured {column.mean():.6g}, "
            + found
        )
        figures = {"stated bound": at_most, "measured": float(column.mean())}
        series = profile(predict(drawn), sample, quantity)
        return Evidence(
            name, verdict, summary, figures, (series,), ("layer", quantity.replace("_", " "))
        )

    return _named(run, name)


def entries(
    name: str,
    tensor: Callable[[torch.Generator], torch.Tensor],
    law: Law,
    *,
    variance: float | None = None,
) -> Experiment:
    """Entries of real weight tensors against a stated law, by their mean and variance.

    `variance` is the source's own number where it states one; the law then gives the kurtosis.
    """
    stated = float(law.variance) if variance is None else variance

    def run(settings: Settings) -> Evidence:
        generator = torch.Generator().manual_seed(settings.seed)
        sample = tensor(generator).double().flatten().numpy()
        test = moment_test(sample, float(law.mean), stated, float(law.kurtosis))
        gap = float(test.variance.estimate)
        low, high = (float(v) for v in test.variance.interval(2 * FALSE_PASS))
        verdict = decide_exact(test.p_value, low, high, MARGIN, ERROR_RATE)
        summary = (
            f"{sample.size} entries, variance {sample.var():.6g} against the stated "
            f"{stated:.6g}, gap {gap:+.2%} in [{low:+.2%}, {high:+.2%}]"
        )
        figures = {
            "entries": float(sample.size),
            "stated variance": stated,
            "measured variance": float(sample.var()),
            "largest entry": float(np.abs(sample).max()),
        }
        return Evidence(name, verdict, summary, figures)

    return _named(run, name)


def _named(run: Experiment, name: str) -> Experiment:
    """The experiment under the name that errors and pages show."""
    run.__name__ = name
    return run


def profile(theory: Prediction, sample: Sample, quantity: str) -> Series:
    """Predicted and measured `quantity` of the first point by layer, with 95 % intervals."""
    weighted = [n.name for n in theory.network if n.layer.parameter_count()]
    shown = [n for n in weighted if quantity in theory.quantities(n)]
    measured = np.stack([sample.values(n, quantity)[:, 0] for n in shown], 1)
    average = measured.mean(0)
    relative = (measured / average).std(0, ddof=1)  # squares of the raw values may overflow
    half = 1.96 * average * relative / sample.draws**0.5
    return Series(
        quantity.replace("_", " "),
        tuple(float(i + 1) for i in range(len(shown))),
        tuple(float(theory.value(n, quantity)[0]) for n in shown),
        tuple(map(float, average)),
        tuple(map(float, average - half)),
        tuple(map(float, average + half)),
    )


def _figures(report: Report, network: Network, draws: int) -> dict[str, float]:
    """The figures of merit: effect, interval, and what these draws can see."""
    worst = report.worst
    narrowest = min(network.sizes[n.name] for n in network if n.layer.parameter_count())
    detectable = smallest_detectable(draws, 5 / narrowest, ERROR_RATE, FALSE_PASS, 2)
    return {
        "networks": float(draws),
        "worst gap": worst.gap,
        "worst low": worst.low,
        "worst high": worst.high,
        "worst p": worst.p_value,
        "smallest detectable step": detectable,
    }
