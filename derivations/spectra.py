"""Jacobian spectra: moments, the variance of J J', edges, and what finite width adds."""

from itertools import product
from typing import Any

import sympy as sp

from derivations.derivation import Derivation, Step, row
from varprop.theory import jacobian_spectrum
from varprop.theory.spectra.free import Factor, inverse_s, product_moments
from varprop.theory.spectra.gated import Gated

L, n = sp.symbols("L n", positive=True, integer=True)
mu1, mu2, gain, p, u, z = sp.symbols("mu_1 mu_2 g p u z", positive=True)
HALF = sp.Rational(1, 2)
FREE = (
    "square layers, width to infinity; J = `D_L W_L ... D_1 W_1`, `D = diag phi'(z)`",
    "the D are free of the W, so S-transforms multiply: S of J J' is the product over layers",
)
PENNINGTON = "Pennington, Schoenholz & Ganguli (2017, 2018)"


def jacobian_variance() -> Derivation:
    moments = {
        haar: product_moments([Factor(gain, haar, (mu1, mu2), count=L)], 2)
        for haar in (False, True)
    }
    spread = {haar: sp.factor(m[1] / m[0] ** 2 - 1) for haar, m in moments.items()}
    return Derivation(
        "jacobian-variance",
        "The variance of J J': L (mu_2/mu_1^2 - 1 - s_1)",
        (
            *FREE,
            "`mu_k = E phi'^(2k)`; g = n Var w; `s_1` is the slope of S at 0 over its value there: "
            "-1 for Gaussian, 0 for orthogonal weights",
        ),
        (
            Step(
                "1/S of W W' of Gaussian weights, from its moments g and 2 g^2: g (1 + z)",
                row(*inverse_s((gain, 2 * gain**2))),
                row(gain, gain),
                what="1/S = g (1 + z) + ...",
            ),
            Step(
                "1/S of D^2 from its moments",
                row(*inverse_s((mu1, mu2))),
                row(mu1, mu2 / mu1 - mu1),
                what="1/S of D^2",
            ),
            Step(
                "varprop's free product of L layers: the mean is chi^L",
                row(*(m[0] for m in moments.values())),
                row(*[(gain * mu1) ** L] * 2),
                what="m_1",
            ),
            Step(
                "Orthogonal weights: only the slopes spread",
                spread[True],
                L * (mu2 / mu1**2 - 1),
                what="m_2/m_1^2 - 1",
            ),
            Step(
                "ReLU has `mu_1 = mu_2 = 1/2`, linear layers 1: orthogonal L and 0, Gaussian 2L "
                "and L",
                row(
                    *(
                        jacobian_spectrum(phi, L, weights=weights).relative_variance
                        for phi in ("relu", "identity")
                        for weights in ("orthogonal", "gaussian")
                    )
                ),
                row(L, 2 * L, 0, L),
                what="relative variance",
            ),
            Step(
                "So isometry for any depth asks for orthogonal weights and slopes that do not vary",
                spread[True].subs(mu2, mu1**2),
                0,
                what="m_2/m_1^2 - 1",
            ),
            Step(
                "Gaussian weights add one for each layer",
                spread[False],
                L * (mu2 / mu1**2 - 1 + 1),
                what="m_2/m_1^2 - 1",
            ),
        ),
        PENNINGTON,
    )


