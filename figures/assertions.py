"""What a training figure asserts of differences between runs of one seed, judged together."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from figures.results import Claim
from figures.training.paired import Paired, decide

ERROR_RATE = 0.01  # of all claims of one figure together


def plain(value: float) -> str:
    """Two decimals, with a minus sign that is one."""
    return f"{value:.2f}".replace("-", "−")


@dataclass(frozen=True)
class Assertion:
    """`statement` says that each mean of these measures over seeds, (n,), is above `bound`.

    panel  where in the figure it is drawn
    tell   how a value of the measure is told
    """

    statement: str
    panel: str
    measures: Mapping[str, np.ndarray]
    bound: float = 0.0
    tell: Callable[[float], str] = plain

    @property
    def contrasts(self) -> list[Paired]:
        return [Paired(np.asarray(values) - self.bound) for values in self.measures.values()]


def judged(
    assertions: Mapping[str, Assertion], error_rate: float = ERROR_RATE
) -> tuple[Claim, ...]:
    """One claim for each assertion; its evidence is the measure with the least support."""
    found = decide({key: one.contrasts for key, one in assertions.items()}, error_rate)
    share = error_rate / len(assertions)  # so that those of a figure add up to its rate
    claims = []
    for key, one in assertions.items():
        pairs = dict(zip(one.measures, one.contrasts, strict=True))
        weakest = max(pairs, key=lambda name: pairs[name].p_above)
        pair = pairs[weakest]
        mean, low, high = (one.tell(v + one.bound) for v in (pair.mean, *pair.interval()))
        seeds = len(pair.differences)
        evidence = f"{weakest}: {mean} [{low}, {high}], {seeds} seeds, p = {found[key].p_for:.1g}"
        if not pair.known:
            evidence = f"{weakest}: a run has no number"
        claims.append(
            Claim(
                one.statement, str(found[key].verdict), evidence, one.panel, key, error_rate=share
            )
        )
    return tuple(claims)
