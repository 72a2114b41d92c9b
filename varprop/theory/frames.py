"""Frames: N unit vectors in R^m, how far apart they are, and what they do to a signal.

coherence    max over i < j of |cos(v_i, v_j)|
Welch bound  coherence >= sqrt((N - m)/(m (N - 1))) for N >= m; equality for equiangular tight
             frames only (Welch 1974)
frame bounds A |x|^2 <= |V x|^2 <= B |x|^2, V of shape (N, m) with unit rows: A = B = N/m for a
             tight frame, and then the squared length is kept up to that factor for every x
"""

from typing import Any

import numpy as np
import sympy as sp
from scipy import integrate, linalg, special

from varprop.theory.arguments import check_whole, has_symbols

__all__ = [
    "coherence",
    "dct_basis",
    "frame_bounds",
    "haar_basis",
    "hadamard_basis",
    "packed_frame",
    "paley_frame",
    "random_coherence",
    "random_frame",
    "simplex_frame",
    "welch_bound",
]


def welch_bound(vectors: Any, dimension: Any) -> Any:
    """The least coherence that N vectors in R^m can have by Welch's bound; 0 for N <= m.

    SymPy integers give an exact number. With a SymPy symbol N >= m is taken for granted, and the
    formula of this module's head is returned. Raises ValueError for N < 2 or m < 1.
    """
    _check_sizes(vectors, dimension, symbols=True)
    excess = vectors - dimension
    if not has_symbols(excess):
        excess = max(0, excess)
    squared = excess / (dimension * (vectors - 1))
    return sp.sqrt(squared) if isinstance(squared, sp.Expr) else float(np.sqrt(squared))


def coherence(vectors: Any) -> float:
    """The largest |cosine| between two rows of an array (N, m)."""
    unit = _unit_rows(vectors)
    cosines = np.abs(unit @ unit.T)
    np.fill_diagonal(cosines, 0.0)
    return float(cosines.max())


def frame_bounds(vectors: Any) -> tuple[float, float]:
    """(A, B): the extreme eigenvalues of V'V for the rows of V scaled to unit length."""
    values = np.linalg.eigvalsh(_unit_rows(vectors).T @ _unit_rows(vectors))
    return float(values[0]), float(values[-1])


def random_coherence(vectors: int, dimension: int) -> float:
    """The expected coherence of N random directions in R^m.

    A squared cosine is Beta(1/2, (m - 1)/2). The N(N - 1)/2 pairs are independent two by two but
    not all together; taken as independent, E max = integral of 1 - F(t)^pairs: exact for N = 2, and
    by Poisson approximation of the rare large cosines for many vectors. To leading order
    2 sqrt(ln N / m), as there are N^2/2 pairs (Jiang 2004; Cai & Jiang 2012).
    """
    _check_sizes(vectors, dimension)
    pairs = vectors * (vectors - 1) / 2

    def tail(t: float) -> float:
        above = special.betaincc(0.5, (dimension - 1) / 2, t * t)
        return -np.expm1(pairs * np.log1p(-above)) if above < 1 else 1.0

    knee = min(1.0, 2 * np.sqrt(np.log(vectors + 1) / dimension))
    parts = [integrate.quad(tail, a, b, epsabs=1e-12)[0] for a, b in ((0, knee), (knee, 1))]
    return float(sum(parts))


def random_frame(vectors: int, dimension: int, rng: np.random.Generator) -> np.ndarray:
    """Rows uniform on the unit sphere: normal vectors, scaled."""
    _check_sizes(vectors, dimension)
    if not isinstance(rng, np.random.Generator):
        raise ValueError(
            f"rng must be a numpy Generator, got {rng!r}; use np.random.default_rng(0)"
        )
    return _unit_rows(rng.standard_normal((vectors, dimension)))


def dct_basis(dimension: int) -> np.ndarray:
    """The orthonormal cosine basis (DCT-II)."""
    _check_dimension(dimension)
    k, j = np.ogrid[:dimension, :dimension]
    basis = np.sqrt(2 / dimension) * np.cos(np.pi * (2 * j + 1) * k / (2 * dimension))
    basis[0] /= np.sqrt(2)
    return basis


def hadamard_basis(dimension: int) -> np.ndarray:
    """Sylvester's matrix of signs over sqrt(m), m a power of two."""
    _check_power(dimension)
    return linalg.hadamard(dimension) / np.sqrt(dimension)


