"""Random streams: one per fixed-size block of draws, so that no result depends on the chunking."""

import numpy as np
import torch


def block_generator(seed: int, block: int, device: torch.device) -> torch.Generator:
    """The generator of one block: SeedSequence(seed) with spawn key (block,)."""
    state = np.random.SeedSequence(seed, spawn_key=(block,)).generate_state(2, np.uint32)
    generator = torch.Generator(device)
    generator.manual_seed(int(state[0]) << 32 | int(state[1]))
    return generator


def on_sphere(
    draws: int, points: int, channels: int, generator: torch.Generator, device: torch.device
) -> torch.Tensor:
    """(draws, points, channels) float64, uniform on the sphere of radius sqrt(channels)."""
    how = {"generator": generator, "dtype": torch.float64, "device": device}
    x = torch.randn(draws, points, channels, **how)
    return x * channels**0.5 / x.norm(dim=-1, keepdim=True)


def signs(
    draws: int, channels: int, generator: torch.Generator, device: torch.device
) -> torch.Tensor:
    """(draws, 1, channels) Rademacher signs: the output cotangents, E u u' = I."""
    bits = torch.randint(2, (draws, 1, channels), generator=generator, device=device)
    return (2 * bits - 1).double()
