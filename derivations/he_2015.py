"""He et al. (2015): the factor two, its leaky form, and what the choice of fan changes."""

from itertools import product
from typing import Any

import sympy as sp

from derivations.derivation import Derivation, Step, row
from derivations.expectations import T, gaussian_integral
from varprop import initializers
from varprop.activations import get
from varprop.builders import mlp
from varprop.theory import predict

n, m, q, v = sp.symbols("n m q v", positive=True)
a = sp.Symbol("a", real=True)
HALF = sp.Rational(1, 2)
SYMMETRIC = "z and -z have the same law, which holds if weights and biases are symmetric"


def he_factor_two() -> Derivation:
    relu = get("relu")
    x = (3, 2, 1)
    sums = [
        sum(s * k for s, k in zip(signs, x, strict=True)) for signs in product((1, -1), repeat=3)
    ]
    p, t = sp.symbols("p_1:3", positive=True), sp.symbols("t_1:3", positive=True)
    both = [(relu(k) ** 2 + relu(-k) ** 2) / 2 for k in t]
    net = mlp(width=n, depth=3, activation="relu", weights="kaiming_normal")
    theory = predict(net, q)
    mean = gaussian_integral(T, T, q, low=0)
    names = [f"relu_{k}" for k in (1, 2, 3)]
    return Derivation(
        "he-factor-two",
        "ReLU halves the second moment, so Var w = 2/fan_in keeps it",
        (
            "no bias, iid zero-mean weights with a symmetric law, of any shape and any width",
            SYMMETRIC,
        ),
        (
            Step(
                "Of z and -z one passes ReLU: for every t > 0",
                relu(T) ** 2 + relu(-T) ** 2,
                T**2,
                what="relu(t)^2 + relu(-t)^2",
            ),
            Step(
                "Average over a symmetric law, here +-t_1, +-t_2 with probabilities p_1, p_2; each "
                "symmetric law is a mixture of such pairs",
                sum(i * j for i, j in zip(p, both, strict=True)),
                sum(i * j**2 for i, j in zip(p, t, strict=True)) / 2,
                what="E relu(z)^2",
            ),
            Step(
                "Nothing is Gaussian here: three weights of +-1, x = (3, 2, 1), all 8 cases",
                sum(relu(z) ** 2 for z in sums) / sp.Integer(8),
                HALF * sum(k**2 for k in x),
                what="E relu(z)^2",
            ),
            Step(
                "The Gaussian case by integration, and varprop's rule",
                gaussian_integral(T**2, T, q, low=0),
                relu.second_moment(q),
                what="E relu(z)^2",
            ),
            Step(
                "With the dense rule one layer multiplies by n Var w / 2; solve for one",
                sp.solve(n * v * relu.second_moment(q) / q - 1, v)[0],
                initializers.kaiming_normal().at(n, m).variance,
                what="Var w",
            ),
            Step(
                "The mean of the output is not zero, so its variance is not what is carried on: "
                "the mean by integration, and varprop's rule",
                mean,
                relu.mean(q),
                what="E relu(z)",
            ),
            Step(
                "The variance is a factor `1 - 1/pi` below the second moment",
                gaussian_integral(T**2, T, q, low=0) - mean**2,
                HALF * (1 - 1 / sp.pi) * q,
                what="Var relu(z)",
            ),
            Step(
                "so the factor of a layer is not 2 Var relu(z)/q",
                2 * (HALF * (1 - 1 / sp.pi) * q) / q,
                1,
                "!=",
            ),
            Step(
                "varprop on a ReLU network with Var w = 2/n, symbolic width: pre-activations",
                row(*(theory.value(f"dense_{k}", "second_moment")[0] for k in (1, 2, 3, 4))),
                row(*[2 * q] * 4),
                what="E z_l^2",
            ),
            Step(
                "and activations keep the second moment q of the input",
                row(*(theory.value(name, "second_moment")[0] for name in names)),
                row(*[q] * 3),
                what="E x_l^2",
            ),
        ),
        "He et al. (2015), section 2.2",
    )


