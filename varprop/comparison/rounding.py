"""How far numbers that should be equal may differ, by the dtype of the sample."""

PRECISION = {"float64": 2.0**-52, "float32": 2.0**-23, "bfloat16": 2.0**-7, "float16": 2.0**-10}


def tolerance(dtype: str) -> float:
    """Relative difference of one step that is put down to rounding."""
    return min(1e-3, 100 * PRECISION[dtype])
