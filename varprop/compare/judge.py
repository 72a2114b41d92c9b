"""compare: does the measurement agree with the theory?  By the regime of each number."""

from collections import defaultdict
from collections.abc import Iterable, Iterator

import numpy as np

from varprop.compare.report import Judged, Report
from varprop.compare.steps import Step, steps
from varprop.layers import Dense
from varprop.moments import EXACT, Tangents
from varprop.montecarlo.simulate import Sample, find_dtype
from varprop.network import Network
from varprop.stats import (
    SharpTest,
    StudentizedTest,
    Verdict,
    contrast_test,
    decide_equivalence,
    decide_exact,
    holm,
    overall,
    studentized_test,
)
from varprop.theory import Prediction, backward, forward, tangents

ROUNDING = 1e-9  # relative; identities between two folds of the same rules in float64
SCOPES = ("steps", "depth")


def compare(
    theory: Prediction,
    sample: Sample,
    *,
    margin: float = 0.05,
    error_rate: float = 1e-6,
    false_pass: float = 1e-4,
    scope: str = "steps",
) -> Report:
    """The verdict on `theory` given `sample`.

    Every step from one measured layer to the next is tested, forward and (by tangents) backward,
    and so is the drift over the depth; the prediction is checked to be the fold of these very steps.
    REFUTED: some step differs, at family-wise error rate `error_rate`. CONFIRMED: none does, and
    every interval lies inside the relative `margin` (false with probability at most `false_pass`).
    UNDECIDED otherwise. `scope="depth"` also asks that the predictions themselves lie within the
    margin of the measured averages, which needs many more draws.

    Raises ValueError for a sample of another network, of other inputs, or not finite.
    """
    _check(theory, sample, margin, error_rate, false_pass, scope)
    collected = list(steps(theory.network, sample))
    judged = list(_identities(theory, sample))
    local = _judge_steps(theory, sample, collected, margin, error_rate / 2, false_pass)
    drifts = _judge_drift(collected, margin, error_rate / 2, false_pass)
    judged += [*local, *drifts]
    if scope == "depth":
        sound = all(row.verdict is not Verdict.REFUTED for row in judged)
        judged += _judge_depth(theory, sample, collected, margin, false_pass, sound)
    return Report(
        overall(row.verdict for row in judged),
        tuple(judged),
        margin,
        error_rate,
        sample.draws,
        sample.engine,
        sample.seed,
    )


def _check(
    theory: Prediction,
    sample: Sample,
    margin: float,
    error_rate: float,
    false_pass: float,
    scope: str,
) -> None:
    if not isinstance(theory, Prediction) or not isinstance(sample, Sample):
        raise ValueError(
            "compare takes the result of predict, then that of simulate; got "
            f"{type(theory).__name__} and {type(sample).__name__}"
        )
    if theory.symbolic:
        raise ValueError("compare needs numbers, and this prediction has SymPy symbols")
    if scope not in SCOPES:
        raise ValueError(f"scope is one of {', '.join(SCOPES)}, got {scope!r}")
    for name, value in (("margin", margin), ("error_rate", error_rate), ("false_pass", false_pass)):
        if not 0 < value < 0.5:
            raise ValueError(f"{name} must lie between 0 and 0.5, got {value}")
    ours, theirs = _shape(theory.network), _shape(sample.network)
    if ours != theirs:
        raise ValueError(
            "theory and sample are of different networks: "
            f"{_first_difference(ours, theirs)}; predict and simulate the same graph"
        )
    start, record = theory.moments[theory.network.input], sample.records[sample.network.input]
    same = start.second.shape == record.second.shape[1:] and np.allclose(
        start.second, record.second.mean(0), rtol=1e-5, atol=1e-7 * np.abs(start.second).max()
    )
    if not same:
        raise ValueError(
            "theory and sample are of different inputs: their Gram matrices differ; "
            "give the same `inputs` to predict and simulate"
        )
    for name, found in sample.records.items():
        for field, values in vars(found).items():
            bad = np.argwhere(~np.isfinite(values))
            if bad.size:
                raise ValueError(
                    f"{field} of {name} is {values[tuple(bad[0])]} in draw {bad[0][0]}: the "
                    "measurement left the range of floats; use dtype='float64', track_scale=True, "
                    "or a shallower network"
                )


def _shape(network: Network) -> list[tuple]:
    return [(n.name, n.layer.kind, n.inputs, network.sizes[n.name]) for n in network]


def _first_difference(ours: list[tuple], theirs: list[tuple]) -> str:
    for a, b in zip(ours, theirs, strict=False):
        if a != b:
            return f"node {a[0]} of size {a[3]} against {b[0]} of size {b[3]}"
    return f"{len(ours)} nodes against {len(theirs)}"


