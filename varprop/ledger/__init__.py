"""The ledger: claims of the literature, each with its proof, its experiments and its verdict."""

from varprop.ledger.claim import Claim, Evidence, Outcome, Series, Settings

__all__ = ["Claim", "Evidence", "Outcome", "Series", "Settings", "claims"]


def claims() -> tuple[Claim, ...]:
    """Every claim, in the order in which the ledger shows them."""
    from varprop.ledger.statements import (
        defaults,
        depth,
        glorot,
        he,
        kernels,
        range,
        symmetry,
        tanh,
        truncation,
    )

    themes = (glorot, he, depth, tanh, kernels, defaults, truncation, range, symmetry)
        special,
        spectra,
        symmetry,
        tanh,
    )

    themes = (glorot, he, tanh, kernels, defaults, range, symmetry, spectra, special)
    return tuple(claim for theme in themes for claim in theme.CLAIMS)
