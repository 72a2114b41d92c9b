"""Equal neurons stay equal: gradients of a symbolic network, and coordinatewise optimisers."""

from typing import Any

import sympy as sp

from derivations.derivation import Derivation, Step, row
from varprop.builders import mlp
from varprop.theory import predict

n = sp.Symbol("n", positive=True)


def equal_neurons() -> Derivation:
    phi, loss = sp.Function("phi"), sp.Function("loss")
    x = sp.symbols("x_1:3")
    w = [sp.symbols(f"w_{i}(1:3)") for i in (1, 2)]
    b, c, d = sp.symbols("b_1:3"), sp.symbols("c_1:3"), sp.Symbol("d")
    z = [sum(i * j for i, j in zip(w[k], x, strict=True)) + b[k] for k in range(2)]
    y = sp.Symbol("y")
    output = sum(c[k] * phi(z[k]) for k in range(2)) + d
    slope = sp.Symbol("l")  # dloss/dy

    def gradient(parameter: Any) -> Any:
        """dL/dp = l dy/dp with l = loss'(y)."""
        return slope * sp.diff(output, parameter).doit()

    rows_equal = {w[1][0]: w[0][0], w[1][1]: w[0][1], b[1]: b[0]}
    equal = {**rows_equal, c[1]: c[0]}
    first, second = ([w[k][0], w[k][1], b[k], c[k]] for k in (0, 1))

    def at(values: dict, parameters: list) -> Any:
        return row(*(gradient(p).subs(values).doit() for p in parameters))

    everything = [*w[0], *w[1], *b, *c, d]
    zero = dict.fromkeys(everything, 0)
    at_zero = at(zero, everything).subs(phi(0), 0)
    p, g, m, v, lr, mu, b1, b2, eps = sp.symbols("p g m v eta mu beta_1 beta_2 epsilon")
    dead = predict(mlp(width=n, depth=2, activation="relu", weights="zeros"))
    k = sp.Symbol("k", positive=True, integer=True)

    def step(state: dict) -> Any:
        """One update of a parameter by SGD with weight decay, by momentum and by Adam."""
        moment = b1 * m + (1 - b1) * g
        square = b2 * v + (1 - b2) * g**2
        sgd = p - lr * (g + mu * p)
        momentum = p - lr * (mu * m + g)
        adam = p - lr * (moment / (1 - b1**k)) / (sp.sqrt(square / (1 - b2**k)) + eps)
        return row(sgd, momentum, adam, moment, square).subs(state, simultaneous=True)

    one, two = ([sp.Symbol(f"{name}_{i}") for name in "pgmv"] for i in (1, 2))
    states = [step(dict(zip((p, g, m, v), state, strict=True))) for state in (one, two)]
    same = dict(zip(two, one, strict=True))
    return Derivation(
        "equal-neurons",
        "Neurons that start equal stay equal and act as one",
        (
            "two hidden neurons, `y = c_1 phi(z_1) + c_2 phi(z_2) + d`, any phi, `l = dloss/dy`",
            "equal incoming rows and biases: `w_2j = w_1j`, `b_2 = b_1`; where stated, `c_2 = c_1`",
            "the optimiser acts on each coordinate by one rule, from one state",
        ),
        (
            Step(
                "The chain rule: `dL/dp = l dy/dp` for every parameter p",
                sp.diff(loss(output), c[0]),
                sp.diff(loss(y), y).subs(y, output) * sp.diff(output, c[0]),
                what="dL/dc_1",
            ),
            Step(
                "With rows and outgoing weights equal, all gradients of the two neurons are equal",
                at(equal, first),
                at(equal, second),
                what="(dL/dw_11, dL/dw_12, dL/db_1, dL/dc_1)",
            ),
            Step(
                "SGD with weight decay, momentum and Adam give equal parameters and equal states "
                "from equal parameters, gradients and states; so equality holds at every step",
                states[0],
                states[1].subs(same),
                what="(SGD, momentum, Adam, first state, second state) of neuron 1",
            ),
            Step(
                "The two act as one neuron with twice the outgoing weight",
                output.subs(equal),
                2 * c[0] * phi(z[0]) + d,
                what="y",
            ),
            Step(
                "Equal rows alone are not enough: random outgoing weights break the symmetry",
                gradient(w[0][0]).subs(rows_equal).replace(phi, sp.tanh).doit(),
                gradient(w[1][0]).subs(rows_equal).replace(phi, sp.tanh).doit(),
                "!=",
                what="dL/dw_11",
                witness={
                    c[0]: 1,
                    c[1]: 2,
                    slope: 1,
                    b[0]: 0,
                    w[0][0]: 1,
                    w[0][1]: 0,
                    x[0]: 1,
                    x[1]: 1,
                },
            ),
            Step(
                "All parameters zero and phi(0) = 0 (ReLU): only the last bias has a gradient",
                at_zero,
                row(*[0] * (len(everything) - 1), slope),
                what="the gradient at zero",
            ),
            Step(
                "varprop on a deeper zero network: no weight gradient in any layer",
                row(*(dead.value(f"dense_{i}", "weight_grad_second_moment")[0] for i in (1, 2, 3))),
                row(0, 0, 0),
                what="E (dL/dW)^2",
            ),
        ),
        "folklore; by direct differentiation",
    )
