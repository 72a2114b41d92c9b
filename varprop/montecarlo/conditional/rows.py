"""Row vectors with their exponents and Gram matrices, and orthonormal frames of them."""

from dataclasses import dataclass

import torch

FAR = {torch.float32: 2.0**12, torch.float64: 2.0**200}  # lengths beyond it, or below 1/it


@dataclass(frozen=True)
class Rows:
    """Vectors x 2^exponent: x (draws, k, n), exponent (draws, k, 1) or None for 0, gram x x'."""

    x: torch.Tensor
    exponent: torch.Tensor | None
    gram: torch.Tensor

    @staticmethod
    def of(x: torch.Tensor, exponent: torch.Tensor | None = None) -> "Rows":
        """The rows, with lengths of moderate size by powers of two of their own."""
        gram = _gram(x)
        least, most = gram.diagonal(dim1=-2, dim2=-1).aminmax()
        if float(least) > FAR[x.dtype] ** -2 and float(most) < FAR[x.dtype] ** 2:
            return Rows(x, exponent, gram)
        largest = x.abs().amax(-1, keepdim=True)
        power = torch.frexp(largest)[1].double()
        power = torch.where(torch.isfinite(largest), power, 0.0)  # frexp(0) is 0
        x = scaled(x, -power)
        return Rows(x, power if exponent is None else exponent + power, _gram(x))

    def at(self, exponent: torch.Tensor | float) -> torch.Tensor:
        """The vectors in multiples of 2^exponent."""
        if self.exponent is None and isinstance(exponent, float) and exponent == 0:
            return self.x
        own = 0.0 if self.exponent is None else self.exponent
        return scaled(self.x, own - exponent)

    def plus(self, other: "Rows") -> "Rows":
        if self.exponent is None and other.exponent is None:
            return Rows.of(self.x + other.x)
        common = torch.maximum(self.exponents, other.exponents)
        return Rows.of(self.at(common) + other.at(common), common)

    def times(self, factor: float) -> "Rows":
        return Rows.of(factor * self.x, self.exponent)

    def to(self, dtype: torch.dtype) -> "Rows":
        return self if self.x.dtype == dtype else Rows.of(self.x.to(dtype), self.exponent)

    @property
    def exponents(self) -> torch.Tensor:
        if self.exponent is not None:
            return self.exponent
        return torch.zeros(*self.x.shape[:2], 1, dtype=torch.float64, device=self.x.device)


def scaled(x: torch.Tensor, exponent: torch.Tensor | float) -> torch.Tensor:
    """x 2^exponent, in two steps so that no factor leaves the range of floats."""
    exponent = torch.as_tensor(exponent, dtype=torch.float64, device=x.device)
    half = torch.trunc(exponent / 2)
    return (x.double() * torch.exp2(half) * torch.exp2(exponent - half)).to(x.dtype)


@dataclass(frozen=True)
class Frame:
    """Orthonormal rows E = mix basis (mix None: the identity) with x = lower E.

    A row that depends on those before it has zeros in its row of E and column of `lower`.
    """

    basis: torch.Tensor
    mix: torch.Tensor | None
    lower: torch.Tensor

    @property
    def e(self) -> torch.Tensor:
        return self.basis if self.mix is None else self.mix @ self.basis

    @property
    def live(self) -> torch.Tensor:
        """(draws, k, 1): whether a row is independent of those before it."""
        return self.lower.diagonal(dim1=-2, dim2=-1)[..., None] != 0

    def replaced(self, y: torch.Tensor, coordinates: torch.Tensor) -> torch.Tensor:
        """y (I - E'E) + coordinates E, in the place of y."""
        along = torch.bmm(y, self.basis.mT)
        if self.mix is None:
            return y.baddbmm_(coordinates - along, self.basis)
        change = torch.baddbmm(coordinates, along, self.mix.mT, alpha=-1)
        return y.baddbmm_(torch.bmm(change, self.mix), self.basis)


