"""Row vectors with their exponents and Gram matrices, and orthonormal frames of them."""

from dataclasses import dataclass

import torch

FAR = {torch.float32: 2.0**30, torch.float64: 2.0**300}  # lengths beyond it, or below 1/it
STEEP = 0.1  # a projection that leaves less of a vector is done twice


@dataclass(frozen=True)
class Rows:
    """Vectors x 2^exponent: x (draws, k, n), exponent (draws, k, 1) or None for 0, gram x x'."""

    x: torch.Tensor
    exponent: torch.Tensor | None
    gram: torch.Tensor

    @staticmethod
    def of(x: torch.Tensor, exponent: torch.Tensor | None = None) -> "Rows":
        """The rows, with lengths of moderate size by powers of two of their own."""
        gram = x @ x.mT
        squares = gram.diagonal(dim1=-2, dim2=-1)
        far = FAR[x.dtype] ** 2
        if bool(((squares > 1 / far) & (squares < far)).all()):
            return Rows(x, exponent, gram)
        largest = x.abs().amax(-1, keepdim=True)
        power = torch.frexp(largest)[1].double()
        power = torch.where(torch.isfinite(largest), power, 0.0)  # frexp(0) is 0
        x = scaled(x, -power)
        return Rows(x, power if exponent is None else exponent + power, x @ x.mT)

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


def frame(rows: Rows) -> tuple[torch.Tensor, torch.Tensor]:
    """E (draws, k, n) and lower triangular L with x = L E; the rows of E orthonormal or zero.

    Gram-Schmidt, a vector nearly in the span of those before it projected twice: one that the
    second projection halves was rounding, and its row of E is zero ("twice is enough", Kahan and
    Parlett). So dependent vectors are safe, and nearly equal ones keep their difference.
    """
    x, gram = rows.x, rows.gram
    e, lower = torch.empty_like(x), torch.zeros_like(gram)
    for j in range(x.shape[1]):
        rest = x[:, j : j + 1]
        length = gram[:, j : j + 1, j : j + 1].sqrt()
        if j:
            earlier = e[:, :j]
            along = rest @ earlier.mT
            before, rest = length, torch.baddbmm(rest, along, earlier, alpha=-1)
            length = _length(rest)
            if bool((length < STEEP * before).any()):
                again = rest @ earlier.mT
                rest = torch.baddbmm(rest, again, earlier, alpha=-1)
                final = _length(rest)
                length = torch.where(final < length / 2, 0.0, final)
                along = along + again
            lower[:, j : j + 1, :j] = along
        lower[:, j : j + 1, j : j + 1] = length
        torch.div(rest, torch.where(length == 0, torch.inf, length), out=e[:, j : j + 1])
    return e, lower


def _length(x: torch.Tensor) -> torch.Tensor:
    return torch.linalg.vector_norm(x, dim=-1, keepdim=True)
