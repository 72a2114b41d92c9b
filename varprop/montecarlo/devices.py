"""Devices, number formats and whole numbers that a caller names."""

from typing import Any

import numpy as np
import torch

DTYPES = {
    "float64": torch.float64,
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


def find_device(device: str) -> torch.device:
    """The torch device; "auto" is CUDA where there is one."""
    if isinstance(device, str) and device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        place = torch.device(device)
    except (RuntimeError, TypeError, ValueError):
        place = None
    if place is None or place.type not in ("cpu", "cuda"):
        raise ValueError(f"unknown device {device!r}; use 'auto', 'cpu', 'cuda'")
    if place.type == "cpu":
        return torch.device("cpu")  # "cpu:3" names no part of it
    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if found <= (place.index or 0):
        has = f"{found} CUDA device(s)" if found else "no CUDA device"
        raise ValueError(f"device {device!r} asked for, but torch finds {has}; use 'cpu'")
    return place


def find_devices(device: str) -> tuple[str, ...]:
    """The devices that share the work: with "auto", every CUDA device of the machine."""
    place = find_device(device)
    if device == "auto" and place.type == "cuda" and torch.cuda.device_count() > 1:
        return tuple(f"cuda:{i}" for i in range(torch.cuda.device_count()))
    return (str(place),)


def find_dtype(dtype: "str | torch.dtype") -> torch.dtype:
    name = str(dtype).removeprefix("torch.")
    if name not in DTYPES:
        raise ValueError(f"unknown dtype {dtype!r}; use one of {', '.join(DTYPES)}")
    return DTYPES[name]


def flushes(dtype: torch.dtype, device: str) -> bool:
    """Whether products in `dtype` lose subnormal numbers on the device."""
    place, limits = find_device(device), torch.finfo(dtype)
    tiny = torch.full((1, 64, 64), limits.smallest_normal * limits.eps * 8, dtype=dtype)
    product = tiny.to(place) @ torch.eye(64, dtype=dtype, device=place)[None]
    return not bool(product.any())


def whole(name: str, value: Any, least: int) -> int:
    """The value as an int; ValueError for what is no whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}")
    return int(value)
