"""He et al. (2015): rectified networks, and the folklore about their initialization."""

from itertools import pairwise

from varprop.activations import Activation, get
from varprop.builders import mlp, residual
from varprop.initializers import (
    Initializer,
    kaiming_normal,
    kaiming_uniform,
    laplace,
    normal,
    rademacher,
    uniform,
    xavier_normal,
)
from varprop.layers import Dense, Elementwise
from varprop.ledger.claim import Claim
from varprop.ledger.experiments import Stated, digits, networks, values
from varprop.network import Graph, Network
from varprop.stats import Verdict

WIDTH, DEPTH = 64, 6  # every step is judged, so more layers add no power
TAPER = [64, 96, 48, 80, 32, 64]  # rectangular layers
HE = "He, Zhang, Ren & Sun (2015), Delving Deep into Rectifiers"


def square(
    weights: Initializer, activation: str | Activation = "relu", depth: int = DEPTH
) -> Network:
    """A square network of the width of the digits."""
    return mlp(WIDTH, depth, activation=activation, weights=weights)


def hidden(weights: Initializer) -> Network:
    """Three hidden layers and no readout."""
    return mlp(WIDTH, 3, weights=weights, output=None)


def variance(value: float, activation: str | Activation = "relu", depth: int = DEPTH) -> Network:
    """The same with weights N(0, value): the number as the source gives it."""
    return square(normal(variance=value), activation, depth)


def taper() -> Network:
    """The tapering network with Var(w_l) = 2/n_out, each variance as a number."""
    graph = Graph(TAPER[0])
    x = graph.input
    for fan_in, fan_out in pairwise(TAPER):
        if x != graph.input:
            x = graph.add(Elementwise(get("relu")), x)
        x = graph.add(Dense(fan_in, fan_out, normal(variance=2 / fan_out)), x)
    return graph.network()


HE_BOUND = (6 / WIDTH) ** 0.5
UNCHANGED = Stated("relu_3", "second_moment", 1.0)

