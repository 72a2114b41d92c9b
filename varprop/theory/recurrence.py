"""The recurrence in the depth of a block that is repeated, by varprop's own layer rules.

A block reads q = E x^2 (and mu = E x, where it matters) and returns those of its output:

    q_{l+1} = step(q_l, mu_l),   mu_{l+1} = mean_step(q_l, mu_l),   E g_l^2 = gradient E g_{l+1}^2

The rules run once on symbols, so no formula is written here.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import sympy as sp

from varprop.gaussian import compiled
from varprop.laws import exact
from varprop.layers import Dense, Input, Layer, Scale
from varprop.moments import WIDE, Moments, Regime
from varprop.network import Network, Node, check_network
from varprop.theory.arguments import check_mean, check_number, check_whole
from varprop.theory.closed_form import LAYER, solve_step
from varprop.theory.fold import backward, forward
from varprop.theory.roots import fixed_points

SECOND = sp.Symbol("q", positive=True)
MEAN = sp.Symbol("mu", real=True)
START = sp.Symbol("q_0", positive=True)
ELEMENTARY = (sp.exp, sp.Heaviside, sp.Abs, sp.sign, sp.Max, sp.Min)


@dataclass(frozen=True)
class Recurrence:
    """One block as a map of moments: SymPy expressions in `SECOND` (q) and `MEAN` (mu).

    `mean_step` is None where q alone determines q. `gradient` multiplies E g^2 from the block's
    output to its input. `regime` is that of the second moment, `notes` name uncontrolled steps.
    """

    step: Any
    mean_step: Any
    gradient: Any
    regime: Regime
    notes: tuple[str, ...] = ()

    def solve(self, start: Any = START, layer: Any = LAYER) -> Any:
        """q_l in closed form, from q_0 = `start`; l is `varprop.theory.LAYER` unless given.

        Raises ValueError that shows the step where it is neither affine, a power nor Moebius, and
        for a start that is no second moment.
        """
        _check_start(start)
        _check_layer(layer)
        if self.mean_step is not None:
            raise ValueError(
                f"no closed form for the system {self}: the mean of the block's output enters its "
                "second moment; iterate it with .values(depth), or ask for its .growth()"
            )
        return solve_step(self.step, SECOND, start, layer)

    def solve_gradient(self, layer: Any = LAYER) -> Any:
        """E g_0^2 / E g_l^2 over l blocks, where the factor of a block does not depend on q."""
        _check_layer(layer)
        if self.gradient.has(SECOND, MEAN):
            raise ValueError(
                f"the gradient factor {self.gradient} depends on q_l: multiply it over .values"
            )
        return self.gradient**layer

    @property
    def slope(self) -> Any:
        """d q_{l+1} / d q_l at fixed mean, a function of q."""
        return tidy(sp.diff(self.step, SECOND))

    @property
    def fixed_points(self) -> tuple[Any, ...]:
        """The q >= 0 with step(q) = q, stable where the slope is below 1; `SECOND` if it is any q.

        Of roots with symbols those that are fixed points at some of many values of these, which
        other values may make complex or negative. Raises ValueError for a system in (q, mu), and
        where SymPy finds no solution.
        """
        if self.mean_step is not None:
            raise ValueError(f"fixed points need one unknown, got the system {self}: ask .growth()")
        if tidy(self.step - SECOND) == 0:
            return (SECOND,)
        unknown = sp.Symbol("q")  # without a sign: zero is a solution too
        try:
            if self.step.has(sp.Integral):
                raise NotImplementedError
            found = sp.solve(sp.together(self.step.subs(SECOND, unknown) - unknown), unknown)
        except NotImplementedError:
            raise ValueError(
                f"no formula for the fixed points of {self}: iterate with .values(depth)"
            ) from None
        if self.step.subs(SECOND, 0) == 0:
            found = [sp.S.Zero, *(root for root in found if root != 0)]
        return fixed_points(self.step, SECOND, [sp.factor(root) for root in found])

    def growth(self) -> Any:
        """lim q_{l+1} / q_l of a block that is homogeneous, f(a^2 q, a mu) = a^2 f(q, mu).

        A formula for one unknown. For a system, the number at the fixed point of mu/sqrt(q), from
        mean zero on. Raises ValueError for other blocks, and for systems with free symbols.
        """
        if self.step.has(sp.Integral):
            raise ValueError(f"no growth rate without a closed form of the step, got {self}")
        a = sp.Symbol("a", positive=True)
        scaled = {SECOND: a**2 * SECOND, MEAN: a * MEAN}
        uneven = self.step.subs(scaled, simultaneous=True) / a**2 - self.step
        if sp.simplify(uneven) != 0:
            raise ValueError(
                f"a growth rate needs a homogeneous block, got {self}: see .fixed_points"
            )
        if self.mean_step is None:
            return sp.simplify(self.step / SECOND)
        unknown = sorted(map(str, self._symbols()))
        if unknown:
            raise ValueError(
                f"the growth rate of a system needs numbers, got symbols {', '.join(unknown)}: "
                "give the scale and the variances values"
            )
        r = sp.Symbol("r", real=True)  # mu / sqrt(q)
        at = {SECOND: 1, MEAN: r}
        start = self.values(60)
        balance = self.mean_step.subs(at) - r * sp.sqrt(self.step.subs(at))
        ratio = sp.nsolve(balance, r, start[1][-1] / np.sqrt(start[0][-1]))
        return float(self.step.subs({SECOND: 1, MEAN: ratio}))

    def values(self, depth: int, second: Any = 1, mean: Any = 0) -> Any:
        """(q_0, ..., q_depth), and the means for a system: floats, formulas where symbols remain.

        Raises ValueError for a depth that is no positive integer, and for a start of E x^2 below 0
        or below mean^2.
        """
        if isinstance(depth, bool) or not isinstance(depth, (int, np.integer)) or depth < 1:
            raise ValueError(f"depth must be a positive integer, got {depth!r}")
        _check_start(second)
        check_number("mean", mean, "it is E x of the input")
        check_mean(mean, second)
        steps = (self.step, MEAN if self.mean_step is None else self.mean_step)
        if self.step.has(sp.Integral):
            raise ValueError(
                f"no closed form for the step {self}: predict the whole stack instead, with numbers"
            )
        start = sp.sympify(second), sp.sympify(mean)
        if self._symbols() or any(s.free_symbols for s in start):
            states = [start]
            for _ in range(depth):
                at: Any = dict(zip((SECOND, MEAN), states[-1], strict=True))
                states.append(tuple(tidy(s.subs(at, simultaneous=True)) for s in steps))
            kind = object
        else:
            rules = [compiled(sp.sympify(s), (SECOND, MEAN)) for s in steps]
            states, kind = [tuple(map(float, start))], float
            for _ in range(depth):
                states.append(tuple(float(rule(*states[-1])) for rule in rules))
        columns = np.array(states, dtype=kind).T
        return columns[0] if self.mean_step is None else (columns[0], columns[1])

    def latex(self) -> str:
        """The steps and the gradient factor as LaTeX."""
        at: Any = {SECOND: sp.Symbol("q_l"), MEAN: sp.Symbol("mu_l")}
        parts = [("q_{l+1}", self.step), (r"\mu_{l+1}", self.mean_step), (r"\chi", self.gradient)]
        lines = (
            f"{name} = {sp.latex(value.subs(at))}" for name, value in parts if value is not None
        )
        return r", \quad ".join(lines)

    def __str__(self) -> str:
        mean = "" if self.mean_step is None else f", mu -> {self.mean_step}"
        return f"q -> {self.step}{mean}"

    def _symbols(self) -> set:
        steps = (self.step, self.mean_step or sp.S.Zero)
        return set().union(*(s.free_symbols for s in steps)) - {SECOND, MEAN}


def recurrence(block: Network) -> Recurrence:
    """The recurrence of a stack that repeats `block`, whose output has the size of its input.

    `mlp(n, 1, output=None)` is the block of a multilayer perceptron, `residual(n, 1)` that of a
    residual stack. Numeric networks give exact rational coefficients.
    Raises ValueError where the sizes differ, and where a layer has no rule for a repeated block.
    """
    check_network(block)
    block = _exact(block)
    size_in, size_out = block.sizes[block.input], block.sizes[block.output]
    if sp.simplify(size_in - size_out) != 0:
        raise ValueError(
            f"a block that is repeated must return as many channels as it reads, got {size_in} "
            f"and {size_out}: leave the readout out (output=None), or give it the input's width"
        )
    state, laws = _fold(block, sp.S.Zero)
    out = laws[block.output]
    mean_step = None
    if tidy(out.mean[0]) != 0:  # then the next block reads a mean: does it matter?
        state, laws = _fold(block, MEAN)
        out = laws[block.output]
        if tidy(out.second[0, 0]).has(MEAN):
            mean_step = tidy(out.mean[0])
    gradient = backward(block, {**laws, block.input: state})[block.input]
    notes = (*out.notes, *gradient.notes)
    step, factor = tidy(out.second[0, 0]), tidy(gradient.diagonal[0])
    return Recurrence(step, mean_step, factor, out.second_regime, notes)


def tidy(expression: Any) -> Any:
    """The expression with elementary integrals done, collected in q."""
    expression = sp.sympify(expression).replace(_elementary, lambda integral: integral.doit())
    if expression.has(sp.Integral):  # which SymPy rewrites for minutes
        return expression
    expression = sp.expand(expression)
    if expression.is_polynomial(SECOND):
        return sp.collect(expression, SECOND, sp.factor)
    return sp.simplify(expression)


def _check_start(second: Any) -> None:
    check_number("the start", second, "it is the second moment E x^2 of the input", least=0)


def _check_layer(layer: Any) -> None:
    check_whole("layer", layer, 0, "it counts the blocks", symbols=True)


def _elementary(expression: Any) -> bool:
    """Gaussian integrals of polynomials and of functions by cases, which SymPy does fast."""
    if not isinstance(expression, sp.Integral):
        return False
    functions = expression.function.atoms(sp.Function)
    return all(isinstance(function, ELEMENTARY) for function in functions)


def _fold(block: Network, mean: Any) -> tuple[Moments, dict[str, Moments]]:
    """The laws of the block for an input of second moment q; Gaussian if the output is."""
    unit = replace(Moments.unit(second=SECOND), fixed=False, symmetric=False)
    unit = replace(unit, mean=np.array([mean], dtype=object))
    normal = replace(unit, gaussian=WIDE)
    laws = forward(block, {block.input: normal})
    if laws[block.output].gaussian is not None:
        return normal, laws
    return unit, forward(block, {block.input: unit})


def _exact(block: Network) -> Network:
    """The same network with SymPy numbers for its widths and factors, so that rules stay exact."""
    return Network(tuple(Node(n.name, _exact_layer(n.layer), n.inputs) for n in block))


def _exact_layer(layer: Layer) -> Layer:
    if isinstance(layer, Dense):
        fan_in, fan_out = sp.sympify(layer.fan_in), sp.sympify(layer.fan_out)
        return replace(layer, fan_in=fan_in, fan_out=fan_out)
    if isinstance(layer, Input):
        return replace(layer, channels=sp.sympify(layer.channels))
    if isinstance(layer, Scale):
        return replace(layer, factor=exact("a scale factor", layer.factor))
    return layer