def fuss_catalan() -> Derivation:
    spectrum = jacobian_spectrum("identity", L)
    law = Gated(sp.S.One, (), L)
    stated = [sp.ff((L + 1) * k, k) / sp.factorial(k) / (L * k + 1) for k in (1, 2, 3, 4, 5)]
    top = 1 / (L + 1)
    finite = [finite_second_moment(depth, n) for depth in (1, 2, 3)]
    return Derivation(
        "fuss-catalan",
        "Squared singular values of a product of Gaussian matrices: Fuss-Catalan numbers",
        (*FREE, "entries N(0, 1/n), no activation"),
        (
            Step(
                "varprop's moments for symbolic depth are `C((L+1)k, k)/(Lk+1)`",
                row(*(spectrum.moment(k) for k in (1, 2, 3, 4, 5))),
                row(*(sp.expand_func(value) for value in stated)),
                what="(m_1, ..., m_5)",
            ),
            Step(
                "With u = z/(1 + z): z = psi, `lambda S(z) = (1+z)/z`, S = (1+z)^(-L)",
                law.at(z / (1 + z)),
                (1 + z) ** (L + 1) / z,
                what="lambda",
            ),
            Step(
                "The upper edge is where lambda(u) is stationary: u = 1/(L + 1)",
                sp.diff(sp.log(law.at(u)), u).subs(u, top),
                0,
                what="d log lambda/du",
            ),
            Step(
                "Finite width, exactly: `E tr (W A W')^2 = (1 + 1/n) tr A^2 + (tr A)^2/n`, by "
                "explicit sums at n = 1, 2 and 3",
                row(*(explicit_step(size) for size in (1, 2, 3))),
                row(*(finite_step(size) for size in (1, 2, 3))),
                what="E tr (W A W')^2 for A = diag(1, 2, ...)",
            ),
            Step(
                "so `m_2` of one, two and three layers exceeds L + 1 by O(L^2/n)",
                row(*finite),
                row(
                    2 + 1 / n,
                    3 + 3 / n + 3 / n**2,
                    4 + 6 / n + 12 / n**2 + 5 / n**3,
                ),
                what="E m_2 at width n",
            ),
            Step(
                "At n = 1 that is `(E w^4)^L` of a standard normal w",
                row(*(value.subs(n, 1) for value in finite)),
                row(3, 9, 27),
                what="E m_2 at n = 1",
            ),
            Step(
                "The edge",
                law.at(top),
                (L + 1) ** (L + 1) / L**L,
                what="largest squared singular value",
            ),
        ),
        "Penson & Zyczkowski (2011) for the density; Haagerup & Moeller (2013)",
    )


def relu_spectrum_edges() -> Derivation:
    haar, gauss = Gated(2**L, ((HALF, L),), 0), Gated(2**L, ((HALF, L),), L)
    top = 1 / (L - 1)
    at = (sp.sqrt(L**2 + 1) - (L - 1)) / (2 * L)
    stationary = sp.numer(sp.together(sp.diff(sp.log((1 + z) / z) + L * sp.log(1 + 2 * z), z)))
    return Derivation(
        "relu-spectrum-edges",
        "Largest singular value of deep ReLU networks under He's variance",
        (*FREE, "D is 0 or 1 with probability 1/2 each; n Var w = 2; L of at least 2"),
        (
            Step(
                "1/S of a projection of trace p is (p + z)/(1 + z): varprop's first four terms",
                row(*inverse_s((p,) * 4)),
                row(*_coefficients((p + z) / (1 + z), 4)),
                what="coefficients of 1/S",
            ),
            Step(
                "Orthogonal weights: `lambda = (1+z)/z ((1+2z)/(1+z))^L`, u = z/(1 + z)",
                haar.at(z / (1 + z)) * z / (1 + z) / ((1 + 2 * z) / (1 + z)) ** L,
                1,
                what="lambda over the stated one",
            ),
            Step(
                "stationary at u = 1/(L - 1)",
                sp.diff(sp.log(haar.at(u)), u).subs(u, top),
                0,
                what="d log lambda/du",
            ),
            Step(
                "Gaussian weights: `lambda = (1+z)/z (1+2z)^L`",
                gauss.at(z / (1 + z)) * z / (1 + z) / (1 + 2 * z) ** L,
                1,
                what="lambda over the stated one",
            ),
            Step(
                "stationary at `z = (sqrt(L^2+1) - (L-1))/2L`, the positive root",
                stationary.subs(z, at),
                0,
                what="numerator of d log lambda/dz",
            ),
            Step(
                "L = 10 layers: 54.41, against 25.81 for orthogonal weights",
                ((1 + z) / z * (1 + 2 * z) ** 10).subs(z, at.subs(L, 10)),
                sp.Rational("54.4109"),
                "~",
                what="edge, Gaussian",
                error=sp.Rational(1, 10**4),
            ),
            Step(
                "The edge for orthogonal weights",
                sp.simplify(haar.at(top)),
                L**L / (L - 1) ** (L - 1),
                what="largest squared singular value",
            ),
        ),
        "Pennington, Schoenholz & Ganguli (2018), by the S-transform",
    )