def _identities(theory: Prediction, sample: Sample) -> Iterator[Judged]:
    """What holds without error: the prediction is the fold of the rules; J and J' are adjoint."""
    net = theory.network
    laws = forward(net, {net.input: theory.moments[net.input]})
    gradients = backward(net, laws)
    for name, quantity, ours, fold in (
        (n, q, a, b)
        for n, _, _ in net
        for q, a, b in (
            ("second_moment", theory.moments[n].second, laws[n].second),
            ("mean", theory.moments[n].mean, laws[n].mean),
            ("grad_second_moment", theory.gradients[n].second, gradients[n].second),
        )
    ):
        gap = _relative_gap(ours, fold)
        if gap > ROUNDING:
            note = "the prediction is not the fold of the rules that were tested"
            yield _identity(name, quantity, float(np.ravel(ours)[0]), float(np.ravel(fold)[0]), note)
    for start in _some_feeds(net):
        ahead, back = _through(theory, start)
        if _relative_gap(ahead, back) > ROUNDING:
            note = "the backward rules are not the adjoint of the forward tangent rules"
            yield _identity(start, "grad_second_moment", float(back[0]), float(ahead[0]), note)
    if sample.duality is not None:
        bound = 1e3 * np.finfo("float32" if "16" in sample.dtype else sample.dtype).eps
        if "16" in sample.dtype:
            bound = 1e2 * float(np.finfo("float16").eps if sample.dtype == "float16" else 2**-7)
        defect = float(np.sqrt(np.mean(sample.duality**2)))
        if not defect <= bound:
            note = "u.(Jt) and (J'u).t differ: the engine's gradients are not those of its values"
            yield _identity(net.input, "grad_second_moment", 0.0, defect, note)


def _identity(node: str, quantity: str, value: float, measured: float, note: str) -> Judged:
    gap = measured / value - 1 if value else measured
    return Judged(
        node, quantity, 0, None, value, measured, gap, gap, gap, 0.0, "exact", "identity",
        Verdict.REFUTED, note,
    )  # fmt: skip


def _relative_gap(a: np.ndarray, b: np.ndarray) -> float:
    size = np.maximum(np.abs(a), np.abs(b)).max(initial=0.0)
    return float(np.max(np.abs(a - b), initial=0.0) / size) if size > 0 else 0.0


