"""The store: nothing lost, nothing drawn twice, nothing trusted that is corrupt or foreign."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

import varprop as vp
from tests.montecarlo.bits import BLOCKS, DRAWS, SMALL, arrays, assert_same_bits, make
from varprop.montecarlo import conditional, store
from varprop.montecarlo.runner import Here
from varprop.montecarlo.simulate import make_task
from varprop.montecarlo.store import STALE, Folder, replace_file

NET = SMALL
HOW = {"draws": DRAWS, "engine": "conditional"}


def task(network=NET, **how):
    return make(network, **how)


@pytest.fixture
def drawn(monkeypatch):
    """The blocks that the conditional engine draws from now on."""
    blocks, plain = [], conditional.run_block

    def counted(network, inputs, seed, block, device, **how):
        blocks.append(block)
        return plain(network, inputs, seed, block, device, **how)

    monkeypatch.setattr(conditional, "run_block", counted)
    return blocks


def test_a_finished_run_is_read_and_a_longer_one_goes_on(tmp_path, seed, drawn):
    few = conditional.BLOCK + 44
    fresh = vp.simulate(NET, seed=seed, **HOW)
    assert sorted(drawn) == list(range(BLOCKS + 3))
    drawn.clear()
    first = vp.simulate(NET, seed=seed, draws=few, engine="conditional", store=tmp_path)
    assert sorted(drawn) == [0, 1, 2]
    drawn.clear()
    longer = vp.simulate(NET, seed=seed, store=tmp_path, **HOW)
    assert sorted(drawn) == list(range(3, BLOCKS + 3))
    drawn.clear()
    again = vp.simulate(NET, seed=seed, store=str(tmp_path), **HOW)
    assert not drawn
    assert_same_bits(fresh, longer)
    assert_same_bits(fresh, again)
    for a, b in zip(arrays(first), arrays(fresh), strict=True):
        assert np.array_equal(a, b[:few])


def test_the_explicit_engine_keeps_its_defects_too(tmp_path, seed):
    how = {"draws": 50, "seed": seed, "engine": "explicit", "store": tmp_path}
    fresh, kept = vp.simulate(NET, **how), vp.simulate(NET, **how)
    assert_same_bits(fresh, kept)
    assert np.array_equal(fresh.duality, kept.duality)


CHILD = textwrap.dedent(
    """
    import sys, time
    import varprop as vp
    from varprop.montecarlo import conditional

    plain = conditional.run_block
    def slow(*args, **how):
        time.sleep(0.05)
        return plain(*args, **how)
    conditional.run_block = slow
    vp.simulate(vp.mlp(12, 2), draws=8000, seed=int(sys.argv[2]), engine="conditional",
                store=sys.argv[1])
    """
)


def test_kill_nine_and_resume(tmp_path, seed, drawn, monkeypatch):
    """Killed in the middle; the same call draws the rest alone, and the result is the same."""
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path), str(seed)])
    try:
        deadline = time.monotonic() + 120
        while len(list(tmp_path.glob("*/*.npz"))) < 4:
            assert child.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        child.kill()
    assert child.wait() == -signal.SIGKILL
    network, how = NET, {"draws": 8000, "seed": seed, "engine": "conditional"}
    units = task(network, seed=seed).units(8000)
    folder = Folder.of(tmp_path, task(network, seed=seed))
    missing = [unit for unit in units if not folder.file(unit).exists()]
    assert 0 < len(missing) < len(units)
    resumed = vp.simulate(network, store=tmp_path, **how)
    assert sorted(drawn) == sorted(block for unit in missing for block in unit)
    assert_same_bits(resumed, vp.simulate(network, **how))


def test_an_interrupt_keeps_what_is_finished_and_says_how_to_go_on(tmp_path, seed, monkeypatch):
    plain = conditional.run_block

    def interrupted(network, inputs, seed, block, device, **how):
        if block == 9:
            signal.raise_signal(signal.SIGINT)
        return plain(network, inputs, seed, block, device, **how)

    monkeypatch.setattr(conditional, "run_block", interrupted)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # units in the thread that gets the signal
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may ignore it
    try:
        with pytest.raises(KeyboardInterrupt) as caught:
            vp.simulate(NET, seed=seed, store=tmp_path, **HOW)
        assert torch.get_num_threads() == 1
    finally:
        signal.signal(signal.SIGINT, handler)
        torch.set_num_threads(threads)
    (note,) = caught.value.__notes__
    assert note == f"3 of 4 units are kept in {tmp_path}; the same call goes on from there"
    monkeypatch.undo()
    resumed = vp.simulate(NET, seed=seed, store=tmp_path, **HOW)
    assert_same_bits(resumed, vp.simulate(NET, seed=seed, **HOW))


@pytest.fixture
def block_1_fails(monkeypatch):
    plain = conditional.run_block

    def failing(network, inputs, seed, block, device, **how):
        if block == 1:
            raise ZeroDivisionError("planted")
        return plain(network, inputs, seed, block, device, **how)

    monkeypatch.setattr(conditional, "run_block", failing)


def test_a_failed_unit_loses_no_other(tmp_path, seed, block_1_fails):
    with pytest.raises(ZeroDivisionError) as caught:
        vp.simulate(NET, seed=seed, store=tmp_path, **HOW)
    assert f"kept in {tmp_path}" in caught.value.__notes__[-1]
    assert list(tmp_path.glob("*/000000-000001.npz"))


def test_units_that_finished_while_another_failed_are_kept(tmp_path, seed, block_1_fails):
    class AtOnce(Here):
        _max_workers = 2  # all four units are done before the first is looked at

    with pytest.raises(ZeroDivisionError) as caught:
        vp.simulate(NET, seed=seed, store=tmp_path, executor=AtOnce(), **HOW)
    assert caught.value.__notes__[-1].startswith("3 of 4 units are kept")


def test_two_runs_at_once_do_not_harm_each_other(tmp_path, seed):
    alone = vp.simulate(NET, seed=seed, **HOW)
    found, barrier = [], threading.Barrier(3)

    def run():
        barrier.wait()
        found.append(vp.simulate(NET, seed=seed, store=tmp_path, **HOW))

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for sample in (*found, vp.simulate(NET, seed=seed, store=tmp_path, **HOW)):
        assert_same_bits(alone, sample)
    assert len(found) == 3 and len(list(tmp_path.glob("*/*.npz"))) == 4
    assert not list(tmp_path.glob("*/*.part"))


def test_files_are_the_same_whoever_writes_them(tmp_path, seed):
    for place in ("a", "b"):
        vp.simulate(NET, seed=seed, store=tmp_path / place, **HOW)
    for file in (tmp_path / "a").rglob("*"):
        if file.is_file():
            twin = tmp_path / "b" / file.relative_to(tmp_path / "a")
            assert file.read_bytes() == twin.read_bytes()


def flipped(data, place):
    at = int(place * (len(data) - 1))
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@pytest.mark.parametrize(
    "spoil",
    [lambda d, p=p: flipped(d, p) for p in (0, 0.001, 0.3, 0.7, 0.99, 1)]
    + [lambda d: d[:-1], lambda d: d[: len(d) // 2], lambda d: b"", lambda d: d + b"x"],
)
def test_a_corrupt_file_is_named_and_refused(spoil, tmp_path, seed):
    vp.simulate(NET, seed=seed, store=tmp_path, **HOW)
    file = next(tmp_path.glob("*/000003-000007.npz"))
    good = file.read_bytes()
    file.write_bytes(spoil(good))
    with pytest.raises(ValueError, match=r"000003-000007\.npz is corrupt.*remove it, and the same"):
        vp.simulate(NET, seed=seed, store=tmp_path, **HOW)
    file.unlink()
    vp.simulate(NET, seed=seed, store=tmp_path, **HOW)
    assert file.read_bytes() == good


def test_a_foreign_file_is_named_and_refused(tmp_path, seed):
    how = {"store": tmp_path} | HOW
    vp.simulate(NET, seed=seed, **how)
    here = Folder.of(tmp_path, task(seed=seed)).path
    vp.simulate(NET, seed=seed + 1, **how)
    there = Folder.of(tmp_path, task(seed=seed + 1)).path
    words = r"000000-000001\.npz is foreign.*remove it, and the same call draws"
    for stranger in (there / "000000-000001.npz", here / "000001-000003.npz"):
        good = (here / "000000-000001.npz").read_bytes()
        (here / "000000-000001.npz").write_bytes(stranger.read_bytes())
        with pytest.raises(ValueError, match=words):
            vp.simulate(NET, seed=seed, **how)
        (here / "000000-000001.npz").write_bytes(good)
    vp.simulate(NET, seed=seed, **how)
    about = here / "experiment.json"
    about.write_text(about.read_text().replace("conditional", "explicit"))
    with pytest.raises(ValueError, match=r"experiment\.json does not describe the experiment"):
        vp.simulate(NET, seed=seed, **how)


def test_a_file_in_place_of_the_store_is_named(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(ValueError, match=r"a store is a directory, and .*taken is a file"):
        vp.simulate(NET, seed=0, store=tmp_path / "taken", **HOW)
    with pytest.raises(ValueError, match=r"a store is a directory, and .*taken is a file; name an"):
        vp.simulate(NET, seed=0, store=tmp_path / "taken" / "below", **HOW)
    with pytest.raises(ValueError, match="store must be the path of a directory, got 4; name one"):
        vp.simulate(NET, seed=0, store=4, **HOW)


def test_what_stands_in_place_of_a_file_is_named(tmp_path):
    folder = Folder.of(tmp_path, task())
    folder.file(range(1)).mkdir()
    with pytest.raises(ValueError, match=r"000000-000001\.npz is a directory.*remove it, and the"):
        folder.read(range(1))
    about = folder.path / "experiment.json"
    about.write_bytes(b"\xff\x00")
    words = r"experiment\.json does not describe the experiment.*remove .* or use another store"
    with pytest.raises(ValueError, match=words):
        Folder.of(tmp_path, task())
    about.unlink()
    about.mkdir()
    with pytest.raises(ValueError, match=words):
        Folder.of(tmp_path, task())


def test_other_code_has_another_place(tmp_path, monkeypatch):
    before = Folder.of(tmp_path, task()).path
    monkeypatch.setattr(store, "code_hash", lambda: "other")
    assert Folder.of(tmp_path, task()).path != before


def test_the_hash_of_the_code_changes_with_every_source_and_with_nothing_else(tmp_path):
    home, found = tmp_path / "a", set()
    for folder in store.CODE:
        (home / folder / "table").mkdir(parents=True)
    files = [home / folder / "table" / "one.py" for folder in store.CODE]
    files += [home / name for name in store.FILES]
    for file in files:
        file.write_text("x = 1\n")
    hashed = store.code_hash.__wrapped__
    first = hashed(home)
    (home / "montecarlo" / "notes.txt").write_text("")
    assert hashed(home) == first == hashed(home.rename(tmp_path / "b"))
    for file in files:
        moved = tmp_path / "b" / file.relative_to(home)
        moved.write_text("x = 2\n")
        found.add(hashed(tmp_path / "b"))
    assert len(found | {first}) == len(files) + 1
    assert all((store.HOME / name).exists() for name in (*store.CODE, *store.FILES))


def test_the_folder_says_what_it_holds(tmp_path, seed):
    vp.simulate(NET, np.ones((1, 12)), seed=seed, store=tmp_path, **HOW)
    about = json.loads(next(tmp_path.glob("*/experiment.json")).read_text())
    assert about["seed"] == seed and about["engine"] == "conditional"
    assert about["network"]["nodes"][2][0] == "relu_1"
    assert about["inputs"]["shape"] == [1, 12] and about["torch"] in torch.__version__
    with np.load(next(tmp_path.glob("*/*-000001.npz")), allow_pickle=False) as plain:
        assert plain["mean"].shape == (len(NET.nodes), conditional.BLOCK, 1)


def test_whatever_changes_the_draws_changes_the_place(tmp_path):
    x = np.ones((1, 12))
    tasks = [
        task(),
        task(seed=1),
        task(inputs=x),
        task(inputs=2 * x),
        task(inputs=np.ones((2, 12))),
        task(engine="explicit"),
        task(engine="explicit", dtype="float64"),
        make_task(NET, None, 0, "cpu", "float32", "explicit", False),
        task(vp.mlp(12, 3)),
        replace(task(), backward=False),
    ]
    assert len({Folder.of(tmp_path, t).path for t in tasks}) == len(tasks)
    assert Folder.of(tmp_path, task()) == Folder.of(tmp_path, task(vp.mlp(12, 2)))


def test_a_write_that_fails_leaves_nothing(tmp_path, monkeypatch):
    def broken(*args):
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", broken)
    with pytest.raises(OSError, match="no space left"):
        replace_file(tmp_path / "a.npz", b"data")
    assert not list(tmp_path.iterdir())


def test_old_unfinished_files_are_removed_and_young_ones_left(tmp_path):
    folder = Folder.of(tmp_path, task())
    old, young = folder.path / "a.npz.part", folder.path / "b.npz.part"
    for part in (old, young):
        part.write_text("")
    long_ago = time.time() - STALE - 60
    os.utime(old, (long_ago, long_ago))
    Folder.of(tmp_path, task())
    assert not old.exists() and young.exists()
