"""A figure that costs nothing: one point, one claim."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

import varprop as vp
from figures import style
from figures.results import Claim, Results


def plain_figure(verdict: str = "CONFIRMED", panel: str = "all", fails: Any = None):
    """A module of that figure; `computed` counts, `drawn` keeps the figures, `fails` is raised."""

    def compute(parameters, seed, device):
        module.computed += 1
        if module.fails is not None:
            raise module.fails
        claim = Claim("one is |one|", verdict, "Seen", panel, error_rate=1e-6)
        about = {"parameters": dict(parameters), "seed": seed, "device": "cpu"}
        about["versions"] = {"varprop": vp.__version__}
        return Results({"point": np.ones(1)}, (claim,), about)

    def draw(results):
        figure = style.page(results, 1.5, note="A point.")
        axes = figure.subplots()
        axes.plot(results.arrays["point"], "o")
        if panel == "all":
            style.doubt(axes, results.doubted("all"))
        module.drawn.append(figure)
        return figure

    module = SimpleNamespace(
        __doc__="A point.\n\nMore of it.", parameters=lambda full: {"size": 1 + full},
        compute=compute, draw=draw, computed=0, drawn=[], fails=fails,
    )  # fmt: skip
    return module
