"""The same bits for every executor, chunk, number of threads and order of completion."""

from __future__ import annotations

import pickle
import threading
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor

import cloudpickle
import numpy as np
import pytest
import sympy as sp
import torch

import varprop as vp
from tests.montecarlo.bits import BLOCKS, DRAWS, arrays, assert_same_bits, make
from varprop.activations import ACTIVATIONS
from varprop.initializers import EXAMPLES
from varprop.montecarlo import conditional, explicit
from varprop.montecarlo.collect import at_work
from varprop.montecarlo.progress import Rate, bar
from varprop.montecarlo.runner import Job, check_pickle
from varprop.montecarlo.threads import one_thread_each

CPU = torch.device("cpu")
NET = vp.mlp(16, 3, activation="tanh", bias=vp.init.normal(std=0.1))
BLOCK = conditional.BLOCK


def task(network=NET, **how):
    return make(network, **how)


@pytest.fixture
def threads():
    """Sets torch's number of intra-op threads; the test's number is given back."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


class Swapped(ThreadPoolExecutor):
    """Finishes the second unit of each pair before the first; `order` is that of completion."""

    def __init__(self):
        super().__init__(2)
        self.order, self._count, self._turn = [], 0, threading.Event()

    def submit(self, fn, /, *args, **kwargs):
        number, self._count = self._count, self._count + 1
        if number % 2 == 0:
            self._turn = threading.Event()
        turn = self._turn

        def run():
            if number % 2 == 0:
                assert turn.wait(60)
            try:
                return fn(*args, **kwargs)
            finally:
                self.order.append(number)
                turn.set()

        return super().submit(run)


class Watched(Executor):
    """Runs units in a thread; `most` is the largest number that were under way at once."""

    def __init__(self, workers=None):
        self.pool, self.flight, self.most = ThreadPoolExecutor(1), set(), 0
        if workers is not None:
            self._max_workers = workers

    def submit(self, fn, /, *args, **kwargs):
        future = self.pool.submit(fn, *args, **kwargs)
        self.flight = {f for f in self.flight if not f.done()} | {future}
        self.most = max(self.most, len(self.flight))
        return future


@pytest.mark.parametrize("points", [None, 2])
def test_every_way_to_run_gives_the_same_bits(points, seed, rng, threads):
    x = None if points is None else rng.standard_normal((points, 16))
    how = {"draws": DRAWS, "seed": seed, "engine": "conditional"}
    threads(1)
    alone = vp.simulate(NET, x, **how)
    threads(3)
    assert_same_bits(alone, vp.simulate(NET, x, **how))
    assert_same_bits(alone, vp.simulate(NET, x, chunk=1, **how))
    assert_same_bits(alone, vp.simulate(NET, x, memory=2**28, **how))
    with Swapped() as swapped:
        assert_same_bits(alone, vp.simulate(NET, x, executor=swapped, **how))
    assert len(swapped.order) == 4 and swapped.order[0] == 1, "the order was to be another one"


def test_draws_stand_in_the_order_of_their_blocks(seed):
    """Each block as its engine gives it alone, at its own place."""
    sample = vp.simulate(NET, draws=DRAWS, seed=seed, engine="conditional")
    with one_thread_each():
        blocks = [
            conditional.run_block(NET, None, seed, block, CPU, dtype=torch.float32)
            for block in range(BLOCKS)
        ]
    for node, record in sample.records.items():
        alone = np.concatenate([block[node].grad_second for block in blocks])
        assert np.array_equal(record.grad_second, alone[:DRAWS])


def test_the_explicit_engine_draws_the_same_bits_for_any_number_of_draws_and_chunk(seed, threads):
    threads(1)
    network = vp.mlp(24, 4, activation="gelu", weights="xavier_uniform")
    how = {"seed": seed, "engine": "explicit"}
    long = vp.simulate(network, draws=203, **how)
    assert len(task(network, engine="explicit").units(203)) == 3
    assert_same_bits(long, vp.simulate(network, draws=203, chunk=5, **how))
    threads(3)
    assert_same_bits(long, vp.simulate(network, draws=203, **how))
    for draws in (3, 33, 97):
        short = vp.simulate(network, draws=draws, **how)
        for a, b in zip(arrays(long), arrays(short), strict=True):
            assert np.array_equal(a[:draws], b)
        assert np.array_equal(long.duality[:draws], short.duality)


def test_threads_of_the_explicit_engine_overlap_and_give_the_same_bits(seed, threads, monkeypatch):
    """Two units at once, with tangents and gradients; settings of the process are given back."""
    network = vp.mlp(24, 4, activation="gelu")
    how = {"draws": 203, "seed": seed, "engine": "explicit"}
    threads(1)
    alone = vp.simulate(network, **how)
    plain, both, names = explicit._Run.forward, threading.Barrier(2), set()

    def met(run, rows):
        name = threading.current_thread().name
        if name not in names:
            names.add(name)
            both.wait(60)
        plain(run, rows)

    monkeypatch.setattr(explicit._Run, "forward", met)
    threads(2)
    assert_same_bits(alone, together := vp.simulate(network, **how))
    assert np.array_equal(alone.duality, together.duality)
    assert len(names) == 2
    with torch.autograd.forward_ad.dual_level():  # no level was left open
        pass


def test_units_cover_the_draws_once_and_double():
    many = 50 * BLOCK
    for draws in (2, BLOCK, BLOCK + 1, many):
        units = task().units(draws)
        assert [b for unit in units for b in unit] == list(range(units[-1].stop))
        assert units[-1].start * BLOCK < draws <= units[-1].stop * BLOCK
    first, most = task().unit_sizes
    assert first == 1 and 16 < most < 50
    assert [len(u) for u in task().units(many)] == [1, 2, 4, 8, 16, most]
    assert task().units(2 * BLOCK) == task().units(many)[:2]
    wide = vp.mlp(2048, 2)
    assert {len(u) for u in task(wide).units(many)} == {1}


def test_torch_threads_are_given_back(seed, threads, monkeypatch):
    seen, plain = set(), conditional.run_block

    def watched(*args, **how):
        seen.add((torch.get_num_threads(), threading.current_thread().name.split("_")[0]))
        return plain(*args, **how)

    monkeypatch.setattr(conditional, "run_block", watched)
    threads(3)
    vp.simulate(NET, draws=DRAWS, seed=seed, engine="conditional")
    assert seen == {(1, "varprop")}
    assert torch.get_num_threads() == 3
    with ThreadPoolExecutor(1) as fresh:
        assert fresh.submit(torch.get_num_threads).result() == 3


def test_overlapping_runs_give_torch_threads_back(threads):
    threads(3)
    first_in, first_out, results = threading.Event(), threading.Event(), []

    def other():
        assert first_in.wait(60)
        with one_thread_each():
            with ThreadPoolExecutor(1) as pool:
                results.append(pool.submit(torch.get_num_threads).result())
            assert first_out.wait(60)
            with ThreadPoolExecutor(1) as pool:
                results.append(pool.submit(torch.get_num_threads).result())
        results.append(torch.get_num_threads())

    thread = threading.Thread(target=other)
    thread.start()
    with one_thread_each():
        first_in.set()
        while len(results) < 1:
            thread.join(0.01)
    first_out.set()
    assert torch.get_num_threads() == 3
    thread.join()
    assert results == [1, 1, 3]
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(torch.get_num_threads).result() == 3


@pytest.mark.parametrize(
    ("workers", "chunk", "most"),
    [(2, None, 4), (None, None, 64), (2, BLOCK, 1), (2, 3 * BLOCK + 1, 3)],
)
def test_few_units_are_under_way_at_once(workers, chunk, most, seed, monkeypatch):
    monkeypatch.setattr("varprop.montecarlo.task.MOST_BYTES", 1)
    executor = Watched(workers)
    how = {"draws": 80 * BLOCK, "engine": "conditional", "executor": executor, "chunk": chunk}
    vp.simulate(vp.mlp(4, 1), seed=seed, **how)
    assert most / 2 < executor.most <= most


def test_units_take_devices_in_turn(seed, monkeypatch):
    """Two devices of one kind, each with a thread of its own."""
    simulate = __import__("varprop.montecarlo.simulate", fromlist=["find_devices"])
    monkeypatch.setattr(simulate, "find_devices", lambda device: ("cpu:0", "cpu"))
    seen, plain = [], conditional.run_block

    def watched(*args, **how):
        seen.append((str(args[4]), threading.current_thread().name.rsplit("_", 1)[0]))
        return plain(*args, **how)

    monkeypatch.setattr(conditional, "run_block", watched)
    two = vp.simulate(NET, draws=DRAWS, seed=seed, engine="conditional")
    monkeypatch.undo()
    assert {place for place, _ in seen} == {"cpu:0", "cpu"}
    assert_same_bits(two, vp.simulate(NET, draws=DRAWS, seed=seed, engine="conditional"))


def test_a_failure_names_the_unit_and_the_seed(seed, monkeypatch):
    plain = conditional.run_block

    def failing(network, inputs, seed, block, device, **how):
        if block == 5:
            raise ZeroDivisionError("planted")
        return plain(network, inputs, seed, block, device, **how)

    monkeypatch.setattr(conditional, "run_block", failing)
    with pytest.raises(ZeroDivisionError, match="planted") as caught:
        vp.simulate(NET, draws=DRAWS, seed=seed, engine="conditional")
    notes = " ".join(caught.value.__notes__)
    place = f"networks {3 * BLOCK} to {7 * BLOCK - 1} of the sample at seed {seed}"
    assert f"while drawing {place}" in notes
    assert "nothing is kept: pass store=PATH" in notes


def test_a_failure_names_no_network_that_was_not_asked_for(seed, monkeypatch):
    def failing(*args, **how):
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(conditional, "run_block", failing)
    with pytest.raises(ZeroDivisionError) as caught:
        vp.simulate(NET, draws=4, seed=seed, engine="conditional")
    assert "while drawing networks 0 to 3 of the sample" in caught.value.__notes__[0]


@pytest.mark.parametrize("executor", [4, ThreadPoolExecutor])
def test_what_is_no_executor_is_named(executor):
    with pytest.raises(ValueError, match=r"executor must have the form .*, got .*; use concurrent"):
        vp.simulate(NET, draws=4, seed=0, executor=executor)


def test_a_lost_worker_process_is_explained(seed):
    class Broken(Executor):
        def submit(self, fn, /, *args, **kwargs):
            future = Future()
            future.set_exception(BrokenExecutor("a child process terminated abruptly"))
            return future

    with pytest.raises(BrokenExecutor, match="terminated abruptly") as caught:
        vp.simulate(NET, draws=9, seed=seed, executor=Broken())
    notes = " ".join(caught.value.__notes__)
    assert "a worker process ended before its unit did" in notes and "pass store=PATH" in notes


@pytest.mark.parametrize("how", [pickle, cloudpickle])
def test_networks_of_the_tables_can_be_sent(how):
    networks = [vp.mlp(4, 1, activation=name) for name in ACTIVATIONS]
    networks += [vp.mlp(4, 1, weights=law, bias="zeros") for law in EXAMPLES]
    x = sp.Symbol("x")
    networks.append(vp.mlp(4, 1, activation=vp.custom_activation("own", x * sp.tanh(x))))
    for function in (torch.tanh, torch.nn.functional.mish):
        own = vp.custom_activation("own", torch_function=function)
        networks.append(vp.mlp(4, 1, activation=own))
    for network in networks:
        sent = task(network, engine="auto")
        received = how.loads(how.dumps(sent))
        assert received.network == network
        assert vars(received) | {"network": 0} == vars(sent) | {"network": 0}


def test_what_cannot_be_sent_to_processes_is_named(seed):
    network = vp.mlp(4, 1, activation=vp.custom_activation("l", torch_function=lambda z: z.sin()))

    class Remote(Executor):
        """Sends by value, as Dask does."""

        def submit(self, fn, /, *args, **kwargs):
            f, a = cloudpickle.loads(cloudpickle.dumps((fn, args)))
            future = Future()
            future.set_result(f(*a))
            return future

    how = {"draws": 9, "seed": seed}
    assert_same_bits(vp.simulate(network, executor=Remote(), **how), vp.simulate(network, **how))
    with ThreadPoolExecutor(1) as pool:
        vp.simulate(network, executor=pool, **how)
    lock = threading.Lock()
    locked = vp.custom_activation("l", torch_function=lambda z: z.sin() if lock else z)
    with pytest.raises(ValueError, match=r"cannot be sent to worker processes: .*top level of a"):
        check_pickle(Remote(), task(vp.mlp(4, 1, activation=locked)))


def test_a_worker_with_another_varprop_is_refused(seed):
    other = pickle.loads(pickle.dumps(task()))
    object.__setattr__(other, "block", 64)
    with pytest.raises(RuntimeError, match=r"blocks of 64 draws.*one version of varprop on all"):
        other.run(range(1))


@pytest.mark.parametrize("points", [1, 3])
def test_what_a_draw_keeps_is_known_beforehand(points, seed, rng):
    x = rng.standard_normal((points, 16))
    sample = vp.simulate(NET, x, draws=40, seed=seed)
    kept = sum(v.nbytes for v in arrays(sample))
    assert kept == 40 * task(inputs=x).record_bytes
    assert all(v.flags.c_contiguous for v in arrays(sample))


def test_bounds_on_memory():
    job = Job("a", task(), 10**4)
    records, unit = 10**4 * job.task.record_bytes, job.task.unit_bytes
    most = job.task.unit_sizes[1]
    assert unit == job.task.block_bytes + most * BLOCK * job.task.record_bytes
    assert at_work([job], None, records + unit) == 1
    assert at_work([job], None, records + 3 * unit) == 3
    assert at_work([job], 2 * most * BLOCK, records + 3 * unit) == 2
    assert at_work([job] * 5, None, 2 * records + unit) == 1  # one ends while the next begins
    with pytest.raises(ValueError, match=r"of 10000 draws take .* memory may be used; ask for few"):
        at_work([job], None, records + unit - 1)
    with pytest.raises(ValueError, match=r"bytes of memory is free"):
        at_work([Job("a", task(), 10**12)], None, None)
    with pytest.raises(ValueError, match="memory must be a whole number of at least 1, got 0"):
        vp.simulate(NET, draws=9, seed=0, memory=0)


def test_the_rate_and_the_time_left():
    clock = iter([0.0, 2.0, 4.0, 10.0])
    rate = Rate(10_000, "draws", lambda: next(clock))
    assert rate.after(1000, counted=False) == ""
    assert rate.after(1000) == "250 draws/s, 0:00:32 left"  # 1000 in 4 s; 8000 more
    assert rate.after(1000) == "200 draws/s, 0:00:35 left"


def test_the_bar_is_silent_off_terminals_and_shown_on_demand(capsys):
    with bar("drawing", 10, "draws", None) as advance:
        advance(10)
    assert capsys.readouterr() == ("", "")
    with bar("drawing", 10, "draws", True) as advance:
        advance(5)
        advance(5)
    shown = capsys.readouterr()
    assert not shown.out and "drawing" in shown.err and "10/10" in shown.err
