"""What goes wrong with truncated normal weights, each pitfall by name.

no-truncation       the bounds cut nothing: torch's +-2 are values, 100 sigma at std = 0.02
relative-correction std was divided by 0.8796, the correction for bounds of +-2 std, but the
                    bounds are values that cut less: weights 13.7 % too large
uncorrected         the bounds cut, and std was not widened for it: weights too small
shifted             bounds that are not symmetric give the weights a mean
clipped             weights were clipped, not truncated: atoms at the bounds
outliers            a few weights lie at bounds that they should never reach
out-of-bounds       weights lie beyond the bounds: neither truncated nor clipped there
wrong-mean          the weights' mean is not that of the law, beyond chance
wrong-std           the weights' std is not that of the law, beyond chance
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.stats import poisson

from varprop.laws.deviation import deviation
from varprop.laws.numeric import TruncatedMoments, _real, truncated_normal

NOTHING = 1e-9  # bounds that cut less than this probability cut nothing
FALSE_ALARM = 1e-9  # of each finding on weights
CLOSE = 2e-3  # relative distance of standard deviations that are called equal
KERAS_BOUND = 2.0  # JAX and Keras cut at two standard deviations


@dataclass(frozen=True)
class Finding:
    """One pitfall: its name, what was found, and what to do."""

    name: str
    found: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.name}: {self.found}; {self.remedy}"


@dataclass(frozen=True, eq=False)
class TruncationReport:
    """What trunc_normal(0, std, low, high) does: `law` has its moments, `findings` its pitfalls.

    `ratio` is the standard deviation of the weights over the one wanted; `clipped_std` is what
    clipping at the same bounds would give; `measured` holds the numbers of given weights.
    """

    std: float
    wanted: float
    law: TruncatedMoments
    clipped_std: float
    findings: tuple[Finding, ...]
    measured: dict[str, float] = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        """The standard deviation of the weights over the one wanted."""
        return float(self.law.std) / self.wanted

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the pitfalls found."""
        return tuple(finding.name for finding in self.findings)

    def __str__(self) -> str:
        low, high = float(self.law.low), float(self.law.high)
        head = (
            f"trunc_normal(std={self.std:g}, a={low:g}, b={high:g}): weights of std "
            f"{float(self.law.std):.6g}, {self.ratio - 1:+z.1%} of the wanted {self.wanted:g}; "
            f"kurtosis {float(self.law.kurtosis):.4g}"
        )
        return "\n".join([head, *(f"  {finding}" for finding in self.findings)])


def truncation_report(
    std: float,
    low: float = -2.0,
    high: float = 2.0,
    *,
    wanted: float | None = None,
    weights: Any = None,
) -> TruncationReport:
    """Diagnose trunc_normal of mean 0 with absolute bounds, and weights drawn from it if given.

    `wanted` is the standard deviation that the weights are to have (default: std). Each finding on
    weights is raised by chance with probability 1e-9 at most, if they are independent draws of
    trunc_normal(0, std, low, high). Raises ValueError as `truncated_normal`.
    """
    law = truncated_normal(0.0, std, low, high)
    target = np.asarray(std) if wanted is None else _real("wanted", wanted)
    if law.loc.ndim or target.ndim or not 0 < target < np.inf:
        raise ValueError(
            "std, low, high and wanted must be single numbers, the last above 0 and finite, got "
            f"{std!r}, {low!r}, {high!r}, {wanted!r}: report on one tensor at a time"
        )
    findings = [*_on_arguments(law, float(std), float(target))]
    measured: dict[str, float] = {}
    if weights is not None:
        values, spacing = _values(weights)
        measured = _measured(values)
        findings += _on_bounds(law, values, spacing, measured)
        findings += _on_moments(law, values, spacing)
    clipped = _clipped_std(law)
    return TruncationReport(float(std), float(target), law, clipped, tuple(findings), measured)


def _on_arguments(law: TruncatedMoments, std: float, wanted: float) -> list[Finding]:
    findings, low, high = [], float(law.low), float(law.high)
    nearest, ratio = min(abs(low), abs(high)) / std, float(law.std) / wanted
    remedy = f"pass std=truncated_std({wanted:g}, {low:g}, {high:g})"
    idle = -np.expm1(law.log_mass) < NOTHING
    if idle:
        found = f"the bounds are {nearest:.3g} standard deviations away and cut nothing"
        findings.append(
            Finding("no-truncation", found, "bounds are values: pass a=-2*std, b=2*std")
        )
    correction = float(truncated_normal(0.0, 1.0, -KERAS_BOUND, KERAS_BOUND).std)
    if abs(ratio - 1) > CLOSE:
        relative = abs(std * correction / wanted - 1) < CLOSE
        found = f"the weights are {ratio - 1:+z.1%} off in std"
        if relative:
            found += f": std was divided by {correction:.4f}, the correction for bounds of +-2 std"
        findings.append(
            Finding("relative-correction" if relative else "uncorrected", found, remedy)
        )
    if abs(float(law.mean)) > CLOSE * float(law.std):
        found = f"the weights have mean {float(law.mean):.4g}"
        findings.append(Finding("shifted", found, "pass symmetric bounds"))
    return findings


