"""What has no theory here, and how that is said without hiding an error."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


class NoTheory(ValueError):
    """An assumption of the theory of finite width that fails; the message names it."""


@dataclass(frozen=True)
class Absent:
    """Why there is no theory at a node."""

    reason: str


@contextmanager
def moments_needed() -> Iterator[None]:
    """Inside, a moment that an activation refuses (infinite, or beyond quadrature) is no theory."""
    try:
        yield
    except ValueError as refusal:
        raise NoTheory(str(refusal)) from refusal
