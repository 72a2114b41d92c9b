"""measure: the same numbers as the explicit engine, and nothing of the module changed."""

import itertools
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import fields

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

import varprop as vp
from varprop.montecarlo.explicit import draw_blocks, run_blocks
from varprop.montecarlo.record import Record
from varprop.montecarlo.weights import BLOCK
from varprop.torch_modules.trace import traced

trace_module = sys.modules["varprop.torch_modules.trace"]  # the package has a function of that name

CPU = torch.device("cpu")


class Block(nn.Module):
    """x + W2 gelu(W1 x) / 2, then a readout of the tanh of it."""

    def __init__(self, n=6, out=3):
        super().__init__()
        self.up, self.down, self.out = nn.Linear(n, 8), nn.Linear(8, n, bias=False), None
        self.drop, self.read = nn.Dropout(0.5), nn.Linear(n, out)

    def forward(self, x):
        x = x + self.down(self.drop(nn.functional.gelu(self.up(x)))) * 0.5
        return self.read(torch.tanh(x))


@pytest.fixture(scope="module")
def network():
    return vp.trace(Block())


def fields_of(records, draws):
    for name, record in records.items():
        for field in fields(Record):
            yield name, field.name, getattr(record, field.name)[:draws]


@pytest.mark.parametrize("points", [0, 3])
def test_the_networks_of_the_explicit_engine_have_its_records(network, rng, seed, points):
    """The same weights, inputs, tangents and cotangents, through another computation."""
    x = rng.normal(size=(points, 6)) if points else None
    seed = seed % 2**20
    expected, _ = run_blocks(network, x, seed, range(2), CPU, torch.float64)
    weights = draw_blocks(network, x, seed, range(2), CPU, torch.float64)[3]
    draws, modules = BLOCK + 2, []
    for k in range(draws):
        module = Block().double()
        names = {p: n for n, p in network.modules.items() if n.startswith("dense")}
        with torch.no_grad():
            for path, name in names.items():
                layer, (weight, *bias) = module.get_submodule(path), weights[name]
                layer.weight.copy_(weight[k])
                if bias:
                    layer.bias.copy_(bias[0][k, 0])
        modules.append(module)
    one_after_another = iter(modules)
    sample = vp.measure(lambda: next(one_after_another), x, network=network, draws=draws, seed=seed)
    assert (sample.engine, sample.dtype, sample.device) == ("module", "float64", "cpu")
    assert sample.duality.max() < 1e-13
    for name, field, value in fields_of(expected, draws):
        found = getattr(sample.records[name], field)
        np.testing.assert_allclose(found, value, rtol=1e-11, atol=1e-13, err_msg=f"{name} {field}")


@pytest.mark.statistical
def test_fresh_modules_are_drawn_from_the_laws_of_the_network(network, seed):
    """Two-sample Kolmogorov-Smirnov, 6 tests at 1e-6 in all."""
    modules = vp.measure(Block, network=network, draws=200, seed=seed)
    engine = vp.simulate(network, draws=600, seed=seed + 1, engine="explicit")
    pairs = [(n, q) for n in ("dense_1", "add_1", "tanh_1") for q in ("mean", "grad_second_moment")]
    for node, quantity in pairs:
        one, other = (s.values(node, quantity)[:, 0] for s in (modules, engine))
        assert stats.ks_2samp(one, other).pvalue > 1e-6 / len(pairs), (node, quantity)


def test_nothing_of_the_module_changes(network):
    module = Block()
    module.drop.eval()
    before, modes = deepcopy(module.state_dict()), [part.training for part in module.modules()]
    state = torch.get_rng_state()
    vp.measure(module, np.ones((2, 6)), network=network)
    assert [part.training for part in module.modules()] == modes
    assert all(torch.equal(before[name], t) for name, t in module.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in module.parameters())
    assert torch.equal(torch.get_rng_state(), state)


class Counting(Block):
    """Writes buffers in every forward: in place, by a new tensor, and one of a new name."""

    def __init__(self, act=torch.tanh):
        super().__init__()
        self.act = act
        self.register_buffer("calls", torch.zeros(()))
        self.register_buffer("seen", torch.full((6,), torch.nan))
        self.register_buffer("none", None)

    def forward(self, x):
        self.calls += 1
        self.seen = x.mean(0)
        self.register_buffer("late", x.sum())
        return self.read(self.act(x))


