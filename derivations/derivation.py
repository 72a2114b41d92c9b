"""What a derivation is: assumptions, steps with reasons, and a machine check of every step."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import sympy as sp

from derivations import render
from derivations.exact import DIGITS, ZERO, counterexample, reduces_to_zero


class DerivationError(AssertionError):
    """A step of a derivation does not hold."""


@dataclass(frozen=True)
class Step:
    """`left` stands in `relation` to `right`, for the given reason.

    relation    checked by
    =           left - right reduces to literal 0
    !=          left - right is not 0 at the `witness` (a refutation)
    < or <=     right - left is positive (non-negative) under the assumptions of its symbols
    ~           |left - right| <= error, for numbers

    Sides are SymPy expressions, or matrices of them. `what` names, in ASCII mathematics, the
    quantity that `left` computes. Integrals may stay unevaluated; they are done at the check.
    """

    reason: str
    left: Any
    right: Any
    relation: str = "="
    what: str = ""
    witness: Mapping[sp.Symbol, Any] = field(default_factory=dict)
    error: Any = 0

    def failure(self) -> str:
        """Why the step does not hold; empty if it does."""
        difference = self.left - self.right
        check = {"=": _unequal, "!=": self._not_refuted, "~": self._far}
        if self.relation in check:
            return check[self.relation](difference)
        return _unordered(-difference, strict=self.relation == "<")

    def _not_refuted(self, difference: Any) -> str:
        value = sp.sympify(difference).subs(self.witness).doit().evalf(DIGITS)
        if value.is_number and abs(value) > ZERO:
            return ""
        return f"at the witness {dict(self.witness)} both sides are equal, or undecided: {value}"

    def _far(self, difference: Any) -> str:
        distance, error = abs(sp.N(difference, DIGITS)), sp.N(self.error, DIGITS)
        return "" if (distance <= error) == True else f"they are {distance} apart, above {error}"  # noqa: E712


@dataclass(frozen=True)
class Derivation:
    """A proof: its assumptions, its steps, and as its result what the last step states."""

    name: str
    title: str
    assumptions: tuple[str, ...]
    steps: tuple[Step, ...]
    source: str

    @property
    def result(self) -> Any:
        """The relation that the last step states."""
        last = self.steps[-1]
        left = sp.Symbol(last.what) if last.what else last.left
        relation = {"=": sp.Eq, "~": sp.Eq, "!=": sp.Ne, "<": sp.Lt, "<=": sp.Le}[last.relation]
        return relation(left, last.right, evaluate=False)

    def verify(self) -> None:
        """Check every step; raise `DerivationError` for the first that does not hold."""
        for number, step in enumerate(self.steps, 1):
            if failure := step.failure():
                raise DerivationError(
                    f"{self.name}, step {number} does not hold: {step.reason}\n"
                    f"  left   {step.left}\n  right  {step.right}\n"
                    f"  {step.relation} was claimed, but {failure}"
                )

    def text(self) -> str:
        """The derivation as plain text."""
        return render.text(self)

    def latex(self) -> str:
        """The derivation as a LaTeX section."""
        return render.latex(self)

    def __str__(self) -> str:
        return self.text()


def row(*entries: Any) -> sp.ImmutableMatrix:
    """Several statements of one kind as one row, compared entry by entry."""
    return sp.ImmutableMatrix([[sp.sympify(entry) for entry in entries]])


def _unequal(difference: Any) -> str:
    entries = difference if isinstance(difference, sp.MatrixBase) else [sp.sympify(difference)]
    for entry in (e.doit() for e in entries):
        if not reduces_to_zero(entry):
            point = counterexample(entry)
            where = "which no rewrite reduces to 0" if point is None else f"not 0 at {point}"
            return f"left - right is {entry}, {where}"
    return ""


def _unordered(difference: Any, *, strict: bool) -> str:
    """Empty if the difference is positive (or not negative) by the assumptions on its symbols."""
    sign = "is_positive" if strict else "is_nonnegative"
    for form in (sp.sympify(difference).doit(), sp.factor(difference), sp.simplify(difference)):
        if getattr(form, sign):
            return ""
    return f"right - left = {sp.factor(difference)} has no known sign"