def _on_moments(law: TruncatedMoments, values: np.ndarray, spacing: float) -> list[Finding]:
    found, findings = deviation(law, values, spacing, FALSE_ALARM), []
    remedy = "check the sampler and its arguments: it drew from another law"
    for name, wrong, has, owed in (
        ("mean", found.wrong_mean, found.mean, float(law.mean)),
        ("std", found.wrong_std, found.std, float(law.std)),
    ):
        if wrong:
            told = f"{values.size} weights have {name} {has:.6g} where the law has {owed:.6g}"
            findings.append(Finding(f"wrong-{name}", told, remedy))
    return findings


def _on_bounds(
    law: TruncatedMoments, values: np.ndarray, spacing: float, measured: dict[str, float]
) -> list[Finding]:
    """Clipping puts all of the mass outside on the bounds, rounding next to nothing."""
    low, high, count = float(law.low), float(law.high), values.size
    outer = [low - spacing * abs(low), high + spacing * abs(high)]  # what rounding may reach
    beyond = (values < outer[0]) | (values > outer[1])
    at_bounds = int((((values <= low) | (values >= high)) & ~beyond).sum())
    measured["at the bounds"] = float(at_bounds)
    measured["beyond the bounds"] = float(beyond.sum())
    findings = _on_atoms(law, count, at_bounds, spacing, measured["kurtosis"])
    if beyond.any():
        furthest = values[beyond][np.argmax(np.abs(values[beyond]))]
        found = f"{beyond.sum()} of {count} weights are below {low:g} or above {high:g}, the "
        found += f"furthest {furthest:.6g}"
        remedy = "the sampler does not cut there: pass it these bounds, as values"
        findings.append(Finding("out-of-bounds", found, remedy))
    return findings


def _on_atoms(
    law: TruncatedMoments, count: int, at_bounds: int, spacing: float, kurtosis: float
) -> list[Finding]:
    low, high = float(law.low), float(law.high)
    bounds = [b for b in (low, high) if np.isfinite(b)]
    expected = count * sum(_density(law, b) * abs(b) * spacing for b in bounds)
    if poisson.sf(at_bounds - 1, expected) > FALSE_ALARM:
        return []
    outside = count * -np.expm1(law.log_mass)
    if at_bounds > outside / 2 > 0.5:
        found = f"{at_bounds} of {count} weights are equal to a bound, {outside:.0f} by clipping"
        return [Finding("clipped", found, "redraw what falls outside instead of clamping it")]
    found = (
        f"{at_bounds} of {count} weights are at the bounds, {expected:.2g} expected: "
        f"kurtosis {kurtosis:.6g} in place of {float(law.kurtosis):.4g}"
    )
    return [
        Finding("outliers", found, "the sampler is at fault: draw by varprop.init.trunc_normal")
    ]


def _density(law: TruncatedMoments, w: float) -> float:
    """The density of the law at w."""
    t, scale = (w - float(law.loc)) / float(law.scale), float(law.scale)
    return float(np.exp(-(t**2) / 2 - law.log_mass) / (np.sqrt(2 * np.pi) * scale))


def clipped_moment(law: TruncatedMoments, k: int) -> float:
    """E min(max(w, low), high)^k for w ~ N(loc, scale^2), clamped in place of truncated.

    Three parts, each by its mass: the truncated law between the bounds, and the bounds themselves.
    Raises ValueError for more than one law and for k beyond 64.
    """
    if law.loc.ndim:
        raise ValueError(
            f"clipped_moment takes one law, got {law.loc.size} of shape {law.loc.shape}: "
            "call it for each"
        )
    loc, scale = float(law.loc), float(law.scale)
    total = float(np.exp(law.log_mass) * law.moment(k))
    for bound, low, high in ((law.low, -np.inf, law.low), (law.high, law.high, np.inf)):
        if np.isfinite(bound):
            mass = float(np.exp(truncated_normal(loc, scale, low, high).log_mass))
            total += mass * float(bound) ** k
    return total


def _clipped_std(law: TruncatedMoments) -> float:
    return float(np.sqrt(clipped_moment(law, 2) - clipped_moment(law, 1) ** 2))


def _values(weights: Any) -> tuple[np.ndarray, float]:
    """Weights as float64, and the relative spacing of their own dtype."""
    if hasattr(weights, "detach"):
        import torch

        spacing = torch.finfo(weights.dtype).eps if weights.is_floating_point() else 0.0
        values = weights.detach().cpu().double().numpy().ravel()
    else:
        floats = np.asarray(weights)
        real = floats.dtype.kind == "f"  # which may hold nan, counted below
        spacing = float(np.finfo(floats.dtype).eps) if real else 0.0
        values = (floats.astype(float) if real else _real("weights", weights)).ravel()
    if values.size < 2 or not np.isfinite(values).all():
        raise ValueError(
            f"weights must be two or more finite numbers, got {values.size} with "
            f"{int((~np.isfinite(values)).sum())} not finite: pass a freshly drawn tensor"
        )
    return values, spacing


def _measured(values: np.ndarray) -> dict[str, float]:
    centred = values - values.mean()
    variance = float(np.mean(centred**2))
    kurtosis = float(np.mean(centred**4)) / variance**2 if variance else float("nan")
    largest = float(np.abs(values).max())
    return {"std": variance**0.5, "kurtosis": kurtosis, "largest": largest}
