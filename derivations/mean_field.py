"""Mean field: the factors chi, critical lines, and dropout."""

from typing import Any

import sympy as sp

from derivations.derivation import Derivation, Step, row
from derivations.expectations import expect_polynomial, gaussian_density, gaussian_moments
from varprop import initializers
from varprop.activations import X, custom, get
from varprop.builders import mlp
from varprop.theory import predict
from varprop.theory.meanfield import critical_point, mean_field

q, w, b, n = sp.symbols("q w b n", positive=True)
z = sp.Symbol("z", real=True)
WIDE = "wide layers: z ~ N(0, q); w = `n Var(W_ij)`, b = Var of a bias"
POOLE = "Poole et al. (2016); Schoenholz et al. (2017)"


def mean_field_chi() -> Derivation:
    f = sp.Function("f")
    density = gaussian_density(z, q)
    c = sp.symbols("phi_0:4", real=True)
    taylor: Any = sum(c[k] * X**k / sp.factorial(k) for k in range(4))
    field = mean_field(custom("polynomial", taylor), weight_variance=w, bias_variance=b)
    bent: Any = sp.diff(taylor, X) ** 2 + taylor * sp.diff(taylor, X, 2)
    expected = w * expect_polynomial(sp.expand(bent), {X: gaussian_moments(q)})
    net = mlp(n, 2, activation="erf", weights=initializers.normal(variance=w / n),
              bias=initializers.normal(variance=b))  # fmt: skip
    theory = predict(net, q)
    first, second = (theory.value(f"dense_{k}", "second_moment")[0] for k in (1, 2))
    up, down = (theory.value(f"dense_{k}", "grad_second_moment")[0] for k in (1, 2))
    erf = mean_field("erf", weight_variance=w, bias_variance=b)
    relu = mean_field("relu", weight_variance=sp.Rational(1, 3), bias_variance=1 / (3 * n))
    line = mean_field("identity", weight_variance=sp.Rational(1, 3), bias_variance=1 / (3 * n))
    return Derivation(
        "mean-field-chi",
        "The two factors of a deep stack: chi for variances and chi for gradients",
        (WIDE, "phi has two derivatives, or kinks, whose phi'' is then a point mass"),
        (
            Step(
                "The Gaussian density solves the heat equation",
                sp.diff(density, q),
                sp.diff(density, z, 2) / 2,
                what="d/dq of the density",
            ),
            Step(
                "so `d/dq E F(z) = E F''(z)/2` by two integrations by parts; for F = f^2",
                sp.diff(f(z) ** 2, z, 2) / 2,
                sp.diff(f(z), z) ** 2 + f(z) * sp.diff(f(z), z, 2),
                what="(f^2)''/2",
            ),
            Step(
                "varprop's chi_parallel is w E (phi'^2 + phi phi''), here for any cubic phi",
                field.chi_parallel_at(q),
                expected,
                what="chi_parallel",
            ),
            Step(
                "and the derivative of varprop's variance map",
                field.chi_parallel_at(q),
                sp.diff(field.variance_map(q).doit(), q),
                what="chi_parallel",
            ),
            Step(
                "The map is what varprop predicts from layer to layer, bias included (erf)",
                erf.variance_map(first),
                second,
                what="q'",
            ),
            Step(
                "and chi_perp is the factor of a gradient's second moment in that network",
                erf.chi_perp_at(first),
                up / down,
                what="chi_perp",
            ),
            Step(
                "ReLU is homogeneous: the map is affine and both factors are w/2. PyTorch's "
                "default, w = 1/3, b = 1/(3 n), forgets the input in a few layers",
                row(relu.chi_parallel, relu.chi_perp, relu.fixed_point),
                row(sp.Rational(1, 6), sp.Rational(1, 6), 2 / (5 * n)),
                what="(chi_parallel, chi_perp, q*)",
            ),
            Step(
                "and in a linear network",
                row(line.chi_parallel, line.chi_perp, line.fixed_point),
                row(sp.Rational(1, 3), sp.Rational(1, 3), 1 / (2 * n)),
                what="(chi_parallel, chi_perp, q*)",
            ),
        ),
        POOLE,
    )


