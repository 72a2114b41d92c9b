"""Laws of matrices whose entries depend on each other: of an entry at a random position."""

import math
from dataclasses import dataclass

import sympy
import torch
from sympy import Expr
from torch import Generator, Tensor

from varprop.laws.base import Law, Scalar, _even, exact
from varprop.laws.iid import Normal


@dataclass(frozen=True)
class Orthogonal(Law):
    """W = gain Q, Q Haar on matrices (rows, cols) with orthonormal rows or columns.

    With N = max(rows, cols): E w^k = gain^k (k - 1)!! / (N (N + 2) ... (N + k - 2)), k even.
    Drawn by QR of a normal matrix with the signs of diag R moved into Q, without which Q is not
    Haar (Mezzadri 2007).
    """

    gain: Scalar
    rows: Scalar
    cols: Scalar
    independent = False
    nonnegative = ("gain",)
    positive = ("rows", "cols")

    def central_moment(self, k: int) -> Expr:
        return _sphere_moment(k, self.gain, sympy.Max(self.rows, self.cols))

    def _draw(self, out: Tensor, generator: Generator) -> Tensor:
        tall = out if out.shape[-2] >= out.shape[-1] else out.mT
        q, r = torch.linalg.qr(tall.normal_(generator=generator))
        q *= self._numbers[0] * r.diagonal(dim1=-2, dim2=-1).sign().unsqueeze(-2)
        tall.copy_(q)
        return out


@dataclass(frozen=True)
class Spherical(Law):
    """Independent rows, each uniform on the sphere of radius gain in `cols` = n dimensions.

    E w^k = gain^k (k - 1)!! / (n (n + 2) ... (n + k - 2)), k even, and E w_i^2 w_j^2 = gain^4 /
    (n (n + 2)), i != j in a row: normal rows over their lengths, the weights g v/|v| of weight
    normalization (Salimans and Kingma 2016) with normal v.
    """

    gain: Scalar
    rows: Scalar
    cols: Scalar
    independent = False
    nonnegative = ("gain",)
    positive = ("rows", "cols")

    def central_moment(self, k: int) -> Expr:
        return _sphere_moment(k, self.gain, self.cols)

    def _draw(self, out: Tensor, generator: Generator) -> Tensor:
        rows = out.normal_(generator=generator)
        rows[..., 0].masked_fill_((rows == 0).all(-1), 1.0)  # one column in 2^24 draws of float32
        rows *= self._numbers[0] / torch.linalg.vector_norm(rows, dim=-1, keepdim=True)
        return out


def _sphere_moment(k: int, radius: Scalar, size: Scalar) -> Expr:
    """E w^k of a coordinate w of a uniform point on the sphere in `size` dimensions."""
    ratios = (sympy.sympify(2 * i + 1) / (size + 2 * i) for i in range(k // 2))
    return _even(k, radius**k * sympy.Mul(*ratios))


@dataclass(frozen=True)
class Sparse(Law):
    """Each column has ceil(sparsity rows) zeros at random places, the rest N(0, std^2).

    E w^k = (1 - zeros/rows) (k - 1)!! std^k, k even (Martens 2010). The product is exact: torch's
    sparse_ rounds it first, and so puts 56 zeros, not 55, for sparsity 0.55 and 100 rows.
    """

    sparsity: Scalar
    std: Scalar
    rows: Scalar
    cols: Scalar
    independent = False
    atomless = False
    nonnegative = ("std",)
    positive = ("rows", "cols")

    def __post_init__(self) -> None:
        super().__post_init__()
        exact("sparsity", self.sparsity, above=0, below=1, remedy="it is the fraction of zeros")

    @property
    def zeros(self) -> Expr:
        """Zeros per column."""
        return sympy.ceiling(self.sparsity * self.rows)

    def central_moment(self, k: int) -> Expr:
        if k == 0:
            return sympy.S.One
        return (1 - self.zeros / self.rows) * Normal(0, self.std**2).central_moment(k)

    def _draw(self, out: Tensor, generator: Generator) -> Tensor:
        order = torch.empty_like(out).uniform_(generator=generator).argsort(dim=-2)
        out.normal_(0, self._numbers[1], generator=generator)
        return out.scatter_(-2, order[..., : int(self.zeros), :], 0.0)


@dataclass(frozen=True)
class Dirac(Law):
    """Identity between channels at the kernel's centre, else 0; deterministic.

    The weight (c_out, c_in/groups, *kernel) as a matrix of rows = c_out, cols = fan_in; an entry
    at a random place is 1 with probability p = 1 / max(cols, rows |kernel| / groups).
    """

    rows: Scalar
    cols: Scalar
    kernel: tuple[int, ...] = ()
    groups: int = 1
    independent = False
    atomless = False
    positive = ("rows", "cols")

    def __post_init__(self) -> None:
        super().__post_init__()
        sizes = self.kernel if isinstance(self.kernel, tuple) else (None,)
        for name, given, parts in (
            ("kernel", self.kernel, sizes),
            ("groups", self.groups, (self.groups,)),
        ):
            if not all(type(x) is int and x > 0 for x in parts):
                raise ValueError(
                    f"{name} of Dirac must be positive integers, got {given!r}: "
                    "pass the kernel's sizes as a tuple, such as (3, 3), and groups as an int"
                )
        area = math.prod(self.kernel)
        for name, value, divisor in (("fan_in", self.cols, area), ("rows", self.rows, self.groups)):
            if sympy.Mod(value, divisor).is_zero is False:
                raise ValueError(
                    f"{name} of Dirac must be a multiple of {divisor}, got {value}: "
                    "pass the kernel and groups of the layer"
                )

    @property
    def mean(self) -> Expr:
        return 1 / sympy.Max(self.cols, self.rows * math.prod(self.kernel) / self.groups)

    def central_moment(self, k: int) -> Expr:
        p = self.mean
        return sympy.S.One if k == 0 else p * (1 - p) ** k + (1 - p) * (-p) ** k

    def _draw(self, out: Tensor, generator: Generator) -> Tensor:
        centre = 0
        for size in self.kernel:
            centre = centre * size + size // 2
        taps = out.zero_().unflatten(-1, (-1, math.prod(self.kernel)))[..., centre]
        taps.unflatten(-2, (self.groups, -1)).diagonal(dim1=-2, dim2=-1).fill_(1.0)
        return out


@dataclass(frozen=True)
class Eye(Dirac):
    """The identity matrix, cut to (rows, cols): `Dirac` without a kernel."""
