"""The depth of a stack by induction: closed forms of repeated blocks, from varprop's own rules."""

from typing import Any

import sympy as sp

from derivations.derivation import Derivation, Step, row
from derivations.expectations import T, gaussian_integral
from varprop.activations import get
from varprop.builders import mlp, residual
from varprop.initializers import normal, torch_default_bias, torch_default_weight
from varprop.layers import Dense, Elementwise
from varprop.network import Graph
from varprop.theory import LAYER, MEAN, SECOND, START, recurrence
from varprop.theory.closed_form import solve_step

n, v, u, eta, slope, L = sp.symbols("n v u eta a L", positive=True)
A, B, C, D = sp.symbols("A B C D", positive=True)


def _induction(step: Any, solution: Any) -> tuple[Step, Step]:
    """q_0 is the start, and the step takes the formula for l to that for l + 1."""
    return (
        Step("The formula starts at q_0", solution.subs(LAYER, 0), START, what="q_l at l = 0"),
        Step(
            "and one step takes it from l to l + 1, so it holds for every l",
            step.subs(SECOND, solution),
            solution.subs(LAYER, LAYER + 1),
            what="q_(l+1)",
        ),
    )


def affine_recurrence() -> Derivation:
    """q' = chi q + E b^2 for (leaky) ReLU and linear blocks z -> W phi(z) + b."""
    graph = Graph(n)
    x = graph.add(Elementwise(get("leaky_relu", a=slope)), graph.input)
    graph.add(Dense(n, n, normal(variance=v / n), normal(variance=u)), x)
    block = recurrence(graph.network())
    kept = gaussian_integral(T**2, T, SECOND, low=0)
    half = v * (1 + slope**2) * kept + u
    default = Graph(n)
    x = default.add(Elementwise(get("relu")), default.input)
    default.add(Dense(n, n, torch_default_weight(), torch_default_bias()), x)
    torch = recurrence(default.network())
    affine = solve_step(A * SECOND + B, SECOND, START)
    return Derivation(
        "affine-recurrence",
        "Stacks of dense layers with (leaky) ReLU and biases: the second moment at any depth",
        (
            "blocks z -> W phi(z) + b of width n, zero-mean weights of variance v/n, biases of "
            "second moment u; `phi(z) = max(z, 0) + a min(z, 0)`, a = 1 being the linear stack",
            "q_l = `E z_l^2`; z Gaussian (any symmetric law will do, by homogeneity)",
        ),
        (
            Step(
                "One block, the half lines by integration: varprop's rule",
                block.step,
                half,
                what="q_(l+1)",
            ),
            Step(
                "Every affine step a q + b (a not 1) moves the distance to b/(1 - a) by a",
                affine,
                B / (1 - A) + A**LAYER * (START - B / (1 - A)),
                what="q_l",
            ),
            *_induction(A * SECOND + B, affine),
            Step(
                "This block: varprop's closed form is the affine one",
                block.solve(),
                affine.subs({A: v * (1 + slope**2) / 2, B: u}),
                what="q_l",
            ),
            Step(
                "Backward, the same factor without the biases, l times",
                block.solve_gradient(),
                (v * (1 + slope**2) / 2) ** LAYER,
                what="E g_0^2 / E g_l^2",
            ),
            Step(
                "PyTorch's defaults, Var(w) = E b^2 = 1/(3n), ReLU: varprop's step",
                torch.step,
                SECOND / 6 + 1 / (3 * n),
                what="q_(l+1)",
            ),
            Step(
                "so the network forgets its input by 1/6 per layer and is left with its biases",
                torch.solve(),
                2 / (5 * n) + (START - 2 / (5 * n)) / 6**LAYER,
                what="q_l",
            ),
        ),
        "induction; the recursion is that of He et al. (2015) with biases",
    )


