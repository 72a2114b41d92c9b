"""Layers on symbols."""

import sympy as sp

from varprop import initializers
from varprop.layers import Dense
from varprop.moments import Moments


def test_symbolic_variances_stay_exact():
    n, s = sp.symbols("n s", positive=True)
    layer = Dense(n, n, initializers.normal(variance=s**2 / n))
    law = layer.moments("dense_1", Moments.unit(second=sp.Integer(1)))
    assert law.second[0, 0] == s**2
