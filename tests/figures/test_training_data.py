"""The images of the training experiments: exact, signed, and never another set in silence."""

from __future__ import annotations

import builtins

import numpy as np
import pytest
import torch

from figures.training import cifar10, data, digits, load

NAMES = (*(f"data_batch_{k}.bin" for k in range(1, 6)), "test_batch.bin")


@pytest.fixture
def folder(tmp_path, rng):
    """Six files of CIFAR-10's binary format, 7 records each."""
    for name in NAMES:
        records = rng.integers(0, 256, (7, 3073), dtype=np.uint8)
        records[:, 0] = rng.integers(0, 10, 7)
        (tmp_path / name).write_bytes(records.tobytes())
    return tmp_path


def test_digits_are_all_of_scikit_learns_once():
    from sklearn.datasets import load_digits

    found = digits()
    assert len(found.train) == 1437 and len(found.test) == 360
    both = torch.cat([found.train, found.test]).flatten(1).double()
    raw, labels = load_digits(return_X_y=True)
    scale, shift = np.polyfit([both.min().item(), both.max().item()], [0, 16], 1)
    ours = np.rint(both.numpy() * scale + shift)
    known = torch.cat([found.train_labels, found.test_labels]).numpy()
    rows = lambda images, of: sorted(map(tuple, np.column_stack([images, of]).astype(int)))  # noqa: E731
    assert rows(ours, known) == rows(raw, labels)
    assert abs(found.train.mean()) < 1e-5 and abs(found.train.std() - 1) < 1e-3


def test_the_split_and_the_digest_are_the_same_each_time():
    one, two = digits(), load("digits")
    assert one.digest == two.digest and torch.equal(one.train, two.train)


def test_images_of_cifar_are_planes_by_rows_and_scaled_by_channel(folder):
    found = cifar10(folder, incomplete=True)
    assert found.train.shape == (35, 3, 32, 32) and found.test.shape == (7, 3, 32, 32)
    assert found.train.dtype == torch.float32 and found.shape == (3, 32, 32)
    raw = (folder / "data_batch_2.bin").read_bytes()
    image, channel, row, column = 3, 2, 5, 17
    byte = raw[image * 3073 + 1 + channel * 1024 + row * 32 + column]
    planes = [
        (folder / name).read_bytes()[k * 3073 + 1 + channel * 1024 :][:1024]
        for name in NAMES[:5]
        for k in range(7)
    ]
    values = np.frombuffer(b"".join(planes), np.uint8).astype(float)
    scaled = (byte - values.mean()) / values.std()
    assert found.train[7 + image, channel, row, column].item() == pytest.approx(scaled, abs=1e-5)
    assert found.train_labels[7 + image] == raw[image * 3073]
    torch.testing.assert_close(found.train.mean((0, 2, 3)), torch.zeros(3), atol=1e-4, rtol=0)


def test_a_part_is_called_one_and_has_to_be_asked_for(folder):
    found = cifar10(folder, incomplete=True)
    assert "INCOMPLETE" in found.note and "35 to train, 7 to validate" in found.note
    assert found.name == "part of CIFAR-10"
    for read in (cifar10, load):
        with pytest.raises(ValueError, match=r"data_batch_1\.bin must have 10000 records of 3073"):
            read(folder)


def test_the_whole_set_is_taken_as_it_is(folder, monkeypatch):
    monkeypatch.setattr(data, "RECORDS", 7)
    found = load(str(folder))
    assert found.name == "CIFAR-10" and "INCOMPLETE" not in found.note


def test_one_other_pixel_is_another_digest(folder):
    before = cifar10(folder, incomplete=True).digest
    path = folder / "test_batch.bin"
    changed = bytearray(path.read_bytes())
    changed[100] ^= 1
    path.write_bytes(changed)
    assert cifar10(folder, incomplete=True).digest != before


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: path.unlink(), "cannot be read .*: give the folder that holds"),
        (lambda path: path.write_bytes(b""), "10000 records of 3073 bytes, .* got 0 bytes"),
        (lambda path: path.write_bytes(b"0" * 4000), "got 4000 bytes: download the binary version"),
        (lambda path: path.write_bytes(b"\x0a" * 3073), "labels 0 to 9, got 10 in record 0"),
    ],
)
def test_files_that_are_not_cifar_are_refused_by_name(folder, spoil, message):
    spoil(folder / "data_batch_4.bin")
    with pytest.raises(ValueError, match=rf"data_batch_4\.bin .*{message}"):
        cifar10(folder, incomplete=True)


def test_channels_without_contrast_are_refused(tmp_path):
    for name in NAMES:
        (tmp_path / name).write_bytes(bytes(3073))
    with pytest.raises(ValueError, match=r"each channel .* must vary"):
        cifar10(tmp_path, incomplete=True)


def test_without_scikit_learn_the_digits_name_the_remedy(monkeypatch):
    real = builtins.__import__

    def refuse(name, *rest):
        if name.startswith("sklearn"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ValueError, match=r"pip install 'varprop\[data\]'"):
        digits()