def residual_recurrence() -> Derivation:
    closed = recurrence(residual(n, 1, scale=eta))
    scaled = recurrence(residual(n, 1, scale=1 / sp.sqrt(L)))
    opened = recurrence(residual(n, 1, scale=eta, closing=False))
    one = recurrence(residual(n, 1, closing=False))
    means = [f.mean_step or MEAN for f in (opened, one)]  # None where q alone is the state
    mean = gaussian_integral(T, T, 2 * SECOND, low=0).doit()
    square = gaussian_integral(T**2, T, 2 * SECOND, low=0).doit()
    r, a = sp.symbols("r a", positive=True)  # r = mu/sqrt(q)
    y = sp.Symbol("y", positive=True)  # r sqrt(pi)
    root = sp.nsolve(_balance(y), y, 1.4, prec=50)
    at = {SECOND: 1, MEAN: r}
    return Derivation(
        "residual-recurrence",
        "Residual stacks at any depth, and why 1/sqrt(L) is not enough for a branch that ends in "
        "ReLU",
        (
            "blocks x -> x + eta W2 relu(W1 x) (closed), and x -> x + eta relu(W1 x) (open)",
            "width n, W1 of variance 2/n, W2 of variance 1/n, no bias; q = `E x^2`, mu = E x",
            "the open branch in the limit of wide layers",
        ),
        (
            Step("The closed block, by varprop", closed.step, (1 + eta**2) * SECOND, what="q'"),
            *_induction(closed.step, closed.solve()),
            Step(
                "With eta = 1/sqrt(L) the whole stack of L blocks stays below e",
                scaled.solve().subs(LAYER, L),
                (1 + 1 / L) ** L * START,
                what="q_L",
            ),
            Step(
                "The open block adds `eta^2 E relu^2` and twice the product of the means, "
                "relu of N(0, 2q) by integration: varprop's rule",
                opened.step,
                SECOND + eta**2 * square + 2 * MEAN * eta * mean,
                what="q'",
            ),
            Step("and its mean", means[0], MEAN + eta * mean, what="mu'"),
            Step(
                "Both are homogeneous: (a^2 q, a mu) goes to (a^2 q', a mu')",
                row(
                    *(
                        f.subs({SECOND: a**2 * SECOND, MEAN: a * MEAN}, simultaneous=True)
                        for f in (opened.step, means[0])
                    )
                ),
                row(a**2 * opened.step, a * means[0]),
                what="(q', mu') from (a^2 q, a mu)",
            ),
            Step(
                "eta = 1: where r = mu/sqrt(q) is fixed, `mu'^2 = r^2 q'` at q = 1, a cubic in "
                "y = r sqrt(pi)",
                (sp.pi**2 * (means[1] ** 2 - r**2 * one.step)).subs(at),
                -_balance(r * sp.sqrt(sp.pi)),
                what="pi^2 (mu'^2 - r^2 q')",
            ),
            Step(
                "Its one positive root (one change of sign among the coefficients)",
                _balance(root),
                0,
                "~",
                what="the cubic at the root",
                error=sp.Float("1e-40", 5),
            ),
            Step(
                "gives the growth of q per block, 2.9041 and not 2",
                2 + 2 * root / sp.pi,
                sp.Float("2.9041", 30),
                "~",
                what="q'/q",
                error=sp.Float("5e-5", 5),
            ),
            Step(
                "With eta = 1/sqrt(L) and L blocks, mu grows by `sqrt(q/(pi L))` a block, so that "
                "in t = l/sqrt(L) the limit is q' = 2 mu sqrt(q/pi), mu' = sqrt(q/pi), solved by "
                "q = mu^2: exponential in sqrt(L)",
                sp.diff(sp.exp(2 * T / sp.sqrt(sp.pi)), T),
                2 * sp.exp(T / sp.sqrt(sp.pi)) * sp.sqrt(sp.exp(2 * T / sp.sqrt(sp.pi)) / sp.pi),
                what="dq/dt",
            ),
        ),
        "induction and direct expansion; the criterion on the sum of the eta is that of Hanin & "
        "Rolnick (2018)",
    )


def _balance(y: Any) -> Any:
    """pi^2 (r^2 q' - mu'^2) at q = 1, r^2 = y^2/pi: 2 y^3 + pi y^2 - 2 pi y - pi."""
    return 2 * y**3 + sp.pi * y**2 - 2 * sp.pi * y - sp.pi


def riccati_recurrence() -> Derivation:
    step = (A * SECOND + B) / (C * SECOND + D)
    one, other = _roots()
    special = A * SECOND / (C * SECOND + D)
    solution = solve_step(special, SECOND, START)
    power = solve_step(A * SECOND**2, SECOND, START)
    ratio = (A - C * one) / (A - C * other)
    linear = mlp(n, 1, activation="identity", weights=normal(variance=v / n), output=None)
    return Derivation(
        "riccati-recurrence",
        "Riccati and power steps in closed form",
        (
            "q' = (A q + B)/(C q + D), as of a dense layer and a root-mean-square normalisation "
            "with epsilon; its fixed points r and s differ",
            "q' = A q^2, as of the activation z^2",
        ),
        (
            Step(
                "r and s are fixed points",
                row(*((A * x + B) - x * (C * x + D) for x in (one, other))),
                row(0, 0),
                what="(A x + B - x (C x + D)) at x = r, s",
            ),
            Step(
                "A step multiplies (q - r)/(q - s) by a constant",
                (step - one) / (step - other),
                ratio * (SECOND - one) / (SECOND - other),
                what="(q' - r)/(q' - s)",
            ),
            Step(
                "so its power l gives q_l. For B = 0, s = 0: varprop's closed form",
                1 - (A - D) / C / solution,
                (D / A) ** LAYER * (1 - (A - D) / C / START),
                what="(q_l - r)/q_l",
            ),
            *_induction(special, solution),
            Step(
                "With r = s the inverse 1/(q - r) grows by one: q' = q/(q + 1)",
                solve_step(SECOND / (SECOND + 1), SECOND, START),
                START / (1 + LAYER * START),
                what="q_l",
            ),
            *_induction(A * SECOND**2, power),
            Step(
                "A block with one symbol is affine: a linear stack",
                recurrence(linear).solve(),
                v**LAYER * START,
                what="q_l",
            ),
        ),
        "linear fractional maps",
    )


def _roots() -> tuple[Any, Any]:
    middle, root = (A - D) / (2 * C), sp.sqrt((A - D) ** 2 + 4 * B * C) / (2 * C)
    return middle + root, middle - root