def frame(rows: Rows, *, strict: bool = False) -> Frame:
    """The frame by Cholesky of the Gram matrix where the rows are well-conditioned, by Cholesky
    twice where less so, else by Gram-Schmidt.

    With r the least part of a vector that is off the span of all the others, E E' = 1 to eps/r^2
    after one Cholesky, at worst eps^(3/4) here, and to eps after two; x = lower E to eps/r.
    `strict`: one is taken where each vector has half of it off the span of those before. A vector
    in their span may look independent by rounding, after others that nearly are: the first Cholesky
    then leaves rows that are far from orthonormal, and the second one tells.
    """
    lower, inverse, left = _cholesky(rows.gram)
    eps = torch.finfo(lower.dtype).eps
    if not left > 8 * eps**0.5:
        return _gram_schmidt(rows)
    once = Frame(rows.x, inverse, lower)
    if left > (0.5 if strict else eps**0.125) and _apart(inverse, rows.gram) > eps**0.125:
        return once
    e = once.e
    again, inverse, left = _cholesky(e @ e.mT)
    if not left > 0.5:
        return _gram_schmidt(rows)
    return Frame(e, inverse, lower @ again)


def _apart(inverse: torch.Tensor, gram: torch.Tensor) -> float:
    """The least part of a unit vector off the span of all the others: 1/sqrt(G_ii (G^-1)_ii)."""
    if gram.shape[-1] <= 2:
        return 1.0  # as the parts off the span of those before, which have been seen
    squares = inverse.square().sum(-2) * gram.diagonal(dim1=-2, dim2=-1)
    return float(squares.max()) ** -0.5


def _cholesky(gram: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, float]:
    """The factor, its inverse, and the least part of a unit vector off the span of those before."""
    if gram.shape[-1] == 2:  # written out: LAPACK is called matrix by matrix
        a, _, b, c = gram.reshape(-1, 4).unbind(-1)
        first = a.rsqrt()
        side = b * first
        square = torch.addcmul(c, side, side, value=-1)
        last, zero = square.rsqrt(), torch.zeros_like(a)
        lower = a * first, zero, side, square * last
        inverse = first, zero, side * first * -last, last
        both = torch.stack([*lower, *inverse], -1).view(-1, 2, 2, 2)
        least = float((square / c).min())  # of a zero vector, nan
        return both[:, 0], both[:, 1], least**0.5 if least > 0 else 0.0
    lower, failed = torch.linalg.cholesky_ex(gram)
    squares = lower.diagonal(dim1=-2, dim2=-1).square() / gram.diagonal(dim1=-2, dim2=-1)
    least = 0.0 if bool(failed.any()) else float(squares.min())
    one = torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
    return lower, torch.linalg.solve_triangular(lower, one, upper=False), least**0.5


def _gram_schmidt(rows: Rows) -> Frame:
    """Gram-Schmidt, each vector projected twice; what the second projection halves was rounding.

    So dependent vectors are safe, and nearly equal ones keep their difference ("twice is enough",
    Kahan and Parlett).
    """
    x = rows.x
    e, lower = torch.zeros_like(x), torch.zeros_like(rows.gram)
    for j in range(x.shape[1]):
        rest = x[:, j : j + 1]
        along = rest @ e[:, :j].mT
        rest = rest - along @ e[:, :j]
        once = _length(rest)
        if j:
            again = rest @ e[:, :j].mT
            rest = rest - again @ e[:, :j]
            along = along + again
        length = _length(rest)
        length = torch.where(length < once / 2, 0.0, length)
        lower[:, j : j + 1, :j] = along
        lower[:, j : j + 1, j : j + 1] = length
        e[:, j : j + 1] = rest / torch.where(length == 0, torch.inf, length)
    return Frame(e, None, lower)


def _gram(x: torch.Tensor) -> torch.Tensor:
    if x.shape[1] > 2:
        return x @ x.mT
    squares = _length(x).square_()
    if x.shape[1] == 1:
        return squares
    product = (x[:, :1] * x[:, 1:]).sum(-1, keepdim=True)
    return torch.cat([squares[:, :1], product, product, squares[:, 1:]], 1).view(-1, 2, 2)


def _length(x: torch.Tensor) -> torch.Tensor:
    return torch.linalg.vector_norm(x, dim=-1, keepdim=True)
