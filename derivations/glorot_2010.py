"""Glorot & Bengio (2010): the two conditions, their compromise, and what it does not keep."""

from itertools import pairwise
from typing import Any

import sympy as sp

from derivations.derivation import Derivation, Step, row
from derivations.expectations import (
    any_iid,
    expect_polynomial,
    gaussian_moments,
    pair_of_gradients,
    pair_of_points,
)
from varprop import initializers
from varprop.activations import get
from varprop.builders import mlp
from varprop.layers import Dense
from varprop.theory import predict

n_in, n_out, n, v, q, a = sp.symbols("n_in n_out n v q a", positive=True)
SOURCE = "Glorot & Bengio (2010)"
LINEAR = "the linear regime: activations act as `phi(z) = z`"


def _gains(weights: initializers.Initializer) -> tuple[sp.Expr, sp.Expr]:
    """What one dense layer multiplies E x^2 and E h^2 by, from its own rules."""
    layer, points = Dense(n_in, n_out, weights), pair_of_points(1, 1, 0)
    (back,) = layer.gradients("dense_1", (points,), pair_of_gradients(1, 1, 0))
    return layer.moments("dense_1", points).second[0, 0], back.second[0, 0]


def glorot_conditions() -> Derivation:
    up, down = _gains(any_iid(v))
    (forward,), (backward,) = sp.solve(up - 1, v), sp.solve(down - 1, v)
    law: Any = initializers.xavier_normal().at(n_in, n_out)
    xavier_up, xavier_down = _gains(initializers.xavier_normal())
    return Derivation(
        "glorot-conditions",
        "Glorot's two conditions and their compromise",
        (LINEAR, "weights are iid of any law with `E w = 0`, `E w^2 = v` (see dense-forward)"),
        (
            Step(
                "Keep the forward second moment: solve gain = 1 for v", forward, 1 / n_in, what="v"
            ),
            Step(
                "Keep the backward second moment: solve gain = 1 for v",
                backward,
                1 / n_out,
                what="v",
            ),
            Step(
                "The two agree only in a square layer",
                forward,
                backward,
                "!=",
                witness={n_in: 1, n_out: 2},
            ),
            Step(
                "The compromise makes the average of the two gains one",
                (n_in * v + n_out * v).subs(v, law.variance) / 2,
                1,
                what="(n_in v + n_out v) / 2",
            ),
            Step(
                "It is the harmonic mean of the two solutions",
                2 / (1 / forward + 1 / backward),
                law.variance,
                what="v",
            ),
            Step(
                "Each gain then misses one by the same amount, with opposite signs",
                row(xavier_up - 1, xavier_down - 1),
                row((n_in - n_out) / (n_in + n_out), (n_out - n_in) / (n_in + n_out)),
                what="(n_in v - 1, n_out v - 1)",
            ),
            Step(
                "varprop's xavier_normal has the compromise as its variance",
                law.moment(2),
                2 / (n_in + n_out),
                what="E w^2",
            ),
        ),
        f"{SOURCE}, section 4.2",
    )


def glorot_rectangular() -> Derivation:
    sizes = sp.symbols("n_0:5", positive=True)
    steps = list(pairwise(sizes))
    net = mlp(widths=sizes, activation="identity", weights="xavier_normal")
    theory = predict(net, q)
    forward = theory.value("dense_4", "second_moment")[0] / q
    backward = theory.value("input", "grad_second_moment")[0]
    up, down = _gains(any_iid(v))
    example = dict(zip(sizes, (784, 1000, 500, 250, 10), strict=True))
    return Derivation(
        "glorot-rectangular",
        "Glorot's compromise does not preserve a rectangular network",
        (LINEAR, "`Var w = 2/(n_in + n_out)` in every layer, iid weights of any zero-mean law"),
        (
            Step(
                "Forward, each layer multiplies by n_in Var w; varprop's output of four layers",
                forward,
                sp.prod(2 * i / (i + o) for i, o in steps),
                what="forward gain",
            ),
            Step(
                "Backward, each layer multiplies by n_out Var w; varprop's gradient at the input",
                backward,
                sp.prod(2 * o / (i + o) for i, o in steps),
                what="backward gain",
            ),
            Step(
                "In one layer, forward over backward gain is n_in / n_out, whatever the variance",
                up / down,
                n_in / n_out,
                what="forward gain / backward gain",
            ),
            Step(
                "Induction: one more layer turns `n_0/n_L` into `n_0` over the next width",
                (sizes[0] / sizes[3]) * (up / down).subs({n_in: sizes[3], n_out: sizes[4]}),
                sizes[0] / sizes[4],
                what="(n_0/n_3) (n_3/n_4)",
            ),
            Step(
                "Widths 784, 1000, 500, 250, 10: the output second moment is not preserved",
                forward,
                1,
                "!=",
                witness=example,
            ),
            Step("nor is the gradient", backward, 1, "!=", witness=example),
            Step(
                "So the product of all gains telescopes to a single ratio of widths",
                forward / backward,
                sizes[0] / sizes[-1],
                what="forward gain / backward gain",
            ),
        ),
        f"{SOURCE}, section 4.2, put together",
    )


