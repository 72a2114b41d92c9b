"""The Welch bound, frames that meet it, and how coherent random vectors are."""

from itertools import combinations

import sympy as sp

from derivations.derivation import Derivation, Step, row
from varprop.theory.frames import welch_bound

N, m, mu, t = sp.symbols("N m mu t", positive=True)


def coherence_bound() -> Derivation:
    eigenvalues = sp.symbols("lambda_1:5", positive=True)
    gaps = sum((a - b) ** 2 for a, b in combinations(eigenvalues, 2))
    squares = N + N * (N - 1) * mu**2
    density = t ** sp.Rational(-1, 2) * (1 - t) ** ((m - 3) / 2)
    beta = sp.gamma(sp.Rational(1, 2)) * sp.gamma((m - 1) / 2) / sp.gamma(m / 2)
    second = sp.gamma(sp.Rational(3, 2)) * sp.gamma((m - 1) / 2) / sp.gamma(m / 2 + 1)
    pairs = N * (N - 1) / 2
    return Derivation(
        "coherence-bound",
        "N unit vectors in R^m: the Welch bound, and random vectors against it",
        (
            "`v_1, ..., v_N` unit vectors, N > m; G = V V' their Gram matrix, of rank at most m",
            "`mu` is the coherence, the largest |cosine|",
        ),
        (
            Step(
                "The m eigenvalues of G have sum tr G = N, and by Lagrange's identity (m = 4) "
                "`m tr G^2 - (tr G)^2` is a sum of squares, zero when they are equal (tight)",
                4 * sum(e**2 for e in eigenvalues) - sum(eigenvalues) ** 2,
                gaps,
                what="m tr G^2 - (tr G)^2",
            ),
            Step(
                "`tr G^2 = sum of cos^2` is at most N + N(N-1) mu^2, equal if equiangular;"
                " so N^2/m <= that. At equality, solved for mu, varprop's bound",
                sp.sqrt(sp.solve(sp.Eq(squares, N**2 / m), mu**2)[0]),
                welch_bound(N, m),
                what="mu",
            ),
            Step(
                "N = m + 1: the simplex, cosines -1/m, meets it",
                welch_bound(m + 1, m),
                1 / m,
                what="Welch bound",
            ),
            Step(
                "and its Gram matrix has the eigenvalues 0 and (m+1)/m: tight",
                row(1 - m * (1 / m), 1 + 1 / m),
                row(0, (m + 1) / m),
                what="1 + m c and 1 - c at c = -1/m",
            ),
            Step(
                "N = 2m: conference matrices C C' = (N-1) I give I + C/sqrt(N-1), which meets it",
                welch_bound(2 * m, m) ** 2,
                1 / (2 * m - 1),
                what="Welch bound^2",
            ),
            Step(
                "A random squared cosine is Beta(1/2, (m-1)/2): its density at m = 3 is that of a "
                "uniform cosine",
                (density / beta).subs(m, 3),
                sp.diff(sp.sqrt(t), t),
                what="density of cos^2",
            ),
            Step("and its mean is 1/m", second / beta, 1 / m, what="E cos^2"),
            Step(
                "The largest of M = N(N-1)/2 such is `sqrt(2 ln M/m)` to leading order, with N "
                "2 sqrt(ln N/m)",
                sp.limit(sp.log(pairs) / sp.log(N), N, sp.oo),
                2,
                what="limit of ln M/ln N",
            ),
            Step(
                "not sqrt(2 ln N/m), which counts one vector's pairs only",
                sp.limit(sp.log(pairs) / sp.log(N), N, sp.oo),
                1,
                "!=",
                what="limit of ln M/ln N",
            ),
            Step(
                "ShuffleNetV2 2x: 244 filters in 216 dimensions",
                sp.N(welch_bound(sp.Integer(244), sp.Integer(216)), 20),
                sp.Rational("0.02310"),
                "~",
                what="Welch bound",
                error=sp.Rational(1, 10**4),
            ),
        ),
        "Welch (1974); Strohmer & Heath (2003); Jiang (2004); Cai & Jiang (2012)",
    )
