"""The state of a training on disk: arrays in one file, which appears whole or not at all."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from varprop.montecarlo.store import replace_file


def write(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Replace the file at `path`; its folder is made where there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    body = io.BytesIO()
    np.savez(body, allow_pickle=False, **dict(arrays))
    replace_file(path, body.getvalue())


def read(path: Path) -> dict[str, np.ndarray] | None:
    """The arrays, or None where there is no file. Raises ValueError for a damaged one."""
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path} is no state of a training ({error}): remove it, and the training starts anew"
        ) from None
