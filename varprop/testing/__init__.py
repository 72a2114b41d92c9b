"""Theories of variance propagation as assertions of a test suite.

    assert_matches_theory(vp.mlp(width=128, depth=20, activation="relu"))

Needs no test runner; under pytest, `varprop.pytest_plugin` tells it the running test.
"""

from varprop.testing.assertion import assert_matches_theory
from varprop.testing.power import smallest_fault

__all__ = ["assert_matches_theory", "smallest_fault"]
