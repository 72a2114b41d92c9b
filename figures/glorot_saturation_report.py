"""What Glorot and Bengio (2010) state of their figures 2 and 3, measured, and the page about it.

Arrays are named "net/moment" and have shape (seed, hidden layer, 1 + epochs).
"""

from collections.abc import Mapping

import numpy as np

from figures.assertions import ERROR_RATE, Assertion, judged
from figures.initializers_report import WORDS, crossing
from figures.results import Claim, Results
from varprop.stats import Verdict

Arrays = Mapping[str, np.ndarray]
Assertions = dict[str, Assertion]

SHALLOW, DEEP, TANH, SOFTSIGN = "sigmoid, 4 layers", "sigmoid, 5 layers", "tanh", "softsign"
NEAR = 0.1  # of an end of the range: saturated
EARLY = 0.1  # of the epochs
LEAVES = 0.05  # by which a mean has risen again


def claims(arrays: Arrays) -> tuple[Claim, ...]:
    """Of the figure: the published statements that hold for the digits, and what holds instead."""
    published = statements(arrays)
    held = ("driven to 0", "escapes", "longer", "less")
    return judged({key: published[key] for key in held} | _instead(arrays))


def statements(arrays: Arrays) -> Assertions:
    """All that is published."""
    return _driven(arrays) | _escape(arrays) | _tanh(arrays) | _softsign(arrays)


def _early(arrays: Arrays) -> tuple[np.ndarray, np.ndarray]:
    """The lowest early mean of the last of four layers, (seed,), and the other layers' there."""
    mean = arrays[f"{SHALLOW}/mean"]
    early = mean[:, -1, : 1 + int(EARLY * (mean.shape[-1] - 1))]
    lowest = early.argmin(-1)
    others = np.take_along_axis(mean[:, :-1], lowest[:, None, None], -1)[..., 0]
    return early.min(-1), others


def _driven(arrays: Arrays) -> Assertions:
    last, others = _early(arrays)
    return {
        "driven to 0": Assertion(
            f"within the first {100 * EARLY:.0f} % of the epochs the mean of the last of four "
            f"sigmoid layers falls below {NEAR:g}",
            SHALLOW,
            {f"{NEAR:g} less the mean": NEAR - last},
        ),
        "others above": Assertion(
            "at its lowest there, the means of the other layers are above 1/2",
            SHALLOW,
            _by_layer(others),
            0.5,
        ),
        "others in order": Assertion(
            "and these means are the higher, the closer the layer is to the output",
            SHALLOW,
            _steps(others, "less"),
        ),
    }


def _escape(arrays: Arrays) -> Assertions:
    four, five = (arrays[f"{net}/mean"][:, -1] for net in (SHALLOW, DEEP))
    epochs = [(last < NEAR).sum(-1).astype(float) for last in (four, five)]
    return {
        "escapes": Assertion(
            "the last of four layers leaves saturation again: from its lowest, its mean rises by "
            f"more than {LEAVES:g}",
            SHALLOW,
            {"rise": four[:, -1] - four.min(-1)},
            LEAVES,
        ),
        "longer": Assertion(
            f"the last of five sigmoid layers has a mean below {NEAR:g} in more epochs than the "
            "last of four",
            SHALLOW,
            {"epochs more": epochs[1] - epochs[0]},
        ),
        "never": Assertion(
            f"the last of five layers never leaves it: its mean ends below {NEAR:g}",
            SHALLOW,
            {f"{NEAR:g} less the mean": NEAR - five[:, -1]},
        ),
    }


def _tanh(arrays: Arrays) -> Assertions:
    high = arrays[f"{TANH}/high"]
    level = 1 - NEAR
    return {
        "saturates": Assertion(
            f"each tanh layer saturates: the 98th percentile ends above {level:g}",
            TANH,
            _by_layer(high[..., -1]),
            level,
        ),
        "in sequence": Assertion(
            "tanh layers saturate one after the other from layer 1 on: the 98th percentile makes "
            "half of its rise later in each layer than in the one below",
            TANH,
            _steps(halfway(high), "after"),
        ),
    }


