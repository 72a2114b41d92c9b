"""The two conditional laws: what one dense layer does forward, and back given that."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from varprop.montecarlo.conditional.rows import Rows, frame

Normal = Callable[..., torch.Tensor]  # iid N(0, 1) of the given shape


@dataclass(frozen=True)
class Gaussian:
    """W = mean + s N(0, 1), of which W E' = s image' + mean 1 (E 1)' is known."""

    mean: float
    s: float
    e: torch.Tensor
    image: torch.Tensor

    @staticmethod
    def forward(
        v: Rows, mean: float, s: float, size: int, normal: Normal
    ) -> "tuple[torch.Tensor, Gaussian]":
        """v W' in multiples of 2^v.exponent, and what is then known of W."""
        e, lower = frame(v)
        image = normal(*e.shape[:2], size)
        h = (s * lower) @ image
        if mean:
            h += mean * v.x.sum(-1, keepdim=True)
        return h, Gaussian(mean, s, e, image)

    def backward(self, d: Rows, normal: Normal) -> torch.Tensor:
        """d W in multiples of 2^d.exponent."""
        fresh = _root(d) @ normal(*d.x.shape[:2], self.e.shape[-1])
        along = torch.baddbmm(d.x @ self.image.mT, fresh, self.e.mT, alpha=-1)
        g = fresh.baddbmm_(along, self.e).mul_(self.s)
        if self.mean:
            g += self.mean * d.x.sum(-1, keepdim=True)
        return g


@dataclass(frozen=True)
class Haar:
    """W = gain times the (size, fan_in) corner of a Haar matrix O, of which O E' = image'."""

    gain: float
    fan_in: int
    e: torch.Tensor
    image: torch.Tensor

    @staticmethod
    def forward(
        v: Rows, gain: float, size: int, normal: Normal
    ) -> "tuple[torch.Tensor, Haar]":
        """v W' in multiples of 2^v.exponent, and what is then known of W."""
        e, lower = frame(v)
        fan_in = v.x.shape[-1]
        full = max(size, fan_in)
        noise = normal(*e.shape[:2], full) * _live(lower)
        image, _ = frame(Rows.of(noise))
        h = (gain * lower) @ image[..., :size]
        return h, Haar(gain, fan_in, _padded(e, full), image)

    def backward(self, d: Rows, normal: Normal) -> torch.Tensor:
        """d W in multiples of 2^d.exponent."""
        known, full = self.e.shape[1:]
        image_then_d = torch.cat([self.image, _padded(d.x, full)], 1)
        lower = frame(Rows(image_then_d, None, image_then_d @ image_then_d.mT))[1][:, known:]
        noise = normal(*d.x.shape[:2], full) * _live(lower[..., known:])
        basis, _ = frame(Rows.of(torch.cat([self.e, noise], 1)))
        return (self.gain * lower) @ basis[..., : self.fan_in]


def _root(d: Rows) -> torch.Tensor:
    """R with R R' = d.gram."""
    return d.gram.sqrt() if d.x.shape[1] == 1 else frame(d)[1]


def _live(lower: torch.Tensor) -> torch.Tensor:
    """(draws, k, 1): whether a row is independent of those before it."""
    return lower.diagonal(dim1=-2, dim2=-1)[..., None] != 0


def _padded(x: torch.Tensor, size: int) -> torch.Tensor:
    return torch.nn.functional.pad(x, (0, size - x.shape[-1]))
