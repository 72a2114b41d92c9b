"""Each derivation holds, and no copy of it with one altered step does."""

import re
from dataclasses import replace
from functools import cache

import pytest
import sympy as sp

from derivations import CATALOGUE, Derivation, DerivationError, Step, derive
from derivations.render import document

NAMES = list(CATALOGUE)


@cache
def derived(name: str) -> Derivation:
    return derive(name)


def doubled(step: Step) -> Step:
    """A false step: another multiple of the right side, or the order or refutation reversed."""
    if step.relation in ("<", "<="):
        return replace(step, left=step.right, right=step.left)
    if step.relation == "!=":
        return replace(step, right=step.left)
    right = sp.sympify(step.right)
    zero = not any(right) if isinstance(right, sp.MatrixBase) else right == 0
    return replace(step, right=step.right + one_like(step.right) if zero else 2 * step.right)


def one_like(side) -> sp.Basic:
    side = sp.sympify(side)
    return sp.ones(*side.shape) if isinstance(side, sp.MatrixBase) else sp.Integer(1)


def with_a_symbol(step: Step) -> Step:
    if step.relation != "=":
        return doubled(step)
    stray = sp.Symbol("stray", positive=True)
    return replace(step, right=sp.sympify(step.right) + stray * one_like(step.right))


@cache
def integrated(name: str) -> Derivation:
    """The derivation with its integrals and sums done, which the checks below would each repeat."""
    derivation = derived(name)
    steps = (replace(s, left=done(s.left), right=done(s.right)) for s in derivation.steps)
    return replace(derivation, steps=tuple(steps))


def done(side):
    return side.doit() if isinstance(side, (sp.Basic, sp.MatrixBase)) else side


@pytest.mark.parametrize("name", NAMES)
def test_holds(name):
    derivation = integrated(name)
    assert derivation.name == name
    assert len(derivation.steps) >= 2
    assert derivation.assumptions and derivation.source
    assert isinstance(derivation.result, (sp.Rel, sp.logic.boolalg.BooleanAtom))
    derivation.verify()


@pytest.mark.parametrize("alter", [doubled, with_a_symbol])
@pytest.mark.parametrize("name", NAMES)
def test_altered_step_fails_by_name_and_number(name, alter):
    derivation = integrated(name)
    for number, step in enumerate(derivation.steps, 1):
        assert alter(step).failure(), f"step {number} holds when altered"
    altered = replace(derivation, steps=(derivation.steps[0], alter(derivation.steps[1])))
    with pytest.raises(DerivationError, match=rf"^{name}, step 2 does not hold"):
        altered.verify()


@pytest.mark.parametrize("name", NAMES)
def test_text_is_complete(name):
    derivation = derived(name)
    text = derivation.text()
    assert "Assumptions" in text and f"Source  {derivation.source}" in text
    for number, step in enumerate(derivation.steps, 1):
        assert f"  {number}. {step.reason}".replace("`", "") in text
    assert all(assumption.replace("`", "") in text for assumption in derivation.assumptions)
    assert "`" not in text


@pytest.mark.parametrize("name", NAMES)
def test_latex_is_balanced(name):
    """No TeX is needed: braces, dollars and environments close, and no bare special is left."""
    tex = document(derived(name))
    bare = re.sub(r"\\[{}$%&#_\\]", "", tex)
    depth = 0
    for character in bare:
        depth += {"{": 1, "}": -1}.get(character, 0)
        assert depth >= 0
    assert depth == 0
    assert bare.count("$") % 2 == 0
    for environment in ("document", "itemize", "enumerate"):
        assert tex.count(rf"\begin{{{environment}}}") == tex.count(rf"\end{{{environment}}}")
    assert tex.count(r"\[ ") == tex.count(r" \]")
    outside = re.sub(r"\$[^$]*\$|\\\[ .*? \\\]", "", bare)
    assert "_" not in outside and "^" not in outside
    assert tex.isascii() or all(ord(c) < 0x250 for c in tex)


def test_every_step_says_what_it_computes():
    silent = [
        (name, number)
        for name in NAMES
        for number, step in enumerate(derived(name).steps, 1)
        if not step.what and sp.sstr(step.left) == sp.sstr(step.right)
    ]
    assert not silent


def test_unknown_name_suggests_close_ones():
    with pytest.raises(ValueError, match="did you mean he-leaky"):
        derive("he-leeky")
