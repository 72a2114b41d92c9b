"""The initializer: a named rule that picks the law of a weight from its fans."""

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import sympy
from sympy import Expr

from varprop.laws import Law, Scalar, exact


class Fans(NamedTuple):
    """Sizes of a weight whose matrix is (rows, fan_in); rows = fan_out unless it is a kernel."""

    fan_in: Expr
    fan_out: Expr
    rows: Expr


INITIALIZERS: dict[str, Callable[..., "Initializer"]] = {}
EXAMPLES: list["Initializer"] = []  # one or two of each, for tests and tables
RULES: dict[str, Callable[..., Law]] = {}
_FAN_IN, _FAN_OUT = sympy.symbols("fan_in fan_out", positive=True, cls=sympy.Dummy)


def _if_constant(quantity: str) -> property:
    def read(initializer: "Initializer") -> Expr:
        value = getattr(initializer.at(_FAN_IN, _FAN_OUT), quantity)
        if value.has(_FAN_IN, _FAN_OUT):
            raise ValueError(
                f"the {quantity} of {initializer} depends on the fans, and none were given: "
                f"use .at(fan_in, fan_out).{quantity}"
            )
        return value

    return property(read, doc=f"The law's {quantity}, if it is the same for all fans.")


@dataclass(frozen=True)
class Initializer:
    """A named rule (fan_in, fan_out) -> law of a weight entry, made by `varprop.init`.

    W has the shape (fan_out, fan_in); `mean`, `variance` and `kurtosis` are those of one entry.
    Raises ValueError for arguments that no law has.
    """

    name: str
    arguments: tuple[tuple[str, Any], ...] = ()

    def __post_init__(self) -> None:
        self.at(_FAN_IN, _FAN_OUT)  # arguments are checked here, by the laws they make

    def __str__(self) -> str:
        return f"{self.name}({', '.join(f'{name}={value!r}' for name, value in self.arguments)})"

    def at(self, fan_in: Scalar, fan_out: Scalar, rows: Scalar = None) -> Law:
        """Return the law of an entry of a weight with these fans: numbers or SymPy symbols.

        `rows` (default fan_out) counts the rows of the weight's matrix (rows, fan_in), which only
        laws with dependent entries use: c_out for a convolution, where fan_out = k^2 c_out/groups.
        """
        sizes = (fan_in, fan_out, fan_out if rows is None else rows)
        remedy = "pass the sizes of the weight, see fans(shape)"
        fans = Fans(
            *(exact(n, v, above=0, remedy=remedy) for n, v in zip(Fans._fields, sizes, strict=True))
        )
        return choose("initializer", self.name, RULES)(fans, **dict(self.arguments))

    def without_fans(self) -> Law:
        """The law, of weights of any shape; raises ValueError where it depends on the fans."""
        law = self.at(_FAN_IN, _FAN_OUT)
        if law._symbols & {_FAN_IN, _FAN_OUT}:
            raise ValueError(
                f"the law of {self} depends on the fans of the weight, and none were given: "
                "state it for given ones, with .at(fan_in, fan_out)"
            )
        return law

    mean = _if_constant("mean")
    variance = _if_constant("variance")
    kurtosis = _if_constant("kurtosis")


def get(initializer: "str | Initializer") -> Initializer:
    """Return an initializer as it is, or the one of this name with its default arguments."""
    if isinstance(initializer, Initializer):
        return initializer
    if not isinstance(initializer, str):
        raise ValueError(
            f"an initializer or its name is needed, got {initializer!r}: "
            "make one with varprop.init, such as varprop.init.normal(std=0.1)"
        )
    make = choose("initializer", initializer, INITIALIZERS)
    try:
        return make()
    except TypeError as error:
        raise ValueError(
            f"a name alone stands for default arguments, got {initializer!r}, which has "
            f"{error}: call {initializer}(...) with it"
        ) from error


def choose(kind: str, name: str, table: dict[str, Any]) -> Any:
    """The entry of that name, or ValueError with the names that are close."""
    if isinstance(name, str) and name in table:
        return table[name]
    close = difflib.get_close_matches(str(name), table, n=3)
    hint = f"did you mean {' or '.join(close)}? " if close else ""
    everything = f"choose from {', '.join(sorted(table))}"
    if kind == "initializer":
        everything = "all are listed in varprop.initializers.INITIALIZERS"
    raise ValueError(f"the {kind} must be a known name, got {name!r}: {hint}{everything}")
