"""Whether a prediction and a sample may be compared at all; every error says rule and remedy."""

import numpy as np

from varprop.gaussian import is_finite_real
from varprop.montecarlo import Sample
from varprop.network import Network
from varprop.theory import Prediction

SCOPES = ("steps", "depth")


def check_comparable(theory: Prediction, sample: Sample) -> None:
    """Raises ValueError for symbols, another graph, other inputs, values that are not finite."""
    if not isinstance(theory, Prediction) or not isinstance(sample, Sample):
        raise ValueError(
            "compare takes the result of predict, then that of simulate; got "
            f"{type(theory).__name__} and {type(sample).__name__}"
        )
    check_numeric(theory)
    if apart := difference(theory.network, sample.network):
        raise ValueError(
            f"theory and sample are of different networks: {apart}; "
            "predict and simulate the same graph"
        )
    _check_inputs(theory, sample)
    check_finite(sample)


def check_alike(a: Sample, b: Sample) -> None:
    """Raises ValueError for samples that cannot have the same law, or share draws in no order."""
    if not isinstance(a, Sample) or not isinstance(b, Sample):
        raise ValueError(
            "compare_samples takes two results of simulate; got "
            f"{type(a).__name__} and {type(b).__name__}"
        )
    if apart := difference(a.network, b.network):
        raise ValueError(
            f"the samples are of different networks: {apart}; "
            "simulate the same graph twice (laws of the weights may differ)"
        )
    fresh = a.inputs is None and b.inputs is None
    if not fresh and not (
        a.inputs is not None and b.inputs is not None and np.array_equal(a.inputs, b.inputs)
    ):
        raise ValueError(
            "the samples are of different inputs; give the same `inputs` to both simulate"
        )
    if a.engine != b.engine and a.seed == b.seed:
        raise ValueError(
            f"draws of the engines {a.engine} and {b.engine} with one seed, {a.seed}, share random "
            "numbers in no order, so they are neither paired nor independent; use two seeds"
        )
    check_finite(a)
    check_finite(b)


def check_numeric(theory: Prediction) -> None:
    """Raises ValueError for formulas."""
    if theory.symbolic:
        raise ValueError(
            "compare needs numbers, and this prediction has SymPy symbols; "
            "predict a network with numeric widths and variances"
        )


def check_rates(
    margin: float, error_rate: float, false_pass: float, scope: str = "steps", **more: float
) -> None:
    """Raises ValueError for rates (and `more` of them) outside (0, 1/2) or an unknown scope."""
    check_open_half(margin=margin, error_rate=error_rate, false_pass=false_pass, **more)
    if not isinstance(scope, str) or scope not in SCOPES:
        raise ValueError(f"scope is one of {', '.join(SCOPES)}, got {scope!r}")


def difference(a: Network, b: Network) -> str:
    """The first difference between two graphs, in words; empty where there is none."""
    ours, theirs = _shape(a), _shape(b)
    for one, other in zip(ours, theirs, strict=False):
        if one != other:
            return f"node {one[0]} of size {one[3]} against {other[0]} of size {other[3]}"
    return "" if len(ours) == len(theirs) else f"{len(ours)} nodes against {len(theirs)}"


def check_open_half(**values: float) -> None:
    """Raises ValueError, with the name, for a value outside (0, 1/2)."""
    for name, value in values.items():
        if not (is_finite_real(value) and 0 < value < 0.5):
            raise ValueError(f"{name} must lie between 0 and 0.5, got {value!r}")


def _shape(network: Network) -> list[tuple]:
    return [(n.name, n.layer.kind, n.inputs, network.sizes[n.name]) for n in network]


def _check_inputs(theory: Prediction, sample: Sample) -> None:
    start = theory.moments[theory.network.input].second
    found = sample.records[sample.network.input].second.mean(0)
    same = start.shape == found.shape and np.allclose(
        start, found, rtol=1e-2 if "16" in sample.dtype else 1e-5, atol=1e-6 * np.abs(start).max()
    )
    if not same:
        raise ValueError(
            "theory and sample are of different inputs: their Gram matrices differ; "
            "give the same `inputs` to predict and simulate"
        )


def check_finite(sample: Sample) -> None:
    """Raises ValueError that names the first value that is not finite, by node and draw."""
    for name, record in sample.records.items():
        for field, values in vars(record).items():
            if values is None:
                continue
            bad = np.argwhere(~np.isfinite(values))
            if bad.size:
                raise ValueError(
                    f"{field} of {name} is {values[tuple(bad[0])]} in draw {bad[0][0]}: the "
                    "measurement left the range of floats; use dtype='float64', track_scale=True, "
                    "or a shallower network"
                )
