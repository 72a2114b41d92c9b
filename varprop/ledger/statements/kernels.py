"""Two inputs: the closed-form kernels of activations, on pairs of real inputs."""

from varprop.initializers import normal
from varprop.ledger.claim import Claim
from varprop.ledger.experiments import digits, networks
from varprop.ledger.statements.he import square, variance

WEIGHT_VARIANCE = {
    "relu": 2.0,
    "leaky_relu(0.25)": 1.9,
    "erf": 1.5,
    "gelu": 1.5,
    "sin": 1.2,
    "cos": 1.0,
    "gaussian": 1.5,
    "normal_cdf": 1.5,
    "rectified_power(2)": 0.8,
    "selu": 1.0,
    "elu": 1.2,
    "polynomial(0.5, 1, 0.1)": 0.7,
}
DEPTH = {"rectified_power(2)": 1, "selu": 1, "elu": 1}  # others 4; fourth powers have heavy tails
ENTRIES = (
    ("relu", "relu-kernel", "K = sqrt(q1 q2)/(2 pi) (sin t + (pi - t) cos t)", "Cho & Saul (2009)"),
    (
        "leaky_relu(0.25)",
        "leaky-kernel",
        "K = ((1+a)/2)^2 C + ((1-a)/2)^2 E|z||z'|",
        "from the arc-cosine kernel of Cho & Saul (2009)",
    ),
    (
        "erf",
        "erf-kernel",
        "K = (2/pi) asin(2C / sqrt((1 + 2 q1)(1 + 2 q2)))",
        "Williams (1997)",
    ),
    ("gelu", "gelu-kernel", "the closed form by Price's theorem", "after Tsuchida et al. (2021)"),
    ("sin", "sin-kernel", "K = exp(-(q1 + q2)/2) sinh C", "characteristic function"),
    ("cos", "wave-kernels", "K = exp(-(q1 + q2)/2) cosh C", "characteristic function"),
    (
        "gaussian",
        "exponential-kernels",
        "phi = exp(-z^2/2), K = ((1 + q1)(1 + q2) - C^2)^(-1/2)",
        "by tilting",
    ),
    (
        "normal_cdf",
        "normal-cdf-kernel",
        "K = 1/4 + asin(C / sqrt((1 + q1)(1 + q2))) / (2 pi)",
        "after Williams (1997)",
    ),
    (
        "rectified_power(2)",
        "rectified-kernels",
        "K = q1 q2/(2 pi) (3 sin t cos t + (pi - t)(1 + 2 cos^2 t))",
        "Cho & Saul (2009), order two",
    ),
    (
        "selu",
        "truncated-pairs",
        "tilted quadrants, by the bivariate normal distribution function",
        "from the constants of Klambauer et al. (2017)",
    ),
    (
        "elu",
        "elu-moments",
        "at c = 1, q/2 + e^(2q) Phi(-2 sqrt q) - 2 e^(q/2) Phi(-sqrt q) + 1/2",
        "after Klambauer et al. (2017)",
    ),
    (
        "polynomial(0.5, 1, 0.1)",
        "polynomial-kernels",
        "K = sum C^n/n! E phi^(n)(z) E phi^(n)(z')",
        "Price (1958)",
    ),
)

CLAIMS = tuple(
    Claim(
        name=derivation,
        title=f"The kernel of {activation} for two inputs",
        statement=f"E phi(z) phi(z') at covariance C, angle t: {statement}; its derivative kernel "
        "drives the gradients",
        source=source,
        derivation=derivation,
        experiments=(
            networks(
                "digits, pairs",
                variance(WEIGHT_VARIANCE[activation] / 64, activation, DEPTH.get(activation, 4)),
                square(
                    normal(std=(WEIGHT_VARIANCE[activation] / 64) ** 0.5),
                    activation,
                    DEPTH.get(activation, 4),
                ),
                inputs=digits,
                quantity="second_moment",
            ),
        ),
    )
    for activation, derivation, statement, source in ENTRIES
)
