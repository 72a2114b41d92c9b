"""The kurtosis of one neuron over networks: how far a finite width is from a Gaussian process."""

import numpy as np
import sympy as sp

from derivations.derivation import Derivation, Step, row
from derivations.expectations import expect_polynomial, gaussian_integral
from varprop.builders import mlp
from varprop.initializers import normal
from varprop.layers import Dense
from varprop.moments import Moments
from varprop.theory import predict
from varprop.theory.finite_width.lengths import Lengths, dense

n, c, b, s = sp.symbols("n c b s", positive=True)
sizes = sp.symbols("n_0:4", positive=True)
v, q, fluctuation = sp.symbols("v q F", positive=True)
z = sp.Symbol("z", real=True)
delta = sp.Symbol("delta", real=True)


def neuron_kurtosis() -> Derivation:
    given = [gaussian_integral(z**k, z, v).doit() for k in (2, 4)]
    below = {delta: {0: 1, 1: 0, 2: fluctuation}.__getitem__}
    variance = s**2 * q * (1 + delta) + b**2
    second, fourth = (expect_polynomial(e.subs(v, variance).expand(), below) for e in given)
    share = s**2 * q / (s**2 * q + b**2)
    weights, channels = normal(variance=s**2 / n), np.array([fluctuation], dtype=object)
    layer, x = Dense(n, n, weights, normal(variance=b**2)), Moments.unit(second=q)
    below_it = Lengths(n, channels, 0 * channels, 0 * channels, 0 * channels)
    rule = dense(layer, layer.moments("dense_1", x), below_it).fourth
    assert rule is not None
    theory = predict(mlp(widths=sizes, weights=weights))
    return Derivation(
        "neuron-kurtosis",
        "A neuron of finite width is a mixture of Gaussians",
        (
            "Gaussian weights of variance s^2/n and biases of variance b^2, drawn apart from x",
            "over networks `|x|^2/n = q (1 + delta)` with `E delta = 0`, `E delta^2 = F`",
        ),
        (
            Step(
                "Given x, z is a sum of independent normal terms, of variance "
                "`v = s^2 |x|^2/n + b^2`; its moments from its density",
                row(*given),
                row(v, 3 * v**2),
                what="E[z^2 | x], E[z^4 | x]",
            ),
            Step(
                "Average over networks, with u = s^2 q/(s^2 q + b^2) the share of the weights",
                fourth / second**2,
                3 * (1 + share**2 * fluctuation),
                what="E z^4/(E z^2)^2",
            ),
            Step(
                "varprop's rule for a dense layer, on symbols; F = 0 below the first one, which "
                "is Gaussian at any width",
                row(rule[0], rule[0].subs(fluctuation, 0)),
                row(3 * (1 + share**2 * fluctuation), 3),
                what="E z^4/(E z^2)^2, E z_1^4/(E z_1^2)^2",
            ),
            Step(
                "In a whole ReLU network F is the `length_fluctuation` below, to which all hidden "
                "widths contribute, and not that of the input",
                row(
                    theory.lengths["dense_3"].fourth[0],  # type: ignore[union-attr, index]
                    3 * (1 + theory.value("relu_2", "length_fluctuation")[0]),
                ),
                3 * (1 + 5 / sizes[1]) * (1 + 5 / sizes[2]) * row(1, 1),
                what="E z_3^4/(E z_3^2)^2, 3 (1 + F_2)",
            ),
            Step(
                "Infinite width at a fixed depth: a Gaussian process; with L = c n layers, none",
                row(*(sp.limit(3 * (1 + 5 / n) ** k, n, sp.oo) for k in (2, c * n))),
                row(3, 3 * sp.exp(5 * c)),
                what="E z^4/(E z^2)^2",
            ),
        ),
        "Neal (1996), Bayesian Learning for Neural Networks, for the limit; Yaida (2020), "
        "Non-Gaussian processes and neural networks at finite widths",
    )
