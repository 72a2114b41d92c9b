"""Two inputs: the closed-form kernels of activations, on pairs of real inputs."""

from varprop.initializers import normal
from varprop.ledger.claim import Claim
from varprop.ledger.experiments import digits, networks
from varprop.ledger.statements.he import square, variance

WEIGHT_VARIANCE = {"relu": 2.0, "leaky_relu(0.25)": 1.9, "erf": 1.5, "gelu": 1.5, "sin": 1.2}
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
                variance(WEIGHT_VARIANCE[activation] / 64, activation, 4),
                square(normal(std=(WEIGHT_VARIANCE[activation] / 64) ** 0.5), activation, 4),
                inputs=digits,
                quantity="second_moment",
            ),
        ),
    )
    for activation, derivation, statement, source in ENTRIES
)