def quarter_circle_mean() -> Derivation:
    x = sp.Symbol("x", positive=True)
    law = sp.sqrt(4 - x**2) / sp.pi
    theta = sp.Symbol("theta", real=True)
    # x = 2 sin(theta)
    on_circle = law.subs(x, 2 * sp.sin(theta)).subs(
        sp.sqrt(4 - 4 * sp.sin(theta) ** 2), 2 * sp.cos(theta)
    ) * (2 * sp.cos(theta))

    def average(power: int) -> Any:
        inside = on_circle * (2 * sp.sin(theta)) ** power
        return sp.Integral(inside, (theta, 0, sp.pi / 2))

    moments = [jacobian_spectrum("identity", L).moment(k).subs(L, 1) for k in (1, 2, 3)]
    return Derivation(
        "quarter-circle-mean",
        "The average singular value of one random layer: 8/(3 pi)",
        (
            "a square matrix of iid entries of variance v/n, width to infinity",
            "one Gaussian layer of the spectrum (fuss-catalan, L = 1): Catalan numbers",
        ),
        (
            Step(
                "varprop's moments of squared singular values at L = 1",
                row(*moments),
                row(1, 2, 5),
                what="(m_1, m_2, m_3)",
            ),
            Step(
                "The quarter-circle density `sqrt(4 - x^2)/pi` on [0, 2], with x = 2 sin(theta), "
                "has these, and as a law of bounded support it is fixed by them",
                row(*(average(2 * k) for k in (1, 2, 3))),
                row(*moments),
                what="E x^(2k)",
            ),
            Step(
                "Glorot's standard initialization has v = 1/3: the same, divided by sqrt(3)",
                average(1) / sp.sqrt(3) * sp.sqrt(3),
                8 / (3 * sp.pi),
                what="sqrt(3) E x",
            ),
            Step(
                "In numbers, 0.8488 and 0.4901",
                8 / (3 * sp.pi) / sp.sqrt(3),
                sp.Rational("0.49007"),
                "~",
                what="E x, standard",
                error=sp.Rational(1, 10**5),
            ),
            Step("The normalised one has v = 1", average(1), 8 / (3 * sp.pi), what="E x"),
        ),
        "Glorot & Bengio (2010), section 4.2; Marchenko & Pastur (1967)",
    )


def finite_second_moment(depth: int, width: Any) -> Any:
    """E m_2 of a product of `depth` Gaussian matrices of this width, exactly.

    M' = W M W' with entries N(0, 1/n):  E tr M'^2 = (1 + 1/n) tr M^2 + (tr M)^2/n,
    E (tr M')^2 = (tr M)^2 + 2 tr M^2/n.
    """
    square, trace = sp.S.One, sp.S.One  # E tr M^2 / n, E (tr M)^2 / n^2
    for _ in range(depth):
        square, trace = (
            (1 + 1 / width) * square + trace,
            trace + 2 * square / width**2,
        )
    return sp.expand(square)


def finite_step(size: int) -> Any:
    places = range(1, size + 1)
    squares, total = sum(k**2 for k in places), sum(places)
    return sp.Rational((size + 1) * squares + total**2, size)


def explicit_step(size: int) -> Any:
    """E tr (W A W')^2 for A = diag(1, ..., size), W of N(0, 1/size), by summing over indices."""
    total = sp.S.Zero
    for i, j, a, b in product(range(size), repeat=4):
        counts: dict[tuple[int, int], int] = {}
        for entry in ((i, a), (j, a), (i, b), (j, b)):
            counts[entry] = counts.get(entry, 0) + 1
        moment = sp.Mul(*(_normal_moment(k, sp.Rational(1, size)) for k in counts.values()))
        total += (a + 1) * (b + 1) * moment
    return total


def _normal_moment(k: int, variance: Any) -> Any:
    return 0 if k % 2 else sp.factorial2(k - 1) * variance ** (k // 2)


def _coefficients(function: Any, order: int) -> list[Any]:
    series = sp.series(function, z, 0, order).removeO()
    return [sp.factor(series.coeff(z, k)) for k in range(order)]
