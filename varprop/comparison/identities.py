"""What must hold without statistical error: the prediction is the fold of its rules, and the
backward pass is the adjoint of the forward one, in theory and in the engine."""

from collections.abc import Iterator

import numpy as np

from varprop.comparison.report import Judged
from varprop.comparison.rounding import PRECISION
from varprop.layers import Dense
from varprop.moments import Tangents, gap_of
from varprop.montecarlo import Sample
from varprop.network import Network
from varprop.stats import Verdict
from varprop.theory import Prediction, backward, forward, tangents

ROUNDING = 1e-9  # relative: two float64 folds of the same rules
DUALITY_BOUND = 1e3  # root mean square defect, in units of the precision, capped at 1/2


def broken_rules(theory: Prediction) -> Iterator[Judged]:
    """A REFUTED row for each identity that the theory fails; nothing where all hold."""
    yield from _not_a_fold(theory)
    yield from _not_adjoint(theory)


def _not_a_fold(theory: Prediction) -> Iterator[Judged]:
    net = theory.network
    laws = forward(net, {net.input: theory.moments[net.input]})
    gradients = backward(net, laws)
    for name, _, _ in net:
        ours, fold = theory.moments[name], laws[name]
        for quantity, a, b in (
            ("second_moment", ours.second, fold.second),
            ("mean", ours.mean, fold.mean),
            ("grad_second_moment", theory.gradients[name].second, gradients[name].second),
        ):
            if _distance(a, b) > ROUNDING:
                note = "the prediction is not the fold of the rules that were tested"
                yield _broken(name, quantity, float(np.ravel(a)[0]), float(np.ravel(b)[0]), note)
        largest = np.abs(ours.second).max(initial=0.0)
        defect = np.abs(ours.gap - gap_of(ours.second)).max(initial=0.0)
        if defect > ROUNDING * largest:
            note = "the gap E (x - x')^2 / 2 is not that of the second moments"
            yield _broken(name, "second_moment", float(largest), float(largest + defect), note)


def _not_adjoint(theory: Prediction) -> Iterator[Judged]:
    for start in _some_feeds(theory.network):
        try:
            ahead, back = _jacobian_norm_twice(theory, start)
        except ValueError:  # a layer without a tangent rule: the steps say so
            return
        if _distance(ahead, back) > ROUNDING:
            note = "the backward rules are not the adjoint of the forward tangent rules"
            at = np.unravel_index(np.argmax(np.abs(ahead - back)), back.shape)
            quantity = "grad_second_moment" if at[0] == at[1] else "grad_cross_moment"
            yield _broken(start, quantity, float(back[at]), float(ahead[at]), note)


def not_dual(sample: Sample) -> Iterator[Judged]:
    """A REFUTED row for an engine whose gradients are not those of its values."""
    if sample.duality is None:
        return
    defect = float(np.sqrt(np.mean(sample.duality**2)))
    if not defect <= min(0.5, DUALITY_BOUND * PRECISION[sample.dtype]):
        note = "u.(Jt) and (J'u).t differ: the engine's gradients are not those of its values"
        yield _broken(sample.network.input, "grad_second_moment", 0.0, defect, note)


def _jacobian_norm_twice(theory: Prediction, start: str) -> tuple[np.ndarray, np.ndarray]:
    """E J.J' of the Jacobians at each two points, from `start` to the output.

    By an isotropic unit tangent, the same at all points, and by the gradient.
    """
    net = theory.network
    zero = np.zeros_like(theory.moments[net.input].second)
    names = [n.name for n in net]
    known = dict.fromkeys(names[: names.index(start)], Tangents(zero[0], zero, zero))
    known[start] = Tangents(zero[0], zero + 1.0, zero)
    ahead = tangents(net, theory.moments, known)[net.output].second * net.sizes[net.output]
    return ahead, theory.gradients[start].second * net.sizes[start]


def _some_feeds(network: Network, most: int = 6) -> list[str]:
    """The input, and a few of the nodes that feed dense layers."""
    feeds = dict.fromkeys(i for n in network for i in n.inputs if isinstance(n.layer, Dense))
    names = [n for n in feeds if n != network.input]
    return [network.input, *names[:: max(1, len(names) // most)]]


def _distance(a: np.ndarray, b: np.ndarray) -> float:
    """The largest difference relative to the largest entry."""
    size = max(np.abs(a).max(initial=0.0), np.abs(b).max(initial=0.0))
    return float(np.abs(a - b).max(initial=0.0) / size) if size > 0 else 0.0


def _broken(node: str, quantity: str, value: float, measured: float, note: str) -> Judged:
    gap = measured / value - 1 if value else measured
    return Judged(
        node,
        quantity,
        0,
        None,
        "identity",
        Verdict.REFUTED,
        value=value,
        measured=measured,
        gap=gap,
        low=gap,
        high=gap,
        p_value=0.0,
        note=note,
    )
