"""The explicit engine against a naive twin: the same weights in plain torch, one draw at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats
from torch.nn import functional

import varprop as vp
from varprop.activations import get as activation
from varprop.initializers import kaiming_normal, normal, orthogonal, uniform
from varprop.layers import Add, Dense, Elementwise, Scale
from varprop.montecarlo.streams import Stream, block_generator, on_sphere, signs, stream_states
from varprop.montecarlo.weights import BLOCK
from varprop.network import Graph

CPU = torch.device("cpu")
DTYPES = {"float64": 2.0**-52, "float32": 2.0**-23, "bfloat16": 2.0**-7, "float16": 2.0**-10}


def rectangular():
    return vp.mlp(
        widths=[7, 11, 5, 9],
        activation="tanh",
        weights=normal(variance=0.2),
        bias=normal(variance=0.3),
    )


def branched():
    """The input is read three times, one branch is scaled, one activation is used twice."""
    graph = Graph(8)
    x = graph.input
    z = graph.add(Dense(8, 8, kaiming_normal(), uniform(a=-0.5, b=0.5)), x)
    r = graph.add(Elementwise(activation("gelu")), z)
    s = graph.add(Scale(0.8), r)
    y = graph.add(Add(), x, s)
    w = graph.add(Dense(8, 8, orthogonal()), y)
    v = graph.add(Add(), w, r)
    a = graph.add(Elementwise(activation("relu")), v)
    graph.add(Dense(8, 6, uniform(a=-0.4, b=0.4)), graph.add(Add(), a, x))
    return graph.network()


NETWORKS = {
    "mlp": rectangular,
    "residual": lambda: vp.residual(6, 3, activation="gelu", scale=0.8),
    "branched": branched,
}


def drawn(network, seed, dtype, block=0):
    """Tangents, cotangents and parameters of a block of a small network: a stream for each node."""
    g = block_generator(seed, block, CPU)
    t = on_sphere(BLOCK, 1, network.sizes[network.input], g, CPU)
    u = signs(BLOCK, network.sizes[network.output], g, CPU)
    parameters = {}
    for k, node in enumerate(network):
        (state,) = stream_states(seed, (block, k))
        parameters[node.name] = node.layer.draw(BLOCK, Stream(CPU).start(state), dtype, CPU)
    return t, u, parameters


def plain(network, parameters, x):
    """Every value of one network at x (points, channels), by torch's own functions."""
    values = {network.input: x}
    for name, layer, inputs in network.nodes[1:]:
        ins = [values[i] for i in inputs]
        if layer.kind == "dense":
            weight, *bias = parameters[name]
            values[name] = functional.linear(ins[0], weight, bias[0][0] if bias else None)
        elif layer.kind == "add":
            values[name] = ins[0] + ins[1]
        elif layer.kind == "scale":
            values[name] = 0.8 * ins[0]
        else:
            values[name] = getattr(functional, layer.kind)(ins[0])
    return values


def twin(network, inputs, seed, dtype):
    """{node: {quantity: (draws, ...)}} of the first block in float64, one draw at a time."""
    t, u, parameters = drawn(network, seed, dtype)
    x = torch.as_tensor(inputs).to(dtype).double()
    rows = {n.name: [] for n in network}
    for draw in range(BLOCK):
        own = {name: [p[draw].double() for p in some] for name, some in parameters.items()}
        start = x.clone().requires_grad_()
        weights = [p.requires_grad_() for some in own.values() for p in some]
        values = plain(network, own, start)
        cotangent = u[draw].expand(len(x), -1)
        nodes = list(values)
        out = values[network.output]
        gradients = torch.autograd.grad(
            out, [values[n] for n in nodes], cotangent, retain_graph=True
        )
        tangent = t[draw].to(dtype).double().expand_as(x).contiguous()
        _, moved = torch.func.jvp(
            lambda v, own=own: plain(network, own, v), (x,), (tangent,), strict=True
        )
        entry = {n: [] for n in nodes}
        for p in range(len(x)):
            alone = (out[p] * cotangent[p]).sum()
            grads = torch.autograd.grad(alone, weights, retain_graph=True)
            by_weight = dict(zip(map(id, weights), grads, strict=True))
            for n in nodes:
                if own[n]:
                    entry[n].append(by_weight[id(own[n][0])].square().mean().item())
        for n, g in zip(nodes, gradients, strict=True):
            v, m = values[n].detach(), moved[n].detach()
            size = v.shape[-1]
            rows[n].append(
                {
                    "mean": v.mean(-1).numpy(),
                    "second": (v @ v.T / size).numpy(),
                    "kurtosis": stats.kurtosis(v.numpy(), axis=-1, fisher=False),
                    "tangent_mean": m.mean(-1).numpy(),
                    "tangent_second": (m @ m.T / size).numpy(),
                    "tangent_cross": (v @ m.T / size).numpy(),
                    "grad_second": (g @ g.T / size).numpy(),
                    "weight": np.array(entry[n]),
                }
            )
    return {n: {k: np.stack([r[k] for r in some]) for k in some[0]} for n, some in rows.items()}


