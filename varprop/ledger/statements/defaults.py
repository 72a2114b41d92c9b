"""What libraries draw by default: PyTorch's layers, and the truncated normal law."""

from collections.abc import Callable
from math import erf, pi, sqrt

import numpy as np
import torch
from torch import nn

from varprop.builders import mlp
from varprop.initializers import normal, torch_default_bias, torch_default_weight, uniform
from varprop.laws import Normal, TruncatedNormal, Uniform
from varprop.ledger.claim import Claim, Evidence, Settings
from varprop.ledger.experiments import ERROR_RATE, Stated, digits, entries, networks, values
from varprop.ledger.statements.he import DEPTH, WIDTH
from varprop.network import Network
from varprop.stats import Verdict, binomial_interval

NOTES = "detection study notes: weight initialization"
BURKARDT = "Burkardt (2014), The Truncated Normal Distribution"
TORCH = "torch.nn.Linear and torch.nn.modules.conv, reset_parameters"
RATIO = 0.87962566103423978  # standard deviation of N(0, 1) truncated to [-2, 2]
SIGMA = 1.7
Tensors = Callable[[torch.Generator], torch.Tensor]


def _parameter(module: nn.Module, name: str, generator: torch.Generator) -> torch.Tensor:
    """A parameter of a freshly reset torch layer, drawn under the generator's seed."""
    with torch.random.fork_rng(devices=[]):
        torch.random.manual_seed(generator.initial_seed())
        module.reset_parameters()  # pyright: ignore[reportCallIssue]
    return getattr(module, name).detach()


def _linear(name: str) -> Tensors:
    return lambda g: _parameter(nn.Linear(400, 2000), name, g)


def _conv(name: str) -> Tensors:
    # fan_in = 3 * 3 * 16
    return lambda g: _parameter(nn.Conv2d(16, 2000, 3), name, g)


def _bound(fan_in: int) -> Uniform:
    return Uniform(-(fan_in**-0.5), fan_in**-0.5)


def _default(activation: str) -> Network:
    weights, bias = torch_default_weight(), torch_default_bias()
    return mlp(WIDTH, DEPTH, activation=activation, weights=weights, bias=bias)


def _stated_default(activation: str) -> Network:
    law = uniform(-(WIDTH**-0.5), WIDTH**-0.5)
    return mlp(WIDTH, DEPTH, activation=activation, weights=law, bias=law)


def _truncated_density(settings: Settings) -> Evidence:
    """The density as circulated, phi((x - mu)/sigma)/Z, against draws: P(|x| < sigma/2)."""
    generator = torch.Generator().manual_seed(settings.seed)
    count = settings.draws(200_000)
    draws = nn.init.trunc_normal_(
        torch.empty(count), 0.0, SIGMA, -2 * SIGMA, 2 * SIGMA, generator=generator
    )
    inside = int((draws.abs() < SIGMA / 2).sum())
    normaliser = erf(2 / sqrt(2))
    x = np.linspace(-SIGMA / 2, SIGMA / 2, 20_001)
    density = np.exp(-((x / SIGMA) ** 2) / 2) / sqrt(2 * pi) / normaliser
    stated = float(np.trapezoid(density, x))
    low, high = binomial_interval(inside, count, ERROR_RATE)
    verdict = Verdict.REFUTED if not low <= stated <= high else Verdict.CONFIRMED
    summary = (
        f"P(|x| < sigma/2): stated {stated:.5f}, drawn {inside / count:.5f} in "
        f"[{low:.5f}, {high:.5f}] ({count} draws, sigma = {SIGMA}); with the factor 1/sigma "
        f"it is {stated / SIGMA:.5f}"
    )
    figures = {"stated": stated, "measured": inside / count, "with 1/sigma": stated / SIGMA}
    return Evidence("torch.nn.init.trunc_normal_, sigma = 1.7", verdict, summary, figures)


CLAIMS = (
    Claim(
        name="pytorch-default",
        title="PyTorch's default weight and bias are U(+-1/sqrt(fan_in))",
        statement="kaiming_uniform_(a=sqrt(5)) equals U(-1/sqrt(fan_in), 1/sqrt(fan_in)); "
        "so is the bias",
        source=NOTES + "; " + TORCH,
        derivation="pytorch-default",
        rows=("A5",),
        experiments=(
            entries("nn.Conv2d weight", _conv("weight"), _bound(144)),
            entries(
                "nn.Conv2d bias",
                lambda g: _parameter(nn.Conv2d(4, 60_000, 1), "bias", g),
                _bound(4),
            ),
            entries("nn.Linear weight", _linear("weight"), _bound(400)),
            entries(
                "nn.Linear bias", lambda g: _parameter(nn.Linear(4, 60_000), "bias", g), _bound(4)
            ),
        ),
    ),
    Claim(
        name="kaiming-is-the-default",
        title="'Kaiming initialization is PyTorch's default'",
        statement="the default weights of nn.Linear have Kaiming's variance 2/fan_in",
        source="course notes on network tricks",
        derivation="pytorch-default",
        rows=("B5",),
        expected=Verdict.REFUTED,
        note="The function kaiming_uniform_ is called, with a = sqrt(5): Var(w) = 1/(3 fan_in).",
        experiments=(
            entries("nn.Linear weight", _linear("weight"), Normal(0, 2 / 400)),
            networks(
                "ReLU network, digits",
                mlp(WIDTH, DEPTH, weights=normal(variance=2 / WIDTH)),
                mlp(WIDTH, DEPTH, weights=torch_default_weight()),
                inputs=digits,
            ),
        ),
    ),
    Claim(
        name="default-collapses",
        title="With PyTorch's defaults a deep network outputs its biases",
        statement="ReLU: q' = q/6 + 1/(3n), fixed point 2/(5n); linear: q' = q/3 + 1/(3n), "
        "fixed point 1/(2n)",
        source=TORCH + ", and the recursion of He et al. (2015)",
        derivation="pytorch-default",
        rows=("A5", "B5"),
        experiments=(
            networks("ReLU, unit inputs", _stated_default("relu"), _default("relu")),
            networks("ReLU, digits", _stated_default("relu"), _default("relu"), inputs=digits),
            values(
                "fixed points at layer 12, n = 128",
                mlp(128, 12, weights=torch_default_weight(), bias=torch_default_bias()),
                [Stated("dense_12", "second_moment", 2 / (5 * 128))],
                draws=512,
            ),
        ),
    ),
    Claim(
        name="truncated-normal",
        title="A normal law cut at two sigma has standard deviation 0.8796 sigma",
        statement="std of trunc_normal_(0, sigma, -2 sigma, 2 sigma) = 0.87962566103423978 sigma",
        source=BURKARDT + "; the constant in Keras, TensorFlow and JAX",
        derivation="truncated-normal",
        rows=("A6",),
        experiments=(
            entries(
                "torch.nn.init.trunc_normal_",
                lambda g: nn.init.trunc_normal_(torch.empty(200_000), generator=g),
                TruncatedNormal(0, 1, -2, 2),
                variance=RATIO**2,
            ),
        ),
    ),
    Claim(
        name="truncated-density",
        title="The truncated density as circulated lacks 1/sigma",
        statement="density phi((x - mu)/sigma) / (Phi((b - mu)/sigma) - Phi((a - mu)/sigma)), "
        "phi the standard normal density",
        source=NOTES + ", after " + BURKARDT,
        derivation="truncated-density-without-sigma",
        rows=("A6",),
        expected=Verdict.REFUTED,
        note="As written it integrates to sigma; a standard normal density needs a factor 1/sigma.",
        experiments=(_truncated_density,),
    ),
)
