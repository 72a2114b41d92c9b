"""Finite width: how lengths spread over networks, dead networks, typical against mean lengths."""

from collections.abc import Callable

import numpy as np
from scipy import stats

from varprop.builders import mlp
from varprop.comparison.neuron import kurtosis_contrast
from varprop.initializers import (
    Initializer,
    kaiming_normal,
    kaiming_uniform,
    normal,
    rademacher,
)
from varprop.ledger.claim import Claim, Evidence, Experiment, Settings
from varprop.ledger.experiments import ERROR_RATE, FALSE_PASS, MARGIN, Stated, values
from varprop.montecarlo import simulate
from varprop.montecarlo.devices import find_device
from varprop.montecarlo.neurons import layer_values
from varprop.network import Network
from varprop.stats import (
    Verdict,
    binomial_interval,
    decide_equivalence,
    studentized_test,
)
from varprop.theory import length_law

HANIN_NICA = "Hanin & Nica (2020), Products of many large random matrices and gradients"
WIDTH, DEPTH = 16, 16
DRAWS = 3072


def _squares(network: Network, settings: Settings, draws: int, x: np.ndarray | None = None):
    """x.x/n at the last node, one a network."""
    sample = simulate(
        network,
        x,
        draws=settings.draws(draws),
        seed=settings.seed,
        device=settings.device,
        engine="explicit",
        progress=False,
    )
    return sample.values(network.output, "second_moment")[:, 0]


def distribution(
    name: str, network: Network, cdf: Callable[[np.ndarray], np.ndarray], *, sharp: bool
) -> Experiment:
    """Squared lengths of drawn networks against a stated distribution function, everywhere.

    The interval is that of Dvoretzky, Kiefer, Wolfowitz and Massart; a `sharp` law is refuted by
    Kolmogorov's test, an asymptotic one only beyond the margin.
    """

    def run(settings: Settings) -> Evidence:
        found = _squares(network, settings, 8192)
        test = stats.kstest(found[found > 0], lambda x: (cdf(x) - cdf0) / (1 - cdf0))
        reach = float(np.sqrt(np.log(2 / FALSE_PASS) / (2 * found.size)))
        gap, p = float(test.statistic), float(test.pvalue)
        verdict = decide_equivalence(max(gap - reach, 0.0), gap + reach, MARGIN)
        if sharp and p <= ERROR_RATE:
            verdict = Verdict.REFUTED
        summary = (
            f"{found.size} networks: the distribution functions differ by at most {gap:.4f} "
            f"+- {reach:.4f}, p = {p:.2g}; mean {found.mean():.3g}, median {np.median(found):.3g}"
        )
        return Evidence(name, verdict, summary, {"networks": float(found.size), "gap": gap, "p": p})

    cdf0 = float(cdf(np.array(0.0)))
    run.__name__ = name
    return run


def drift(name: str, weights: Initializer, margin: float) -> Experiment:
    """The claim that E log of the length moves by less than `margin` a layer."""

    def run(settings: Settings) -> Evidence:
        found = _squares(mlp(WIDTH, DEPTH, weights=weights, output=None), settings, DRAWS)
        logs = np.log(found[found > 0]) / DEPTH
        test = studentized_test(logs, 0.0, ERROR_RATE)
        low, high = (float(end) for end in test.interval(2 * FALSE_PASS))
        beyond = studentized_test(np.abs(logs.mean()) / logs.mean() * logs, margin, ERROR_RATE)
        verdict = decide_equivalence(low, high, margin)
        if verdict is Verdict.REFUTED and float(beyond.p_value) > ERROR_RATE:
            verdict = Verdict.UNDECIDED
        summary = (
            f"log of the squared length moves by {logs.mean():+.4f} in [{low:+.4f}, {high:+.4f}] "
            f"a layer, {found.size} networks of {DEPTH} layers"
        )
        return Evidence(name, verdict, summary, {"networks": float(found.size), "drift": low})

    run.__name__ = name
    return run


def dead(name: str, width: int, depth: int, stated: float) -> Experiment:
    """The fraction of networks whose output is zero, against a stated probability."""

    def run(settings: Settings) -> Evidence:
        found = _squares(mlp(width, depth, output=None), settings, 24_576)
        count = int((found == 0).sum())
        low, high = (
            float(end) / stated - 1 for end in binomial_interval(count, found.size, 2 * FALSE_PASS)
        )
        verdict = decide_equivalence(low, high, MARGIN)
        summary = (
            f"{count} of {found.size} networks are dead, stated {stated:.5f}, "
            f"gap in [{low:+.2%}, {high:+.2%}]"
        )
        return Evidence(name, verdict, summary, {"networks": float(found.size), "stated": stated})

    run.__name__ = name
    return run


