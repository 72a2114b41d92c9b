"""Derivations as text and as LaTeX. Formulas inside a reason stand between backticks."""

import re
from typing import TYPE_CHECKING, Any

import sympy as sp

if TYPE_CHECKING:
    from derivations.derivation import Derivation, Step

SIGNS = {"=": "=", "!=": r"\neq", "<": "<", "<=": r"\leq", "~": r"\approx"}
ESCAPES = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{c: "\\" + c for c in "&%$#_{}"},
}
GREEK = frozenset(
    ("alpha", "beta", "eta", "mu", "phi", "pi", "rho", "sigma", "theta", "chi", "Phi", "Sigma")
)
OPERATORS = {">=": r"\geq ", "<=": r"\leq ", "!=": r"\neq ", "->": r"\to ", "+-": r"\pm ", "*": " "}
PREAMBLE = r"""\documentclass{article}
\usepackage[utf8]{inputenc}
\usepackage{amsmath,amssymb}
\usepackage[margin=2.5cm]{geometry}
\allowdisplaybreaks
\begin{document}
"""


def text(derivation: "Derivation") -> str:
    lines = [derivation.title, "=" * len(derivation.title), "", "Assumptions"]
    lines += [f"  - {assumption}" for assumption in derivation.assumptions]
    lines += ["", "Proof"]
    for number, step in enumerate(derivation.steps, 1):
        lines += [f"  {number}. {step.reason}", f"       {_statement(step)}"]
    last = derivation.steps[-1]
    lines += ["", f"Result  {_statement(last, short=True)}"]
    return "\n".join([*lines, f"Source  {derivation.source}"]).replace("`", "")


def latex(derivation: "Derivation") -> str:
    assumptions = "\n".join(rf"  \item {prose(a)}" for a in derivation.assumptions)
    steps = "\n".join(
        rf"  \item {prose(step.reason)}" + "\n" + _display(step) for step in derivation.steps
    )
    return (
        rf"\section*{{{prose(derivation.title)}}}"
        f"\n\\paragraph{{Assumptions}}\n\\begin{{itemize}}\n{assumptions}\n\\end{{itemize}}\n"
        f"\\paragraph{{Proof}}\n\\begin{{enumerate}}\n{steps}\n\\end{{enumerate}}\n"
        f"\\paragraph{{Result}}\n{_display(derivation.steps[-1], short=True)}\n"
        f"\\paragraph{{Source}} {prose(derivation.source)}\n"
    )


def document(*derivations: "Derivation") -> str:
    """A LaTeX file that compiles."""
    return PREAMBLE + "\n".join(latex(d) for d in derivations) + "\\end{document}\n"


def prose(words: str) -> str:
    """Text with its `formulas` for LaTeX."""
    parts = words.split("`")
    return "".join(f"${_formula(p)}$" if k % 2 else _escaped(p) for k, p in enumerate(parts))


def _escaped(words: str) -> str:
    return "".join(ESCAPES.get(c, c) for c in words)


def _formula(words: str) -> str:
    """ASCII mathematics for LaTeX: names upright, Greek letters, powers, indices, comparisons."""
    words = re.sub(r"([{}%#&$\\])", r"\\\1", words)
    words = re.sub(r"\^(\([^()]*\)|-?\w+)", lambda m: f"^{{{m[1].strip('()')}}}", words)
    words = re.sub(r"_(\([^()]*\)|\w+)", lambda m: f"_{{{m[1].strip('()')}}}", words)
    words = re.sub(r"sqrt\(([^()]*)\)", r"\\sqrt{\1}", words)
    words = re.sub(r"(?<![\\A-Za-z])[A-Za-z]{2,}", lambda m: _word(m[0]), words)
    words = re.sub(r"(?<=[A-Za-z0-9}]) (?=[A-Za-z\\])", r"\\ ", words)
    for sign, command in OPERATORS.items():
        words = words.replace(sign, command)
    return words


def _word(word: str) -> str:
    return f"\\{word}" if word in GREEK else rf"\mathrm{{{word}}}"


def _statement(step: "Step", *, tex: bool = False, short: bool = False) -> str:
    """`what = left = right`; the short form is `what = right`."""
    write = sp.latex if tex else sp.sstr

    def show(side: Any) -> str:
        return write(sp.Tuple(*side) if isinstance(side, sp.MatrixBase) else side)

    equal, sign = " = ", f" {SIGNS[step.relation] if tex else step.relation} "
    what = (_formula(step.what) if tex else step.what,) if step.what else ()
    left, right = show(step.left), show(step.right)
    if step.relation == "=":
        words = equal.join(dict.fromkeys([*what, *(() if what and short else (left,)), right]))
    else:
        words = equal.join([*what, left]) + sign + right
    notes = [f"{show(k)} = {show(sp.sympify(v))}" for k, v in step.witness.items()]
    if step.relation == "~":
        notes.append(f"error {show(step.error)}")
    if notes:
        words += (
            rf"\quad \text{{({'; '.join(f'${x}$' for x in notes)})}}"
            if tex
            else (f"   ({', '.join(notes)})")
        )
    return words


def _display(step: "Step", *, short: bool = False) -> str:
    return "\\[ " + _statement(step, tex=True, short=short) + " \\]"