def _softsign(arrays: Arrays) -> Assertions:
    tanh, soft = (arrays[f"{net}/high"] for net in (TANH, SOFTSIGN))
    spreads = [np.ptp(halfway(high), -1) for high in (tanh, soft)]
    return {
        "less": Assertion(
            "each softsign layer saturates less than that of tanh: its 98th percentile ends lower",
            SOFTSIGN,
            _by_layer((tanh - soft)[..., -1]),
        ),
        "together": Assertion(
            "softsign layers saturate more together than those of tanh: fewer epochs lie between "
            "the first and the last half rise",
            SOFTSIGN,
            {"epochs of tanh less those of softsign": spreads[0] - spreads[1]},
        ),
    }


def _instead(arrays: Arrays) -> Assertions:
    """What is asserted in the place of published statements; chosen on seeds of pilot runs."""
    _, others = _early(arrays)
    half = halfway(arrays[f"{TANH}/high"])
    late = half[:, :1] - half[:, 1:]
    return {
        "third above": Assertion(
            f"where the last of four sigmoid layers is lowest within the first {100 * EARLY:.0f} % "
            "of the epochs, the mean of the third is above 1/2",
            SHALLOW,
            {"layer 3": others[:, -1]},
            0.5,
        ),
        "first is last": Assertion(
            "not as published, the first tanh layer makes half of its rise after all others",
            TANH,
            {f"epochs after layer {k}": gaps for k, gaps in enumerate(late.T, 2)},
        ),
    }


def halfway(curves: np.ndarray) -> np.ndarray:
    """The epoch at which curves (..., 1 + epochs) have made half of their rise to their largest."""
    start = curves[..., :1]
    rise = curves.max(-1, keepdims=True) - start
    return crossing((curves - start) / np.where(rise > 0, rise, 1.0))


def _by_layer(values: np.ndarray) -> dict[str, np.ndarray]:
    return {f"layer {k}": one for k, one in enumerate(values.T, 1)}


def _steps(values: np.ndarray, word: str) -> dict[str, np.ndarray]:
    """Each layer's value less that of the layer below, (seed, layer) to (seed,) by name."""
    return {f"layer {k} {word} layer {k - 1}": one for k, one in enumerate(np.diff(values).T, 2)}


def page(results: Results) -> str:
    """Every published statement and what becomes of it, in Markdown."""
    arrays, data = results.arrays, results.about["data"]
    five = arrays[f"{DEEP}/mean"][:, -1, -1]
    lines = [
        "# Do sigmoid, tanh and softsign layers saturate as published?",
        "",
        f"Data: {data['note']}, SHA-256 `{data['sha256'][:16]}`. The statements are those of "
        "Glorot and Bengio (2010) on their figures 2 and 3, for images of shapes and networks of "
        "1000 units a layer; here is judged whether they hold for these data and networks. Paired "
        f"t tests over {len(five)} seeds, Holm's adjustment, error rate {ERROR_RATE:g} for all "
        "verdicts of this page together.",
        "",
        "| statement | found | least support: mean [95 %] |",
        "|---|---|---|",
    ]
    for claim in judged(statements(arrays)):
        words = WORDS[Verdict(claim.verdict)]
        lines.append(f"| {claim.statement} | {words} | {claim.evidence} |")
    lines += [
        "",
        f"Of {len(five)} networks with five sigmoid layers, {int((five >= NEAR).sum())} have left "
        "saturation when training ends.",
        "",
        "## 98th percentile by layer: at the start, at the end, and the epoch of half the rise",
        "",
        "| network | layer | start | end | epoch |",
        "|---|---|---|---|---|",
    ]
    for net in (TANH, SOFTSIGN):
        high = arrays[f"{net}/high"]
        columns = zip(high[..., 0].T, high[..., -1].T, halfway(high).T, strict=True)
        for k, (start, end, epoch) in enumerate(columns, 1):
            cells = f"{start.mean():.2f} | {end.mean():.2f} | {epoch.mean():.1f}"
            lines.append(f"| {net} | {k} | {cells} |")
    return "\n".join(lines) + "\n"