def he_leaky() -> Derivation:
    leaky = get("leaky_relu", a=a)
    factor = (1 + a**2) / 2
    law: Any = initializers.kaiming_normal(a=a).at(n, m)
    net = mlp(width=n, depth=2, activation=leaky, weights=initializers.kaiming_normal(a=a))
    theory = predict(net, q)
    fourth = gaussian_integral(T**4, T, q, low=0)
    return Derivation(
        "he-leaky",
        "Leaky ReLU: Var w = 2 / ((1 + a^2) fan_in)",
        ("`phi(z) = z` for z > 0 and `a z` for z < 0, any real a", SYMMETRIC),
        (
            Step(
                "For every t > 0",
                leaky(T) ** 2 + leaky(-T) ** 2,
                (1 + a**2) * T**2,
                what="phi(t)^2 + phi(-t)^2",
            ),
            Step(
                "Averaged over a symmetric law this is `(1 + a^2)/2` times `E z^2`; varprop's rule",
                leaky.second_moment(q),
                factor * q,
                what="E phi(z)^2",
            ),
            Step(
                "The slopes square to `1 + a^2` in the same way: the backward factor is equal",
                (leaky.slope(T) ** 2 + leaky.slope(-T) ** 2) / 2,
                leaky.derivative_second_moment(q),
                what="E phi'(z)^2",
            ),
            Step(
                "Fourth moment, by integration over the two half lines, and varprop's rule",
                (1 + a**4) * fourth,
                leaky.fourth_moment(q),
                what="E phi(z)^4",
            ),
            Step(
                "Solve n v (1 + a^2)/2 = 1",
                sp.solve(n * v * factor - 1, v)[0],
                law.variance,
                what="v",
            ),
            Step(
                "torch's gain for leaky_relu is the root of this factor",
                initializers.calculate_gain("leaky_relu", a) ** 2,
                1 / factor,
                what="gain^2",
            ),
            Step(
                "a = 0 is ReLU's, a = 1 the linear gain, and a = sqrt(5), PyTorch's default, 1/3",
                row(
                    *(initializers.calculate_gain("leaky_relu", s) ** 2 for s in (0, 1, sp.sqrt(5)))
                ),
                row(2, 1, sp.Rational(1, 3)),
                what="gain^2",
            ),
            Step(
                "varprop on a leaky network with this law: second moment and gradient are kept",
                row(
                    theory.value("leaky_relu_1", "second_moment")[0],
                    theory.value("leaky_relu_2", "second_moment")[0],
                    theory.value("dense_1", "grad_second_moment")[0],
                    theory.value("dense_2", "grad_second_moment")[0],
                ),
                row(q, q, 1, 1),
                what="(E x_1^2, E x_2^2, E h_1^2, E h_2^2)",
            ),
        ),
        "He et al. (2015), section 2.2",
    )


def he_telescoping() -> Derivation:
    sizes = sp.symbols("n_0:4", positive=True)
    n0, n1, n2, n3 = sizes
    theories = {
        mode: predict(
            mlp(
                widths=sizes,
                activation="relu",
                weights=initializers.kaiming_normal(mode=mode),
            ),
            q,
        )
        for mode in ("fan_in", "fan_out")
    }
    up = {k: t.value("dense_3", "second_moment")[0] / q for k, t in theories.items()}
    down = {k: t.value("input", "grad_second_moment")[0] for k, t in theories.items()}
    example = {n0: 784, n1: 1000, n2: 250, n3: 10}
    return Derivation(
        "he-telescoping",
        "Fan-in or fan-out: satisfying one direction leaves the other a ratio of two widths",
        (
            "a ReLU network of widths `n_0, ..., n_L` with a linear readout, symmetric weights",
            "each layer multiplies `E z^2` by fan_in Var w and the gradient by fan_out Var w, and "
            "each of the L - 1 ReLUs halves both (dense-forward, dense-backward, he-factor-two)",
        ),
        (
            Step(
                "fan_in keeps the forward signal: the ReLUs undo all twos but that of the readout",
                up["fan_in"],
                n0 * (2 / n0) * (n1 * (2 / n1) / 2) * (n2 * (2 / n2) / 2),
                what="forward gain",
            ),
            Step(
                "Backward the same variances meet the other fan: each width cancels the next",
                down["fan_in"],
                n1 * (2 / n0) * (n2 * (2 / n1) / 2) * (n3 * (2 / n2) / 2),
                what="backward gain",
            ),
            Step(
                "which leaves the first and last width",
                down["fan_in"] / up["fan_in"],
                n3 / n0,
                what="backward over forward gain",
            ),
            Step("fan_out keeps the gradient", down["fan_out"], 2, what="backward gain"),
            Step(
                "and the forward gain is the inverse ratio",
                up["fan_out"],
                n0 * (2 / n1) * (n1 * (2 / n2) / 2) * (n2 * (2 / n3) / 2),
                what="forward gain",
            ),
            Step(
                "Widths 784, 1000, 250, 10: the forward signal grows by 78.4",
                (up["fan_out"] / down["fan_out"]).subs(example),
                sp.Rational(784, 10),
                what="forward over backward gain",
            ),
            Step(
                "In any mode, and for any variances, the ratio of the two is that of the widths",
                row(*(up[k] / down[k] for k in up)),
                row(*[n0 / n3] * 2),
                what="forward over backward gain",
            ),
        ),
        "He et al. (2015), section 2.2",
    )
