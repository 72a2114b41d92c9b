"""The report beside the comparison of initializers: tables, and each published statement judged.

The statements are those of a published comparison on CIFAR-10 (batch 512, 30 epochs, five runs).
Each is a set of contrasts, differences between runs of one seed that it says to be positive on
average; it reproduces if all are decided positive, not if any is decided negative.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from figures.results import Results
from figures.training.paired import Decision, Paired, decide
from varprop.stats import Verdict

Arrays = Mapping[str, np.ndarray]

TITLES = {
    "glorot_uniform": "Glorot uniform",
    "glorot_normal": "Glorot normal",
    "he_uniform": "He uniform",
    "he_normal": "He normal",
    "random_uniform": "Random uniform",
    "random_normal": "Random normal",
}
NETWORKS = ("without batch-norm", "with batch-norm")
LAWS = ("uniform", "normal")
HALF = 0.5  # of the validation images
SLOW = 3  # epochs of a slow start, the fewest that were published
ERROR_RATE = 0.05  # of all verdicts on one network together
WORDS = {
    Verdict.CONFIRMED: "reproduces",
    Verdict.REFUTED: "does not reproduce",
    Verdict.UNDECIDED: "the data cannot decide",
}


class Statement(NamedTuple):
    """`contrasts`: mean differences that must be positive, by what they are of."""

    row: str
    text: str
    contrasts: Mapping[str, Paired]


def measures(arrays: Arrays) -> dict[str, np.ndarray]:
    """Four numbers of each run, (batch-norm, initializer, seed), by what they are."""
    accuracy = arrays["validation_accuracy"]
    drops = np.maximum(accuracy[..., 1:-1] - accuracy[..., 2:], 0.0)
    return {
        f"epochs to {100 * HALF:.0f} %": crossing(accuracy),
        "accuracy lost again": drops.sum(-1),
        "train − validation": arrays["train_accuracy"][..., -1] - accuracy[..., -1],
        "initial loss": arrays["validation_loss"][..., 0],
    }


def crossing(accuracy: np.ndarray) -> np.ndarray:
    """The epoch, between whole ones by a line, at which curves (..., 1 + epochs) reach HALF.

    Those that do not reach it get the number of epochs, a lower bound.
    """
    reached = accuracy[..., 1:] >= HALF
    last = np.argmax(reached, -1)[..., None]
    before = np.take_along_axis(accuracy[..., :-1], last, -1)[..., 0]
    after = np.take_along_axis(accuracy[..., 1:], last, -1)[..., 0]
    rise = np.where(after > before, after - before, 1.0)
    found = last[..., 0] + np.clip((HALF - before) / rise, 0.0, 1.0)
    found = np.where(reached.any(-1), found, accuracy.shape[-1] - 1)
    return np.where(np.isnan(accuracy).any(-1), np.nan, found)


def statements(arrays: Arrays, norm: int) -> list[Statement]:
    """The published statements as contrasts of the networks without (0) or with (1) batch-norm."""
    names = list(TITLES)
    accuracy = dict(zip(names, arrays["validation_accuracy"][norm], strict=True))
    time, drops, gap, start = (
        dict(zip(names, values[norm], strict=True)) for values in measures(arrays).values()
    )
    fitted = arrays["fitted_accuracy"][norm][..., 0]
    own_gap = {name: fitted[k] - accuracy[name][:, -1] for k, name in enumerate(names)}
    spread = {name: np.abs(a[:, -1] - np.median(a[:, -1])) for name, a in accuracy.items()}
    early = {name: -start_of(a) for name, a in accuracy.items()}
    half = f"He reaches {100 * HALF:.0f} % before"
    logged = "gap of training accuracy, as logged while learning, over validation accuracy"
    lasting = "gap of the trained network's accuracies, on training and validation images"
    slow = f"In the mean over epochs 1 to {SLOW}"
    wider, jumpy = (
        "Final accuracies spread more over seeds under",
        "Curves lose more accuracy again under",
    )
    lower = {
        f"He uniform − {TITLES[name]}": Paired(start["he_uniform"] - start[name])
        for name in ("glorot_uniform", "random_uniform")
    }
    table = (
        ("D2a", f"{half} Glorot", _above_he(time, "glorot")),
        ("D2b", f"{half} Random", _above_he(time, "random")),
        ("D2c", f"{slow} Glorot is below He", _above_he(early, "glorot")),
        ("D2d", f"{slow} Random is below He", _above_he(early, "random")),
        ("D3a", f"{wider} Glorot than under He", _above_he(spread, "glorot")),
        ("D3b", f"{wider} Random than under He", _above_he(spread, "random")),
        ("D3c", f"{jumpy} Glorot than under He", _above_he(drops, "glorot")),
        ("D3d", f"{jumpy} Random than under He", _above_he(drops, "random")),
        ("D4a", f"He uniform has the smallest {logged}", _above(gap, "he_uniform", 1)),
        ("D4b", f"Random uniform has the largest {logged}", _above(gap, "random_uniform", -1)),
        ("D4c", f"He uniform has the smallest {lasting}", _above(own_gap, "he_uniform", 1)),
        ("D4d", f"Random uniform has the largest {lasting}", _above(own_gap, "random_uniform", -1)),
        ("D5", "The starting loss is lower for Glorot and Random uniform than for He uniform",
         lower),
    )  # fmt: skip
    return [Statement(*row) for row in table]


def _above_he(values: Mapping[str, np.ndarray], family: str) -> dict[str, Paired]:
    """That family minus He of the same law."""
    return {
        f"{TITLES[f'{family}_{law}']} − {TITLES[f'he_{law}']}": Paired(
            values[f"{family}_{law}"] - values[f"he_{law}"]
        )
        for law in LAWS
    }


def _above(values: Mapping[str, np.ndarray], one: str, sign: int) -> dict[str, Paired]:
    """Each other initializer minus `one`, or, for sign -1, `one` minus each other."""
    others = [name for name in TITLES if name != one]
    pairs = [(name, one)[::sign] for name in others]
    return {f"{TITLES[a]} − {TITLES[b]}": Paired(values[a] - values[b]) for a, b in pairs}


def own(arrays: Arrays) -> Statement:
    """What explains slow starts under batch-norm, and was not published."""
    lag = start_of(arrays["batch_accuracy"][1]) - start_of(arrays["validation_accuracy"][1])
    return Statement(
        "own",
        f"Over epochs 1 to {SLOW} running statistics cost Random more validation accuracy, against "
        "those of the validation batches, than they cost He",
        _above_he(dict(zip(TITLES, lag, strict=True)), "random"),
    )


def start_of(accuracy: np.ndarray) -> np.ndarray:
    """The mean of curves (..., 1 + epochs) over the epochs of a slow start."""
    return accuracy[..., 1 : 1 + SLOW].mean(-1)


def judge(asked: list[Statement]) -> list[Decision]:
    """All statements together, at one error rate."""
    claims = {str(k): list(one.contrasts.values()) for k, one in enumerate(asked)}
    return list(decide(claims, ERROR_RATE).values())


def published(results: Results) -> str:
    """The whole page, in Markdown."""
    about, data = results.about["parameters"], results.about["data"]
    asked = [statements(results.arrays, norm) for norm in range(len(NETWORKS))]
    asked[1].append(own(results.arrays))
    found = [judge(one) for one in asked]
    seeds = about["seeds"]
    lines = [
        "# Does weight initialization matter?",
        "",
        f"Data: {data['note']}, SHA-256 `{data['sha256'][:16]}`. {about['epochs']} epochs of plain "
        f"SGD, rate {about['rate']:g}, batch {about['batch']}, {seeds} seeds, paired over the "
        "initializers. The published statements are of CIFAR-10, another network and batch 512: "
        "what is said here is whether they hold for these data and this network.",
        "",
        "Intervals: 95 % by t over seeds, of one number at a time. Verdicts: paired t tests, "
        f"Holm's adjustment, error rate {ERROR_RATE:g} for all on one network together. A "
        "statement reproduces if all its contrasts are positive and does not if any is negative; "
        "its two p-values are those of saying so. t takes the differences over seeds for normal; "
        "the exact test of signs is told beside it, whose p-value is at least "
        f"{2.0 ** (1 - seeds):.2g} here.",
        "",
        "## What is published, and what is found (D2 to D5)",
        "",
        f"| row | statement | {' | '.join(NETWORKS)} |",
        "|---|---|---|---|",
    ]
    for k, one in enumerate(asked[0]):
        words = " | ".join(WORDS[decisions[k].verdict] for decisions in found)
        lines.append(f"| {one.row} | {one.text} | {words} |")
    unpublished = f"{asked[1][-1].text}: {found[1][-1].verdict}"
    lines += ["", f"Not published, with batch-norm: {unpublished}."]
    for norm, network in enumerate(NETWORKS):
        lines += ["", f"## Final table, {network} (D1)", "", *_final(results.arrays, norm)]
        lines += ["", f"## Every contrast, {network}", "", *_contrasts(asked[norm], found[norm])]
    return "\n".join(lines) + "\n"


def _final(arrays: Arrays, norm: int) -> list[str]:
    columns = {
        "validation accuracy": arrays["validation_accuracy"][norm][..., -1],
        "validation loss": arrays["validation_loss"][norm][..., -1],
        **{key: values[norm] for key, values in measures(arrays).items()},
    }
    lines = ["| initializer | " + " | ".join(columns) + " | diverged |"]
    lines.append("|---" * (len(columns) + 2) + "|")
    for k, title in enumerate(TITLES.values()):
        cells = [_interval(Paired(values[k])) for values in columns.values()]
        wrecked = int((arrays["diverged"][norm][k] >= 0).sum())
        lines.append(f"| {title} | " + " | ".join(cells) + f" | {wrecked} |")
    epochs = arrays["train_accuracy"].shape[-1]
    lines += ["", f"A run that does not reach {100 * HALF:.0f} % counts as {epochs} epochs."]
    return lines


def _interval(pair: Paired) -> str:
    low, high = pair.interval()
    return f"{pair.mean:.3g} [{low:.3g}, {high:.3g}]"


def _contrasts(asked: list[Statement], found: list[Decision]) -> list[str]:
    lines = ["| row | said to be positive | mean [95 %] | p by signs | p for | p against |"]
    lines.append("|---" * 6 + "|")
    for statement, decision in zip(asked, found, strict=True):
        ends = f"{decision.p_for:.2g} | {decision.p_against:.2g}"
        for name, pair in statement.contrasts.items():
            cells = f"{name} | {_interval(pair)} | {pair.p_signs:.2g}"
            lines.append(f"| {statement.row} | {cells} | {ends} |")
    return lines
