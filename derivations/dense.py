"""The dense layer, forward and backward: sums of independent terms, for any zero-mean law."""

from itertools import product
from typing import Any

import sympy as sp

from derivations.derivation import Derivation, Step, row
from derivations.expectations import (
    MomentOf,
    any_iid,
    expect_polynomial,
    iid_moments,
    pair_of_gradients,
    pair_of_points,
    polynomial_in_width,
)
from varprop.builders import mlp
from varprop.initializers import torch_default_weight
from varprop.layers import Dense
from varprop.theory import predict

n, m, v, beta = sp.symbols("n m v beta", positive=True)
q1, q2, h1, h2 = sp.symbols("q_1 q_2 h_1 h_2", positive=True)
g, h, off = sp.symbols("G H R", real=True)


def _vector(name: str, size: int) -> tuple[sp.Symbol, ...]:
    return sp.symbols(f"{name}_1:{size + 1}", real=True)


def _over_channels(expression: Any, a: tuple, b: tuple, same: Any) -> Any:
    """E over two values: a_j b_j -> `same`, and a_j b_k -> the arbitrary symbol R for j != k."""
    total = sp.S.Zero
    for powers, coefficient in sp.Poly(expression, *dict.fromkeys((*a, *b))).terms():
        used = [s for s, k in zip(dict.fromkeys((*a, *b)), powers, strict=True) for _ in range(k)]
        if not used:
            total += coefficient
        else:
            pairs = [(x, y) for x, y in zip(a, b, strict=True) if sorted((x, y), key=str) == used]
            total += coefficient * (same if pairs else off)
    return total


def _sum_moment(size: int, same: Any, *, one_point: bool = False, bias: bool = True) -> Any:
    """E (sum_j w_j x_j + b)(sum_k w_k x'_k + b) over weights, bias and inputs."""
    w, x = _vector("w", size), _vector("x", size)
    y = x if one_point else _vector("y", size)
    b: Any = sp.Symbol("b") if bias else sp.S.Zero
    z, z_other = (sum(i * j for i, j in zip(w, values, strict=True)) + b for values in (x, y))
    moments: dict[Any, MomentOf] = dict.fromkeys(w, iid_moments(v))
    if bias:
        moments[b] = iid_moments(beta)
    return _over_channels(expect_polynomial(sp.expand(z * z_other), moments), x, y, same)


def dense_forward() -> Derivation:
    layer = Dense(n, m, any_iid(v), any_iid(beta))
    law = layer.moments("dense_1", pair_of_points(q1, q2, g))
    w, u = _vector("w", 2), _vector("u", 2)
    x = _vector("x", 2)
    rows = [sum(i * j for i, j in zip(weights, x, strict=True)) for weights in (w, u)]
    zero_mean = dict.fromkeys((*w, *u), iid_moments(v))
    half_gap = (_gap_moment(k) for k in range(1, 4))
    gaps = dict(enumerate(half_gap, 1))
    return Derivation(
        "dense-forward",
        "Forward rule of a dense layer",
        (
            "`z_i = sum_j w_ij x_j + b_i` with n = fan_in terms; `E x_j^2 = q_1`, `E x_j x'_j = G` "
            "in every channel j, with any dependence R between channels",
            "weights are iid of any law with `E w = 0`, `E w^2 = v`, independent of x and x'",
            "biases are iid of any law with `E b = 0`, `E b^2 = beta`, independent of the weights",
        ),
        (
            Step(
                "Expand the product of the two sums. `E w_j w_k = 0` for j != k and `E w_j b = 0`, "
                "so n terms `E w_j^2 E x_j x'_j` and `E b^2` remain, whatever R is. The sum is "
                "explicit at three widths; it is of degree one in n",
                polynomial_in_width(lambda k: _sum_moment(k, g), n, 1),
                n * v * g + beta,
                what="E z z'",
            ),
            Step(
                "The same with x' = x",
                polynomial_in_width(lambda k: _sum_moment(k, q1, one_point=True), n, 1),
                n * v * q1 + beta,
                what="E z^2",
            ),
            Step(
                "Two outputs of one layer have different rows of weights: they are uncorrelated "
                "for every x, whatever its channels do",
                expect_polynomial(sp.expand(rows[0] * rows[1]), zero_mean),
                0,
                what="E z_1 z_2",
            ),
            Step(
                "The bias drops out of `z - z'`: half its mean square is n v that of `x - x'`",
                polynomial_in_width(gaps.__getitem__, n, 1),
                law.gap[0, 1],
                what="E (z - z')^2 / 2",
            ),
            Step("varprop's rule for the mean", law.mean[0], 0, what="E z"),
            Step(
                "varprop's rule on symbols gives both moments of one input and of a pair",
                row(law.second[0, 0], law.second[1, 1], law.second[0, 1]),
                row(n * v * q1 + beta, n * v * q2 + beta, n * v * g + beta),
                what="(E z^2, E z'^2, E z z')",
            ),
        ),
        "Glorot & Bengio (2010), section 4.2; He et al. (2015), section 2.2",
    )


def _gap_moment(size: int) -> Any:
    """E (z - z')^2 / 2 with E x_j^2 = q_1, E x'_j^2 = q_2, E x_j x'_j = G."""
    squares = sum(_sum_moment(size, q, one_point=True, bias=False) for q in (q1, q2))
    return squares / 2 - _sum_moment(size, g, bias=False)


def _back_sum(size: int, same: Any) -> Any:
    """E g g', g = sum_i h_i w_i, g' = sum_i h'_i w_i."""
    return _sum_moment(size, same, bias=False)