def fluctuation(
    name: str, measure: Callable[[Settings], np.ndarray], stated: float, margin: float = 0.25
) -> Experiment:
    """The variance of squares of mean one over networks, against a number."""

    def run(settings: Settings) -> Evidence:
        found = measure(settings)
        test = studentized_test((found - 1) ** 2 / stated, 1.0, 2 * FALSE_PASS)
        low, high = (float(end) for end in test.interval(2 * FALSE_PASS))
        verdict = decide_equivalence(low, high, margin)
        summary = (
            f"variance {np.mean((found - 1) ** 2):.4f}, stated {stated:.4f}, "
            f"gap in [{low:+.2%}, {high:+.2%}], {found.size} networks"
        )
        return Evidence(name, verdict, summary, {"networks": float(found.size), "stated": stated})

    run.__name__ = name
    return run


def spread(name: str, weights: Initializer, stated: float) -> Experiment:
    """|x|^2/n after one ReLU layer on a one-hot input of mean square 1."""

    def measure(settings: Settings) -> np.ndarray:
        x = np.zeros((1, WIDTH))
        x[0, 0] = WIDTH**0.5
        return _squares(mlp(WIDTH, 1, weights=weights, output=None), settings, 49_152, x)

    return fluctuation(name, measure, stated)


def kurtosis(name: str, network: Network, stated: float) -> Experiment:
    """E z^4 / (E z^2)^2 of the neurons of the last layer over networks, against a number."""

    def run(settings: Settings) -> Evidence:
        draws, device = settings.draws(24_576), find_device(settings.device)
        stacks = layer_values(network, network.output, None, settings.seed, draws, device)
        parts = [((z**2).mean((1, 2)).cpu(), (z**4).mean((1, 2)).cpu()) for z in stacks]
        square, fourth = (np.concatenate(same) for same in zip(*parts, strict=True))
        residual = kurtosis_contrast(square, fourth, stated) / stated
        test = studentized_test(residual, 0.0, 2 * FALSE_PASS)
        low, high = (float(end) for end in test.interval(2 * FALSE_PASS))
        verdict = decide_equivalence(low, high, 0.05)
        summary = (
            f"kurtosis {fourth.mean() / square.mean() ** 2:.4f}, stated {stated:.4f}, "
            f"gap in [{low:+.2%}, {high:+.2%}], {draws} networks"
        )
        return Evidence(name, verdict, summary, {"networks": float(draws), "stated": stated})

    run.__name__ = name
    return run


def gradients(
    name: str, network: Network, mean: float, stated: float, margin: float = 0.25
) -> Experiment:
    """|dz/dx|^2 per input over its `mean` in all networks."""

    def measure(settings: Settings) -> np.ndarray:
        sample = simulate(
            network,
            draws=settings.draws(24_576),
            seed=settings.seed,
            device=settings.device,
            engine="explicit",
            progress=False,
        )
        return sample.values("input", "grad_second_moment")[:, 0] / mean

    return fluctuation(name, measure, stated, margin)


DEEP = mlp(WIDTH, DEPTH, output=None)
SHALLOW = mlp(48, 6, output=None)
ERF = mlp(32, 1, activation="erf", weights=normal(variance=1 / 32), output=1)
PUBLISHED = 2 * np.exp(2 * 1.2 / (max(WIDTH, 6) - 2.4)) / WIDTH

