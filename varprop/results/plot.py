"""A quantity by node, from a tidy table."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes


def plot_quantity(table: "pandas.DataFrame", quantity: str, ax: "Axes | None" = None) -> "Axes":
    """Predicted or measured `quantity` of the first point by node; bands where the table has them.

    Raises ValueError, with the names that there are, for a quantity that is not in the table,
    and for formulas.
    """
    import matplotlib.pyplot as plt

    rows = table[(table["quantity"] == quantity) & (table["point"] == 0)]
    if rows.empty:
        known = ", ".join(sorted(table["quantity"].unique()))
        raise ValueError(f"no {quantity!r} in this result; it has {known}")
    rows = rows.groupby("node", sort=False).head(1)
    try:
        value = np.asarray(rows["value"], float)
    except TypeError:
        raise ValueError(
            "formulas with free symbols cannot be plotted; predict a network of numbers"
        ) from None
    place = range(len(rows))
    axes = plt.subplots(figsize=(6.75, 3))[1] if ax is None else ax
    axes.plot(place, value, "o-", markersize=3, label=quantity)
    if {"low", "high"} <= set(rows.columns):
        axes.fill_between(
            place, np.asarray(rows["low"], float), np.asarray(rows["high"], float), alpha=0.3
        )
    if (value > 0).all() and value.max() > 10 * value.min():
        axes.set_yscale("log")
    step = max(1, len(rows) // 12)
    axes.set_xticks(list(place)[::step], list(rows["node"])[::step], rotation=45, ha="right")
    axes.set_ylabel(quantity)
    return axes
