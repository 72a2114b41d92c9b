"""Which cells are measured, and why these.

Size. The whole grid depth/width in {1/20, 1/4, 1} by width for the default (ReLU, normal weights,
unit input, 50 networks), as far as a cell costs minutes: depth 1024 at width 1024 would cost hours,
and its steps are those of a shallower network. Then one factor at a time at small widths, where
every approximation is worst: weight laws, activations, pairs, the explicit engine; the larger width
shows that nothing grows. Linear networks have exact nulls and cheap replicates, hence the smallest
rates.
"""

from dataclasses import replace
from typing import Any

from benchmarks.calibration.cells import HARDLY, Certification, Size
from benchmarks.calibration.naive import METHODS, Naive
from benchmarks.calibration.power import Power
from benchmarks.calibration.sequential import Sequential
from benchmarks.calibration.setting import Setting

LAWS = ("uniform", "truncated_normal", "orthogonal", "rademacher", "sparse", "laplace")
GRID = {  # width, depth: samples
    (16, 1): 4000,
    (16, 4): 4000,
    (16, 16): 3000,
    (64, 3): 4000,
    (64, 16): 2000,
    (64, 64): 800,
    (256, 13): 2000,
    (256, 64): 400,
    (1024, 51): 300,
}
SMALL = (5e-2, 1e-2, 1e-3, 1e-4, 1e-5)


def quick() -> list[Any]:
    lone = Setting(16, 0, backward=False)
    return [
        Size(Setting(16, 4), 50, 400),
        Size(Setting(16, 4, weights="uniform", engine="explicit"), 400, 100),
        Size(Setting(16, 2, "tanh", inputs=2), 200, 100),
        Size(Setting(16, 2, "identity"), 20, 1000, SMALL),
        Certification(lone, networks(lone, 0.2), 1000, "readout", margin=0.2),
        Certification(Setting(16, 4), networks(Setting(16, 4), 0.2), 200, "all", margin=0.2),
        Power(Setting(64, 3), 0.1, "one", 50),
        Power(Setting(64, 3), 0.1, "all", 50),
        Sequential(Setting(16, 2), 0.1, 40),
        *(Naive(128, 6, 20, 200, method) for method in METHODS),
    ]


def networks(setting: Setting, margin: float) -> int:
    """As many that the margin is four standard errors of every step.

    Then a true theory is CONFIRMED, and a false certification is as likely as it can be: with more
    networks the test of no difference objects to a theory that is wrong by the margin.
    """
    variance = 5 if setting.depth > 1 else 2  # of a ReLU step, of a dense one, times width
    return round(variance / setting.width * (4 / margin) ** 2)


def full(part: float = 1.0) -> list[Any]:
    """Every cell, with that part of its samples."""
    cells = [*sizes(), *certifications(), *powers(), *sequentials(), *naives()]
    return [replace(cell, samples=max(1, round(part * cell.samples))) for cell in cells]


def sizes() -> list[Any]:
    explicit = {"engine": "explicit"}
    return [
        *(Size(Setting(*place), 50, samples) for place, samples in GRID.items()),
        Size(Setting(16, 2, "identity"), 20, 100_000, SMALL),
        Size(Setting(64, 2, "identity"), 10, 50_000, SMALL),
        Size(Setting(16, 4, **explicit), 50, 2000),
        Size(Setting(64, 3, **explicit), 50, 1000),
        Size(Setting(256, 13, **explicit), 50, 100),
        *(Size(Setting(16, 4, weights=law, **explicit), 400, 1000) for law in LAWS[:4]),
        *(Size(Setting(16, 4, weights=law, **explicit), 1000, 400) for law in LAWS[4:]),
        *(Size(Setting(64, 3, weights=law, **explicit), 400, 300) for law in LAWS[::3]),
        Size(Setting(16, 4, "tanh", weights="uniform", **explicit), 400, 500),
        Size(Setting(16, 4, "tanh"), 50, 2000),
        Size(Setting(64, 16, "tanh"), 50, 800),
        Size(Setting(16, 4, "gelu"), 50, 2000),
        Size(Setting(64, 3, "gelu", **explicit), 50, 1000),
        Size(Setting(16, 4, inputs=2), 400, 500),
        Size(Setting(16, 4, "tanh", inputs=2), 200, 500),
        Size(Setting(64, 3, "gelu", inputs=2, **explicit), 200, 300),
    ]


def certifications() -> list[Any]:
    lone = Setting(16, 0, backward=False)  # one row looks at the readout: no other can object
    deep, law = Setting(16, 4), {"weights": "uniform", "engine": "explicit"}
    return [
        *(
            Certification(lone, networks(lone, margin), 5000, "readout", sign, margin)
            for margin in (0.05, 0.2)
            for sign in (1, -1)
        ),
        *(
            Certification(deep, networks(deep, margin), samples, planted, sign, margin)
            for margin, samples in ((0.05, 500), (0.2, 2000))
            for planted in ("one", "all")
            for sign in (1, -1)
        ),
        *(
            # at 1e-6 a studentized test of so few networks refuses
            Certification(
                setting, networks(setting, 0.1), samples, planted, sign, 0.1, error_rate=1e-3
            )
            for setting, planted, samples in (
                (Setting(16, 0, backward=False, **law), "readout", 3000),
                (Setting(16, 4, **law), "one", 500),
            )
            for sign in (1, -1)
        ),
    ]


def powers() -> list[Any]:
    return [
        Power(Setting(256, 4), discrepancy, planted, samples)
        for planted in ("one", "all")
        for discrepancy, samples in ((0.01, 100), (0.02, 200), (0.05, 400), (0.1, 400))
    ]


def sequentials() -> list[Any]:
    beyond = 0.05 * (1 + HARDLY)
    few = Setting(16, 0)  # two rows; a small error rate leaves them to be certified
    return [
        *(
            Sequential(Setting(width, depth), discrepancy, samples)
            for (width, depth), samples in {(16, 2): 500, (64, 4): 200}.items()
            for discrepancy in (0.0, 0.1)
        ),
        *(Sequential(few, off, 1000, error_rate=1e-6) for off in (beyond, -beyond)),
    ]


def naives() -> list[Any]:
    return [
        *(
            Naive(128, depth, draws, 2000 if depth < 128 else 1000, "t on q_L")
            for depth in (6, 32, 128)
            for draws in (50, 200)
        ),
        *(Naive(128, depth, 20, 2000, "pooled neurons") for depth in (6, 32)),
    ]