CLAIMS = (
    Claim(
        name="length-law",
        title="The squared length of a ReLU network is a product of gated chi-squares",
        statement="He weights: |x_L|^2/n = prod (2/n) chi^2_B, B ~ Bin(n, 1/2), at n = L = 16",
        source=HANIN_NICA,
        derivation="length-law-moments",
        experiments=(distribution("n = L = 16", DEEP, length_law(DEEP).cdf, sharp=True),),
    ),
    Claim(
        name="log-normal-lengths",
        title="Lengths are log-normal: the mean stays 1 and the median falls as e^(-beta/2)",
        statement="log |x_L|^2/n is about N(-beta/2, beta) with beta = 5 L/n, here 5/8",
        source=HANIN_NICA,
        derivation="length-products",
        experiments=(
            distribution(
                "n = 48, L = 6",
                SHALLOW,
                lambda x: stats.lognorm.cdf(x, (5 * 6 / 48) ** 0.5, scale=np.exp(-5 * 6 / 96)),
                sharp=False,
            ),
        ),
    ),
    Claim(
        name="dead-networks",
        title="Narrow ReLU networks are born dead with probability 1 - prod (1 - 2^-n)",
        statement="n = 3, L = 5: 1 - (7/8)^5 = 0.487 of the networks output zero",
        source="Lu, Shin, Su & Karniadakis (2020), Dying ReLU and initialization",
        derivation="dead-networks",
        experiments=(dead("n = 3, L = 5", 3, 5, 1 - (7 / 8) ** 5),),
    ),
    Claim(
        name="kurtosis-of-weights",
        title="The kurtosis of the weights enters where the input is sparse",
        statement="one-hot input, one He layer: Var |x|^2/n = (5 + 2 (kappa - 3))/n",
        source=HANIN_NICA + ": the fourth moment of the weights",
        derivation="length-fluctuation",
        experiments=(
            spread("Rademacher, kappa = 1", rademacher(2), 1 / WIDTH),
            spread("uniform, kappa = 9/5", kaiming_uniform(nonlinearity="relu"), 2.6 / WIDTH),
            spread("normal, kappa = 3", kaiming_normal(), 5 / WIDTH),
        ),
    ),
    Claim(
        name="neuron-kurtosis",
        title="A neuron of finite width is no Gaussian: each ReLU layer adds 15/n to its kurtosis",
        statement="He weights, n = 48: E z^4/(E z^2)^2 = 3 (1 + 5/n)^l above l ReLU layers: "
        "3.3125 above one",
        source="after Roberts, Yaida & Hanin (2022), The Principles of Deep Learning Theory: the "
        "excess grows as depth over width",
        derivation="neuron-kurtosis",
        experiments=(kurtosis("widths 48, 48, 48", mlp(48, 1), 3.3125),),
    ),
    Claim(
        name="gradient-fluctuation",
        title="Gradients fluctuate like lengths, and the input layer counts",
        statement="one output, He hidden layers: E |dz/dx|^4 / (E |dz/dx|^2)^2 = "
        "(1 + 2/n_0) prod (1 + 5/n_l): 1.309 at widths 24, 24, 1",
        source=HANIN_NICA + ": the fourth moment of the Jacobian",
        derivation="gradient-fluctuation",
        experiments=(gradients("widths 24, 24, 1", mlp(24, 1, output=1), 2 / 24, 0.309),),
    ),
    Claim(
        name="erf-gradient-fluctuation",
        title="Smooth gates scatter gradients less than ReLU's: erf 4/n a layer, not 5/n",
        statement="one hidden layer of erf, Var(w) = 1/n, unit input, one output: the relative "
        "variance of |dz/dx|^2 is 2/n_0 + 4/n_1 to the first order, 3/16 at widths 32, 32, 1",
        source="after Roberts, Yaida & Hanin (2022), The Principles of Deep Learning Theory",
        derivation="gradient-terms",
        experiments=(
            gradients("widths 32, 32, 1", ERF, 4 / (np.pi * 5**0.5) / 32, 3 / 16, margin=0.15),
        ),
    ),
    Claim(
        name="random-walk-gain",
        title="Sussillo and Abbott's gain keeps the typical length",
        statement="g = sqrt(2) exp(1.2/(max(n, 6) - 2.4)) keeps E log |x_l|, at n = 16",
        source="Sussillo & Abbott (2014), Random walk initialization",
        derivation="typical-length",
        experiments=(drift("published gain", normal(variance=float(PUBLISHED)), 0.03),),
        note="A fit: the exact asymptote is sqrt(2) e^(1.25/n), and n = 3 needs 2.106, not 1.974.",
    ),
    Claim(
        name="he-keeps-typical-length",
        title="'He keeps the length of the signal', of a typical network",
        statement="He weights keep E log |x_l|^2, to 0.03 a layer, at n = 16",
        source="folklore: what He keeps is the mean over networks",
        derivation="typical-length",
        expected=Verdict.REFUTED,
        note="E log |x_l|^2 falls by 5/(2 n) a layer; the mean is carried by rare networks.",
        experiments=(drift("He", kaiming_normal(), 0.03),),
    ),
    Claim(
        name="tanh-one-over-n",
        title="At finite width tanh at criticality shrinks faster than its limit",
        statement="Var(w) = 1/n, n = 32: E z_9^2 = 0.06214, the limit 0.06524 with its 1/n term",
        source="Yaida (2019), Non-Gaussian processes and neural networks at finite widths",
        derivation="random-kernel",
        experiments=(
            values(
                "n = 32, eight hidden layers",
                mlp(32, 8, activation="tanh", weights=normal(variance=1 / 32)),
                [Stated("dense_9", "second_moment", 0.06214345)],
                draws=6144,
                margin=0.045,
            ),
        ),
    ),
)
