"""Is an effect smaller than a margin?  Two one-sided tests (TOST), as an interval.

Both one-sided tests reject at `level` exactly when the (1 - 2 level) interval lies inside
(-margin, margin).  Source: Schuirmann (1987), J. Pharmacokin. Biopharm. 15, 657.
"""

from typing import Literal

from varprop.stats._checks import positive

Place = Literal["inside", "outside", "open"]


def locate(low: float, high: float, margin: float) -> Place:
    """Where an interval lies: wholly inside (-margin, margin), wholly outside it, or neither."""
    positive("margin", margin)
    if not low <= high:
        raise ValueError(f"an interval needs low <= high, got ({low}, {high}).")
    if -margin < low and high < margin:
        return "inside"
    return "outside" if low >= margin or high <= -margin else "open"
