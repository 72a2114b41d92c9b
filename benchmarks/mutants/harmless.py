"""Near-truths: what is true of every quantity that `verify` judges, or true far within the margin.

They must be CONFIRMED, else the mutants' refutations would mean nothing.
"""

from math import sqrt

from benchmarks.mutants.forward import activation, entry, net
from benchmarks.mutants.mutant import ENGINE, THEORY, Mutant
from benchmarks.mutants.networks import he, weights
from varprop.builders import mlp
from varprop.initializers import orthogonal, rademacher, spherical, trunc_normal

HARMLESS = (
    Mutant(
        "GELU by tanh",
        "The engine computes GELU's approximation by tanh; moments agree to 4 digits.",
        ENGINE,
        net("gelu"),
        activation(entry("gelu_tanh")),
    ),
    Mutant(
        "cut far out",
        "Weights are cut at -2 and 2, as torch's trunc_normal_ does: eight deviations.",
        ENGINE,
        he,
        weights(lambda d: trunc_normal(std=sqrt(2 / d.fan_in))),
    ),
    Mutant(
        "uniform as normal",
        "The variance is right; lengths fluctuate a little less.",
        THEORY,
        lambda: mlp(64, 3, weights="kaiming_uniform"),
        weights(lambda d: "kaiming_normal"),
    ),
    Mutant(
        "signs as normal",
        "Weights are +s or -s, of the right variance.",
        ENGINE,
        lambda: mlp(64, 3),
        weights(lambda d: rademacher(scale=2)),
    ),
    Mutant(
        "orthogonal as normal",
        "Square orthogonal matrices keep every length; its mean is that of normal ones.",
        THEORY,
        lambda: he(orthogonal(gain=sqrt(2))),
        weights(lambda d: "kaiming_normal"),
    ),
    Mutant(
        "rows of one length",
        "Rows on a sphere, as weight normalization has them, are taken as normal.",
        THEORY,
        lambda: he(spherical(gain=sqrt(2))),
        weights(lambda d: "kaiming_normal"),
    ),
)
