"""The ledger: claims of the literature, each with its proof, its experiments and its verdict."""

from importlib import import_module

from varprop.ledger.claim import Claim, Evidence, Outcome, Series, Settings

__all__ = [
    "Claim",
    "Evidence",
    "Outcome",
    "Series",
    "Settings",
    "claims",
]
