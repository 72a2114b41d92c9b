"""Measured costs: `python -m benchmarks`; each module has `measure(quick) -> Benchmark`.

Studies measure error rates instead: `python -m benchmarks STUDY ...`, `main(arguments) -> status`.
"""

NAMES = ("explicit", "conditional", "predict", "assertions")
STUDIES = ("calibration", "mutants")
