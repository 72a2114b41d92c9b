"""Gains: what the criteria that circulate under this name ask, and what each does in depth.

Weights of variance g^2 / fan_in after an activation, z ~ N(0, q) before it:

    second_moment   g^2 E phi(z)^2 = q     forward: E z^2 is kept (He et al. 2015, for ReLU)
    variance        g^2 Var phi(z) = q     forward, for weights whose rows sum to zero (Brock et al.
                                           2021, NFNets); plain weights carry the mean as well
    gradient        g^2 E phi'(z)^2 = 1    backward: gradient second moments are kept at that q
    critical        chi_perp = 1 at the fixed point that goes with g itself
    torch           torch.nn.init.calculate_gain, a table of which some entries are empirical

The first three are statements at one q, which need not be where deep layers are: `mean_field` says
where they go, and `chi_parallel` > 1 that they leave q.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch

from varprop import activations
from varprop.activations import ACTIVATIONS, Activation
from varprop.results import Result
from varprop.theory.arguments import check_number
from varprop.theory.meanfield import critical, limits
from varprop.theory.meanfield.field import MeanField, mean_field


@dataclass(frozen=True)
class Gain:
    """A gain, the criterion it meets, and the mean field of weights of variance value^2 / fan_in.

    `chi_parallel`, `chi_perp`: the factors per layer at the q asked for; those at the fixed point
    that deep layers reach are `mean_field.chi_parallel` and `mean_field.chi_perp`.
    """

    activation: Activation
    criterion: str
    q: float
    value: float
    bias_variance: float = 0.0

    def __float__(self) -> float:
        return self.value

    def __str__(self) -> str:
        return f"gain {self.value:.12g} of {self.activation} by {self.criterion} at q = {self.q:g}"

    @cached_property
    def mean_field(self) -> MeanField:
        """Where deep layers go with this gain, started from q."""
        return mean_field(
            self.activation,
            weight_variance=self.value**2,
            bias_variance=self.bias_variance,
            start=self.q,
        )

    @property
    def chi_parallel(self) -> float:
        """dq'/dq at the q asked for."""
        return float(self.mean_field.chi_parallel_at(self.q))

    @property
    def chi_perp(self) -> float:
        """The factor of a gradient's second moment per layer, at the q asked for."""
        return float(self.mean_field.chi_perp_at(self.q))


def gain(
    activation: str | Activation,
    criterion: str = "second_moment",
    q: float = 1.0,
    *,
    bias_variance: float = 0.0,
) -> Gain:
    """The gain of that criterion: second_moment, variance, gradient, critical or torch.

    `q` is E z^2 before the activation; `bias_variance` counts for "critical" alone. Raises
    ValueError for an unknown criterion, and where the criterion has no gain: an activation with a
    jump has none by gradient and critical.
    """
    phi = activations.get(activation)
    if not isinstance(criterion, str) or criterion not in CRITERIA:
        raise ValueError(f"unknown criterion {criterion!r}; the criteria are {', '.join(CRITERIA)}")
    _check_second_moment(q)
    check_number("bias_variance", bias_variance, "it is Var(b)", least=0, symbols=False)
    q, bias_variance = float(q), float(bias_variance)
    if bias_variance and criterion != "critical":
        raise ValueError(
            f"bias_variance counts for the criterion 'critical', got it with {criterion!r}; "
            "leave it out"
        )
    if criterion in ("gradient", "critical"):
        limits.refuse_jumps(
            phi, f"the criterion {criterion!r}", "take second_moment, variance or torch"
        )
    value = CRITERIA[criterion](phi, q, bias_variance)
    if not (np.isfinite(value) and value > 0):
        raise ValueError(
            f"{phi} has no gain by {criterion} at q = {q:g}: the moment it divides by is 0 or "
            "infinite; take another criterion"
        )
    return Gain(phi, criterion, q, float(value), bias_variance)


def _check_second_moment(q: Any) -> None:
    check_number("q = E z^2", q, "substitute numbers for symbols", above=0, symbols=False)


def _second_moment(phi: Activation, q: float, bias: float) -> float:
    return np.sqrt(_over(q, float(phi.second_moment(q))))


def _variance(phi: Activation, q: float, bias: float) -> float:
    return np.sqrt(_over(q, _spread(phi, q)))


def _spread(phi: Activation, q: float) -> float:
    """Var phi(z), without cancellation."""
    mean = float(phi.mean(q))
    return float(phi.moment(lambda z, value, slope: (value - mean) ** 2, q))


