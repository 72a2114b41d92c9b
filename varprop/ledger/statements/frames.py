"""Weights as frames: how far apart unit vectors can be, and how far apart random ones are."""

import numpy as np

from varprop.builders import mlp
from varprop.initializers import orthogonal
from varprop.ledger.claim import Claim, Evidence, Experiment, Settings
from varprop.ledger.statements.spectra import columns
from varprop.montecarlo import singular_values
from varprop.stats import Verdict
from varprop.theory import frames

DETECTION = "detection study notes: weight initialization"
ROOM = 216  # dimensions of a 3 x 3 filter over 24 channels


def _constructions(settings: Settings) -> Evidence:
    """Frames in closed form against the Welch bound, and random and packed vectors above it."""
    rng = np.random.default_rng(settings.seed)
    met = {
        "DCT basis, 16 in R^16": frames.dct_basis(16),
        "Hadamard basis, 16 in R^16": frames.hadamard_basis(16),
        "Haar basis, 16 in R^16": frames.haar_basis(16),
        "simplex, 17 in R^16": frames.simplex_frame(16),
        "Paley frame, 30 in R^15": frames.paley_frame(29),
    }
    above = {
        "random, 32 in R^16": frames.random_frame(32, 16, rng),
        "packed, 32 in R^16": frames.packed_frame(32, 16, rng, steps=600),
    }
    gaps = {
        k: frames.coherence(v) - frames.welch_bound(*v.shape) for k, v in {**met, **above}.items()
    }
    holds = all(gap > -1e-12 for gap in gaps.values()) and all(gaps[k] < 1e-12 for k in met)
    tight = all(np.ptp(frames.frame_bounds(v)) < 1e-12 for v in met.values())
    words = [f"{name}: Welch bound {gap:+.3g}" for name, gap in gaps.items()]
    verdict = Verdict.CONFIRMED if holds and tight else Verdict.REFUTED
    return Evidence("frames against the bound", verdict, "; ".join(words), gaps)


def _random_is_needed(settings: Settings) -> Evidence:
    """Random vectors against constructions of the same sizes: does any construction do better?"""
    rng = np.random.default_rng(settings.seed)
    ratios = {}
    for name, frame in (
        ("16 in R^16, DCT", frames.dct_basis(16)),
        ("17 in R^16, simplex", frames.simplex_frame(16)),
        ("30 in R^15, Paley", frames.paley_frame(29)),
    ):
        random = min(
            frames.coherence(frames.random_frame(len(frame), frame.shape[1], rng))
            for _ in range(20)
        )
        ratios[name] = random - frames.coherence(frame)
    better = all(gap > 0.1 for gap in ratios.values())
    words = [f"{name}: best of 20 random draws is {gap:+.3f} above" for name, gap in ratios.items()]
    verdict = Verdict.REFUTED if better else Verdict.CONFIRMED
    return Evidence("constructions against random", verdict, "; ".join(words), ratios)


def _coherence(channels: int, stated: float) -> Experiment:
    def measure(settings: Settings) -> dict[str, np.ndarray]:
        rng = np.random.default_rng([settings.seed, channels])
        draws = settings.draws(400)  # maxima are skew (0.8), and their test asks for as many
        found = [
            frames.coherence(rng.standard_normal((channels, ROOM), np.float32))
            for _ in range(draws)
        ]
        return {"coherence": np.array(found)}

    return columns(f"{channels} random filters", measure, {"coherence": stated})


def _orthogonal_filters(channels: int) -> Experiment:
    """Orthogonal initialization: orthonormal filters, or a tight frame where they are too many."""
    name = f"{channels} orthogonal filters"

    def run(settings: Settings) -> Evidence:
        weights = orthogonal()
        net = mlp(widths=[ROOM, channels], activation="identity", weights=weights)
        s = singular_values(net, draws=1, seed=settings.seed, device="cpu", progress=False)[0, 0]
        kept = min(1.0, channels / ROOM)
        isometry = float(np.abs(s - 1).max()) < 1e-12 and len(s) == min(channels, ROOM)
        fits = (channels > ROOM) == (frames.welch_bound(channels, ROOM) > 0)
        verdict = Verdict.CONFIRMED if isometry and fits else Verdict.REFUTED
        summary = (
            f"{len(s)} singular values, all 1; |Wx|^2/|x|^2 is {kept:.3g} on average, per filter "
            f"{min(1.0, ROOM / channels):.3g} of unit variance; Welch bound "
            f"{frames.welch_bound(channels, ROOM):.4f}"
        )
        return Evidence(name, verdict, summary, {"singular values": len(s), "kept": kept})

    run.__name__ = name
    return run


CLAIMS = (
    Claim(
        name="coherence-bound",
        title="How far apart N unit vectors can be",
        statement="coherence is at least sqrt((N-m)/(m(N-1))), met by orthonormal bases, simplex "
        "and Paley's frames, which are tight; not by random vectors",
        source="Welch (1974); Strohmer & Heath (2003); " + DETECTION,
        derivation="coherence-bound",
        rows=("A3",),
        experiments=(_constructions,),
    ),
    Claim(
        name="random-is-needed",
        title="'Random vectors are used because no fast construction is known'",
        statement="no construction is known that separates N vectors in R^m as well as random ones",
        source=DETECTION,
        derivation="coherence-bound",
        rows=("A3",),
        expected=Verdict.REFUTED,
        note="In general the best packing is unknown, but for N up to m (any orthonormal basis), "
        "m + 1 (the simplex) and 2m = p + 1 (Paley) closed forms meet the bound, far below random "
        "vectors. Random weights have another merit: averages over them are known for any input.",
        experiments=(_random_is_needed,),
    ),
    Claim(
        name="shufflenet-filters",
        title="Filters against dimensions: ShuffleNetV2's second stage",
        statement="48, 116, 176 and 244 filters in 3*3*24 = 216 dimensions: only 244 are too many "
        "to be orthogonal; random ones have coherence 0.233, 0.263, 0.276, 0.285",
        source=DETECTION,
        derivation="coherence-bound",
        rows=("A4",),
        experiments=(
            _coherence(48, 0.2334),
            _coherence(244, 0.2853),
            *(_orthogonal_filters(n) for n in (48, 244)),
        ),
    ),
)
