"""Signals that leave the range of numbers."""

import numpy as np
import torch

from varprop.builders import mlp
from varprop.initializers import kaiming_normal, normal
from varprop.ledger.claim import Claim, Evidence, Experiment, Settings
from varprop.ledger.experiments import digits, networks
from varprop.ledger.statements.he import square, variance
from varprop.montecarlo import Sample, simulate
from varprop.montecarlo.devices import flushes
from varprop.network import Network
from varprop.stats import Verdict
from varprop.theory import predict, range_of

DETECTION = "detection study notes: weight initialization"
NOTES = "PyTorch notes on initialization"
SEEDS = 8


def _linear(width: int, depth: int, std: float) -> Network:
    return mlp(width, depth, activation="identity", weights=normal(std=std), output=None)


def _stated_linear(width: int, depth: int, value: float) -> Network:
    weights = normal(variance=value)
    return mlp(width, depth, activation="identity", weights=weights, output=None)


def _overflow(dtype: torch.dtype, depth: int, stated: int | None = None) -> Experiment:
    """A plain forward pass in `dtype`: is the first layer with a non-finite entry as predicted?"""
    label = str(dtype).removeprefix("torch.")

    def run(settings: Settings) -> Evidence:
        net = _linear(256, depth, 1.0)
        node = range_of(predict(net), dtype).overflow
        predicted = stated or _layer(node)
        sample = _plain(net, label, settings)
        layers = [name for name, layer, _ in net if layer.parameter_count()]
        found = []
        for draw in range(SEEDS):
            bad = [n for n in layers if not np.isfinite(sample.records[n].second[draw, 0, 0])]
            found.append(_layer(bad[0]) if bad else 0)
        same = all(layer == predicted for layer in found) and _layer(node) == predicted
        summary = f"{label}: predicted layer {predicted}, overflowed at {found}"
        figures = {"predicted layer": float(predicted), "median layer": float(np.median(found))}
        return Evidence(
            f"overflow of {label}", Verdict.CONFIRMED if same else Verdict.REFUTED, summary, figures
        )

    return run


def _underflow(dtype: torch.dtype, depth: int, within: int) -> Experiment:
    """N(0, 0.01^2) weights: the layer at which every entry is zero, within a stated number."""
    label = str(dtype).removeprefix("torch.")

    def run(settings: Settings) -> Evidence:
        net = _linear(256, depth, 0.01)
        node = range_of(predict(net), dtype, flush=flushes(dtype, settings.device)).underflow
        predicted = _layer(node)
        sample = _plain(net, label, settings)
        layers = [name for name, layer, _ in net if layer.parameter_count()]
        found = []
        for draw in range(SEEDS):
            lost = [n for n in layers if sample.records[n].second[draw, 0, 0] == 0]
            found.append(_layer(lost[0]) if lost else 0)
        close = all(abs(layer - predicted) <= within for layer in found)
        summary = f"{label}: predicted layer {predicted} within {within}, lost at {found}"
        figures = {"predicted layer": float(predicted), "median layer": float(np.median(found))}
        verdict = Verdict.CONFIRMED if close else Verdict.REFUTED
        return Evidence(f"underflow of {label}", verdict, summary, figures)

    return run


def _plain(net: Network, dtype: str, settings: Settings) -> Sample:
    return simulate(
        net,
        draws=SEEDS,
        seed=settings.seed,
        device=settings.device,
        dtype=dtype,
        engine="explicit",
        track_scale=False,
    )


def _layer(node: str | None) -> int:
    return int(node.split("_")[1]) if node else 0


CLAIMS = (
    Claim(
        name="explosion",
        title="N(0, 1) weights: the standard deviation grows by sqrt(n) per layer",
        statement="no activation, n = 256: std 16, 256, 4096, ... = 16^l",
        source=DETECTION + "; " + NOTES,
        derivation="explosion",
        rows=("A1", "C1"),
        experiments=(
            networks(
                "unit inputs, n = 256, first 8 layers",
                _stated_linear(256, 8, 1.0),
                _linear(256, 8, 1.0),
                draws=256,
            ),
            networks(
                "digits, n = 64, 12 layers",
                _stated_linear(64, 12, 1.0),
                _linear(64, 12, 1.0),
                inputs=digits,
            ),
        ),
    ),
    Claim(
        name="overflow",
        title="The layer at which each dtype overflows",
        statement="no activation, n = 256, N(0, 1): not a number at layer 31 counted from zero in "
        "float32 and bfloat16; the first layer with sqrt(q) E max|Z| above the largest number",
        source=DETECTION + "; " + NOTES,
        derivation="explosion",
        rows=("A1", "C1"),
        experiments=(
            _overflow(torch.float32, 36, stated=32),
            _overflow(torch.bfloat16, 36, stated=32),
            _overflow(torch.float16, 8),
        ),
    ),
    Claim(
        name="underflow",
        title="The layer at which each dtype loses a vanishing signal",
        statement="no activation, n = 256, N(0, 0.01^2): all zeros when sqrt(q) E max|Z| is below "
        "half the smallest subnormal, or below the smallest normal where subnormals are flushed",
        source="arithmetic of IEEE 754; " + DETECTION,
        derivation="explosion",
        rows=("A1",),
        experiments=(
            _underflow(torch.float32, 66, within=2),
            _underflow(torch.bfloat16, 58, within=2),
            _underflow(torch.float16, 16, within=1),
        ),
    ),
    Claim(
        name="stable-range",
        title="A good initialization keeps the numerical range stable",
        statement="per ReLU layer E x^2 is multiplied by n Var(w)/2: 1 under Kaiming, n/2 under "
        "N(0, 1), n/20000 under N(0, 0.01^2)",
        source=DETECTION,
        derivation="he-factor-two",
        rows=("A2",),
        experiments=(
            networks("Kaiming, digits", variance(2 / 64), square(kaiming_normal()), inputs=digits),
            networks("N(0, 1), digits", variance(1.0), square(normal()), inputs=digits),
            networks(
                "N(0, 0.01^2), digits", variance(1e-4), square(normal(std=0.01)), inputs=digits
            ),
        ),
    ),
)