CLAIMS = (
    Claim(
        name="he-relu",
        title="Kaiming initialization holds the second moment through ReLU layers",
        statement="n_l Var(w_l) / 2 = 1 keeps E x_l^2 constant, forward and backward, at any width",
        source=HE + ", section 2.2",
        derivation="he-factor-two",
        rows=("C4",),
        experiments=(
            networks("unit inputs", variance(2 / WIDTH), square(kaiming_normal())),
            networks("digits", variance(2 / WIDTH), square(kaiming_normal()), inputs=digits),
            values(
                "the whole depth",
                mlp(256, 10),
                [
                    Stated("relu_10", "second_moment", 1.0),
                    Stated("relu_1", "grad_second_moment", 2.0),
                ],
                draws=3072,
            ),
        ),
    ),
    Claim(
        name="he-any-law",
        title="The factor 2 needs symmetric weights, not Gaussian ones",
        statement="E relu(z)^2 = E z^2 / 2 for every symmetric law of the weights, at any width",
        source=HE + ", section 2.2: w symmetric around zero",
        derivation="he-factor-two",
        rows=("C4",),
        experiments=(
            networks(
                "uniform weights, digits",
                square(uniform(-HE_BOUND, HE_BOUND)),
                square(kaiming_uniform(nonlinearity="relu")),
                inputs=digits,
            ),
            values("Rademacher weights", hidden(rademacher(2)), [UNCHANGED], draws=2560),
            values("Laplace weights", hidden(laplace(2)), [UNCHANGED], draws=2560),
        ),
    ),
    Claim(
        name="he-leaky",
        title="Leaky ReLU asks for 2 / (1 + a^2)",
        statement="Var(w) = 2 / ((1 + a^2) n) keeps E x^2 through leaky ReLU of slope a",
        source=HE + ", section 2.2, the PReLU case",
        derivation="he-leaky",
        rows=("C4",),
        experiments=(
            networks(
                "unit inputs, a = 0.25",
                variance(2 / (1 + 0.25**2) / WIDTH, "leaky_relu(0.25)"),
                square(kaiming_normal(a=0.25, nonlinearity="leaky_relu"), "leaky_relu(0.25)"),
                engine="conditional",
            ),
            networks(
                "digits, a = 0.25",
                variance(2 / (1 + 0.25**2) / WIDTH, "leaky_relu(0.25)"),
                square(kaiming_normal(a=0.25, nonlinearity="leaky_relu"), "leaky_relu(0.25)"),
                inputs=digits,
            ),
        ),
    ),
    Claim(
        name="he-telescoping",
        title="fan_in against fan_out differ by one width ratio over the whole net",
        statement="with Var(w_l) = 2/n_out the forward product telescopes to n_0 / n_L",
        source=HE + ", section 2.2: the product is a single ratio, not diminishing",
        derivation="he-telescoping",
        experiments=(
            values(
                "forward under fan_out",
                mlp(widths=[256, 320, 128, 256, 64, 128], weights=kaiming_normal(mode="fan_out")),
                # input 256 and last hidden layer 64: 2 n_0 / n_L for its pre-activations
                [Stated("dense_4", "second_moment", 2 * 256 / 64)],
                draws=4096,
            ),
            networks(
                "digits",
                taper(),
                mlp(widths=TAPER, weights=kaiming_normal(mode="fan_out")),
                inputs=digits,
            ),
        ),
    ),
    Claim(
        name="xavier-relu-vanishes",
        title="Under Xavier a ReLU network loses half its signal in every layer",
        statement="Var(w) = 1/n with ReLU: E x_l^2 = 2^-l, forward and backward",
        source=HE + ", section 2.2; course notes on network tricks",
        derivation="xavier-relu-vanishes",
        rows=("B3", "C4"),
        experiments=(
            networks(
                "unit inputs", variance(1 / WIDTH), square(xavier_normal()), engine="conditional"
            ),
            networks("digits", variance(1 / WIDTH), square(xavier_normal()), inputs=digits),
            values(
                "the whole depth",
                mlp(256, 10, weights=xavier_normal()),
                [Stated("relu_10", "second_moment", 2.0**-10)],
                draws=2048,
            ),
        ),
    ),
    Claim(
        name="two-over-root-n",
        title="'Kaiming just changes the factor 1/sqrt(n) to 2/sqrt(n)'",
        statement="weights randn * 2/sqrt(n) keep E x^2 constant through ReLU layers",
        source="course notes on network tricks",
        derivation="two-over-root-n",
        rows=("B4",),
        expected=Verdict.REFUTED,
        note="The factor is sqrt(2/n). With 2/sqrt(n), Var(w) = 4/n and E x^2 doubles per layer.",
        experiments=(
            networks(
                "unit inputs",
                variance(2 / WIDTH),
                square(normal(std=2 / WIDTH**0.5)),
                engine="conditional",
            ),
            networks(
                "digits", variance(2 / WIDTH), square(normal(std=2 / WIDTH**0.5)), inputs=digits
            ),
        ),
    ),
    Claim(
        name="residual-doubling",
        title="A residual block with a He branch doubles the second moment",
        statement="x + W2 relu(W1 x) with n Var(W1) = 2, n Var(W2) = 1: E x_l^2 = 2^l",
        source="plain residual stack; with scale s the factor is 1 + s^2",
        derivation="residual-doubling",
        experiments=(
            networks(
                "unit inputs",
                residual(WIDTH, 5, weights=normal(variance=2 / WIDTH)),
                residual(WIDTH, 5),
                quantity="second_moment",
            ),
            networks(
                "digits, scale 0.8",
                residual(WIDTH, 5, weights=normal(variance=2 / WIDTH), scale=0.8),
                residual(WIDTH, 5, scale=0.8),
                inputs=digits,
            ),
        ),
    ),
)
