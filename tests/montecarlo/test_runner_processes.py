"""Worker processes: a pool of them, and Dask's, where one is killed in the middle."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import numpy as np
import pytest
import torch

import varprop as vp
from varprop.montecarlo import conditional

NET = vp.mlp(64, 9)
HOW = {"draws": 1500, "engine": "conditional"}


def assert_same_bits(a, b):
    for name, record in a.records.items():
        for field, values in vars(record).items():
            assert np.array_equal(values, getattr(b.records[name], field)), (name, field)


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


def test_a_pool_of_processes_and_the_loss_of_one(tmp_path, seed):
    alone = vp.simulate(NET, seed=seed, **HOW)
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert_same_bits(alone, vp.simulate(NET, seed=seed, executor=pool, **HOW))
        assert pool.submit(torch.get_num_threads).result() == 1
        vp.simulate(NET, seed=seed, draws=200, engine="conditional", store=tmp_path, executor=pool)
        pool.submit(os._exit, 9)
        with pytest.raises(BrokenProcessPool) as caught:
            vp.simulate(NET, seed=seed, executor=pool, store=tmp_path, **HOW)
    place, lost, kept = caught.value.__notes__
    assert f"of the sample at seed {seed}" in place
    assert "a worker process ended before its unit did" in lost
    assert f"units are kept in {tmp_path}; the same call goes on from there" in kept
    files = list(tmp_path.glob("*/*.npz"))
    assert len(files) >= 2
    assert_same_bits(alone, vp.simulate(NET, seed=seed, store=tmp_path, **HOW))


def test_dask_in_threads(local_cluster, seed):
    client = local_cluster(processes=False, n_workers=1, threads_per_worker=2)
    found = vp.simulate(NET, seed=seed, executor=client.get_executor(), **HOW)
    assert_same_bits(found, vp.simulate(NET, seed=seed, **HOW))


def slowed(plain):
    def run_block(*args):
        time.sleep(0.1)
        return plain(*args)

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
    how = {"draws": 8000, "engine": "conditional", "seed": seed}
    found = vp.simulate(NET, executor=client.get_executor(), store=tmp_path / "store", **how)
    killer.join()
    assert at_the_kill[0] + 10 < landed()
    assert killed not in client.run(os.getpid).values()
    assert_same_bits(found, vp.simulate(NET, **how))
