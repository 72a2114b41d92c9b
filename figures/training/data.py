"""Labelled images for the training experiments: scikit-learn's digits, or CIFAR-10 from a folder.

No set is ever replaced by another: what cannot be read is refused, and `Dataset.note` says in
words what was read, for the caption.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

DIGITS_TRAINED, DIGITS_SPLIT = 1437, 20_260_101  # four fifths, and the seed of the fixed split
CIFAR_SHAPE, CIFAR_CLASSES = (3, 32, 32), 10
RECORD = 1 + 3 * 32 * 32  # bytes: the label, then the red, green and blue planes by rows
RECORDS = 10_000  # of each published file
TRAINING = tuple(f"data_batch_{k}.bin" for k in range(1, 6))
TEST = "test_batch.bin"
SOURCE = "the binary version of https://www.cs.toronto.edu/~kriz/cifar.html"


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images (N, C, H, W) in float32, each channel with mean 0 and variance 1 over the training
    images; labels (N,) in 0, ..., classes - 1.

    digest  SHA-256 of the images and labels as they are here
    note    what the data are, for a caption
    """

    name: str
    train: Tensor
    train_labels: Tensor
    test: Tensor
    test_labels: Tensor
    classes: int
    note: str
    digest: str

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one image."""
        channels, height, width = self.train.shape[1:]
        return channels, height, width


def load(source: str) -> Dataset:
    """The set that a command line names: "digits", or the folder of the CIFAR-10 files."""
    return digits() if source == "digits" else cifar10(source)


def check(source: str) -> None:
    """Raises ValueError where `load` would for files that are absent or of another size."""
    if source != "digits":
        for name in (*TRAINING, TEST):
            _check_size(Path(source) / name, incomplete=False)


def digits() -> Dataset:
    """The 1797 digits of scikit-learn, 8 x 8 grey, split once and for all: 1437 train, 360 test.

    Raises ValueError without scikit-learn.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise ValueError("the digits come with scikit-learn: pip install 'varprop[data]'") from None
    flat, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(DIGITS_SPLIT).permutation(len(flat))
    images = np.asarray(flat, np.float32)[order].reshape(-1, 1, 8, 8)
    labels = np.asarray(labels, np.int64)[order]
    pairs = [
        (images[part], labels[part]) for part in np.split(np.arange(len(flat)), [DIGITS_TRAINED])
    ]
    return _dataset("digits", *pairs, 10, "scikit-learn's digits (8 × 8 grey")


def cifar10(folder: str | Path, *, incomplete: bool = False) -> Dataset:
    """CIFAR-10 as its authors publish it: six binary files of 10 000 records in `folder`.

    A record is one byte of label and 3072 of pixels (Krizhevsky, 2009). `incomplete` also takes
    shorter files of whole records, and the note then says that the set is not CIFAR-10 but a part
    of it. Raises ValueError naming the file that is absent, of another size, or with labels above
    9, and the remedy.
    """
    folder = Path(folder)
    read = {name: _records(folder / name, incomplete) for name in (*TRAINING, TEST)}
    train = np.concatenate([read[name] for name in TRAINING])
    whole = all(len(records) == RECORDS for records in read.values())
    note = "CIFAR-10 (32 × 32 colour" if whole else "an INCOMPLETE part of CIFAR-10 (32 × 32 colour"
    name = "CIFAR-10" if whole else "part of CIFAR-10"
    return _dataset(name, _split(train), _split(read[TEST]), CIFAR_CLASSES, note)


def _records(path: Path, incomplete: bool) -> np.ndarray:
    """(records, RECORD) bytes of one file."""
    _check_size(path, incomplete)
    try:
        records = np.fromfile(path, np.uint8).reshape(-1, RECORD)
    except OSError as error:
        raise _unreadable(path, error) from None
    wrong = np.flatnonzero(records[:, 0] >= CIFAR_CLASSES)
    if wrong.size:
        raise ValueError(
            f"{path} must have labels 0 to {CIFAR_CLASSES - 1}, got {records[wrong[0], 0]} in "
            f"record {wrong[0]}: it is not a CIFAR-10 file; take {SOURCE}"
        )
    return records


def _check_size(path: Path, incomplete: bool) -> None:
    try:
        size = path.stat().st_size
    except OSError as error:
        raise _unreadable(path, error) from None
    if size != RECORD * RECORDS and not (incomplete and size and size % RECORD == 0):
        raise ValueError(
            f"{path} must have {RECORDS} records of {RECORD} bytes, {RECORD * RECORDS} in all, "
            f"got {size} bytes: download {SOURCE} again and unpack it"
        )


def _unreadable(path: Path, error: OSError) -> ValueError:
    return ValueError(
        f"{path} cannot be read ({error.strerror}): give the folder that holds "
        f"{TRAINING[0]} to {TRAINING[-1]} and {TEST}, {SOURCE}"
    )


def _split(records: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Images in float32, 0 to 255, and labels."""
    images = records[:, 1:].reshape(-1, *CIFAR_SHAPE).astype(np.float32)
    return images, records[:, 0].astype(np.int64)


def _dataset(
    name: str,
    train: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    classes: int,
    note: str,
) -> Dataset:
    """Scale by the training images alone, and sign."""
    moments = [_moments(train[0][:, channel]) for channel in range(train[0].shape[1])]
    mean, std = (np.array(m, np.float32)[:, None, None] for m in zip(*moments, strict=True))
    if not (std > 0).all():
        raise ValueError(
            f"each channel of the training images of {name} must vary, got channels of constant "
            "value: the files are damaged, take them again"
        )
    signed, parts = hashlib.sha256(), []
    for images, labels in (train, test):
        images -= mean  # in place: CIFAR-10 takes 0.6 GB
        images /= std
        signed.update(images)
        signed.update(labels)
        parts += [torch.from_numpy(images), torch.from_numpy(labels)]
    note = f"{note}, {len(train[0])} to train, {len(test[0])} to validate)"
    return Dataset(name, *parts, classes, note, signed.hexdigest())


def _moments(values: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation."""
    return values.mean(dtype=np.float64), values.std(dtype=np.float64)
