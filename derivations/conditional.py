"""Why a network can be drawn without its weights: the conditional laws behind the fast engine."""

import sympy as sp

from derivations.derivation import Derivation, Step, row

c, s, t, d1, d2, d3 = sp.symbols("c s t d_1 d_2 d_3", real=True)
sigma = sp.Symbol("sigma", positive=True)


def rotation(slope: sp.Expr, i: int, j: int) -> sp.Matrix:
    """The rotation in the plane of coordinates i and j by the angle 2 atan(slope), rational."""
    out = sp.eye(3)
    out[i, i] = out[j, j] = (1 - slope**2) / (1 + slope**2)
    out[j, i] = 2 * slope / (1 + slope**2)
    out[i, j] = -out[j, i]
    return out


def conditional_gaussian() -> Derivation:
    frame = (rotation(s, 0, 1) * rotation(t, 1, 2))[:2, :]  # two orthonormal rows
    rest = sp.eye(3) - frame.T * frame
    v = sp.Matrix([[2, 0], [c, 3]]) * frame  # V = L E
    # vec of a weight of shape (2, 3), row by row: W E' and W P as linear maps of it
    known, free = sp.KroneckerProduct(sp.eye(2), frame), sp.KroneckerProduct(sp.eye(2), rest)
    known, free = sp.Matrix(known.doit()), sp.Matrix(free.doit())
    weight = sp.Matrix(2, 3, sp.symbols("w_1:7", real=True))
    d = sp.Matrix([d1, d2])
    h = v * weight.T
    pulled = v.T * (v * v.T).inv() * h * d
    back = sp.Matrix(sp.KroneckerProduct(d.T, rest).doit())  # P W'd as a map of vec W
    return Derivation(
        "conditional-gaussian",
        "Gaussian weights seen through a few vectors: the rest is fresh",
        (
            "`W` of shape (m, n) with independent N(0, sigma^2) entries, here m = 2, n = 3",
            "the rows of `V` enter the layer, `V = L E` with orthonormal rows `E`; `P = I - E'E`",
            "Gaussian vectors that are uncorrelated are independent",
        ),
        (
            Step(
                "Two orthonormal rows in general position",
                frame * frame.T,
                sp.eye(2),
                what="E E'",
            ),
            Step(
                "What the layer does to `V` has independent entries in the frame",
                sigma**2 * known * known.T,
                sigma**2 * sp.eye(4),
                what="Cov(vec W E')",
            ),
            Step(
                "and is uncorrelated with the weight off the frame, hence independent of it",
                sigma**2 * known * free.T,
                sp.zeros(4, 6),
                what="Cov(vec W E', vec W P)",
            ),
            Step(
                "so the outputs are known by their Gram matrix, channel by channel",
                sigma**2 * v * v.T,
                sigma**2 * sp.Matrix([[4, 2 * c], [2 * c, c**2 + 9]]),
                what="Cov of a column of H = V W'",
            ),
            Step(
                "On the way back the part along the frame is a function of H",
                pulled,
                frame.T * frame * weight.T * d,
                what="V' (V V')^-1 H d",
            ),
            Step(
                "and the rest is fresh noise off the frame",
                sigma**2 * back * back.T,
                sigma**2 * (d1**2 + d2**2) * rest,
                what="Cov(W'd | H)",
            ),
        ),
        "Conditioning of Gaussian vectors; Bolthausen (2014) uses it step by step",
    )


def conditional_haar() -> Derivation:
    e = sp.Matrix([[1, 0, 0]])
    turn = rotation(s, 1, 2)  # a rotation that fixes E
    half = sp.diag(1, -1, -1)  # half a turn
    a, b = sp.symbols("a b", real=True)
    weight = rotation(a, 0, 1) * rotation(b, 1, 2)  # O E' anywhere on the sphere
    image = e * weight.T
    d = sp.Matrix([d1, d2, d3])
    off = d - image.T * (image * d)
    return Derivation(
        "conditional-haar",
        "Haar weights seen through a few vectors: the rest is a random direction",
        (
            "`O` a Haar matrix, here of size 3; `N = E O'` is what E became",
            "the law of `O` is that of `O R` for each rotation R; R fixes E",
        ),
        (
            Step(
                "A rotation that fixes E leaves what is known as it is",
                e * (weight * turn).T,
                image,
                what="E (O R)'",
            ),
            Step(
                "Along the frame, the way back is known",
                e * weight.T * d,
                image * d,
                what="E O'd",
            ),
            Step(
                "The part of d off N comes back off E",
                e * weight.T * off,
                sp.zeros(1, 1),
                what="E O'(d - N'N d)",
            ),
            Step(
                "with its length",
                row((weight.T * off).dot(weight.T * off)),
                row(off.dot(off)),
                what="|O'(d - N'N d)|^2",
            ),
            Step(
                "and `O R` turns it round E, by half a turn to its opposite: it is uniform off E",
                (weight * half).T * off,
                -(weight.T * off),
                what="(O R)'(d - N'N d)",
            ),
        ),
        "Invariance of Haar measure; Mezzadri (2007)",
    )
