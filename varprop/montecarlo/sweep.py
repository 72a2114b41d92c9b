"""sweep: the same measurement on many networks, all units of work on one pool of workers."""

from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import product
from keyword import iskeyword
from os import PathLike
from typing import TYPE_CHECKING, Any

import torch

from varprop.moments import NOTATION
from varprop.montecarlo.collect import samples
from varprop.montecarlo.devices import find_devices
from varprop.montecarlo.runner import Job
from varprop.montecarlo.sample import BACKWARD, FLUCTUATIONS, Averaged, not_measured
from varprop.montecarlo.simulate import checked_amounts, make_task
from varprop.montecarlo.store import Folder
from varprop.montecarlo.task import Task
from varprop.network import Network
from varprop.results import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Networks = Sequence[Network] | Mapping[str, Network] | Callable[..., Network]


@dataclass(frozen=True)
class Point:
    """One network of a sweep: its label, and the values of the grid's parameters."""

    label: str
    values: tuple[Any, ...]


@dataclass(frozen=True, eq=False, repr=False)
class Sweep(Result):
    """One row for each grid point, node, quantity (and point or pair of inputs): an average over
    draws with its standard error. `parameters` name the columns of the grid.
    """

    parameters: tuple[str, ...]
    points: tuple[Point, ...]
    averages: tuple[tuple[Averaged, ...], ...]  # of each grid point
    draws: int
    seed: int

    def rows(self) -> Iterator[Any]:
        """The rows of all grid points, each with the values of its parameters first."""
        row: Any = namedtuple("SweepRow", (*self.parameters, *Averaged._fields))
        for point, averages in zip(self.points, self.averages, strict=True):
            for average in averages:
                yield row(*point.values, *average)

    def frame(self) -> Any:
        """The rows as a tidy pandas table, the grid's columns first."""
        table = super().frame()
        rest = [column for column in table.columns if column not in self.parameters]
        return table[[*self.parameters, *rest]]

    def plot(self, quantity: str = "second_moment", ax: "Axes | None" = None) -> "Axes":
        """`quantity` of the first input against the node, one line for each grid point."""
        import pandas

        from varprop.results.plot import plot_quantity

        pairs = zip(self.points, self.averages, strict=True)
        for point, averages in sorted(pairs, key=lambda pair: len(pair[1])):  # longest axis last
            table = pandas.DataFrame(list(averages), columns=list(Averaged._fields))
            ax = plot_quantity(table, quantity, ax)
            ax.lines[-1].set_label(point.label)
        assert ax is not None  # a sweep has a grid point
        ax.legend()
        return ax

    def __str__(self) -> str:
        grid = ", ".join(self.parameters)
        return (
            f"sweep of {len(self.points)} networks over {grid}, {self.draws} draws of each, "
            f"seed {self.seed}"
        )


def sweep(
    networks: Networks,
    grid: Mapping[str, Sequence[Any]] | None = None,
    *,
    inputs: Any = None,
    draws: int,
    seed: int,
    quantities: Sequence[str] | None = None,
    device: str = "auto",
    dtype: "str | torch.dtype" = "float32",
    engine: str = "auto",
    track_scale: bool = True,
    backward: bool = True,
    chunk: int | None = None,
    memory: int | None = None,
    executor: Executor | None = None,
    store: "str | PathLike[str] | None" = None,
    progress: bool | None = None,
) -> Sweep:
    """Measure `draws` networks at every grid point; the arguments are those of `simulate`.

    `networks` is a list, a mapping from labels, or a function called with every combination of the
    values in `grid`: sweep(mlp, {"width": [64, 128], "depth": [5, 10]}, ...). `inputs` is an array
    for all, or a function of the network. Each network has the draws that `simulate` gives it alone
    at this seed. `quantities` (default: all) chooses the rows. All units of work share one pool.

    Raises ValueError, before anything is drawn, with the grid point whose network or inputs are
    wrong.
    """
    draws, chunk, memory = checked_amounts(draws, chunk, memory)
    chosen = _quantities(quantities, backward)
    parameters, calls = _grid(networks, grid)
    tasks: list[Task] = []
    for point, make in calls:
        try:
            network = make()
            x = inputs(network) if callable(inputs) else inputs
            how = (device, dtype, engine, track_scale, backward)
            tasks.append(make_task(network, x, seed, *how))
        except (ValueError, TypeError) as error:
            raise ValueError(f"at the grid point {point.label}: {error}") from error
    points = tuple(point for point, _ in calls)
    folders = [None if store is None else Folder.of(store, task) for task in tasks]
    jobs = [
        Job(point.label, task, draws, folder)
        for point, task, folder in zip(points, tasks, folders, strict=True)
    ]
    how = {"chunk": chunk, "memory": memory, "executor": executor, "progress": progress}
    found = {
        index: tuple(row for row in sample.rows() if row.quantity in chosen)
        for index, sample in samples(jobs, find_devices(device), **how)
    }
    averages = tuple(found[index] for index in range(len(jobs)))
    return Sweep(parameters, points, averages, draws, jobs[0].task.seed)


