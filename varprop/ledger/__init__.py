"""The ledger: claims of the literature, each with its proof, its experiments and its verdict."""

from importlib import import_module

from varprop.ledger.claim import Claim, Evidence, Outcome, Series, Settings

__all__ = ["Claim", "Evidence", "Outcome", "Series", "Settings", "claims"]

THEMES = (
    "glorot",
    "he",
    "depth",
    "tanh",
    "mean_field",
    "gains",
    "kernels",
    "defaults",
    "truncation",
    "range",
    "symmetry",
    "spectra",
    "special",
    "frames",
    "finite_width",
)
"""The modules of `varprop.ledger.statements`, in the order in which the ledger shows them."""


def claims() -> tuple[Claim, ...]:
    """Every claim, in the order in which the ledger shows them."""
    themes = (import_module(f"varprop.ledger.statements.{name}") for name in THEMES)
    return tuple(claim for theme in themes for claim in theme.CLAIMS)
