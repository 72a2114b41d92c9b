"""The report beside the figure of constant weights: each published statement against what is found.

A statement is reproduced, or not, by a verdict of the figure; a number that is of other data or of
another training than these is one that the data cannot decide.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from figures.results import Claim, Results, percent
from figures.training.paired import Paired
from varprop.stats import Verdict

PUBLISHED = {"data": "CIFAR-10", "batch": 16, "rate": 0.002, "epochs": 42}
ACCURACY = 0.23  # published, of the net whose parameters are all 0.0042
NEAR = 0.05  # accuracy: a wider interval about the published number decides nothing
FREE = 1e-3  # channels that differ by more are no longer one
REPRODUCED, CONTRARY, OPEN = "reproduced", "not reproduced", "the data cannot decide"
WORDS = {
    Verdict.CONFIRMED: REPRODUCED,
    Verdict.REFUTED: CONTRARY,
    Verdict.UNDECIDED: OPEN,
}


def differences(about: Mapping[str, Any]) -> list[str]:
    """What these results have other than the published ones, in words."""
    own = {**about["parameters"], "data": about["data"]["name"]}
    return [f"{key} {own[key]}, not {said}" for key, said in PUBLISHED.items() if own[key] != said]


def page(results: Results, claims: Mapping[str, Claim], constant: int) -> str:
    """In Markdown. `claims` by "zero", "above", "below" and "equal"; `constant`: the net's row."""
    about = results.about["parameters"]
    published = ", ".join(f"{key} {value}" for key, value in PUBLISHED.items())
    rows = [
        ("With all parameters zero nothing is learned.", *_of(claims["zero"])),
        ("With all parameters 0.0042 the net trains.", *_of(claims["above"])),
        ("It ends far below the default initialization.", *_of(claims["below"])),
        (f"It reaches {share(ACCURACY, 0)} of validation accuracy ({published}).",
         *_number(results, constant)),
        ("All neurons of a layer have one output, one gradient and one update.",
         *_of(claims["equal"])),
        ("They stay equal for ever.", *_for_ever(results, constant)),
    ]  # fmt: skip
    lines = [
        "# Constant weights",
        "",
        f"Data: {results.about['data']['note']}, SHA-256 "
        f"`{results.about['data']['sha256'][:16]}`. SGD with momentum {about['momentum']:g}, rate "
        f"{about['rate']:g}, batch {about['batch']}, {about['epochs']} epochs, {about['seeds']} "
        "seeds. Intervals: 95 % by t over seeds, of one number at a time.",
        "",
        "| published | here | found |",
        "|---|---|---|",
        *(f"| {said} | {verdict} | {found} |" for said, verdict, found in rows),
    ]
    return "\n".join(lines) + "\n"


def _of(claim: Claim) -> tuple[str, str]:
    told = f"{claim.statement[:1].upper()}{claim.statement[1:]}. {claim.evidence}"
    return WORDS[Verdict(claim.verdict)], told


def _number(results: Results, constant: int) -> tuple[str, str]:
    """The published accuracy, which only the published training on the published data can have."""
    about, accuracy = results.about["parameters"], results.arrays["accuracy"][constant]
    found = " and ".join(_at(accuracy, epoch) for epoch in (about["judged"], about["epochs"]))
    other = differences(results.about)
    if other:
        return OPEN, f"{found}, with {'; '.join(other)}"
    low, high = Paired(accuracy[:, -1]).interval()
    if not low <= ACCURACY <= high:
        return CONTRARY, found
    return (REPRODUCED if high - low <= NEAR else OPEN), found


def _at(accuracy: np.ndarray, epoch: int) -> str:
    """(seed, 1 + epochs) after one of them."""
    pair = Paired(accuracy[:, epoch])
    mean, low, high = (share(value) for value in (pair.mean, *pair.interval()))
    return f"{mean} [{low}, {high}] after {epoch} epochs"


def share(value: float, digits: int = 1) -> str:
    """23.0 %."""
    return percent(value, digits).lstrip("+")


def _for_ever(results: Results, constant: int) -> tuple[str, str]:
    """In float32, where rounding parts neurons and training amplifies it."""
    last = results.arrays["parted"][constant, :, -1]
    freed = int((last > FREE).sum())
    epochs = results.about["parameters"]["epochs"]
    found = (
        f"Left free in float32, the channels of {freed} of {len(last)} nets differ by more than "
        f"{FREE:g} after {epochs} epochs, at most by {last.max():.2g}: rounding parts them"
    )
    return (CONTRARY if freed else OPEN), found
