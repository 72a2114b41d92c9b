"""The matrices of an activation: many laws in one call are the laws one by one."""

import numpy as np
import pytest

from varprop import activations
from varprop.layers import kernels
from varprop.moments import Moments


@pytest.mark.parametrize("name", ["relu", "erf", "leaky_relu"])
@pytest.mark.parametrize("at_once", [10**9, 40], ids=["together", "in parts"])
def test_many_laws_are_the_laws_one_by_one(name, at_once, rng, monkeypatch):
    monkeypatch.setattr(kernels, "MOST_ENTRIES", at_once)
    phi = activations.get(name)
    laws = [Moments.of_data(rng.normal(size=(4, 9)) * size) for size in (1e-3, 1.0, 2.0, 50.0, 3.0)]
    together = list(kernels.slopes_of_many(phi, laws))
    assert len(together) == len(laws)
    for found, z in zip(together, laws, strict=True):
        assert np.array_equal(found, found.T)
        for i, j in np.ndindex(4, 4):
            c = z.second[i, j] / np.sqrt(z.second[i, i] * z.second[j, j])
            expected = phi.derivative_kernel(z.second[i, i], z.second[j, j], min(c, 1.0))
            assert found[i, j] == pytest.approx(expected, rel=1e-9)  # c = 1 - 1e-16 is arccos 1e-8
