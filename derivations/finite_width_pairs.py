"""Finite width: the random kernel of two inputs, and of an input and a tangent."""

from typing import Any

import numpy as np
import sympy as sp

from derivations.derivation import Derivation, Step, row
from derivations.expectations import (
    expect_polynomial,
    gaussian_integral,
    gaussian_moments,
    polynomial_in_width,
)
from varprop.activations import X, get
from varprop.theory.finite_width.pair_rules import (
    Rule,
    Side,
    cross_derivatives,
    fourth_minus_means,
    gaussian_noise,
)
from varprop.theory.finite_width.pairs import Pairs, elementwise
from varprop.theory.finite_width.reach import Block, Reach, below

a, b, r = sp.symbols("a b r", positive=True)  # Cholesky factor of K: z = a U, z' = b U + r V
u, v = sp.symbols("u v", real=True)
k11, k12, k22 = sp.symbols("K_11 K_12 K_22", positive=True)
n = sp.Symbol("n", positive=True)
NORMAL = {u: gaussian_moments(1), v: gaussian_moments(1)}
CUBIC = sp.Symbol("p", real=True) * X + sp.Symbol("s", real=True) * X**3 + X**2


def _pair(f: Any, g: Any) -> Any:
    """E f(z) g(z') as a polynomial in the entries of K."""
    product = sp.expand(f.subs(X, a * u) * g.subs(X, b * u + r * v))
    mean = sp.expand(expect_polynomial(product, NORMAL))
    return sp.expand(
        sp.simplify(mean.subs(r, sp.sqrt(k22 - b**2)).subs(b, k12 / a)).subs(a, sp.sqrt(k11))
    )


def _sides(f: Any) -> tuple[Side, Side]:
    slope, second = sp.diff(f, X), sp.diff(f, X, 2)
    parts = (_pair(X * slope, f), _pair(X * second, slope), _pair(X**2 * second, f))
    return Side(k11, *parts), Side(
        k22, *(p.subs({k11: k22, k22: k11}, simultaneous=True) for p in parts)
    )


def _derivatives(f: Any) -> tuple[list, list]:
    slope, second = sp.diff(f, X), sp.diff(f, X, 2)
    return cross_derivatives(k12, _pair(slope, slope), _pair(second, second), *_sides(f))


def _rule(f: Any) -> Rule:
    """varprop's J, H and C of a polynomial, in the layout of one pair."""
    gradient, hessian = _derivatives(f)
    square = [sp.expand(_pair(f**2, sp.S.One).subs(k11, k)) for k in (k11, k22)]
    zero = sp.S.Zero
    slope = [[sp.diff(square[0], k11), zero, zero], gradient, [zero, zero, sp.diff(square[1], k22)]]
    ends = np.zeros((2, 3, 3), object)
    ends[0, 0, 0], ends[1, 2, 2] = sp.diff(square[0], k11, 2), sp.diff(square[1], k22, 2)
    bend = np.stack([ends[0], np.array(hessian), ends[1]])
    powers = [_pair(f ** (4 - k), f**k) for k in range(5)]
    means = (square[0], _pair(f, f), square[1])
    wrap = lambda value: np.array([value], dtype=object)  # noqa: E731
    noise = fourth_minus_means([wrap(p) for p in powers], [wrap(m) for m in means])
    return Rule(wrap(slope), bend[None], noise)


def _sum_of_products(size: int, f: Any) -> Any:
    """Cov of sum phi_i phi'_i / n with sum phi_i^2 / n over `size` explicit neurons, times n^2."""
    one, two = _pair(f**3, f), _pair(f, f) * _pair(f**2, sp.S.One)
    total = size * one + size * (size - 1) * two
    return sp.expand(total - size**2 * two)


def random_kernel_of_pairs() -> Derivation:
    means = _pair(CUBIC, CUBIC)
    gradient, hessian = _derivatives(CUBIC)
    entries = (k11, k12, k22)
    wick = gaussian_noise(*(np.array([k], dtype=object) for k in entries))[0]
    gauss = fourth_minus_means(
        [np.array([_pair(X ** (4 - k), X**k)], dtype=object) for k in range(5)],
        [np.array([k], dtype=object) for k in entries],
    )[0]
    square = _rule(X**2)
    shared = np.array(
        [[sp.Symbol(f"T_{min(i, j)}{max(i, j)}") for j in range(3)] for i in range(3)]
    )
    shift = np.array(sp.symbols("S_0 S_1 S_2"))
    moved = elementwise(square, Pairs(n, shift[None], shared[None], shared[None]))
    change = sp.symbols("delta_0:3", real=True)
    kernel = _pair(X**2, X**2)
    exact = sp.expand(
        kernel.subs({k: k + c for k, c in zip(entries, change, strict=True)}, simultaneous=True)
        - kernel
    )
    quadratic = sp.Poly(exact, *change)
    mean = sum(
        coefficient * _moment(powers, shift, shared)
        for powers, coefficient in quadratic.terms()
        if sum(powers) <= 2
    )
    noise = polynomial_in_width(lambda k: _sum_of_products(k, X**2), n, 2)
    return Derivation(
        "random-kernel-of-pairs",
        "The kernel of two inputs moves by its Hessian against the covariance of its entries",
        (
            "z, z' normal with `K_11, K_12, K_22`; phi a cubic with free coefficients",
            "S and T are of order 1/n, and products of them are dropped",
        ),
        (
            Step(
                "varprop's gradient of `E phi(z) phi(z')` in the entries, which holds no phi''",
                row(*(sp.cancel(g) for g in gradient)),
                row(*(sp.diff(means, k) for k in entries)),
                what="dG_12/dK",
            ),
            Step(
                "and its Hessian, which holds no derivative beyond phi''",
                row(*(sp.cancel(hessian[i][j]) for i in range(3) for j in range(i, 3))),
                row(
                    *(sp.diff(means, entries[i], entries[j]) for i in range(3) for j in range(i, 3))
                ),
                what="d^2 G_12/dK dK",
            ),
            Step(
                "Linear networks: what one neuron scatters, by Isserlis",
                row(*wick.reshape(-1)),
                row(*gauss.reshape(-1)),
                what="C",
            ),
            Step(
                "n neurons: the covariance of two mean products is that of one neuron over n",
                sp.expand(noise / n**2),
                sp.expand(square.noise[0, 0, 1] / n),
                what="Cov(G_11, G_12)",
            ),
            Step(
                "phi = z^2 of a random kernel: expand `E phi phi' = K_11 K_22 + 2 K_12^2` about "
                "its limit; varprop's rule has all of the first order",
                sp.expand(moved.shift[0, 1]),
                sp.expand(mean),
                what="S'_12",
            ),
        ),
        "after Yaida (2019); Roberts, Yaida & Hanin (2022), chapter 4",
    )


