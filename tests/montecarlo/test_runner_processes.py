"""Worker processes: a pool of them, and Dask's, where one is killed in the middle."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import pytest
import sympy as sp
import torch

import varprop as vp
from tests.montecarlo.bits import DRAWS, SMALL, assert_same_bits
from varprop.activations import ACTIVATIONS, X
from varprop.initializers import EXAMPLES
from varprop.montecarlo import conditional
from varprop.montecarlo.describe import describe

NET = vp.mlp(64, 9)
HOW = {"draws": DRAWS, "engine": "conditional"}


@pytest.fixture
def local_cluster(tmp_path):
    """Dask clusters on this machine; each is closed after the test."""
    from contextlib import ExitStack

    from dask.distributed import Client, LocalCluster

    with ExitStack() as stack:

        def start(**how):
            cluster = LocalCluster(
                dashboard_address=None, local_directory=str(tmp_path / "dask"), **how
            )
            return stack.enter_context(Client(stack.enter_context(cluster)))

        yield start


@pytest.fixture(scope="module")
def find_pool():
    """The pool of one process of this module, or a new one where it broke; sets have another order
    in its process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONHASHSEED", "4242")
        pools = []

        def find():
            if not pools or pools[-1]._broken:
                pools.append(ProcessPoolExecutor(1, multiprocessing.get_context("spawn")))
            return pools[-1]

        yield find
        for pool in pools:
            pool.shutdown()


def test_a_pool_of_processes_gives_the_same_bits(find_pool, seed):
    alone = vp.simulate(SMALL, seed=seed, **HOW)
    assert_same_bits(alone, vp.simulate(SMALL, seed=seed, executor=find_pool(), **HOW))
    assert find_pool().submit(torch.get_num_threads).result() == 1
    explicit = {"draws": 100, "seed": seed, "engine": "explicit", "executor": find_pool()}
    found = vp.simulate(SMALL, **explicit)
    assert_same_bits(found, vp.simulate(SMALL, **(explicit | {"executor": None})))


def test_a_description_is_that_of_every_other_process(find_pool):
    own = vp.custom_activation("own", torch_function=torch.nn.functional.mish)
    both = vp.custom_activation("both", X * sp.tanh(X) + sp.Max(X, 0, X**3 - 1))
    networks = [vp.mlp(4, 1, activation=a) for a in (*ACTIVATIONS, own, both)]
    networks += [vp.mlp(4, 1, weights=law) for law in EXAMPLES]
    there = list(find_pool().map(describe, networks, chunksize=50))
    assert there == [describe(network) for network in networks]
    assert find_pool().submit(hash, "a").result() != hash("a"), "the orders were to differ"


def test_the_loss_of_a_process_is_explained_and_made_good(find_pool, tmp_path, seed):
    how = {"seed": seed, "engine": "conditional", "store": tmp_path}
    pool = find_pool()
    vp.simulate(SMALL, draws=2 * conditional.BLOCK, executor=pool, **how)
    pool.submit(os._exit, 9)
    with pytest.raises(BrokenProcessPool) as caught:
        vp.simulate(SMALL, draws=DRAWS, executor=pool, **how)
    place, lost, kept = caught.value.__notes__
    assert f"of the sample at seed {seed}" in place
    assert "a worker process ended before its unit did" in lost
    assert f"units are kept in {tmp_path}; the same call goes on from there" in kept
    assert len(list(tmp_path.glob("*/*.npz"))) >= 2
    resumed = vp.simulate(SMALL, draws=DRAWS, **how)
    assert_same_bits(resumed, vp.simulate(SMALL, draws=DRAWS, seed=seed, engine="conditional"))


def test_dask_in_threads(local_cluster, seed):
    client = local_cluster(processes=False, n_workers=1, threads_per_worker=2)
    found = vp.simulate(SMALL, seed=seed, executor=client.get_executor(), **HOW)
    assert_same_bits(found, vp.simulate(SMALL, seed=seed, **HOW))


def slowed(plain):
    def run_block(*args, **how):
        time.sleep(0.1)
        return plain(*args, **how)

    return run_block


def slow_down():
    conditional.run_block = slowed(conditional.run_block)


@pytest.mark.slow
def test_dask_loses_a_worker_process_and_no_draw(local_cluster, tmp_path, seed):
    """Three workers, one killed once three units have landed: its units are drawn elsewhere."""
    client = local_cluster(processes=True, n_workers=3, threads_per_worker=1)
    client.run(slow_down)
    pids = client.run(os.getpid)
    killed = min(pids.values())

    def landed():
        return len(list(tmp_path.glob("store/*/*.npz")))

    def kill():
        while landed() < 3:
            time.sleep(0.01)
        os.kill(killed, signal.SIGKILL)
        at_the_kill.append(landed())

    at_the_kill = []
    killer = threading.Thread(target=kill)
    killer.start()
    how = {"draws": 100 * conditional.BLOCK, "engine": "conditional", "seed": seed}
    found = vp.simulate(NET, executor=client.get_executor(), store=tmp_path / "store", **how)
    killer.join()
    assert at_the_kill[0] + 10 < landed()
    assert killed not in client.run(os.getpid).values()
    assert_same_bits(found, vp.simulate(NET, **how))
