"""Tensors that carry a power of two for each row, so that no signal leaves the range of floats."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Scaled:
    """A tensor (draws, rows, channels) that stands for x 2^exponent.

    exponent (draws, rows, 1), float64; None where it is zero everywhere.
    """

    x: torch.Tensor
    exponent: torch.Tensor | None = None

    @property
    def exponents(self) -> torch.Tensor:
        if self.exponent is not None:
            return self.exponent
        return self.x.new_zeros((*self.x.shape[:2], 1), dtype=torch.float64)

    def at(self, exponent: torch.Tensor | None) -> torch.Tensor:
        """The tensor in multiples of 2^exponent."""
        if exponent is self.exponent:
            return self.x
        shift = self.exponents if exponent is None else self.exponents - exponent
        return (self.x.double() * torch.exp2(shift)).to(self.x.dtype)

    def rows(self, start: int, stop: int) -> "Scaled":
        exponent = None if self.exponent is None else self.exponent[:, start:stop]
        return Scaled(self.x[:, start:stop], exponent)

    def balanced(self) -> "Scaled":
        """The same numbers, every row with entries of moderate size.

        A row that is moderate already is left as it is. The CPU looks whether all are; a CUDA
        device would have to stop for the answer, so it shifts by nothing instead.
        """
        far = 2 if self.x.dtype == torch.float16 else 32
        largest = self.x.abs().amax(-1, keepdim=True)
        if self.x.device.type == "cpu":
            low, high = (float(v) for v in largest.aminmax())
            if 2.0**-far <= low and high < 2.0 ** (far + 1):
                return self
        largest = largest.double()
        power = torch.floor(torch.log2(torch.where(largest > 0, largest, 1.0)))
        power = torch.where(torch.isfinite(power) & (power.abs() > far), power, 0.0)
        exponent = power if self.exponent is None else self.exponent + power
        return Scaled((self.x.double() * torch.exp2(-power)).to(self.x.dtype), exponent)


def common_exponent(terms: Sequence[Scaled]) -> torch.Tensor | None:
    """The largest exponent in each row: that of a sum of the terms."""
    first = terms[0].exponent
    if all(term.exponent is first for term in terms):
        return first
    return torch.stack([term.exponents for term in terms]).amax(0)


def concatenated(axis: int, parts: Sequence[Scaled]) -> Scaled:
    if len(parts) == 1:
        return parts[0]
    x = torch.cat([part.x for part in parts], axis)
    if all(part.exponent is None for part in parts):
        return Scaled(x)
    return Scaled(x, torch.cat([part.exponents for part in parts], axis))
