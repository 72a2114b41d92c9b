"""Criticality of GELU and SiLU, and what the gains that circulate really do."""

from collections.abc import Mapping
from math import pi, sqrt

import numpy as np

from varprop.activations import get as activation
from varprop.builders import mlp
from varprop.initializers import xavier_normal
from varprop.ledger.claim import Claim, Evidence, Experiment, Settings
from varprop.ledger.experiments import Stated, values
from varprop.ledger.statements.mean_field import DRAWS, PDLT, gradient_factor, stack
from varprop.stats import Verdict
from varprop.theory.meanfield.gains import NFNET

TORCH = "torch.nn.init.calculate_gain"
GELU_WEIGHT, GELU_BIAS, GELU_STAR = 1.98305826, 0.17292239, (3 + sqrt(17)) / 2
SILU_WEIGHT, SILU_BIAS, SILU_SLIP = 1.98800468, 0.55514317, 0.055514317

GAMMAS = ("relu", "tanh", "gelu", "silu")
DIGITS = 5e-5  # half a unit of the fourth digit after the point


def unit_variance(gamma: Mapping[str, float]) -> Experiment:
    """gamma^2 Var phi(Z) by 200 Gauss-Legendre nodes on each side of 0."""
    nodes, weights = np.polynomial.legendre.leggauss(200)
    z = 6 * (1 + nodes)
    density = 6 * weights * np.exp(-(z**2) / 2) / sqrt(2 * pi)

    def run(settings: Settings) -> Evidence:
        found = {}
        for name, gain in gamma.items():
            phi = activation(name)
            first, second = (
                density @ (phi(z) ** k + phi(-z) ** k)  # type: ignore[operator]
                for k in (1, 2)
            )
            found[name] = float(gain**2 * (second - first**2))
        unit = all(abs(variance - 1) <= DIGITS for variance in found.values())
        summary = "; ".join(f"{name}: variance {variance:.6f}" for name, variance in found.items())
        verdict = Verdict.CONFIRMED if unit else Verdict.REFUTED
        return Evidence("by integration", verdict, summary, found)

    return run


CLAIMS = (
    Claim(
        name="gelu-criticality",
        title="GELU's critical point at q* = (3 + sqrt(17))/2",
        statement=f"C_W = {GELU_WEIGHT}, C_b = {GELU_BIAS}: both factors are 1, so q* = 3.56155 "
        "and gradients are kept",
        source=PDLT,
        derivation="stricter-criticality",
        note="E phi phi'' = 0 there. The fixed point is half-stable: it attracts from above; from "
        "below the variance drifts, very slowly, to a stable one at 3.035.",
        experiments=(
            gradient_factor(
                "gradients",
                stack("gelu", GELU_WEIGHT, GELU_BIAS),
                (5, 7),
                1.0,
                (GELU_STAR - GELU_BIAS) / GELU_WEIGHT,
            ),
        ),
    ),
    Claim(
        name="silu-decimal-slip",
        title="'SiLU is critical at C_W = 1.98800468, C_b = 0.055514317'",
        statement=f"at C_W = {SILU_WEIGHT}, C_b = {SILU_SLIP} gradients keep their size",
        source="code that sets PDLT's critical initialization",
        derivation="stricter-criticality",
        expected=Verdict.REFUTED,
        note=f"A decimal slip: C_b = {SILU_BIAS}. With the slip q* = 0.12, and gradients shrink by "
        "0.55 in each layer.",
        experiments=(
            gradient_factor(
                "gradients", stack("silu", SILU_WEIGHT, SILU_SLIP, 6, 256), (5, 6), 1.0, 0.0325
            ),
        ),
    ),
    Claim(
        name="tanh-five-thirds",
        title="torch's gain 5/3 for tanh: steady forward, exploding backward",
        statement="Var(w) = (5/3)^2/n: q* = 1.1785, and gradients grow by 1.2098 per layer",
        source=TORCH,
        derivation="gain-table",
        rows=("C3",),
        experiments=(
            values(
                "q*",
                mlp(512, 7, activation="tanh", weights=xavier_normal(gain=5 / 3)),
                [Stated("dense_7", "second_moment", 1.1785)],
                draws=DRAWS,
            ),
            gradient_factor("gradients", stack("tanh", 25 / 9), (5, 7), 1.2098, 0.42426),
        ),
    ),
    Claim(
        name="selu-three-quarters",
        title="'Gain 3/4 makes SELU networks self-normalizing'",
        statement="Var(w) = (3/4)^2/n: second moments settle at 1",
        source=f"a reading of {TORCH}",
        derivation="gain-table",
        expected=Verdict.REFUTED,
        note="They settle at 0.02303 before and 0.0409 after the activation. Self-normalization is "
        "gain 1; 3/4 keeps gradients (1.0037 per layer).",
        experiments=(
            values(
                "q* = 1",
                stack("selu", 9 / 16, width=512, depth=8),
                [Stated("dense_8", "second_moment", 1.0)],
                draws=2 * DRAWS,
            ),
        ),
    ),
    Claim(
        name="gelu-unit-gain",
        title="'The gain 1/sqrt(E phi^2) makes unit variance a stable fixed point for GELU'",
        statement="Var(w) = 1/(n E gelu(Z)^2): from E z^2 = 0.5 the variance returns to 1",
        source="tables of gains by Monte Carlo",
        derivation="unit-gain",
        expected=Verdict.REFUTED,
        note="chi_parallel = 1.144 at q = 1: deviations grow. q = 1 is a fixed point that repels; "
        "below it the signal vanishes, above it explodes.",
        experiments=(
            values(
                "4 layers from 0.5",
                stack("gelu", 1 / 0.42522143, width=512, depth=4),
                [Stated("dense_4", "second_moment", 1.0)],
                draws=3 * DRAWS,
                inputs=lambda: np.full((1, 512), sqrt(0.5 * 0.42522143)),
            ),
        ),
    ),
    Claim(
        name="nfnet-gammas",
        title="'With the published gamma an activation has unit variance'",
        statement="gamma^2 Var phi(Z) = 1.0000 for gamma = "
        + ", ".join(f"{NFNET[name]} ({name})" for name in GAMMAS),
        source="Brock et al. (2021) for the gains; deepmind-research, nfnets/base.py",
        derivation="unit-gain",
        expected=Verdict.REFUTED,
        note="The seventeen digits are an estimate from random inputs: the third digit after the "
        "point is off already, by up to two units. As variances go that is harmless.",
        experiments=(unit_variance({name: NFNET[name] for name in GAMMAS}),),
    ),
)
