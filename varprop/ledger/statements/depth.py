"""Stacks at any depth: the closed forms of repeated blocks."""

from math import e

from varprop.builders import mlp, residual
from varprop.initializers import torch_default_bias, torch_default_weight
from varprop.ledger.claim import Claim
from varprop.ledger.experiments import Stated, values
from varprop.stats import Verdict

WIDTH, BLOCKS, LAYERS = 128, 9, 3
FIXED = 2 / (5 * WIDTH)
FIRST = 1 / 3 + 1 / (3 * WIDTH)  # E z^2 of the first layer at a unit input

CLAIMS = (
    Claim(
        name="default-forgets-its-input",
        title="A default ReLU network forgets its input by 1/6 per layer",
        statement="q_l = 2/(5n) + (q_0 - 2/(5n))/6^l for PyTorch's default weights and biases",
        source="the recursion q' = q/6 + 1/(3n), solved",
        derivation="affine-recurrence",
        rows=("A5",),
        experiments=(
            values(
                f"layer {LAYERS}, n = {WIDTH}",
                mlp(WIDTH, LAYERS, weights=torch_default_weight(), bias=torch_default_bias()),
                [Stated("dense_3", "second_moment", FIXED + (FIRST - FIXED) / 36)],
                draws=1500,
            ),
        ),
    ),
    Claim(
        name="residual-one-over-root-depth",
        title="Branches scaled by 1/sqrt(L) hold a residual stack below e",
        statement="x + W2 relu(W1 x)/sqrt(L): E x_L^2 = (1 + 1/L)^L",
        source="Hayou et al. (2021), Stable ResNet",
        derivation="residual-recurrence",
        experiments=(
            values(
                f"L = {BLOCKS}",
                residual(64, BLOCKS, scale=BLOCKS**-0.5),
                [Stated(f"add_{BLOCKS}", "second_moment", (1 + 1 / BLOCKS) ** BLOCKS)],
                draws=1200,
            ),
        ),
    ),
    Claim(
        name="residual-relu-ended-branch",
        title="'1/sqrt(L) holds every residual stack'",
        statement="x + relu(W1 x)/sqrt(L): E x_L^2 is at most e",
        source="the same scale for blocks whose branch ends in its activation",
        derivation="residual-recurrence",
        expected=Verdict.REFUTED,
        note="A branch of non-zero mean adds up coherently: growth exponential in sqrt(L).",
        experiments=(
            values(
                f"L = {BLOCKS}",
                residual(64, BLOCKS, scale=BLOCKS**-0.5, closing=False),
                [Stated(f"add_{BLOCKS}", "second_moment", e)],
                draws=1200,
            ),
        ),
    ),
)
