"""The symbols in which activations and their closed forms are written."""

from typing import Any

import sympy as sp

X = sp.Symbol("x", real=True)
Q, Q1, Q2 = sp.symbols("q q_1 q_2", positive=True)
C = sp.Symbol("C", real=True)  # covariance of z and z'
THETA = sp.Symbol("theta", real=True)  # angle: C = sqrt(q1 q2) cos(theta)
SINE = sp.Symbol("s", nonnegative=True)  # sin(theta), carried because it is small near c = 1

Number = Any  # float, NumPy array, or SymPy expression
