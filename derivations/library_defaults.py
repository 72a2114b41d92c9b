"""What PyTorch and Caffe really draw, from the bounds of their laws."""

from typing import Any

import sympy as sp

from derivations.derivation import Derivation, Step, row
from varprop import initializers
from varprop.builders import mlp
from varprop.theory import predict

n, m, q, q0, a = sp.symbols("n m q q_0 a", positive=True)
w = sp.Symbol("w", real=True)
L = sp.Symbol("L", positive=True, integer=True)


def _uniform_variance(bound: sp.Expr) -> sp.Integral:
    return sp.Integral(w**2 / (2 * bound), (w, -bound, bound))


def _next(activation: str) -> Any:
    """varprop's second moment of a layer of the default network, given that of the layer below."""
    net = mlp(
        width=n,
        depth=1,
        activation=activation,
        weights=initializers.kaiming_uniform(a=sp.sqrt(5)),
        bias="torch_default_bias",
    )
    first = predict(net, q0)
    below, above = (first.value(f"dense_{k}", "second_moment")[0] for k in (1, 2))
    (back,) = sp.solve(below - q, q0)
    return sp.expand(above.subs(q0, back))


def pytorch_default() -> Derivation:
    default: Any = initializers.kaiming_uniform(a=sp.sqrt(5)).at(n, m)
    layer: Any = initializers.torch_default_weight().at(n, m)
    bias: Any = initializers.torch_default_bias().at(n, m)
    he: Any = initializers.kaiming_normal().at(n, m)
    maps = {name: _next(name) for name in ("identity", "relu")}
    stars = {name: sp.cancel(f.subs(q, 0) / (1 - sp.diff(f, q))) for name, f in maps.items()}
    f = sp.Function("f")
    gain = sp.sqrt(2 / (1 + sp.sqrt(5) ** 2))
    sixth = sp.rsolve(f(L + 1) - f(L) / 6 - 1 / (3 * n), f(L), {f(0): q0})
    return Derivation(
        "pytorch-default",
        "PyTorch's default: Var w = 1/(3 fan_in), with biases that set the scale in depth",
        (
            "square layers of width n, weights `kaiming_uniform(a = sqrt(5))`",
            "biases uniform on `+-1/sqrt(fan_in)`; ReLU halves second moments (he-factor-two)",
        ),
        (
            Step(
                "The gain is `sqrt(2/(1 + 5))`, the bound gain times `sqrt(3/fan_in)`",
                gain * sp.sqrt(3 / n),
                default.high,
                what="bound",
            ),
            Step(
                "which is `1/sqrt(fan_in)`: varprop's kaiming_uniform and its layer default",
                row(default.low, default.high, layer.low, layer.high),
                row(*[-1 / sp.sqrt(n), 1 / sp.sqrt(n)] * 2),
                what="(low, high, low, high)",
            ),
            Step(
                "Integrate over the density",
                _uniform_variance(1 / sp.sqrt(n)),
                default.moment(2),
                what="E w^2",
            ),
            Step("that is a third of 1/fan_in", default.variance, 1 / (3 * n), what="Var w"),
            Step("The bias has the same law", bias.moment(2), 1 / (3 * n), what="E b^2"),
            Step(
                "It is not He's 2/fan_in",
                default.variance,
                he.variance,
                "!=",
                what="Var w",
                witness={n: 1},
            ),
            Step(
                "From one layer to the next, varprop on a linear network",
                maps["identity"],
                q / 3 + 1 / (3 * n),
                what="q'",
            ),
            Step("Solve the affine q' = q", stars["identity"], 1 / (2 * n), what="q*"),
            Step(
                "The map is a contraction: the distance to q* shrinks by three in each layer",
                maps["identity"] - stars["identity"],
                (q - stars["identity"]) / 3,
                what="q' - q*",
            ),
            Step(
                "From one layer to the next, varprop on a ReLU network",
                maps["relu"],
                q / 6 + 1 / (3 * n),
                what="q'",
            ),
            Step(
                "and its distance to q* shrinks by six",
                maps["relu"] - stars["relu"],
                (q - stars["relu"]) / 6,
                what="q' - q*",
            ),
            Step(
                "The solved recurrence: the input is forgotten as `6^-L`",
                sixth,
                stars["relu"] + (q0 - stars["relu"]) / 6**L,
                what="q_L",
            ),
            Step("Solve the affine q' = q for ReLU", stars["relu"], 2 / (5 * n), what="q*"),
        ),
        "PyTorch, torch.nn.Linear.reset_parameters",
    )


def caffe_fillers() -> Derivation:
    fans = {"fan_in": n, "fan_out": m, "average": (n + m) / 2}
    xavier: list[Any] = [initializers.xavier_filler(variance_norm=k).at(n, m) for k in fans]
    msra = [initializers.msra_filler(variance_norm=k).at(n, m) for k in fans]
    glorot: Any = initializers.xavier_uniform().at(n, m)
    linear = predict(mlp(width=n, depth=1, activation="identity", weights="xavier_filler"), q)
    relu = predict(mlp(width=n, depth=1, activation="relu", weights="msra_filler"), q)
    return Derivation(
        "caffe-fillers",
        "Caffe's fillers, with n the fan-in, the fan-out or their average",
        ("XavierFiller draws uniform on `+-sqrt(3/n)`, MSRAFiller normal of variance 2/n",),
        (
            Step(
                "Integrate over the uniform density",
                _uniform_variance(sp.sqrt(3 / n)),
                1 / n,
                what="E w^2",
            ),
            Step(
                "varprop's XavierFiller: bounds for the three norms",
                row(*(law.high for law in xavier)),
                row(*(sp.sqrt(3 / k) for k in fans.values())),
                what="bound",
            ),
            Step(
                "and variances",
                row(*(law.moment(2) for law in xavier)),
                row(*(1 / k for k in fans.values())),
                what="E w^2",
            ),
            Step(
                "varprop's MSRAFiller: variances, and the fourth moment of a normal law",
                row(*(law.moment(2) for law in msra), msra[0].moment(4)),
                row(*(2 / k for k in fans.values()), 12 / n**2),
                what="(E w^2, E w^2, E w^2, E w^4)",
            ),
            Step(
                "In a square layer the first keeps a linear layer, the second a ReLU layer",
                row(
                    linear.value("dense_1", "second_moment")[0],
                    relu.value("relu_1", "second_moment")[0],
                ),
                row(q, q),
                what="E x^2",
            ),
            Step(
                "With the average fan XavierFiller is Glorot's uniform law",
                row(xavier[2].low, xavier[2].high),
                row(glorot.low, glorot.high),
                what="(low, high)",
            ),
        ),
        "Caffe, filler.hpp; Glorot & Bengio (2010), section 4.2; He et al. (2015), section 2.2",
    )
