"""Finite width: the law of lengths, dead networks, typical lengths."""

from itertools import product
from typing import Any

import sympy as sp

from derivations.derivation import Derivation, Step, row
from derivations.expectations import polynomial_in_width
from varprop.builders import mlp
from varprop.theory import length_law

n, b, s, v, r = sp.symbols("n b s v r", positive=True)
y = sp.Symbol("y", positive=True)


def _power(k: int) -> Any:
    """E (chi^2_b)^k as a polynomial in b, from its density."""
    density = y ** (b / 2 - 1) * sp.exp(-y / 2) / (2 ** (b / 2) * sp.gamma(b / 2))
    return sp.Integral(y**k * density, (y, 0, sp.oo))


def _binomial_mean(polynomial: Any, size: int) -> Any:
    """E f(B), B ~ Bin(size, 1/2), by all 2^size gates."""
    values = (polynomial.subs(b, sum(g)) for g in product((0, 1), repeat=size))
    return sp.Add(*values) / sp.Integer(2) ** size


def length_law_moments() -> Derivation:
    w, x = sp.symbols("w_1:4", real=True), sp.symbols("x_1:4", real=True)
    moment = {1: b, 2: b * (b + 2)}
    means = {
        k: polynomial_in_width(lambda size, k=k: _binomial_mean(moment[k], size), n, k)
        for k in moment
    }
    log_power = s * sp.log(2) + sp.loggamma(b / 2 + s) - sp.loggamma(b / 2)
    first = [sp.diff(log_power, s, k).subs(s, 0) for k in (1, 2)]
    law = length_law(mlp(6, 1, output=None))
    sixth = [
        sum(
            sp.binomial(6, k) * sp.gamma(sp.Rational(k, 2) + p) / sp.gamma(sp.Rational(k, 2))
            for k in range(1, 7)
        )
        / sp.Integer(2) ** 6
        * sp.Rational(4, 6) ** p
        for p in (1, 2, 3)
    ]
    quadratic = sum(w[i] ** 2 for i in range(3)) / (2 * v)
    tilted = sum((w[i] - sp.I * r * v * x[i]) ** 2 for i in range(3)) / (2 * v)
    return Derivation(
        "length-law-moments",
        "The squared length is a product of gated chi-squares",
        (
            "Gaussian weights of variance v, no bias, ReLU of n units",
            "each of n normal values is open with probability 1/2: B ~ Bin(n, 1/2) of them",
        ),
        (
            Step(
                "Rows see only the length of x: completing the square in `E exp(i r w.x)` leaves "
                "`exp(-r^2 v |x|^2/2)`, so W x is |x| times a normal vector, independent of x",
                sp.expand(quadratic - sp.I * r * sum(i * j for i, j in zip(w, x, strict=True))),
                sp.expand(tilted + r**2 * v * sum(i**2 for i in x) / 2),
                what="-log of the integrand",
            ),
            Step(
                "`sum relu(z_i)^2` over open units is chi-square with b degrees; its moments",
                row(_power(1), _power(2)),
                row(moment[1], sp.expand(moment[2])),
                what="E chi^2_b, E (chi^2_b)^2",
            ),
            Step(
                "Average over the gates: all 2^n of them, polynomials in n",
                row(means[1], means[2]),
                row(n / 2, n * (n + 5) / 4),
                what="E chi^2_B, E (chi^2_B)^2",
            ),
            Step(
                "So F = 2 chi^2_B/n, with `Var w = 2/n`, has mean 1 and second moment 1 + 5/n",
                row(means[1] * 2 / n, means[2] * 4 / n**2),
                row(1, 1 + 5 / n),
                what="E F, E F^2",
            ),
            Step(
                "Powers `E (chi^2_b)^s` are gamma ratios; their logarithm's derivatives at s = 0",
                row(*first),
                row(sp.log(2) + sp.digamma(b / 2), sp.polygamma(1, b / 2)),
                what="E log chi^2_b, Var log chi^2_b",
            ),
            Step(
                "The same for six units by the sum over b, third moment included",
                row(*sixth),
                row(1, sp.Rational(11, 6), sp.Rational(85, 18)),
                what="E F, E F^2, E F^3",
            ),
            Step(
                "and varprop's law of that layer, in floats",
                sp.Float(law.moment(3), 17),
                sp.Rational(85, 18),
                "~",
                what="E F^3",
                error=sp.Float("1e-11"),
            ),
        ),
        "after Hanin & Nica (2020)",
    )


