"""precision_study: the same networks in several number formats, measured beside predicted."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from varprop.layers import Dense
from varprop.montecarlo.devices import find_device, find_dtype, whole
from varprop.montecarlo.dtypes import Errors, rounding_errors
from varprop.network import Network, check_not_symbolic
from varprop.results import Result
from varprop.theory import Prediction, Range, Rounding, predict, range_of, rounding_of
from varprop.theory.precision import expected_extreme
from varprop.theory.rounding import BELOW

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class PrecisionRow(NamedTuple):
    """A number of one node in one dtype: measured over networks, and predicted where known."""

    node: str
    quantity: str
    point: int
    dtype: str
    value: float
    standard_error: float
    predicted: float | None


class Predicted(NamedTuple):
    """What theory says of a dtype: range by point, errors with rounded parameters and without.

    The errors are None where an overflow kept them from being followed.
    """

    ranges: tuple[Range, ...]
    error: Rounding | None
    arithmetic: Rounding | None


@dataclass(frozen=True, eq=False, repr=False)
class PrecisionStudy(Result):
    """What a plain pass in each dtype makes of the same networks, node by node.

    error       root of the mean over networks of |x~ - x|^2 / |x|^2, x of the network in float64,
                as it was drawn: rounding of inputs and weights counts
    arithmetic  the same beside float64 with the rounded inputs and weights
    zeros       share of entries that are zero; overflow  share of networks with one that is not
                finite (left out of the errors); smallest, largest  means over networks of the least
                and largest |entry| that is not zero

    and `grad_error`, ... the same of gradients. `predictions` by dtype, without those that
    have no such theory, for the reason in `refused`. Predicted overflow and zeros are 1 from the
    node on that `range_of` names, and errors are predicted below overflow.
    """

    network: Network
    draws: int
    seed: int
    device: str
    theory: Prediction | None
    measured: Mapping[str, Mapping[str, Errors]]
    predictions: Mapping[str, Predicted]
    refused: str = ""

    def rows(self) -> Iterator[PrecisionRow]:
        for dtype, nodes in self.measured.items():
            for name, errors in nodes.items():
                for quantity in (field.name for field in fields(Errors)):
                    values = getattr(errors, quantity)
                    for point in range(values.shape[1]):
                        number = _average(quantity, values[:, point])
                        known = self._predicted(dtype, name, quantity, point)
                        yield PrecisionRow(name, quantity, point, dtype, *number, known)

    def _predicted(self, dtype: str, name: str, quantity: str, point: int) -> float | None:
        if dtype not in self.predictions or self.theory is None:
            return None
        known = self.predictions[dtype]
        reach = known.ranges[point]
        plain = quantity.removeprefix("grad_")
        if plain in ("error", "arithmetic"):
            rounding = getattr(known, plain)
            last = name if plain == quantity else self.network.output
            if rounding is None or self._gone(reach.overflow, last):
                return None
            table = rounding.values if plain == quantity else rounding.gradients
            return float(table[name][point])
        if quantity in ("overflow", "zeros"):
            if quantity == "zeros" and not isinstance(self.network[name].layer, Dense):
                return None
            return self._gone(reach[quantity == "zeros"], name)
        if quantity == "largest" and isinstance(self.network[name].layer, Dense):
            root = np.sqrt(self.theory.value(name, "second_moment")[point])
            return float(root * expected_extreme(self.network.sizes[name]))
        return None

    def _gone(self, first: str | None, name: str) -> float:
        names = [node.name for node in self.network]
        return float(first is not None and names.index(name) >= names.index(first))

    def plot(self, quantity: str = "error", ax: "Axes | None" = None) -> "Axes":
        """`quantity` of the first point by node: measured points, predicted lines, by dtype."""
        import matplotlib.pyplot as plt

        table = self.frame()
        rows = table[(table["quantity"] == quantity) & (table["point"] == 0)]
        if rows.empty:
            known = ", ".join(sorted(table["quantity"].unique()))
            raise ValueError(f"no {quantity!r} in this study; it has {known}")
        axes = plt.subplots(figsize=(6.75, 3))[1] if ax is None else ax
        for dtype, own in rows.groupby("dtype", sort=False):
            (dots,) = axes.plot(range(len(own)), own["value"], "o", markersize=3, label=dtype)
            lines = np.asarray(own["predicted"], float)
            axes.plot(range(len(own)), lines, "-", linewidth=1, color=dots.get_color())
        names = [node.name for node in self.network]
        step = max(1, len(names) // 12)
        axes.set_xticks(range(0, len(names), step), names[::step], rotation=45, ha="right")
        axes.set_yscale("log")
        axes.set_ylabel(quantity)
        axes.legend()
        return axes

    def __str__(self) -> str:
        last, found = self.network.output, []
        for dtype, nodes in self.measured.items():
            value, error = _average("error", nodes[last].error[:, 0])
            known = self._predicted(dtype, last, "error", 0)
            beside = "" if known is None else f", predicted {known:.2g}"
            found.append(f"{dtype} {value:.2g} +- {error:.1g}{beside}")
        why = f" ({self.refused})" if self.refused else ""
        return (
            f"relative error of {last} over {self.draws} networks ({self.network}): "
            + "; ".join(found)
            + why
        )


def _average(quantity: str, values: np.ndarray) -> tuple[float, float]:
    """The mean over networks and its standard error; of errors the root of the mean square."""
    values = values[np.isfinite(values)].astype(float)
    if not values.size:
        return float("nan"), float("nan")
    mean = float(values.mean())
    error = float(values.std(ddof=1) / len(values) ** 0.5) if len(values) > 1 else float("nan")
    if quantity.removeprefix("grad_") in ("error", "arithmetic"):
        root = mean**0.5
        return root, error / (2 * root) if root else 0.0
    return mean, error


def precision_study(
    network: Network,
    inputs: Any = None,
    *,
    dtypes: str | torch.dtype | Sequence[str | torch.dtype] = ("bfloat16", "float16", "float32"),
    draws: int,
    seed: int,
    device: str = "auto",
) -> PrecisionStudy:
    """The same `draws` networks in each of `dtypes` (or in one), with the theory beside them.

    Weights are drawn in float32 (draw k of the explicit engine) and rounded to each dtype. The
    passes are plain: nothing keeps a signal from leaving the range of the dtype.

    Raises ValueError for symbolic networks, unfit inputs, dtypes that are not below float64.
    """
    check_not_symbolic(network, "a precision study needs")
    draws, seed = whole("draws", draws, least=1), whole("seed", seed, least=0)
    named = (dtypes,) if isinstance(dtypes, (str, torch.dtype)) else dtypes
    kinds, place = [find_dtype(d) for d in named], find_device(device)
    if not kinds or not set(kinds) <= set(BELOW) or len({*kinds}) < len(kinds):
        raise ValueError(
            f"dtypes must be different ones of bfloat16, float16, float32, got {dtypes!r}; "
            "errors are measured against float64"
        )
    x = None if inputs is None else network.check_inputs(inputs)
    measured = rounding_errors(network, x, seed, draws, kinds, place)
    theory, predictions, refused = _theory(network, x, kinds)
    return PrecisionStudy(
        network=network,
        draws=draws,
        seed=seed,
        device=str(place),
        theory=theory,
        measured={_name(kind): nodes for kind, nodes in measured.items()},
        predictions=predictions,
        refused=refused,
    )


def _theory(
    network: Network, inputs: np.ndarray | None, kinds: Sequence[torch.dtype]
) -> tuple[Prediction | None, dict[str, Predicted], str]:
    """The predictions by dtype, and why some are missing."""
    try:
        theory = predict(network, inputs)
    except ValueError as reason:
        return None, {}, f"no prediction: {reason}"
    known, refused = {}, []
    for kind in kinds:
        with np.errstate(over="ignore", invalid="ignore"):
            ranges = tuple(range_of(theory, kind, point=p) for p in range(theory.points))
            first = next((r.overflow for r in ranges if r.overflow), None)
            errors, reason = _errors(theory, kind)
        if errors is None and first is None:
            refused.append(f"no prediction: {reason}")
            continue
        if errors is None:
            refused.append(
                f"no errors predicted in {_name(kind)}, as it overflows at {first}; "
                "scale the weights down, or read overflow alone"
            )
        known[_name(kind)] = Predicted(ranges, *(errors or (None, None)))
    return theory, known, "; ".join(dict.fromkeys(refused))


def _errors(
    theory: Prediction, kind: torch.dtype
) -> tuple[tuple[Rounding, Rounding] | None, ValueError | None]:
    """The errors with rounded parameters and without, or why there are none."""
    try:
        drawn = rounding_of(theory, kind, parameters=kind != torch.float32)  # drawn in float32
        return (drawn, rounding_of(theory, kind, parameters=False)), None
    except ValueError as reason:
        return None, reason


def _name(kind: torch.dtype) -> str:
    return str(kind).removeprefix("torch.")