def _moment(powers: tuple[int, ...], shift: Any, shared: Any) -> Any:
    """E of a product of one or two changes of entries, to the first order in 1/n."""
    at = [i for i, k in enumerate(powers) for _ in range(k)]
    return shift[at[0]] if len(at) == 1 else shared[at[0], at[1]]


def _slopes(f: Any, power: int) -> Any:
    """E f'(z)^power at K = 1."""
    return gaussian_integral(sp.diff(f, X) ** power, X, sp.S.One).doit()


def gradient_terms() -> Derivation:
    q, h, m = sp.symbols("K H M", positive=True)
    phi = CUBIC
    slope = sp.diff(phi, X)
    one = lambda f: sp.expand(expect_polynomial(  # noqa: E731
        sp.expand(f.subs(X, sp.sqrt(q) * u)), NORMAL
    ))  # fmt: skip
    g, d = one(phi**2), one(slope**2)
    # y given z: (H/K) z + sqrt(M - H^2/K) V
    y = h / q * X + sp.sqrt(m - h**2 / q) * v
    overlap = sp.expand(expect_polynomial(one(sp.expand(phi * slope * y)), NORMAL))
    moved = sp.expand(expect_polynomial(one(sp.expand(slope**2 * y**2)), NORMAL))
    first = sp.cancel(one(slope**2 * (X**2 / q - 1)) / 2)
    second = sp.cancel(one(slope**2 * (X**4 / q**2 - 6 * X**2 / q + 3)) / 4)
    relu = Block(1, 0, 0, 1, 2, 2)  # r, i, j, o; e = E z^2 step / (K/2)(1/2), f = (1/2)/(1/2)^2
    linear = Block(1, 0, 0, 1, 1, 1)
    sizes = sp.symbols("n_0:4", positive=True)
    erf = get("erf").expression

    def stack(block: Block) -> Any:
        """v_out at the input of two hidden layers and a readout."""
        reach = below(Reach(), linear, sizes[3], 0, 0, top=True)
        for size in (sizes[2], sizes[1]):
            reach = below(reach, block, size, 0, 0)
        return sp.expand(below(reach, linear, sizes[0], 0, 0).spread)

    return Derivation(
        "gradient-terms",
        "A tangent is a second input of the random kernel, and squared gradients are its length",
        (
            "rows (z, y) of an input and a tangent are normal with `K, H, M`; phi a cubic with "
            "free coefficients",
            "Gaussian weights; entries of the kernel vary as in random-kernel-of-pairs",
        ),
        (
            Step(
                "The overlap is multiplied by g'",
                overlap,
                sp.expand(h * sp.diff(g, q)),
                what="E phi phi' y",
            ),
            Step(
                "and the length of the tangent is `d M + 2 d' H^2`",
                moved,
                sp.expand(d * m + 2 * sp.diff(d, q) * h**2),
                what="E phi'^2 y^2",
            ),
            Step(
                "By parts, the derivatives of d need no phi''",
                row(first, second),
                row(sp.expand(q * sp.diff(d, q)), sp.expand(q**2 * sp.diff(d, q, 2))),
                what="K d', K^2 d''",
            ),
            Step(
                "A neuron scatters `3 E phi'^4/(E phi'^2)^2 - 1`: 4 for erf at K = 1, 5 for ReLU",
                row(3 * _slopes(erf, 4) / _slopes(erf, 2) ** 2 - 1, 3 * relu.fourth - 1),
                row(4, 5),
                what="3 f - 1",
            ),
            Step(
                "varprop's rule for hidden ReLU layers: the first order of "
                "`(1 + 2/n_0) (1 + 5/n_1) (1 + 5/n_2)`",
                stack(relu),
                2 / sizes[0] + 5 / sizes[1] + 5 / sizes[2],
                what="Var(|g|^2)/(E |g|^2)^2",
            ),
            Step(
                "and for linear layers",
                stack(linear),
                2 / sizes[0] + 2 / sizes[1] + 2 / sizes[2],
                what="Var(|g|^2)/(E |g|^2)^2",
            ),
        ),
        "after Roberts, Yaida & Hanin (2022), The Principles of Deep Learning Theory, chapter 9",
    )
