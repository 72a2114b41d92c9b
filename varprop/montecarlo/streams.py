"""Random streams: one for each fixed piece of the draws, so that no result depends on the cutting.

A stream has a key: (block,) for what enters the networks of a block, (block, node) for the
parameters of one of its nodes. Its state comes from `SeedSequence(seed, spawn_key=key)`. torch's
generator on the CPU is a Mersenne twister, and `manual_seed` takes 32 bits of a seed: among 10^5
streams two would be equal. So the whole state is set.
"""

import numpy as np
import torch

WORDS = 312  # of 64 bits: the state of the Mersenne twister
HEADER = 24  # bytes before the state in torch's layout: seed, words left, seeded, next word


def stream_states(seed: int, key: tuple[int, ...], count: int = 1) -> np.ndarray:
    """States (count, 312) of as many streams of one key."""
    sequence = np.random.SeedSequence(seed, spawn_key=key)
    return np.random.PCG64(sequence).random_raw(count * WORDS).reshape(count, WORDS)


class Stream:
    """A generator that can be set to the beginning of any stream."""

    def __init__(self, device: torch.device) -> None:
        self.generator = torch.Generator(device)
        self._layout = self.generator.get_state() if device.type == "cpu" else None
        if self._layout is not None:
            words = self._layout.numpy()[HEADER : HEADER + 16 * WORDS]
            self._words = words.view(np.uint64)

    def start(self, state: np.ndarray) -> torch.Generator:
        if self._layout is None:  # a counter with a key of 64 bits
            return self.generator.manual_seed(int(state[0]))
        self._words[:] = state.view(np.uint32)
        return self.generator.set_state(self._layout)


def block_generator(seed: int, block: int, device: torch.device) -> torch.Generator:
    """A generator at the beginning of the stream with key (block,)."""
    return Stream(device).start(stream_states(seed, (block,))[0])


def on_sphere(
    draws: int,
    points: int,
    channels: int,
    generator: torch.Generator,
    device: torch.device,
    dtype: torch.dtype = torch.float64,
) -> torch.Tensor:
    """(draws, points, channels) float64, uniform on the sphere of radius sqrt(channels).

    `dtype` is that of the random numbers.
    """
    how = {"generator": generator, "dtype": dtype, "device": device}
    x = torch.randn(draws, points, channels, **how).double()
    return x * channels**0.5 / x.norm(dim=-1, keepdim=True)


def signs(
    draws: int, channels: int, generator: torch.Generator, device: torch.device
) -> torch.Tensor:
    """(draws, 1, channels) Rademacher signs: the output cotangents, E u u' = I."""
    bits = torch.randint(2, (draws, 1, channels), generator=generator, device=device)
    return (2 * bits - 1).double()