def _two_layers(inner: int, outer: int) -> Any:
    """E g^2 of the input of z = W2 W1 x with iid cotangents of second moment one."""
    u, a = _vector("u", outer), _vector("a", inner)
    b: Any = sp.Matrix(outer, inner, lambda i, j: sp.Symbol(f"b_{i}_{j}"))
    gradient = sum(u[k] * b[k, i] * a[i] for k, i in product(range(outer), range(inner)))
    moments = {s: iid_moments(v) for s in (*a, *b)} | dict.fromkeys(u, iid_moments(1))
    return expect_polynomial(sp.expand(gradient**2), moments)


def dense_backward() -> Derivation:
    x, dz = _vector("x", 3), _vector("h", 2)
    w = sp.Matrix(2, 3, lambda i, j: sp.Symbol(f"w_{i + 1}{j + 1}"))
    loss = sum(dz[i] * sum(w[i, j] * x[j] for j in range(3)) for i in range(2))
    layer, points = Dense(n, m, any_iid(v)), pair_of_points(q1, q2, g)
    (back,) = layer.gradients("dense_1", (points,), pair_of_gradients(h1, h2, h))
    sizes = sp.symbols("n_0:4", positive=True)
    linear = {"activation": "identity", "weights": any_iid(v)}
    chain = predict(mlp(widths=sizes, **linear), q1)
    m1, m2 = sp.symbols("m_1 m_2", positive=True)
    depth = 4
    square = predict(
        mlp(width=n, depth=depth, activation="identity", weights=torch_default_weight()), q1
    )
    layers = [f"dense_{i + 1}" for i in range(depth + 1)]
    flow = [square.value(name, "grad_second_moment")[0] for name in layers]
    weight = [square.value(name, "weight_grad_second_moment")[0] for name in layers]
    d, i, r = sp.symbols("d i r", positive=True)
    scaled = predict(mlp(widths=sizes, **linear), d * q1)
    return Derivation(
        "dense-backward",
        "Backward rule of a dense layer, and the gradient of its weights",
        (
            "`z_i = sum_j w_ij x_j`; `h_i = dL/dz_i`, `g_j = dL/dx_j`; m = fan_out terms",
            "weights are iid of any law with `E w = 0`, `E w^2 = v`",
            "h is independent of W (the gradient independence assumption: exact where the layers "
            "above are independent of W and z enters them linearly)",
        ),
        (
            Step(
                "Chain rule: only `h = dL/dz` matters, so differentiate `sum_i h_i z_i`",
                row(*(sp.diff(loss, s) for s in x)),
                row(*(sum(dz[k] * w[k, j] for k in range(2)) for j in range(3))),
                what="(g_1, g_2, g_3)",
            ),
            Step(
                "Expand `g_j g'_j`: a sum of m independent zero-mean terms as in the forward rule",
                polynomial_in_width(lambda k: _back_sum(k, h), m, 1),
                m * v * h,
                what="E g g'",
            ),
            Step(
                "varprop's rule on symbols, for one input and for a pair",
                row(back.second[0, 0], back.second[1, 1], back.second[0, 1]),
                row(m * v * h1, m * v * h2, m * v * h),
                what="(E g^2, E g'^2, E g g')",
            ),
            Step(
                "Two linear layers expanded together, widths `m_1` and `m_2` above the input",
                polynomial_in_width(
                    lambda a: polynomial_in_width(lambda b: _two_layers(a, b), m2, 1), m1, 1
                ),
                m1 * m2 * v**2,
                what="E g^2",
            ),
            Step(
                "So over layers the factors multiply: varprop's gradient at the input of a linear "
                "network of three layers and any widths",
                chain.value("input", "grad_second_moment")[0],
                sp.prod(sizes[1:]) * v**3,
                what="E g_0^2",
            ),
            Step(
                "Differentiate the same loss by the weights: `dL/dw_ij = h_i x_j`",
                row(*(sp.diff(loss, w[k, j]) for k, j in product(range(2), range(3)))),
                row(*(dz[k] * x[j] for k, j in product(range(2), range(3)))),
                what="dL/dW",
            ),
            Step(
                "Its second moment is the product of those of h and x, here at the second layer: "
                "`h` has passed one layer down, `x` one layer up",
                chain.value("dense_2", "weight_grad_second_moment")[0],
                (sizes[3] * v) * (sizes[0] * v * q1),
                what="E (dL/dW)^2",
            ),
            Step(
                "A forward signal smaller by a factor d makes weight gradients smaller by d: "
                "a vanishing signal is a vanishing weight gradient",
                scaled.value("dense_3", "weight_grad_second_moment")[0]
                / chain.value("dense_3", "weight_grad_second_moment")[0],
                d,
                what="ratio of weight gradients",
            ),
            Step(
                "With `U(-1/sqrt(n), 1/sqrt(n))` in a square linear network n v = 1/3: the "
                "back-propagated gradient at layer i of five decays as `3^-(5-i)`",
                row(*flow),
                row(*(sp.Rational(1, 3) ** (depth - k) for k in range(depth + 1))),
                what="E h_i^2",
            ),
            Step(
                "while the weight gradient is the same in all layers, since in general "
                "`r^(i-1) r^(d-i)` with r = n v does not depend on i",
                sp.diff(r ** (i - 1) * r ** (d - i), i),
                0,
                what="d/di r^(i-1) r^(d-i)",
            ),
            Step(
                "varprop's weight gradients of the five layers",
                row(*weight),
                row(*[q1 / 3**depth] * (depth + 1)),
                what="E (dL/dW_i)^2",
            ),
        ),
        "Glorot & Bengio (2010), section 4.2",
    )