def test_buffers_that_a_forward_writes_are_as_they_were():
    module = Counting()
    calls, seen = module.calls, module.seen
    network = vp.trace(module)
    vp.measure(module, np.ones((2, 6)), network=network)
    assert module.calls is calls and calls == 0
    assert module.seen is seen and seen.isnan().all()
    assert [name for name, _ in module.named_buffers()] == ["calls", "seen"]
    assert "none" in module._buffers and "late" not in module._buffers


@pytest.fixture
def traces(monkeypatch):
    """The modules that were traced."""
    found, plain = [], trace_module.exported

    def counted(module, *rest):
        found.append(module)
        return plain(module, *rest)

    monkeypatch.setattr(trace_module, "exported", counted)
    return found


def test_a_module_like_the_traced_one_is_not_traced_again(traces):
    module = Block()
    network = vp.trace(module)
    records = [vp.measure(m, network=network, seed=3) for m in (module, lambda: deepcopy(module))]
    assert traces == [module]
    sent = pickle.loads(pickle.dumps(network))
    assert sent == network and sent.modules == network.modules
    records.append(vp.measure(module, network=sent, seed=3))
    assert len(traces) == 2
    first, *others = (list(fields_of(r.records, 1)) for r in records)
    for other in others:
        for (*_, a), (*_, b) in zip(first, other, strict=True):
            np.testing.assert_array_equal(a, b)


def changed_part():
    module = nn.Sequential(nn.Linear(6, 6), nn.ReLU())
    network = vp.trace(module)
    module[1] = nn.ReLU6()  # the same values where none is above 6
    return module, network


def changed_function():
    return Counting(torch.sin), vp.trace(Counting())


def changed_depth():
    module = nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 6))
    network = vp.trace(module[:3])
    return module, network


@pytest.mark.parametrize("change", [changed_part, changed_function, changed_depth])
def test_a_module_unlike_the_traced_one_is_traced_again(change, traces):
    module, network = change()
    with pytest.raises(ValueError, match=r"is of another network: (node \S+_1 of|\d nodes)"):
        vp.measure(module, network=network)
    assert traces[-1] is module


def test_a_format_of_its_own_is_traced_again(traces):
    network = vp.trace(Block())
    assert vp.measure(Block().double(), network=network).dtype == "float64"
    assert len(traces) == 2


def test_modules_are_made_from_the_seed_alone(network):
    def records(draws, seed):
        state = torch.get_rng_state()
        sample = vp.measure(Block, network=network, draws=draws, seed=seed)
        assert torch.equal(torch.get_rng_state(), state)
        torch.rand(1)
        return sample.values("dense_3", "second_moment")

    first = records(4, 7)
    assert np.array_equal(first[:2], records(2, 7))
    assert not np.any(np.isin(records(4, 8), first))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_a_module_computes_in_its_own_format(network, dtype):
    module = Block().to(dtype)
    x = np.linspace(-1, 1, 6)
    sample = vp.measure(module, x, network=network)
    exact = vp.measure(deepcopy(module).double(), x, network=network)
    assert sample.dtype == str(dtype).removeprefix("torch.")
    for node, quantity in (("dense_3", "second_moment"), ("dense_1", "grad_second_moment")):
        value, found = (s.values(node, quantity)[0, 0] for s in (exact, sample))
        assert 0 < abs(found - value) < 60 * torch.finfo(dtype).eps * value


def test_threads_measure_what_one_measures(network):
    """torch.export and the default generators are those of the whole process."""

    def one(seed):
        return vp.measure(Block, network=network, draws=3, seed=seed).values(
            "tanh_1", "second_moment"
        )

    alone, state = [one(seed) for seed in range(6)], torch.get_rng_state()
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(one, range(6)))
    np.testing.assert_array_equal(together, alone)
    assert torch.equal(torch.get_rng_state(), state)


def test_one_network_has_no_standard_error(network):
    frame = vp.measure(Block(), network=network).frame()
    assert frame["standard_error"].isna().all() and not frame["trusted"].any()


def test_each_node_is_computed_by_the_operation_of_the_module():
    """Slopes and factors are read off the module, not off the network that it is held against."""
    x = np.array([[1.0, -2.0, 3.0, -4.0]])
    made = nn.Sequential(nn.Linear(4, 4), nn.LeakyReLU(0.2), nn.Linear(4, 2))
    told = nn.Sequential(nn.Linear(4, 4), nn.LeakyReLU(0.01), nn.Linear(4, 2))
    sample = vp.measure(made, x, network=vp.trace(told))
    with torch.no_grad():
        value = made[:2](torch.tensor(x, dtype=torch.float32)).double().numpy()
    assert sample.values("leaky_relu_1", "second_moment")[0, 0] == pytest.approx(np.mean(value**2))