def erf_critical_line() -> Derivation:
    field = mean_field("erf", weight_variance=w, bias_variance=b)
    (weight,) = sp.solve(field.chi_perp_at(q) - 1, w)
    (bias,) = sp.solve((field.variance_map(q) - q).subs(w, weight), b)
    chi = field.chi_parallel_at(q).subs(w, weight)
    zero = critical_point("erf")
    return Derivation(
        "erf-critical-line",
        "The edge of chaos of erf in closed form",
        (WIDE, "the line is parametrized by its fixed point q; no iteration is needed"),
        (
            Step(
                "varprop's chi_perp = 1, solved for w",
                weight,
                sp.pi / 4 * sp.sqrt(1 + 4 * q),
                what="w",
            ),
            Step(
                "q' = q, solved for b",
                bias,
                q - sp.sqrt(1 + 4 * q) / 2 * sp.asin(2 * q / (1 + 2 * q)),
                what="b",
            ),
            Step(
                "chi_parallel there: the variance settles, and fast",
                chi,
                1 / (1 + 2 * q),
                what="chi_parallel",
            ),
            Step("which is below 1", 1 / (1 + 2 * q), 1, "<", what="chi_parallel"),
            Step(
                "The line starts at q = 0, b = 0 with w = pi/4, where both factors are 1",
                row(sp.limit(weight, q, 0), sp.limit(bias, q, 0), sp.limit(chi, q, 0)),
                row(sp.pi / 4, 0, 1),
                what="(w, b, chi_parallel)",
            ),
            Step(
                "and so says varprop's search",
                zero.weight_variance,
                sp.pi / 4,
                "~",
                what="w",
                error=1e-15,
            ),
            Step(
                "It leaves b = 0 slowly: the leading term",
                sp.limit(bias / q**3, q, 0),
                sp.Rational(4, 3),
                what="lim b/q^3",
            ),
        ),
        "by Williams' (1997) kernel; the notion is that of " + POOLE,
    )


def dropout_correlation() -> Derivation:
    p = sp.Symbol("p", positive=True)
    c = sp.Symbol("c", real=True)
    arc: Any = 2 * get("relu").kernel(sp.S.One, sp.S.One, c)
    slope: Any = sp.diff(arc, c)

    def mask(f: Any) -> Any:
        """E f(m), m = 1/p with probability p and 0 otherwise."""
        return p * f(1 / p) + (1 - p) * f(sp.S.Zero)

    stars = []
    for keep in (0.9, 0.8):
        field = mean_field("relu", weight_variance=2 * keep, keep=keep)
        star = field.correlation_fixed_point
        stars.append((field, star, keep * float(arc.subs(c, star))))
    return Derivation(
        "dropout-correlation",
        "Dropout moves the correlation of two inputs away from 1",
        (
            WIDE,
            "inverted dropout: x is kept with probability p and divided by p",
            "each input has a mask of its own; ReLU, w = 2 p, b = 0",
        ),
        (
            Step(
                "A mask has mean 1",
                mask(lambda m: m),
                1,
                what="E m",
            ),
            Step("and second moment 1/p", mask(lambda m: m**2), 1 / p, what="E m^2"),
            Step(
                "so q is multiplied by w/(2 p), and w = 2 p keeps it: varprop",
                mean_field("relu", weight_variance=2 * p, keep=p).chi_parallel,
                1,
                what="chi_parallel",
            ),
            Step(
                "Two masks are independent and the cross moment gets no 1/p: `c' = p J(c)`, J the "
                "normalized kernel. J(1) = 1, so c = 1 maps to p",
                (p * arc).subs(c, 1),
                p,
                what="c' at c = 1",
            ),
            Step(
                "J' is the derivative kernel, `1 - theta/pi`, at most 1",
                slope,
                1 - sp.acos(c) / sp.pi,
                what="J'(c)",
            ),
            Step(
                "so c' contracts by p at least and has one fixed point, below 1: varprop's, put "
                "into p J(c), for p = 0.9",
                stars[0][2],
                stars[0][1],
                "~",
                what="p J(c*)",
                error=1e-14,
            ),
            Step(
                "for p = 0.8",
                stars[1][2],
                stars[1][1],
                "~",
                what="p J(c*)",
                error=1e-14,
            ),
            Step(
                "that is, at p = 0.9",
                stars[0][1],
                0.627146,
                "~",
                what="c*",
                error=5e-7,
            ),
        ),
        "Schoenholz et al. (2017), section 4; Pretorius et al. (2018)",
    )
