"""The two conditional laws: what one dense layer does forward, and back given that."""

from dataclasses import dataclass
from typing import Protocol

import torch

from varprop.montecarlo.conditional.rows import Frame, Rows, frame


class Source(Protocol):
    """Where vectors come from."""

    def normal(self, *shape: int, keep: bool = False) -> torch.Tensor:
        """iid N(0, 1); `keep` where the way back needs them."""
        ...

    def empty(self, *shape: int) -> torch.Tensor:
        """Memory to be kept."""
        ...


@dataclass(frozen=True)
class Gaussian:
    """W = mean + s G, G of iid N(0, 1), of which image = E G' is known, E the frame."""

    mean: float
    s: float
    frame: Frame
    image: torch.Tensor

    @staticmethod
    def forward(
        v: Rows, mean: float, s: float, size: int, random: Source
    ) -> "tuple[torch.Tensor, Gaussian]":
        """v W' in multiples of 2^v.exponent, and what is then known of W."""
        known = frame(v)
        image = random.normal(*v.x.shape[:2], size, keep=True)
        h = _product(s * known.lower, image, random.empty(*image.shape))
        if mean:
            h += mean * v.x.sum(-1, keepdim=True)
        return h, Gaussian(mean, s, known, image)

    def backward(self, d: Rows, random: Source) -> torch.Tensor:
        """d W in multiples of 2^d.exponent."""
        noise = random.normal(*d.x.shape[:2], self.frame.basis.shape[-1])
        single = d.x.shape[1] == 1
        fresh = noise.mul_(self.s * d.gram.sqrt()) if single else self.s * frame(d).lower @ noise
        g = self.frame.replaced(fresh, torch.bmm(d.x, self.image.mT).mul_(self.s))
        if self.mean:
            g += self.mean * d.x.sum(-1, keepdim=True)
        return g


@dataclass(frozen=True)
class Haar:
    """W = gain times the (size, fan_in) corner of a Haar matrix O, of which image = E O' is known.

    The rows of E are padded with zeros to the size of O.
    """

    gain: float
    fan_in: int
    e: torch.Tensor
    image: torch.Tensor

    @staticmethod
    def forward(v: Rows, gain: float, size: int, random: Source) -> "tuple[torch.Tensor, Haar]":
        """v W' in multiples of 2^v.exponent, and what is then known of W."""
        known = frame(v, strict=True)
        fan_in = v.x.shape[-1]
        full = max(size, fan_in)
        image = frame(_plain(random.normal(*v.x.shape[:2], full) * known.live), strict=True).e
        h = (gain * known.lower) @ image[..., :size]
        return h, Haar(gain, fan_in, _padded(known.e, full), image)

    def backward(self, d: Rows, random: Source) -> torch.Tensor:
        """d W in multiples of 2^d.exponent."""
        known, full = self.e.shape[1:]
        split = frame(_plain(torch.cat([self.image, _padded(d.x, full)], 1)), strict=True)
        fresh = random.normal(*d.x.shape[:2], full) * split.live[:, known:]
        basis = frame(_plain(torch.cat([self.e, fresh], 1)), strict=True).e
        return (self.gain * split.lower[:, known:]) @ basis[..., : self.fan_in]


def _product(lower: torch.Tensor, x: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
    """lower x, into `out`."""
    if lower.shape[-1] != 2:
        return torch.bmm(lower, x, out=out)
    torch.mul(x, lower.diagonal(dim1=-2, dim2=-1)[..., None], out=out)
    out[:, 1:].addcmul_(x[:, :1], lower[:, 1:, :1])
    return out


def _plain(x: torch.Tensor) -> Rows:
    return Rows(x, None, x @ x.mT)


def _padded(x: torch.Tensor, size: int) -> torch.Tensor:
    return torch.nn.functional.pad(x, (0, size - x.shape[-1]))
