"""Plots of a mean field: the maps from layer to layer, and phase diagrams."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from varprop.theory.meanfield.diagram import PhaseDiagram
    from varprop.theory.meanfield.field import MeanField

DIAGRAMS = ("chi_perp", "chi_parallel", "fixed_point")


def plot_map(field: "MeanField", quantity: str, ax: "Axes | None") -> "Axes":
    """Correlation c' against c, or variance q' against q, with the diagonal and the fixed point.

    Raises ValueError for another quantity.
    """
    import matplotlib.pyplot as plt

    if quantity not in ("correlation", "variance"):
        raise ValueError(f"a mean field plots 'correlation' or 'variance', got {quantity!r}")
    axes = plt.subplots(figsize=(3.25, 3.25))[1] if ax is None else ax
    if quantity == "correlation":
        x = np.linspace(0, 1, 201)
        y, star = 1 - field.correlation_map(1 - x), field.correlation_fixed_point
    else:
        star = field.fixed_point
        x = np.linspace(0, 2 * star if 0 < star < np.inf else 2 * field.start, 201)
        y = field.variance_map(x)
    axes.plot(x, y, label=f"{field.activation}")
    axes.plot(x, x, color="0.7", linewidth=0.8, zorder=0)
    if np.isfinite(star):
        axes.plot(star, star, "o", color="black", markersize=4)
    symbol = "c" if quantity == "correlation" else "q"
    axes.set(xlabel=f"{symbol} of a layer", ylabel=f"{symbol} of the next layer")
    return axes


def plot_diagram(diagram: "PhaseDiagram", quantity: str, ax: "Axes | None") -> "Axes":
    """log10 of a quantity over the grid, with the line chi_perp = 1.

    Raises ValueError for another quantity.
    """
    import matplotlib.pyplot as plt

    if quantity not in DIAGRAMS:
        raise ValueError(f"a phase diagram plots {', '.join(DIAGRAMS)}, got {quantity!r}")
    axes = plt.subplots(figsize=(3.25, 3))[1] if ax is None else ax
    values = getattr(diagram, quantity).T
    shown = np.log10(np.where((values > 0) & np.isfinite(values), values, np.nan))
    mesh = axes.pcolormesh(
        diagram.weight_variances, diagram.bias_variances, shown, cmap="cividis", rasterized=True
    )
    axes.figure.colorbar(mesh, ax=axes, label=f"log10 {quantity}")  # type: ignore[union-attr]
    perp = diagram.chi_perp.T
    if perp.min() < 1 < perp.max():
        grid = (diagram.weight_variances, diagram.bias_variances)
        axes.contour(*grid, perp, levels=[1.0], colors="white", linewidths=1)
    axes.set(xlabel="weight variance", ylabel="bias variance")
    return axes