def _some_feeds(network: Network, most: int = 6) -> list[str]:
    """The input and a few nodes that feed dense layers, at which adjointness is checked."""
    feeds = dict.fromkeys(i for n in network for i in n.inputs if isinstance(n.layer, Dense))
    names = [n for n in feeds if n != network.input]
    stride = max(1, len(names) // most)
    return [network.input, *names[::stride]] if feeds else [network.input]


def _through(theory: Prediction, start: str) -> tuple[np.ndarray, np.ndarray]:
    """n_L E t_L^2 for a unit isotropic tangent at `start`, and n E g^2 there: E |J|^2 twice."""
    net = theory.network
    zero = np.zeros_like(theory.moments[net.input].mean)
    none = Tangents(zero, zero, zero)
    names = [n.name for n in net]
    known = dict.fromkeys(names[: names.index(start)], none)
    known[start] = Tangents(zero, zero + 1.0, zero)
    out = tangents(net, theory.moments, known)[net.output].second * net.sizes[net.output]
    return out, theory.gradients[start].diagonal * net.sizes[start]


def _judge_steps(
    theory: Prediction,
    sample: Sample,
    collected: list[Step],
    margin: float,
    error_rate: float,
    false_pass: float,
) -> list[Judged]:
    level = error_rate / max(1, len(collected))
    tests = [_test(step, level) for step in collected]
    p_values = [1.0 if isinstance(t, str) else float(t.p_value) for t in tests]
    adjusted = holm(p_values, error_rate).adjusted
    rows = []
    for step, test, p in zip(collected, tests, adjusted, strict=True):
        value, measured = _numbers(theory, sample, step)
        regime = str(theory.regime(step.node, step.quantity))
        where = (step.node, step.quantity, step.point, step.other, value, measured)
        if isinstance(test, str):
            nan = float("nan")
            rows.append(
                Judged(*where, nan, nan, nan, 1.0, regime, "t", Verdict.UNDECIDED, test)
            )
            continue
        low, high = (float(v) for v in test.interval(2 * false_pass))
        if step.exact:
            verdict = decide_exact(float(p), low, high, margin, error_rate)
        else:
            verdict = decide_equivalence(low, high, margin)
        kind = "exact" if isinstance(test, SharpTest) else "t"
        gap = float(test.estimate)
        rows.append(Judged(*where, gap, low, high, float(p), regime, kind, verdict))
    return rows


def _test(step: Step, level: float) -> SharpTest | StudentizedTest | str:
    """The sharp test where the cumulants are known, else the studentized one, or why it refuses."""
    if step.variance is not None and step.third is not None:
        return contrast_test(step.residual, step.variance, step.third)
    if np.ptp(step.residual) == 0 and np.all(step.residual == 0):
        return contrast_test(step.residual, 1.0, 0.0)
    try:
        return studentized_test(step.residual, 0.0, level)
    except ValueError as refusal:
        return str(refusal)


def _judge_drift(
    collected: list[Step], margin: float, error_rate: float, false_pass: float
) -> list[Judged]:
    groups: dict[tuple, list[Step]] = defaultdict(list)
    for step in collected:
        if step.exact:
            groups[step.quantity, step.point, step.other, step.family].append(step)
    chosen = [group for group in groups.values() if len(group) > 1]
    if not chosen:
        return []
    level = error_rate / len(chosen)
    tests = [_drift_test(group, level) for group in chosen]
    p_values = [1.0 if isinstance(t, str) else float(t.p_value) for t in tests]
    adjusted = holm(p_values, error_rate).adjusted
    rows = []
    for group, test, p in zip(chosen, tests, adjusted, strict=True):
        if isinstance(test, str):
            continue
        low, high = (float(v) / len(group) for v in test.interval(2 * false_pass))
        gap = float(test.estimate) / len(group)
        verdict = decide_exact(float(p), low, high, margin, error_rate)
        first, last = group[0], group[-1]
        name = f"{first.node}..{last.node}"
        where = (name, first.quantity, first.point, first.other)
        note = "per layer, summed over the depth"
        rows.append(
            Judged(
                *where, float("nan"), float("nan"), gap, low, high, float(p), "exact", "drift",
                verdict, note,
            )  # fmt: skip
        )
    return rows


def _drift_test(group: Iterable[Step], level: float) -> SharpTest | StudentizedTest | str:
    group = list(group)
    total = np.sum([s.residual for s in group], axis=0)
    sharp = all(s.variance is not None and s.third is not None for s in group)
    variance = np.sum([s.variance for s in group], axis=0) if sharp else None
    third = np.sum([s.third for s in group], axis=0) if sharp else None
    first = group[0]
    summed = Step(
        first.node, first.quantity, first.point, first.other, first.family, total, True,
        variance, third,
    )  # fmt: skip
    return _test(summed, level)


def _judge_depth(
    theory: Prediction,
    sample: Sample,
    collected: list[Step],
    margin: float,
    false_pass: float,
    sound: bool,
) -> Iterator[Judged]:
    """The predictions against measured averages, by equivalence.

    A theory whose steps all hold is not refuted by its own 1/n error: then the answer is that the
    margin is below the theory's accuracy at this width.
    """
    seen = dict.fromkeys((s.node, s.quantity, s.point, s.other) for s in collected)
    for node, quantity, point, other in seen:
        if quantity == "mean":
            continue
        value = theory.value(node, quantity)[(point,) if other is None else (point, other)]
        values = sample.values(node, quantity)
        column = values[:, point] if other is None else values[:, point, other]
        unit = abs(value)
        if other is not None:
            square = theory.moments[node].diagonal
            unit = float(np.sqrt(square[point] * square[other]))
        regime = theory.regime(node, quantity)
        where = (node, quantity, point, other, float(value), float(column.mean()))
        if unit == 0 or np.ptp(column) == 0:
            continue
        try:
            test = studentized_test((column - value) / unit, 0.0, 2 * false_pass)
        except ValueError as refusal:
            nan = float("nan")
            yield Judged(
                *where, nan, nan, nan, 1.0, str(regime), "depth", Verdict.UNDECIDED, str(refusal)
            )
            continue
        low, high = (float(v) for v in test.interval(2 * false_pass))
        verdict, note = decide_equivalence(low, high, margin), ""
        if verdict is Verdict.REFUTED and sound and regime != EXACT:
            verdict = Verdict.UNDECIDED
            note = "margin below the theory's accuracy at this width: wider network, or larger margin"
        gap = float(test.estimate)
        yield Judged(*where, gap, low, high, 1.0, str(regime), "depth", verdict, note)


def _numbers(theory: Prediction, sample: Sample, step: Step) -> tuple[float, float]:
    at = (step.point,) if step.other is None else (step.point, step.other)
    value = theory.value(step.node, step.quantity)[at]
    measured = sample.values(step.node, step.quantity).mean(0)[at]
    return float(value), float(measured)


