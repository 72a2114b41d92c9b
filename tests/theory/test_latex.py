"""Formulas as LaTeX: balanced, with the right symbols, and set by matplotlib's mathtext."""

import re

import pytest
import sympy as sp
from matplotlib.mathtext import MathTextParser

import derivations
import varprop as vp
from derivations.render import latex as rendered
from varprop import init
from varprop.theory import recurrence

n, s, b, eta, q = sp.symbols("n sigma_w sigma_b eta q", positive=True)
W, B = init.normal(variance=s**2 / n), init.normal(variance=b**2)
NETWORKS = {
    "relu": vp.mlp(n, 1, weights=W, bias=B),
    "erf": vp.mlp(n, 1, activation="erf", weights=W),
    "tanh": vp.mlp(n, 1, activation="tanh", weights=W),
    "residual": vp.residual(n, 2, scale=eta),
    "open branch": vp.residual(n, 1, scale=eta, closing=False),
}
UNKNOWN = {r"\limits": "", r"\begin{matrix}": "", r"\end{matrix}": "", r"\\": " "}


def set_in_type(tex: str) -> None:
    """Raises where mathtext cannot read the formula; limits and arrays it does not know."""
    for command, known in UNKNOWN.items():
        tex = tex.replace(command, known)
    tex = tex.replace("&", " ")
    MathTextParser("path").parse(f"${tex}$")


def balanced(tex: str) -> bool:
    depth = 0
    for character in re.sub(r"\\[{}]", "", tex):
        depth += {"{": 1, "}": -1}.get(character, 0)
        if depth < 0:
            return False
    return depth == 0 and tex.count(r"\left") == tex.count(r"\right")


@pytest.mark.parametrize("name", NETWORKS)
def test_every_predicted_quantity_is_set_in_type(name):
    theory = vp.predict(NETWORKS[name], q)
    for node in NETWORKS[name]:
        for quantity in theory.quantities(node.name):
            pair = {"other": 0} if theory.value(node.name, quantity).ndim == 2 else {}
            tex = theory.latex(node.name, quantity, **pair)
            assert balanced(tex)
            set_in_type(tex)
            value = theory.value(node.name, quantity).flat[0]
            for symbol in sp.sympify(value).free_symbols:
                assert sp.latex(symbol) in tex


def test_recurrences_are_set_in_type():
    for network in (vp.mlp(n, 1, weights=W, bias=B, output=None), NETWORKS["open branch"]):
        found = recurrence(network)
        tex = found.latex()
        assert balanced(tex) and "q_{l+1} = " in tex and "q_{l}" in tex
        assert (r"\mu_{l+1} = " in tex) == (found.mean_step is not None)
        set_in_type(tex)
    solution = recurrence(vp.mlp(n, 1, weights=W, bias=B, output=None)).solve()
    set_in_type(sp.latex(solution))


@pytest.mark.slow
@pytest.mark.parametrize("name", derivations.CATALOGUE)
def test_every_formula_of_a_derivation_is_set_in_type(name):
    tex = rendered(derivations.derive(name))
    displays = re.findall(r"\\\[ (.*?) \\\]", tex, re.S)
    assert len(displays) == len(derivations.derive(name).steps) + 1
    for display in displays:
        assert balanced(display)
        set_in_type(re.sub(r"\\quad \\text\{.*\}$", "", display))


def test_a_formula_that_is_no_latex_is_refused():
    for wrong in (r"\frac{1}{", r"\nocommand{q}"):
        with pytest.raises(ValueError):
            set_in_type(wrong)
    assert not balanced(r"\frac{1}{2")


@pytest.mark.parametrize(
    ("quantity", "where"),
    [
        ("second_moment", {"point": 1}),
        ("second_moment", {"point": -1}),
        ("second_moment", {"point": 0, "other": 0}),
        ("second_moment", {"point": "0"}),
        ("ntk", {"point": 0}),
    ],
)
def test_an_index_without_a_value_is_answered(quantity, where):
    theory = vp.predict(NETWORKS["relu"], q)
    wanted = "point and other" if quantity == "ntk" else "point alone"
    with pytest.raises(ValueError, match=f"{quantity} of dense_2 takes {wanted}, from 0 to 0, got"):
        theory.latex("dense_2", quantity, **where)
