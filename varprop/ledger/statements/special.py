"""SELU, SIREN and tied weights."""

import numpy as np
import torch
from scipy import special

from varprop.builders import mlp
from varprop.initializers import normal, uniform
from varprop.ledger.claim import Claim, Evidence, Experiment, Settings
from varprop.ledger.experiments import ERROR_RATE, Stated, values
from varprop.ledger.statements.spectra import columns
from varprop.network import Network
from varprop.stats import Verdict, studentized_test

SIREN = "Sitzmann et al. (2020), section 3.2"
KLAMBAUER = "Klambauer, Unterthiner, Mayr & Hochreiter (2017)"
WIDTH = 256


def _selu(depth: int = 5) -> Network:
    weights = normal(variance=1 / WIDTH)
    return mlp(WIDTH, depth, activation="selu", weights=weights, output=None)


def _sine(width: int, biased: bool = False) -> Network:
    """Hidden layers of SIREN as they act once omega_0 = 30 is divided out of the weights."""
    limit = (6 / width) ** 0.5
    bias = uniform(-30 / width**0.5, 30 / width**0.5) if biased else None
    return mlp(width, 8, activation="sin", weights=uniform(-limit, limit), bias=bias, output=None)


def _tied_moment(steps: int, size: int, stated: float) -> Experiment:
    """|A^t x|^2 over many small matrices."""

    def measure(settings: Settings) -> dict[str, np.ndarray]:
        generator = torch.Generator().manual_seed(settings.seed)
        how = {"generator": generator, "dtype": torch.float64}
        matrix = torch.randn(settings.draws(200_000), size, size, **how) / size**0.5
        power = torch.linalg.matrix_power(matrix, steps)
        return {"E |A^t x|^2": (power.square().sum((1, 2)) / size).numpy()}

    return columns(f"t = {steps}, n = {size}", measure, {"E |A^t x|^2": stated})


def _demo(tied: bool, width: int = 128, steps: int = 100, draws: int = 128) -> Experiment:
    """E log |x_100|^2/|x_0|^2 of the demonstration against its value for independent matrices."""
    name = "one matrix" if tied else "independent matrices (control)"
    expected = steps * (special.digamma(width / 2) - np.log(width / 2))

    def run(settings: Settings) -> Evidence:
        generator = torch.Generator().manual_seed(settings.seed)
        how = {"generator": generator, "dtype": torch.float32}
        count = settings.draws(draws)
        x, matrix = torch.randn(count, width, 1, **how), torch.empty(0)
        start = x.square().sum((1, 2)).log()
        for step in range(steps):
            if step == 0 or not tied:
                matrix = torch.randn(count, width, width, **how) / width**0.5
            x = matrix @ x
        change = (x.square().sum((1, 2)).log() - start).double().numpy()
        test = studentized_test(change, expected, ERROR_RATE)
        low, high = (float(v) + expected for v in test.interval(ERROR_RATE))
        differs = float(test.p_value) <= ERROR_RATE
        summary = (
            f"{steps} steps, n = {width}, {count} networks: E log |x|^2 {change.mean():+.3f} in "
            f"[{low:+.3f}, {high:+.3f}], {expected:+.3f} for independent matrices; standard "
            f"deviation {change.std(ddof=1):.2f}"
        )
        figures = {"measured": float(change.mean()), "independent": float(expected)}
        verdict = Verdict.REFUTED if differs else Verdict.CONFIRMED
        return Evidence(name, verdict, summary, figures)

    run.__name__ = name
    return run


CLAIMS = (
    Claim(
        name="selu-constants",
        title="SELU's constants, its fixed point, and the growth of gradients",
        statement="alpha = 1.67326..., lambda = 1.05070...: mean 0, second moment 1 are kept and "
        "attract; gradients grow by chi = 1.0715750 per layer",
        source=KLAMBAUER + " for the constants",
        derivation="selu-constants",
        experiments=(
            values(
                "five layers of 256",
                _selu(),
                [
                    Stated("selu_1", "second_moment", 1.0),
                    Stated("selu_5", "second_moment", 1.0),
                    Stated("input", "grad_second_moment", 1.071575**5),
                ],
                draws=512,
            ),
        ),
    ),
    Claim(
        name="selu-keeps-gradients",
        title="'With SELU exploding gradients are impossible'",
        statement="at the fixed point the second moment of the gradient is kept over five layers",
        source=KLAMBAUER + ", as the theorem on variance bounds is often told",
        derivation="selu-constants",
        expected=Verdict.REFUTED,
        note="The theorem bounds the variance of activations. Backward, chi = 1.0716 at the fixed "
        "point: 1.41 over five layers, 1000 over a hundred.",
        experiments=(
            values(
                "five layers of 256",
                _selu(),
                [Stated("input", "grad_second_moment", 1.0)],
                draws=512,
                quantity="grad_second_moment",
            ),
        ),
    ),
    Claim(
        name="siren-variance",
        title="'SIREN's weights give pre-activations of variance 1'",
        statement="U(+-sqrt(6/n)) and sine: Var z = 1 in every layer",
        source=SIREN,
        derivation="siren-variance",
        expected=Verdict.REFUTED,
        note="E sin^2 = 1/2 needs a uniform phase, a Gaussian z of variance 1 has 0.43. Layer 2 "
        "does see a uniform phase, as omega_0 = 30 makes that of layer 1 wide.",
        experiments=(
            values(
                "layer 8 of 128",
                _sine(128),
                [Stated("dense_8", "second_moment", 1.0)],
                draws=512,
                engine="explicit",
            ),
        ),
    ),
    Claim(
        name="siren-fixed-point",
        title="The variance that SIREN settles at",
        statement="Var z = 1 + W_0(-2 e^-2)/2 = 0.7968 without bias; 2.1585, n = 256, with torch's "
        "default bias times omega_0 = 30",
        source="the fixed point of q = 1 - e^(-2q) for " + SIREN,
        derivation="siren-variance",
        experiments=(
            values(
                "no bias",
                _sine(128),
                [Stated("dense_8", "second_moment", 0.7968)],
                draws=512,
                engine="explicit",
            ),
            values(
                "default bias times 30",
                _sine(256, biased=True),
                [Stated("dense_8", "second_moment", 2.1585)],
                draws=288,
                engine="explicit",
            ),
        ),
    ),
    Claim(
        name="tied-weights",
        title="One matrix used at every step, exactly",
        statement="E |A^t x|^2 / |x|^2 for N(0, 1/n) entries: 1 + 2/n^2 at t = 2 and "
        "1 + 10/n^2 + 4/n^3 at t = 3: at n = 4, 1.125 and 1.6875",
        source="Wick's formula",
        derivation="tied-weights",
        experiments=(_tied_moment(2, 4, 1.125), _tied_moment(3, 4, 1.6875)),
    ),
    Claim(
        name="tied-demo",
        title="'The demonstration with one reused matrix shows a deep network'",
        statement="100 products with one matrix: log |x|^2 changes as with 100 independent ones",
        source="tutorials on initialization that reuse one matrix",
        derivation="tied-weights",
        rows=("A1", "C2"),
        expected=Verdict.REFUTED,
        note="Independent matrices: E log |x|^2 = L (psi(n/2) - log(n/2)), about -L/n. One matrix: "
        "its largest eigenvalue takes over, and E |A^t x|^2 - 1 grows like t^4/n^2.",
        experiments=(_demo(tied=True, draws=640),),
    ),
)