def glorot_uniform() -> Derivation:
    w = sp.Symbol("w", real=True)
    variance = sp.Integral(w**2 / (2 * a), (w, -a, a))
    (bound,) = sp.solve(variance.doit() - 2 / (n_in + n_out), a)
    law: Any = initializers.xavier_uniform().at(n_in, n_out)
    return Derivation(
        "glorot-uniform",
        "The bound of Glorot's uniform law",
        ("w is uniform on (-a, a)", "Glorot's compromise `E w^2 = 2/(n_in + n_out)`"),
        (
            Step("Integrate over the density 1/(2a)", variance, a**2 / 3, what="E w^2"),
            Step(
                "Solve `a^2/3 = 2/(n_in + n_out)` for a > 0",
                bound,
                sp.sqrt(6 / (n_in + n_out)),
                what="a",
            ),
            Step(
                "The mean is zero by symmetry, and the kurtosis follows by the same integral",
                sp.Integral(w**4 / (2 * a), (w, -a, a)) / variance**2,
                law.kurtosis,
                what="E w^4 / (E w^2)^2",
            ),
            Step(
                "varprop's law has this variance", law.moment(2), 2 / (n_in + n_out), what="E w^2"
            ),
            Step(
                "varprop's xavier_uniform has these bounds",
                row(law.low, law.high),
                row(-bound, bound),
                what="(low, high)",
            ),
        ),
        f"{SOURCE}, section 4.2",
    )


def xavier_tanh() -> Derivation:
    z = sp.Symbol("z")
    scaled = expect_polynomial(z**2 / n_in, {z: gaussian_moments(1)})
    glorot: Any = initializers.xavier_normal().at(n_in, n_out).variance
    weights = initializers.normal(variance=1 / n)
    theory = predict(mlp(width=n, depth=2, activation="identity", weights=weights), q)
    return Derivation(
        "xavier-tanh",
        "randn(n_in, n_out) / sqrt(n_in) is a forward rule, not Glorot's compromise",
        (
            "x has n_in entries and is multiplied as x W, so the first axis of W is the fan-in",
            "the linear regime; for what tanh does beyond it see tanh-not-linear",
        ),
        (
            Step("A standard normal divided by `sqrt(n_in)`", scaled, 1 / n_in, what="E w^2"),
            Step(
                "This is not Glorot's variance in a rectangular layer",
                scaled,
                glorot,
                "!=",
                witness={n_in: 1, n_out: 2},
            ),
            Step(
                "They differ by a multiple of n_out - n_in",
                scaled - glorot,
                (n_out - n_in) / (n_in * (n_in + n_out)),
                what="E w^2 - 2/(n_in + n_out)",
            ),
            Step(
                "so they agree in a square layer",
                (scaled - glorot).subs(n_out, n_in),
                0,
                what="the difference at n_in = n_out",
            ),
            Step(
                "where the linear network keeps its second moment in both directions",
                row(
                    theory.value("dense_3", "second_moment")[0],
                    theory.value("input", "grad_second_moment")[0],
                ),
                row(q, 1),
                what="(E z^2, E g^2)",
            ),
        ),
        f"{SOURCE}, section 4.2; LeCun et al. (1998)",
    )


def signal_shrinks() -> Derivation:
    w = sp.Symbol("w", real=True)
    law: Any = initializers.torch_default_weight().at(n, n)
    bound = 1 / sp.sqrt(n)
    net = mlp(width=n, depth=3, activation="identity", weights="torch_default_weight", output=None)
    theory = predict(net, q)
    t, s = sp.symbols("t s", positive=True)
    tanh = get("tanh")
    names = [f"dense_{k}" for k in (1, 2, 3)]
    third = sp.Rational(1, 3)
    return Derivation(
        "signal-shrinks",
        "Under U(-1/sqrt(n), 1/sqrt(n)) signal and gradient shrink by three a layer",
        ("square layers of width n, no bias", "iid weights uniform on `+-1/sqrt(n)`"),
        (
            Step(
                "Integrate over the uniform density",
                sp.Integral(w**2 / (2 * bound), (w, -bound, bound)),
                law.moment(2),
                what="E w^2",
            ),
            Step("so one layer multiplies by n Var w", n * law.variance, third, what="n E w^2"),
            Step(
                "A linear network: varprop's second moments of three layers",
                row(*(theory.value(name, "second_moment")[0] for name in names)),
                row(*(q * third**k for k in (1, 2, 3))),
                what="E z_l^2",
            ),
            Step(
                "and gradients from the output down",
                row(*(theory.value(name, "grad_second_moment")[0] for name in reversed(names))),
                row(*(third**k for k in (0, 1, 2))),
                what="E h^2",
            ),
            Step(
                "tanh only shrinks further, forward: `t - tanh(t)` is 0 at 0 and grows, as its "
                "derivative is `tanh(t)^2`, so `tanh(t)^2 < t^2`",
                sp.diff(t - tanh(t), t),
                tanh(t) ** 2,
                what="d/dt (t - tanh(t))",
            ),
            Step("and backward: `tanh'(t)^2 < 1`, since", tanh.slope(t), 1, "<", what="tanh'(t)"),
            Step(
                "So after L layers at most `3^-L` is left, of the linear network exactly that",
                sp.rsolve(
                    sp.Function("q")(s + 1) - sp.Function("q")(s) / 3,
                    sp.Function("q")(s),
                    {sp.Function("q")(0): q},
                ),
                q * third**s,
                what="q_s",
            ),
        ),
        f"{SOURCE}, section 4.2",
    )
