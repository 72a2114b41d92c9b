"""Measured costs: `python -m benchmarks`; each module has `measure(quick) -> Benchmark`."""

NAMES = ("explicit", "conditional", "predict")
