"""Measured costs. Each module has `measure(quick) -> Benchmark`; `python -m benchmarks` runs them."""

NAMES = ("predict",)
