"""The spectrum of J J' where phi'^2 takes one value besides zero: ReLU, hard tanh, linear.

With z = psi(1/lambda) = lambda G(lambda) - 1, G the Stieltjes transform E 1/(lambda - x), the
S-transforms multiply to lambda S(z) = (1 + z)/z. In the variable u = z/(1 + z)

    lambda(u) = c prod_g (p_g + (1 - p_g) u)^(k_g) / (u (1 - u)^a)

for gates open with probability p_g in k_g layers, and `a` layers of iid weights (none if they are
all orthogonal). On each ray u = r exp(i theta) the argument of lambda(u) increases with r, so one r
makes lambda real: a curve that carries the whole density, lambda falling from the upper edge at
theta = 0 to the lower one. There

    density  rho(lambda) = Im psi / (pi lambda),   psi = u/(1 - u)
    mass above lambda    = -Im T(u) / pi,          T = integral of psi d log lambda.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import brentq

STEPS = 64  # bisections: to the last digit of a float
NEWTON = 12  # steps from the table to the last digit
FARTHEST = 40.0  # |log r|


class Edges(NamedTuple):
    """The interval that carries the continuous part."""

    low: float
    high: float


@dataclass(frozen=True)
class Gated:
    """The product of layers D W, D a diagonal of free gates.

    scale  c, the product over layers of sigma_w^2 and of the open gate's phi'^2
    gates  (p, k): k layers whose gate is open with probability p < 1
    iid    a, the layers with iid weights
    """

    scale: Any
    gates: tuple[tuple[Any, Any], ...]
    iid: Any

    def at(self, u: Any) -> Any:
        """lambda(u): numbers, arrays or symbols."""
        value = self.scale / (u * (1 - u) ** self.iid)
        for p, k in self.gates:
            value = value * (p + (1 - p) * u) ** k
        return value

    @cached_property
    def edges(self) -> Edges | None:
        """Where the continuous part begins and ends; None where the law has only atoms."""
        layers = sum(k for _, k in self.gates)
        if layers + self.iid == 0 or (layers == 1 and self.iid == 0):
            return None
        top = _root(self._slope, 0.0, 1.0 if self.iid else np.inf)
        poles = sorted(p / (1 - p) for p, _ in self.gates)
        low = 0.0
        if poles and _repeats(self.gates, poles[0]) == 1:
            beyond = next((pole for pole in poles if pole > poles[0]), np.inf)
            low = float(self.at(_root(self._slope, -beyond, -poles[0])))
        return Edges(low, float(self.at(top)))

    @cached_property
    def atoms(self) -> tuple[tuple[float, float], ...]:
        """(place, mass): at zero that of the narrowest gate, at c what no gate ever shuts."""
        shut = 1.0 - min((float(p) for p, _ in self.gates), default=1.0)
        whole = 1 - sum(k * (1 - p) for p, k in self.gates) if self.iid == 0 else 0.0
        found = ((0.0, shut), (float(self.scale), float(whole)))
        return tuple((place, mass) for place, mass in found if mass > 1e-15)

    def density(self, eigenvalue: Any) -> np.ndarray:
        """rho of the continuous part; zero outside its edges."""
        x, inside, u = self._on_curve(eigenvalue)
        rho = np.zeros(x.shape)
        rho[inside] = (u / (1 - u)).imag / (np.pi * x[inside])
        return rho.reshape(np.shape(eigenvalue))[()]

    def survival(self, eigenvalue: Any) -> np.ndarray:
        """The mass above lambda, atoms included."""
        x, inside, u = self._on_curve(eigenvalue)
        mass = sum((m * (x < place) for place, m in self.atoms), np.zeros(x.shape))
        if self.edges is not None:
            mass = mass + (x <= self.edges.low) * (1 - sum(m for _, m in self.atoms))
            mass[inside] = -self._integral(u).imag / np.pi
        return mass.reshape(np.shape(eigenvalue))[()]

    def curve(self, theta: np.ndarray) -> np.ndarray:
        """The u of argument theta, in (0, largest_angle), at which lambda(u) is real."""
        phase = np.exp(1j * theta)
        low, high = np.full(theta.shape, -FARTHEST), np.full(theta.shape, FARTHEST)
        for _ in range(STEPS):
            middle = (low + high) / 2
            above = self._argument(np.exp(middle) * phase, theta) > 0
            low, high = np.where(above, low, middle), np.where(above, middle, high)
        return np.exp((low + high) / 2) * phase

    @property
    def largest_angle(self) -> float:
        return np.pi if self.gates else np.pi * self.iid / (self.iid + 1)

    def _argument(self, u: np.ndarray, theta: np.ndarray) -> np.ndarray:
        total = -theta - self.iid * np.angle(1 - u)
        for p, k in self.gates:
            total = total + k * np.angle(p + (1 - p) * u)
        return total

    def _slope(self, u: Any) -> Any:
        """u d log lambda / du: its real zeros are the edges."""
        total = sum(k * (1 - p) * u / (p + (1 - p) * u) for p, k in self.gates) - 1.0
        return total + (self.iid * u / (1 - u) if self.iid else 0.0)

    def _integral(self, u: np.ndarray) -> Any:
        """T(u), an antiderivative of psi d log lambda / du."""
        far = np.log(1 - u)
        total = far + self.iid * (1 / (1 - u) + far)
        for p, k in self.gates:
            total = total - k * (p * np.log(p + (1 - p) * u) + (1 - p) * far)
        return total

    def _on_curve(self, eigenvalue: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The values, which of them lie between the edges, and the u of those."""
        x = np.atleast_1d(np.asarray(eigenvalue, float))
        if self.edges is None:
            return x, np.zeros(x.shape, bool), np.zeros(0, complex)
        inside = (x > self.edges.low) & (x < self.edges.high)
        wanted = np.log(x[inside])
        start, known = self._table
        u, step = np.interp(wanted, known[::-1], start[::-1]), np.zeros(wanted.shape)
        for _ in range(NEWTON):
            step = (np.log(np.abs(self.at(u))) + 1j * self._phase(u) - wanted) * u / self._slope(u)
            u = u - step
        lost = ~(np.abs(step) <= 1e-9 * np.abs(u)) | (u.imag <= 0)
        if lost.any():
            u[lost] = self._bisected(wanted[lost])
        return x, inside, u

    @cached_property
    def _table(self) -> tuple[np.ndarray, np.ndarray]:
        """The curve at angles that crowd at both ends, and its falling log lambda."""
        near = np.geomspace(1e-9, self.largest_angle / 2, 200)
        u = self.curve(np.concatenate([near, self.largest_angle - near[-2::-1]]))
        return u, np.minimum.accumulate(np.log(np.abs(self.at(u))))

    def _phase(self, u: np.ndarray) -> np.ndarray:
        return self._argument(u, np.angle(u))

    def _bisected(self, wanted: np.ndarray) -> np.ndarray:
        """The u where log lambda is as wanted, by bisection: slow, and sure."""
        low, high = np.zeros(wanted.shape), np.full(wanted.shape, self.largest_angle)
        for _ in range(STEPS):
            middle = (low + high) / 2
            larger = np.log(np.abs(self.at(self.curve(middle)))) > wanted
            low, high = np.where(larger, middle, low), np.where(larger, high, middle)
        return self.curve((low + high) / 2)


def _root(rising: Any, low: float, high: float) -> float:
    """The zero of a function that increases from negative to positive on the open interval."""
    a = low + 1e-14 * max(1.0, abs(low)) if np.isfinite(low) else high - 1.0
    b = high - 1e-14 * max(1.0, abs(high)) if np.isfinite(high) else low + 1.0
    while not np.isfinite(low) and rising(a) > 0:
        a = high - 2 * (high - a)
    while not np.isfinite(high) and rising(b) < 0:
        b = low + 2 * (b - low)
    root: Any = brentq(rising, a, b, xtol=1e-300, rtol=4 * np.finfo(float).eps)
    return float(root)


def _repeats(gates: Sequence[tuple[Any, Any]], pole: float) -> int:
    return sum(k for p, k in gates if p / (1 - p) == pole)