def broken(module, value=float("nan")):
    module.read.weight.data[0, 0] = value
    return module


def one_bias_less():
    """A function that makes a block, then one without the last bias."""
    made = [Block(), Block()]
    made[1].read.bias = None
    return iter(made).__next__


class ByCount(Block):
    def forward(self, x):
        return super().forward(x) if len(x) < 3 else super().forward(-x)


SAME = Block()


def with_one_layer_of_all(net):
    def make():
        module = Block()
        module.read = SAME.read
        return module

    return vp.measure(make, network=net, draws=2)


def seeded_by_turns(net):
    seeds = itertools.cycle((0, 1))

    def make():
        torch.manual_seed(next(seeds))
        return Block()

    return vp.measure(make, network=net, draws=3)


def without_gradients(net):
    with torch.inference_mode():
        module = Block()
    return vp.measure(module, network=net)


BAD = {
    r"Block is of another network: node dense_1 of size 6 against dense_1 of size 8 in": (
        lambda net: vp.measure(Block(), network=vp.mlp(6, 2))
    ),
    r"Linear is of another network: 8 nodes against 2 in the module": (
        lambda net: vp.measure(nn.Linear(6, 8), network=net)
    ),
    r"one module is one network drawn, got draws=3; pass a function.*lambda: Block": (
        lambda net: vp.measure(Block(), network=net, draws=3)
    ),
    r"draw 1 has the parameters of draw 0; pass a function that makes a fresh": (
        lambda net: vp.measure(lambda: SAME, network=net, draws=2)
    ),
    r"draw 1 has read.weight, of node dense_3, of draw 0; every call must": with_one_layer_of_all,
    r"draw 2 has \S+.weight, of node dense_1, of draw 0; every call must draw all": seeded_by_turns,
    r"must be made outside of torch.inference_mode, got \S+ from inside": without_gradients,
    r"draw 1 has other parameters than draw 0": (
        lambda net: vp.measure(one_bias_less(), network=net, draws=2)
    ),
    r"a torch.nn.Module is needed, got int": lambda net: vp.measure(3, network=net),
    r"a torch.nn.Module is needed, got NoneType": (
        lambda net: vp.measure(lambda: None, network=net)
    ),
    r"a varprop Network is needed, got str": lambda net: vp.measure(Block(), network="mlp"),
    r"draws must be a whole number of at least 1, got 0": (
        lambda net: vp.measure(Block, network=net, draws=0)
    ),
    r"inputs must have shape \(points, 6\) for this network, got \(2, 5\)": (
        lambda net: vp.measure(Block(), np.ones((2, 5)), network=net)
    ),
    r"read.weight, of node dense_3, has values that are not finite in draw 0": (
        lambda net: vp.measure(broken(Block()), network=net)
    ),
    r"must be on 'cpu' or 'cuda' to be measured, got meta": (
        lambda net: vp.measure(Block().to("meta"), network=net)
    ),
    r"ByCount computes something else than was traced: relative difference": (
        lambda net: vp.measure(ByCount(), np.ones((3, 6)), network=net)
    ),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_input_is_named(message, network):
    with pytest.raises(ValueError, match=message):
        BAD[message](network)


@pytest.mark.gpu
def test_a_module_on_a_gpu_is_measured_there(network):
    x = np.linspace(-1, 1, 12).reshape(2, 6)
    module = Block().double()
    here = vp.measure(module, x, network=network)
    there = vp.measure(deepcopy(module).cuda(), x, network=network)
    assert there.device.startswith("cuda")
    first = here.values("dense_3", "second_moment")
    assert there.values("dense_3", "second_moment") == pytest.approx(first, rel=1e-12)


def test_the_traced_operations_are_those_of_the_forward_pass(network):
    module = Block().double().eval()
    x = torch.linspace(-1, 1, 12, dtype=torch.float64).reshape(2, 6)
    read = traced(module, 6)
    values = {read.input: x}
    tensors = dict(module.named_parameters())
    for node, reads, own, call in read.program.operations:
        values[node] = call(*(values[r] for r in reads), *(tensors[n] for n in own))
    assert torch.equal(values[read.output], module(x))
