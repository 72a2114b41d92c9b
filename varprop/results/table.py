"""The common face of every result: one row a number, as a pandas table, JSON, HTML or a plot."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes


class Row(NamedTuple):
    """One number: `point`, and `other` for a pair; `position` where a node has positions."""

    node: str
    quantity: str
    point: int
    other: int | None
    value: Any
    regime: str | None = None
    position: int | None = None


COLUMNS = ("node", "quantity", "point", "other", "position", "value", "regime")


class Result:
    """A result that is made of rows; subclasses give `rows()` and a one-line `str`."""

    def rows(self) -> Iterator[Any]:
        """The numbers, one NamedTuple each."""
        raise TypeError(f"{type(self).__name__} must define rows()")

    def frame(self) -> "pandas.DataFrame":
        """The rows as a tidy pandas table."""
        import pandas

        rows = list(self.rows())
        columns = list(rows[0]._fields) if rows else list(COLUMNS)
        ordered = [c for c in COLUMNS if c in columns] + [c for c in columns if c not in COLUMNS]
        return _typed(pandas.DataFrame(rows, columns=columns).reindex(columns=ordered))

    def to_json(self, path: str | Path | None = None) -> str:
        """The rows as JSON text, one object each; also written to `path` where one is given."""
        document = {
            "kind": type(self).__name__,
            "summary": str(self),
            "rows": [{k: _plain(v) for k, v in row._asdict().items()} for row in self.rows()],
        }
        return _written(document, path)

    @staticmethod
    def from_json(text: str | Path) -> "Saved":
        """A result saved by `to_json`, from its path or its text, with frame, plot and str.

        Raises ValueError for what is no such document.
        """
        content = text.read_text() if isinstance(text, Path) else text
        try:
            document = json.loads(content)
            return Saved(document["kind"], document["summary"], tuple(document["rows"]))
        except (ValueError, KeyError, TypeError) as problem:
            raise ValueError(
                f"not a result saved by to_json ({problem}); pass its text, or a pathlib.Path to it"
            ) from None

    def __repr__(self) -> str:
        return f"<{self}>"

    def _repr_html_(self) -> str:
        return f"<p>{self}</p>{self.frame().to_html(index=False, max_rows=30)}"

    def plot(self, quantity: str = "second_moment", ax: "Axes | None" = None) -> "Axes":
        """`quantity` of the first point against the node, on a logarithmic axis where positive."""
        from varprop.results.plot import plot_quantity

        return plot_quantity(self.frame(), quantity, ax)


@dataclass(frozen=True, repr=False)
class Saved(Result):
    """A result read back from JSON: its kind, its one-line summary and its rows."""

    kind: str
    summary: str
    saved: tuple[dict[str, Any], ...]

    def frame(self) -> "pandas.DataFrame":
        import pandas

        return _typed(pandas.DataFrame(list(self.saved)))

    def to_json(self, path: str | Path | None = None) -> str:
        return _written({"kind": self.kind, "summary": self.summary, "rows": self.saved}, path)

    def __str__(self) -> str:
        return self.summary


def _written(document: dict[str, Any], path: str | Path | None) -> str:
    text = json.dumps(document, indent=1, allow_nan=False)
    if path is not None:
        Path(path).write_text(text)
    return text


def _typed(table: "pandas.DataFrame") -> "pandas.DataFrame":
    """Missing points and positions as missing whole numbers."""
    for column in ("other", "position"):
        if column in table:
            table[column] = table[column].astype("Int64")
    return table


def _plain(value: Any) -> Any:
    """A JSON value: numbers as numbers, not-finite ones and formulas as text."""
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else str(value)
    return value if isinstance(value, (bool, int)) else str(value)
