"""Truncated weights as libraries draw them: absolute bounds, clipping, outliers, the inverse."""

import numpy as np
import torch
from torch import nn

from varprop.laws import TruncatedNormal, truncated_std
from varprop.ledger.claim import Claim, Evidence, Series, Settings
from varprop.ledger.experiments import entries
from varprop.ledger.statements.defaults import RATIO
from varprop.stats import Verdict

STD, COUNT = 0.02, 200_000
CORRECTED = STD / RATIO  # what JAX and Keras pass, for bounds of +-2 sigma
NARROW = 0.04
PRECISION = 2**24  # distinct uniforms of single precision


def _torch(std: float, bound: float, generator: torch.Generator) -> torch.Tensor:
    return nn.init.trunc_normal_(
        torch.empty(COUNT), std=std, a=-bound, b=bound, generator=generator
    )


def inverse_erf(std: float, bound: float) -> np.ndarray:
    """What the inverse error function in single precision makes of each of the 2^24 uniforms."""
    uniform = torch.arange(PRECISION, dtype=torch.float32) / (PRECISION // 2) - 1
    w = uniform.erfinv_().mul_(std * 2**0.5).clamp_(-bound, bound)
    return w.double().numpy()


def _outliers(settings: Settings) -> Evidence:
    """All 2^24 values of the sampler, so that there is no chance in it."""
    w = inverse_erf(STD, 2.0)
    square = w**2
    std, kurtosis = float(square.mean() ** 0.5), float((square**2).mean() / square.mean() ** 2)
    at_bounds = int((np.abs(w) == 2.0).sum())
    holds = at_bounds > 0 and abs(std / STD - 1) < 1e-3 and kurtosis > 4
    summary = (
        f"of the {PRECISION} values {at_bounds} is at a bound, 100 sigma away: std {std:.6f} "
        f"({std / STD - 1:+.3%}), kurtosis {kurtosis:.4f} in place of 3"
    )
    figures = {"at the bounds": float(at_bounds), "std": std, "kurtosis": kurtosis}
    series = Series("kurtosis", (STD,), (3.0,), (kurtosis,))
    verdict = Verdict.CONFIRMED if holds else Verdict.REFUTED
    axes = ("std passed", "kurtosis")
    return Evidence("every single-precision uniform", verdict, summary, figures, (series,), axes)


CLAIMS = (
    Claim(
        name="truncated-inverse",
        title="The std to pass for absolute bounds solves a monotone equation",
        statement="trunc_normal_ with bounds +-0.04 and the solved std has std 0.02",
        source="moments of the truncated normal after Burkardt (2014), solved for sigma",
        derivation="truncated-inverse",
        rows=("A6",),
        experiments=(
            entries(
                "torch.nn.init.trunc_normal_",
                lambda g: _torch(float(truncated_std(STD, -NARROW, NARROW)), NARROW, g),
                TruncatedNormal(0, float(truncated_std(STD, -NARROW, NARROW)), -NARROW, NARROW),
                variance=STD**2,
            ),
        ),
    ),
    Claim(
        name="relative-correction-with-absolute-bounds",
        title="'Divide std by 0.8796 for trunc_normal_'",
        statement="trunc_normal_(std=0.02/0.87962566103423978) has std 0.02",
        source="the correction of Keras, TensorFlow and JAX, in ports that keep torch's bounds",
        derivation="truncation-pitfalls",
        rows=("A6",),
        expected=Verdict.REFUTED,
        note="The bounds a = -2, b = 2 are values, 88 sigma away: weights 13.7 % too large.",
        experiments=(
            entries(
                "torch.nn.init.trunc_normal_",
                lambda g: _torch(CORRECTED, 2.0, g),
                TruncatedNormal(0, CORRECTED, -2, 2),
                variance=STD**2,
            ),
        ),
    ),
    Claim(
        name="clipping-is-not-truncating",
        title="'Clipping at two sigma is a truncated normal'",
        statement="N(0, 1) clamped to [-2, 2] has std 0.87962566103423978",
        source="frameworks that clamp normal draws and call them truncated",
        derivation="truncation-pitfalls",
        rows=("A6",),
        expected=Verdict.REFUTED,
        note="What is outside is moved to the bounds: the std is 0.95945.",
        experiments=(
            entries(
                "torch.randn clamped",
                lambda g: torch.randn(COUNT, generator=g).clamp(-2, 2),
                TruncatedNormal(0, 1, -2, 2),
                variance=RATIO**2,
            ),
        ),
    ),
    Claim(
        name="inverse-erf-outliers",
        title="A test of the std alone passes outliers at the bounds",
        statement="the inverse error function in single precision puts weights at bounds 100 sigma "
        "away: the std moves by less than 0.1 %, the kurtosis from 3 to above 4",
        source="torch.nn.init.trunc_normal_ before it drew by rejection",
        derivation="truncation-pitfalls",
        rows=("A6",),
        experiments=(_outliers,),
    ),
)
