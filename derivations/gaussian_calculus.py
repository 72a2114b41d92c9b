"""Price's theorem and Stein's lemma, on which the kernels' proofs rest."""

import sympy as sp

from derivations.derivation import Derivation, Step
from derivations.expectations import gaussian_density, gaussian_integral, gaussian_pair_density

x, y, s, t, C = sp.symbols("x y s t C", real=True)
q, q1, q2 = sp.symbols("q q_1 q_2", positive=True)


def price_theorem() -> Derivation:
    density = gaussian_pair_density(x, y, q1, q2, C)
    single = gaussian_density(x, q)
    transform = sp.exp((s**2 * q1 + 2 * s * t * C + t**2 * q2) / 2)
    return Derivation(
        "price-theorem",
        "Price's theorem: d/dC E f(z) g(z') = E f'(z) g'(z')",
        (
            "z, z' are centred Gaussian, variances `q_1`, `q_2`, covariance C, `C^2 < q_1 q_2`",
            "f, g grow slower than a Gaussian falls (kinks and jumps are allowed: derivatives are "
            "then generalised functions)",
        ),
        (
            Step(
                "Stein's lemma: x times the density is a derivative, so by parts `E z f = q E f'`",
                -q * sp.diff(single, x),
                x * single,
                what="-q dp/dx",
            ),
            Step(
                "for instance f = exp(t z)",
                gaussian_integral(x * sp.exp(t * x), x, q),
                q * t * sp.exp(q * t**2 / 2),
                what="E z exp(t z)",
            ),
            Step(
                "The density of one variable solves the heat equation: so `d/dq E f = E f''/2`",
                sp.diff(single, q),
                sp.diff(single, x, 2) / 2,
                what="dp/dq",
            ),
            Step(
                "In exponentials, whose expectation is `exp(s^2 q_1/2 + s t C + t^2 q_2/2)`, the "
                "theorem reads: derivatives s and t of f and g come out",
                sp.diff(transform, C),
                s * t * transform,
                what="d/dC E exp(s z + t z')",
            ),
            Step(
                "In general: the joint density obeys this equation. Differentiate `E f g` under "
                "the integral and integrate by parts in x and in y",
                sp.simplify(sp.diff(density, C) / density),
                sp.simplify(sp.diff(density, x, y) / density),
                what="(dp/dC) / p",
            ),
        ),
        "Price (1958), A useful theorem for nonlinear devices having Gaussian inputs",
    )