def dead_networks() -> Derivation:
    sizes = (3, 2)
    alive = sp.S.One
    for size in sizes:
        gates = list(product((0, 1), repeat=size))
        alive *= sp.Rational(sum(any(g) for g in gates), len(gates))
    law = length_law(_network(sizes))
    k = sp.symbols("n_1:3", positive=True)
    mean = sp.prod((1 - sp.Rational(1, 2) ** size) for size in sizes)
    return Derivation(
        "dead-networks",
        "A network is dead with probability 1 - prod (1 - 2^-n)",
        (
            "one input that is not zero, ReLU, no bias, symmetric weights without atoms",
            "given a layer that is alive, gates of the next are independent and fair",
        ),
        (
            Step(
                "A layer of n units is dead when all its gates are shut: by all gates of widths "
                "3 and 2",
                alive,
                (1 - sp.Rational(1, 2) ** 3) * (1 - sp.Rational(1, 2) ** 2),
                what="P(alive)",
            ),
            Step(
                "Layers die independently, given that those below live: any widths",
                1 - (1 - 2 ** (-k[0])) * (1 - 2 ** (-k[1])),
                2 ** (-k[0]) + 2 ** (-k[1]) - 2 ** (-k[0] - k[1]),
                what="P(dead)",
            ),
            Step(
                "He's mean stays 1, so survivors are larger by 1/P(alive): here",
                1 / mean,
                sp.Rational(32, 21),
                what="E[M | alive]",
            ),
            Step(
                "varprop's law of these widths, in floats",
                sp.Float(law.dead, 17),
                1 - alive,
                "~",
                what="P(dead)",
                error=sp.Float("1e-15"),
            ),
        ),
        "Lu, Shin, Su & Karniadakis (2020)",
    )


def _network(sizes: tuple[int, ...]) -> Any:
    net = mlp(widths=[4, *sizes, 1])
    return type(net)(net.nodes[:-1])


def typical_length() -> Derivation:
    k = sp.Symbol("k", positive=True)
    u = sp.Symbol("u", real=True)
    expanded = sp.series(sp.log(1 + u), u, 0, 3).removeO()
    stirling = sp.log(k) - 1 / (2 * k)
    gap = sp.limit(k**2 * (sp.digamma(k) - stirling), k, sp.oo)
    spread = sp.Rational(1, 1) / n
    total = expanded.coeff(u, 2) * spread - 2 / n
    gain = sp.sqrt(2) * sp.exp(-total / 2)
    published = sp.sqrt(2) * sp.exp(sp.Rational(6, 5) / (n - sp.Rational(12, 5)))
    return Derivation(
        "typical-length",
        "The typical ReLU network needs the gain sqrt(2) e^(1.25/n), not sqrt(2)",
        (
            "F = g^2 chi^2_B/n, B ~ Bin(n, 1/2), weights of variance g^2/n, no bias",
            "log M of a deep network is a sum of independent log F: typical is exp of the sum of "
            "E log F (the law of large numbers), not the product of E F",
        ),
        (
            Step(
                "B = (n/2)(1 + u), E u = 0; the logarithm to second order",
                expanded,
                u - u**2 / 2,
                what="log(1 + u)",
            ),
            Step(
                "B is a sum of n fair gates, so `E u^2 = (4/n^2)(n/4)`",
                4 / n**2 * n / 4,
                spread,
                what="E u^2",
            ),
            Step(
                "`E log chi^2_b = log 2 + digamma(b/2)`, and `digamma(k) = log k - 1/(2 k) + "
                "O(1/k^2)`: the coefficient of 1/k^2 is finite",
                gap,
                -sp.Rational(1, 12),
                what="lim k^2 (digamma(k) - log k + 1/(2k))",
            ),
            Step(
                "At b = n/2 that is -1/b = -2/n; with `-E u^2/2` the layer loses 5/(2 n)",
                total,
                -sp.Rational(5, 2) / n,
                what="E log(2 chi^2_B/n)",
            ),
            Step(
                "So `E log F = 0` at leading order asks for",
                gain,
                sp.sqrt(2) * sp.exp(sp.Rational(5, 4) / n),
                what="g",
            ),
            Step(
                "The published fit `sqrt(2) exp(1.2/(max(n, 6) - 2.4))` has 1.2 there",
                sp.limit(n * sp.log(published / sp.sqrt(2)), n, sp.oo),
                sp.Rational(6, 5),
                what="lim n log(g/sqrt 2)",
            ),
            Step(
                "which is not the limit",
                sp.Rational(6, 5),
                sp.Rational(5, 4),
                "!=",
            ),
        ),
        "Sussillo & Abbott (2014), Random walk initialization",
    )