def _quantities(quantities: Sequence[str] | None, backward: bool) -> frozenset[str]:
    known = (*NOTATION, *(name for name in FLUCTUATIONS if name not in NOTATION))
    wanted = known if quantities is None else quantities
    unknown = [name for name in wanted if name not in known]
    if isinstance(wanted, str) or unknown or not wanted:
        raise ValueError(
            f"quantities must be a list of names among {', '.join(known)}; got {quantities!r}"
        )
    if quantities is not None and not backward and not BACKWARD.isdisjoint(quantities):
        raise not_measured(next(name for name in quantities if name in BACKWARD))
    return frozenset(wanted)


def _grid(
    networks: Networks, grid: Mapping[str, Sequence[Any]] | None
) -> tuple[tuple[str, ...], list[tuple[Point, Callable[[], Network]]]]:
    """The names of the parameters, and each grid point with what makes its network."""
    if callable(networks):
        return _combinations(networks, grid)
    if grid is not None:
        raise ValueError("a grid needs a function that makes the networks, such as varprop.mlp")
    if isinstance(networks, Mapping):
        named = {str(label): network for label, network in networks.items()}
        if len(named) < len(networks):
            raise ValueError(
                f"the labels of networks must print differently, got {list(networks)!r}; "
                "rename those that print alike"
            )
    elif isinstance(networks, Sequence):
        named = {str(index): network for index, network in enumerate(networks)}
    else:
        named = {}
    if not named:
        raise ValueError(
            "a sweep needs a list of networks, a mapping from labels to networks, or a function "
            f"and a grid; got {networks!r}"
        )
    return ("network",), [
        (Point(label, (label,)), lambda network=network: network)
        for label, network in named.items()
    ]


def _combinations(
    make: Callable[..., Network], grid: Mapping[str, Sequence[Any]] | None
) -> tuple[tuple[str, ...], list[tuple[Point, Callable[[], Network]]]]:
    lists = isinstance(grid, Mapping) and all(
        isinstance(name, str) and isinstance(values, list | tuple | range) and len(values)
        for name, values in grid.items()
    )
    if not lists or not grid:
        raise ValueError(
            "a function of networks needs a grid, its arguments with lists of their values: "
            f'{{"width": [64, 128], "depth": [5, 10]}}; got {grid!r}'
        )
    for name in grid:
        fit = name.isidentifier() and not iskeyword(name) and not name.startswith("_")
        if not fit or name in Averaged._fields:
            raise ValueError(
                f"{name!r} cannot name a parameter of a grid: it must be an identifier without a "
                f"leading underscore, no keyword, and none of {', '.join(Averaged._fields)}; "
                "wrap the function to rename its argument"
            )
    calls = []
    for values in product(*grid.values()):
        arguments = dict(zip(grid, values, strict=True))
        label = ", ".join(f"{name}={value}" for name, value in arguments.items())
        calls.append((Point(label, values), lambda arguments=arguments: make(**arguments)))
    return tuple(grid), calls
