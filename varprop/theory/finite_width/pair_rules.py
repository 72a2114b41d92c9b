"""The kernel map of one layer for two inputs: its first two derivatives, and what a neuron adds.

The entries of the random kernel are e = 11, 12, 22. For G_e(K) = E phi(z_a) phi(z_b), z ~ N(0, K),

    slope   J_ef  = dG_e/dK_f          bend  H_efg = d^2 G_e/dK_f dK_g
    noise   C_ef  = Cov(phi_a phi_b, phi_c phi_d)    e = ab, f = cd

By Price, dE f/dK_12 = E f_12 and dE f/dK_11 = E f_11/2. Derivatives of phi beyond the second are
removed by parts, z_1 f = K_11 f_1 + K_12 f_2 in the mean: with P = E phi' phi'', A = E phi'' phi''
of both inputs, and of one input against the other

    along = E z phi'(z) phi(z'),   bent = E z phi''(z) phi'(z'),   far = E z^2 phi''(z) phi(z'),

    dG_12/dK_11           = (along - K_12 P) / 2 K_11
    d^2 G_12/dK_11 dK_12  = (bent - K_12 A) / 2 K_11
    d^2 G_12/dK_11^2      = ((far - K_12 bent)/K_11 - 2 dG_12/dK_11 - 2 K_12 d^2 G_12/dK_11 dK_12)
                            / 4 K_11

which holds its digits at c = 1. Corners of phi are point masses of phi''.
Source: Yaida (2019); Roberts, Yaida & Hanin (2022), chapter 4; the form is ours.
"""

from typing import Any, NamedTuple

import numpy as np

from varprop import gaussian
from varprop.activations import Activation
from varprop.activations.opaque import is_opaque
from varprop.activations.pairs import deficit
from varprop.activations.pieces import derivative
from varprop.activations.point_masses import against
from varprop.activations.quadrature import trusted
from varprop.theory.finite_width.bend import second_moment_bend
from varprop.theory.finite_width.refusal import NoTheory, moments_needed

ENTRIES = ((0, 0), (0, 1), (1, 1))  # the inputs of each entry of the kernel
NEAR = 1e-12  # 1 - c below it counts as this where phi has corners, and phi'' point masses


class Rule(NamedTuple):
    """J, H and C of the module's equations; the last axes have one place for each entry."""

    slope: np.ndarray
    bend: np.ndarray
    noise: np.ndarray


class Side(NamedTuple):
    """Moments of one input of variance `variance` against the other."""

    variance: Any
    along: Any
    bent: Any
    far: Any


def rule(phi: Activation, q1: Any, q2: Any, gap: Any) -> Rule:
    """J, H and C of phi for variances q1, q2 > 0 and gap E (z - z')^2/2; arrays of pairs.

    Raises NoTheory for phi with jumps, for phi known as a torch function alone, and where a moment
    is infinite or beyond quadrature.
    """
    if phi.jumps:
        raise NoTheory(f"{phi} jumps, and its kernel has no second derivative at c = 1")
    if is_opaque(phi.expression):
        raise NoTheory(f"{phi} is known as a torch function alone; give its SymPy expression")
    if np.any(q1 == 0) or np.any(q2 == 0):
        raise NoTheory("an input is zero, so it has no direction")
    with moments_needed():
        missing = deficit(q1, q2, gap)
        inside = np.clip(missing, NEAR, 2 - NEAR) if phi.kinks else missing
        return Rule(*_derivatives(phi, q1, q2, inside), _noise(phi, q1, q2, missing))


def _derivatives(phi: Activation, q1: Any, q2: Any, d: Any) -> tuple[np.ndarray, np.ndarray]:
    covariance = np.sqrt(q1 * q2) * (1 - d)
    parallel = phi.derivative_kernel(q1, q2, 1 - d)
    curved = phi.slope_function.derivative_kernel(q1, q2, 1 - d)
    sides = _side(phi, q1, q2, d), _side(phi, q2, q1, d)
    cross, bend = cross_derivatives(covariance, parallel, curved, *sides)
    zero = 0 * cross[0]
    slopes = [phi.second_moment_slope(q) for q in (q1, q2)]
    bends = [second_moment_bend(phi, q) for q in (q1, q2)]
    slope = stacked([[slopes[0], zero, zero], cross, [zero, zero, slopes[1]]])
    row = [zero, zero, zero]
    first = stacked([[bends[0], zero, zero], row, row])
    last = stacked([row, row, [zero, zero, bends[1]]])
    return slope, np.stack([first, stacked(bend), last], -3)