def furthest(found, expected):
    """The largest difference, in units of the largest entry."""
    return np.abs(found - expected).max() / max(np.abs(expected).max(), 1e-30)


def assert_same(network, inputs, seed, dtype, tolerance):
    sample = vp.simulate(network, inputs, draws=BLOCK, seed=seed, dtype=dtype, engine="explicit")
    expected = twin(network, inputs, seed, getattr(torch, dtype))
    for node, record in sample.records.items():
        for name, found in vars(record).items():
            assert furthest(found, expected[node][name]) < tolerance, (node, name)
        if expected[node]["weight"].size:
            found = sample.values(node, "weight_grad_second_moment")
            assert furthest(found, expected[node]["weight"]) < tolerance, (node, "weight")


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_measurement_is_that_of_plain_torch(name, dtype, seed, rng):
    network = NETWORKS[name]()
    inputs = rng.standard_normal((3, network.sizes[network.input]))
    assert_same(network, inputs, seed, dtype, 32 * DTYPES[dtype])


def test_it_is_a_sequential_of_torch(seed, rng):
    network, inputs = rectangular(), rng.standard_normal((4, 7))
    _, _, parameters = drawn(network, seed, torch.float64)
    sample = vp.simulate(network, inputs, draws=BLOCK, seed=seed, dtype="float64")
    assert sample.engine == "conditional"  # what "auto" takes: the same law, other numbers
    sample = vp.simulate(
        network, inputs, draws=BLOCK, seed=seed, dtype="float64", engine="explicit"
    )
    modules = []
    for name in ("dense_1", "dense_2", "dense_3"):
        weight, bias = (p[2] for p in parameters[name])
        linear = torch.nn.Linear(*reversed(weight.shape), dtype=torch.float64)
        linear.weight.data, linear.bias.data = weight, bias[0]
        modules += [linear, torch.nn.Tanh()]
    out = torch.nn.Sequential(*modules[:-1])(torch.as_tensor(inputs)).detach()
    expected = (out @ out.T / 9).numpy()
    assert np.allclose(sample.values("dense_3", "cross_moment")[2], expected, rtol=1e-12)
    assert not np.allclose(sample.values("dense_3", "cross_moment")[3], expected, rtol=1e-3)


@pytest.mark.parametrize("fault", ["slope", "bias", "scale", "tangent"])
def test_the_twin_finds_a_wrong_engine(fault, seed, rng, monkeypatch, bent_relu):
    network = branched()
    inputs = rng.standard_normal((2, 8))
    apply, scale = Dense.apply, Scale.apply
    if fault == "slope":
        monkeypatch.setattr(Elementwise, "apply", bent_relu(1.001))
    elif fault == "bias":
        monkeypatch.setattr(Dense, "apply", lambda self, p, *v, unit=1.0: apply(self, p[:1], *v))
    elif fault == "scale":
        monkeypatch.setattr(
            Scale, "apply", lambda self, p, *v, unit=1.0: 1.001 * scale(self, p, *v)
        )
    else:
        measure = vp.montecarlo.explicit.measure
        monkeypatch.setattr(
            vp.montecarlo.explicit, "measure", lambda v, t, g, e: measure(v, 1.001 * t, g, e)
        )
    with pytest.raises(AssertionError):
        assert_same(network, inputs, seed, "float64", 32 * DTYPES["float64"])


def test_unit_inputs_lie_on_the_sphere_and_cotangents_are_signs(seed, generator):
    network = vp.mlp(16, 1)
    for engine in ("explicit", "conditional"):
        sample = vp.simulate(network, draws=200, seed=seed, engine=engine, dtype="float64")
        assert np.abs(sample.values("input", "second_moment") - 1).max() < 1e-14
        assert sample.values("input", "mean").std() > 0.1  # another input in each draw
        assert np.all(sample.values("dense_2", "grad_second_moment") == 1)
    u = signs(4000, 5, generator, CPU)
    assert set(u.unique().tolist()) == {-1.0, 1.0}
    total = u.sum((0, 1))  # 5 columns of 4 000 signs, each N(0, 4 000): error rate 1e-6
    assert total.abs().max() < 5.3 * 4000**0.5


def test_duality_is_rounding(seed):
    for dtype, eps in DTYPES.items():
        network = vp.mlp(64, 6, activation="gelu", output=1)
        sample = vp.simulate(network, draws=64, seed=seed, dtype=dtype, engine="explicit")
        assert sample.duality is not None and sample.duality.shape == (64, 1)
        assert sample.duality.max() < 32 * eps


def test_duality_of_sums_that_cancel_is_rounding(seed):
    """Weights of two values make exact zeros, of which both passes see rounding alone."""
    network = vp.mlp(6, 6, weights="rademacher")
    sample = vp.simulate(network, draws=4000, seed=seed, dtype="float64", engine="explicit")
    assert sample.duality is not None and sample.duality.max() < 1e-10