def _gradient(phi: Activation, q: float, bias: float) -> float:
    return np.sqrt(_over(1.0, float(phi.derivative_second_moment(q))))


def _critical(phi: Activation, q: float, bias: float) -> float:
    return np.sqrt(critical.critical_line(phi, bias))


def _torch(phi: Activation, q: float, bias: float) -> float:
    """What torch's table says; sin, GELU and others are not in it."""
    name: Any = {"identity": "linear"}.get(phi.name, phi.name)
    try:
        return float(
            torch.nn.init.calculate_gain(name, phi.arguments[0] if phi.arguments else None)
        )
    except ValueError:
        raise ValueError(
            f"torch.nn.init.calculate_gain has no gain for {phi}; "
            "take the criterion second_moment, variance, gradient or critical"
        ) from None


def _over(above: float, below: float) -> float:
    return above / below if below > 0 else np.inf


CRITERIA: dict[str, Callable[[Activation, float, float], float]] = {
    "second_moment": _second_moment,
    "variance": _variance,
    "gradient": _gradient,
    "critical": _critical,
    "torch": _torch,
}

# deepmind-research, nfnets/base.py: estimates from random draws, in float32.
NFNET = {
    "relu": 1.7139588594436646,
    "leaky_relu": 1.70590341091156,
    "relu6": 1.7131484746932983,
    "elu": 1.2716004848480225,
    "celu": 1.270926833152771,
    "selu": 1.0008515119552612,
    "gelu": 1.7015043497085571,
    "silu": 1.7881293296813965,
    "sigmoid": 4.803835391998291,
    "log_sigmoid": 1.9193484783172607,
    "softsign": 2.338853120803833,
    "softplus": 1.9203323125839233,
    "tanh": 1.5939117670059204,
}


class GainRow(NamedTuple):
    """One activation: moments at q, the gains, and what unit second moment and torch's gain do.

    `chi_*` and `stability` are those of q as a fixed point under the second-moment gain,
    `torch_*` those of the fixed point that torch's gain leads to. Missing numbers are nan; `note`
    says which do not exist at all.
    """

    activation: str
    mean: float
    second_moment: float
    variance: float
    derivative_second_moment: float
    gain_second_moment: float
    gain_variance: float
    gain_gradient: float
    gain_critical: float
    gain_torch: float
    gain_nfnet: float
    chi_parallel: float
    chi_perp: float
    stability: str
    torch_fixed_point: float
    torch_chi_perp: float
    note: str


@dataclass(frozen=True, repr=False)
class GainTable(Result):
    """The gains of many activations at one q, with their stability."""

    q: float
    entries: tuple[GainRow, ...]

    def __str__(self) -> str:
        return f"gains of {len(self.entries)} activations at q = {self.q:g}"

    def rows(self) -> Iterator[GainRow]:
        yield from self.entries


def gain_table(q: float = 1.0) -> GainTable:
    """The gains by every criterion at E z^2 = q, and chi there: a row for each activation.

    Raises ValueError for a q that is no finite number above 0.
    """
    _check_second_moment(q)
    return GainTable(float(q), tuple(_entry(name, float(q)) for name in ACTIVATIONS))


def _entry(name: str, q: float) -> GainRow:
    phi = activations.get(name)
    found = {criterion: _or_none(phi, criterion, q) for criterion in CRITERIA}
    values = {f"gain_{k}": np.nan if g is None else g.value for k, g in found.items()}
    kept, torched = found["second_moment"], found["torch"]
    jumps = bool(phi.jumps)
    note = "no gradient criterion: phi jumps, so E phi'(z)^2 is infinite" if jumps else ""
    return GainRow(
        activation=str(phi),
        mean=float(phi.mean(q)),
        second_moment=float(phi.second_moment(q)),
        variance=_spread(phi, q),
        derivative_second_moment=np.nan if jumps else float(phi.derivative_second_moment(q)),
        gain_nfnet=NFNET.get(name, np.nan) if q == 1 else np.nan,
        chi_parallel=kept.chi_parallel if kept else np.nan,
        chi_perp=kept.chi_perp if kept and not jumps else np.nan,
        stability=kept.mean_field.stability if kept else "",
        torch_fixed_point=torched.mean_field.fixed_point if torched else np.nan,
        torch_chi_perp=torched.mean_field.chi_perp if torched and not jumps else np.nan,
        note=note,
        **values,
    )


def _or_none(phi: Activation, criterion: str, q: float) -> Gain | None:
    """The gain, or None where the criterion has none."""
    try:
        return gain(phi, criterion, q)
    except ValueError:
        return None