def cross_derivatives(
    k12: Any, parallel: Any, curved: Any, first: Side, second: Side
) -> tuple[list[Any], list[list[Any]]]:
    """The gradient and the Hessian of G_12 in the entries of K, from P, A and both sides."""
    slopes, mixed, twice = [], [], []
    for side in (first, second):
        k = side.variance
        slopes.append((side.along - k12 * parallel) / (2 * k))
        mixed.append((side.bent - k12 * curved) / (2 * k))
        rest = 2 * slopes[-1] + 2 * k12 * mixed[-1]
        twice.append(((side.far - k12 * side.bent) / k - rest) / (4 * k))
    gradient = [slopes[0], parallel, slopes[1]]
    hessian = [
        [twice[0], mixed[0], curved / 4],
        [mixed[0], curved, mixed[1]],
        [curved / 4, mixed[1], twice[1]],
    ]
    return gradient, hessian


def _side(phi: Activation, q1: Any, q2: Any, d: Any) -> Side:
    second = Activation(f"{phi}''", derivative(phi.derivative), kinks=phi.kinks)
    masses = phi.slope_function.masses
    pulled = tuple(tuple((a, a**k * h) for a, h in masses) for k in (1, 2))

    def pair(function: Any) -> np.ndarray:
        return _pair(phi, function, q1, q2, d)

    along = pair(lambda x, y: x * phi.slope(x) * phi(y))
    bent = pair(lambda x, y: x * second(x) * phi.slope(y))
    far = pair(lambda x, y: x**2 * second(x) * phi(y))
    bent = bent + against(pulled[0], phi.slope, phi.kinks, q1, q2, d)
    far = far + against(pulled[1], phi, phi.kinks, q1, q2, d)
    return Side(q1, along, bent, far)


def _noise(phi: Activation, q1: Any, q2: Any, d: Any) -> np.ndarray:
    """Cov(phi_a phi_b, phi_c phi_d) of one neuron."""
    powers = [
        phi.fourth_moment(q1),
        _pair(phi, lambda x, y: phi(x) ** 3 * phi(y), q1, q2, d),
        _pair(phi, lambda x, y: phi(x) ** 2 * phi(y) ** 2, q1, q2, d),
        _pair(phi, lambda x, y: phi(x) * phi(y) ** 3, q1, q2, d),
        phi.fourth_moment(q2),
    ]
    means = (phi.second_moment(q1), phi.kernel(q1, q2, 1 - d), phi.second_moment(q2))
    return fourth_minus_means(powers, means)


def fourth_minus_means(powers: Any, means: Any) -> np.ndarray:
    """C from E phi_1^(4-k) phi_2^k, k = 0..4, and the three means."""
    return stacked([[powers[e + f] - means[e] * means[f] for f in range(3)] for e in range(3)])


def gaussian_noise(k11: Any, k12: Any, k22: Any) -> np.ndarray:
    """C of z itself, by Isserlis: K_ac K_bd + K_ad K_bc."""
    k = ((k11, k12), (k12, k22))
    rows = [[k[a][c] * k[b][d] + k[a][d] * k[b][c] for c, d in ENTRIES] for a, b in ENTRIES]
    return stacked(rows)


def stacked(rows: list[list[Any]]) -> np.ndarray:
    """Arrays of pairs in a table, which becomes the two last axes."""
    return np.stack([np.stack(np.broadcast_arrays(*row), -1) for row in rows], -2)


def _pair(phi: Activation, function: Any, q1: Any, q2: Any, d: Any) -> np.ndarray:
    found = gaussian.pair_expectation(function, q1, q2, d, phi.kinks)
    return trusted(found, f"a moment of two inputs of {phi}", q1=q1, q2=q2, d=d)