def haar_basis(dimension: int) -> np.ndarray:
    """The orthonormal Haar wavelets, m a power of two."""
    _check_power(dimension)
    basis = np.ones((1, 1))
    while len(basis) < dimension:
        fine = np.kron(np.eye(len(basis)), [1.0, -1.0])
        basis = np.vstack([np.kron(basis, [1.0, 1.0]), fine]) / np.sqrt(2)
    return basis


def simplex_frame(dimension: int) -> np.ndarray:
    """m + 1 vectors in R^m, each two at cosine -1/m: an equiangular tight frame."""
    _check_dimension(dimension)
    size = dimension + 1
    return _from_gram((size * np.eye(size) - 1) / dimension, dimension)


def paley_frame(prime: int) -> np.ndarray:
    """2m = p + 1 vectors in R^m at |cosine| 1/sqrt(p), p a prime of the form 4k + 1.

    Their Gram matrix is I + C/sqrt(p), C the symmetric Paley conference matrix, C C' = p I: an
    equiangular tight frame (Strohmer & Heath 2003). p = 5: the icosahedron's six axes.
    """
    whole = isinstance(prime, int | np.integer)
    if not whole or not sp.isprime(int(prime)) or prime % 4 != 1:
        raise ValueError(
            f"a Paley frame needs a prime of the form 4k + 1, got {prime!r}: 5, 13, 17, 29, ..."
        )
    residues = {k * k % prime for k in range(1, prime)}
    signs = np.array([0] + [1 if k in residues else -1 for k in range(1, prime)])
    conference = np.ones((prime + 1, prime + 1))
    places = np.arange(prime)
    conference[1:, 1:] = signs[(places[:, None] - places) % prime]
    conference[0, 0] = 0
    return _from_gram(np.eye(prime + 1) + conference / np.sqrt(prime), (prime + 1) // 2)


def packed_frame(
    vectors: int, dimension: int, rng: np.random.Generator, *, steps: int = 1500
) -> np.ndarray:
    """N unit vectors pushed apart by gradient descent: a local packing, of no guarantee.

    Minimises the p-norm of the cosines, p doubling from 4 to 2048, by normalised steps on the
    sphere; the best coherence met is kept.
    """
    check_whole("steps", steps, 1, "it counts the steps of descent")
    v = random_frame(vectors, dimension, rng)
    best, powers = v, 2.0 ** np.linspace(2, 11, steps)
    for k, power in enumerate(powers):
        cosines = v @ v.T
        np.fill_diagonal(cosines, 0.0)
        top = np.abs(cosines).max()
        if top < coherence(best):
            best = v
        pull = np.sign(cosines) * (np.abs(cosines) / top) ** (power - 1)
        gradient = pull @ v
        gradient -= np.sum(gradient * v, -1, keepdims=True) * v
        size = np.linalg.norm(gradient, axis=-1).max()
        v = _unit_rows(v - 0.2 * (1 - k / steps) ** 2 * gradient / max(size, 1e-300))
    return best


def _from_gram(gram: np.ndarray, dimension: int) -> np.ndarray:
    """Vectors with this Gram matrix, of rank m."""
    values, basis = np.linalg.eigh(gram)
    return basis[:, -dimension:] * np.sqrt(values[-dimension:])


def _unit_rows(vectors: Any) -> np.ndarray:
    rows = np.asarray(vectors)
    if rows.dtype.kind not in "fiu":
        raise ValueError(f"a frame is an array of real numbers, got {vectors!r}; pass floats")
    rows = rows.astype(np.result_type(rows, np.float32), copy=False)
    if rows.ndim != 2 or len(rows) < 2:
        raise ValueError(
            f"a frame is an array (vectors, dimension) of two or more, got shape {rows.shape}"
        )
    norms = np.linalg.norm(rows, axis=-1, keepdims=True)
    if not np.all(norms > 0) or not np.all(np.isfinite(norms)):
        raise ValueError("a frame needs finite vectors other than zero; remove the others")
    return rows / norms


def _check_sizes(vectors: Any, dimension: Any, *, symbols: bool = False) -> None:
    check_whole("vectors", vectors, 2, "a frame has two vectors or more", symbols=symbols)
    _check_dimension(dimension, symbols=symbols)


def _check_dimension(dimension: Any, *, symbols: bool = False) -> None:
    remedy = "frames live in one dimension or more"
    check_whole("dimension", dimension, 1, remedy, symbols=symbols)


def _check_power(dimension: Any) -> None:
    if not isinstance(dimension, int | np.integer) or dimension < 1 or dimension & (dimension - 1):
        raise ValueError(
            f"the dimension must be a power of two, got {dimension!r}; use dct_basis for others"
        )
