"""The spectrum of J J', J the input-output Jacobian of a wide square network."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from varprop import activations
from varprop.activations import Activation, identity
from varprop.gaussian import is_symbolic
from varprop.laws import Law
from varprop.laws.structured import Orthogonal
from varprop.layers import Dense, Elementwise, Input
from varprop.network import Network, check_network
from varprop.theory.arguments import check_number, has_symbols, real_points
from varprop.theory.meanfield.field import mean_field
from varprop.theory.predict import predict
from varprop.theory.spectra.free import Factor, product_moments
from varprop.theory.spectra.gated import Edges, Gated
from varprop.theory.spectra.slopes import ORDER, gate, slope_atoms, slope_moments

WEIGHTS = ("gaussian", "orthogonal")


@dataclass(frozen=True)
class JacobianSpectrum:
    """The law of the squared singular values of J = D_L W_L ... D_1 W_1, width to infinity.

    D = diag phi'(z), taken free of the weights (Pennington, Schoenholz & Ganguli 2017, 2018); any
    iid weights with a fourth moment give the law of Gaussian ones. At width n one network's
    spectrum differs from it by about sqrt(L/n), its average over networks by about L^2/n.
    """

    factors: tuple[Factor, ...]

    @property
    def depth(self) -> Any:
        """L, the number of layers."""
        return sum(factor.count for factor in self.factors)

    def moment(self, k: int) -> Any:
        """m_k, the mean of the k-th power of a squared singular value; k from 1 to 8."""
        if isinstance(k, bool) or not isinstance(k, int | np.integer) or not 1 <= k <= ORDER:
            raise ValueError(f"the moment's order must be a whole number 1 to {ORDER}, got {k!r}")
        return product_moments(self.factors, int(k))[-1]

    @property
    def mean(self) -> Any:
        """m_1, the product of the layers' chi = sigma_w^2 E phi'^2: 1 at criticality."""
        return self.moment(1)

    @property
    def variance(self) -> Any:
        """m_2 - m_1^2, at chi = 1 the sum over layers of mu_2/mu_1^2 - 1 - s_1.

        mu_k = E phi'^(2k), and s_1 = -1 for Gaussian, 0 for orthogonal weights; 0 is dynamical
        isometry. Source: Pennington, Schoenholz & Ganguli (2017).
        """
        first, second = product_moments(self.factors, 2)
        difference = second - first**2
        return sp.factor(difference) if isinstance(difference, sp.Expr) else difference

    @property
    def relative_variance(self) -> Any:
        """The variance over m_1^2: how far from isometry, whatever the mean."""
        return self.variance / self.mean**2

    @property
    def edges(self) -> Edges | None:
        """Lower and upper end of the density; None where the law has only atoms."""
        return self._gated.edges

    @property
    def atoms(self) -> tuple[tuple[float, float], ...]:
        """(place, mass) of each point mass, as at zero under ReLU."""
        return self._gated.atoms

    def density(self, squared: Any) -> np.ndarray:
        """The density of squared singular values, without the atoms."""
        return self._gated.density(real_points(squared))

    def survival(self, squared: Any) -> np.ndarray:
        """The share of squared singular values above the given ones, atoms included."""
        return self._gated.survival(real_points(squared))

    @property
    def _gated(self) -> Gated:
        if is_symbolic(self.depth, *(f.gain for f in self.factors)):
            raise ValueError(
                "a density needs numbers, and this spectrum has SymPy symbols; give a numeric "
                "depth and weight variance, or use moment(k) for formulas"
            )
        scale, gates, iid = 1.0, {}, 0
        for factor in self.factors:
            if factor.gate is None:
                raise ValueError(
                    "the density is known where phi'^2 takes one value besides zero (linear, ReLU, "
                    "hard tanh), and here it takes more; use moment(k) and variance"
                )
            p, slope = (float(v) for v in factor.gate)
            scale *= (float(factor.gain) * slope) ** factor.count
            iid += 0 if factor.haar else factor.count
            if p < 1:
                gates[p] = gates.get(p, 0) + factor.count
        return Gated(scale, tuple(gates.items()), iid)

    def __str__(self) -> str:
        first, spread = (
            v if is_symbolic(v) else f"{v:.6g}" for v in (self.mean, self.relative_variance)
        )
        return (
            f"spectrum of J J' over {self.depth} layers: mean {first}, relative variance {spread}"
        )


def jacobian_spectrum(
    subject: Network | Activation | str,
    depth: Any = None,
    *,
    weights: str = "gaussian",
    weight_variance: Any = None,
    bias_variance: Any = 0.0,
    inputs: Any = None,
) -> JacobianSpectrum:
    """The spectrum of J J' for a square network, or for `depth` layers of an activation.

    A network is a chain of dense layers and activations, read at its one input of `inputs` (None: a
    unit input) with the second moments that `predict` gives. An activation stands at the fixed
    point of q = sigma_w^2 E phi(sqrt(q) Z)^2 + sigma_b^2, sigma_w^2 = n Var(w) = `weight_variance`
    (default, for positively homogeneous phi: 1/E phi'^2, the critical one); `weights` is "gaussian"
    or "orthogonal"; `depth` may be a SymPy symbol for piecewise linear phi.

    Raises ValueError for networks that are no square chain, activations with jumps, stacks whose
    second moment grows without bound, and arguments that do not fit.
    """
    if isinstance(subject, Network):
        given = (depth, weight_variance) != (None, None) or weights != "gaussian" or bias_variance
        if given:
            raise ValueError(
                "a network has its own depth, weights and biases; leave these arguments out"
            )
        return JacobianSpectrum(_factors(subject, inputs))
    if inputs is not None or not isinstance(subject, str | Activation):
        check_network(subject)
        raise ValueError("an activation stands at its fixed point; give a network for `inputs`")
    phi = activations.get(subject)
    _check_depth(depth)
    if weights not in WEIGHTS:
        raise ValueError(f"weights must be 'gaussian' or 'orthogonal', got {weights!r}")
    if weight_variance is None:
        if not phi.homogeneous or bias_variance:
            _check_slopes(phi)
            raise ValueError(
                f"{phi} needs weight_variance, n Var(w): its criticality depends on the second "
                "moment of the signal; give a number"
            )
        weight_variance = sp.nsimplify(1 / phi.derivative_second_moment(1.0), rational=True)
        weight_variance = weight_variance if is_symbolic(depth) else float(weight_variance)
    check_number("weight_variance", weight_variance, "it is n Var(w)", above=0)
    check_number("bias_variance", bias_variance, "it is Var(b)", least=0)
    _check_slopes(phi)
    q = _fixed_point(phi, weight_variance, bias_variance)
    return JacobianSpectrum((_factor(phi, q, weight_variance, weights == "orthogonal", depth),))


def _fixed_point(phi: Activation, weight_variance: Any, bias_variance: Any) -> float:
    """The second moment of deep layers, from q = 1; any one serves for homogeneous phi."""
    if phi.homogeneous:
        return 1.0
    given = f"weight variance {weight_variance} and bias variance {bias_variance}"
    if has_symbols(weight_variance) or has_symbols(bias_variance):
        raise ValueError(
            f"the fixed point of {phi} needs numbers, got {given}; symbols serve for linear, ReLU "
            "and leaky ReLU only"
        )
    numbers = {"weight_variance": float(weight_variance), "bias_variance": float(bias_variance)}
    q = mean_field(phi, **numbers).fixed_point
    if not np.isfinite(q):
        raise ValueError(
            f"{phi} has no finite fixed point from q = 1 at {given}: its second moment grows "
            "without bound; lower the weight variance, or give a network and its input"
        )
    return q


def _factor(phi: Activation, q: float, gain: Any, haar: bool, count: Any) -> Factor:
    _check_slopes(phi)
    opened = gate(slope_atoms(phi, q))
    slopes = slope_moments(phi, q)
    if slopes[0] == 0:
        raise ValueError(
            f"phi' of {phi} is zero at the second moment q = {q:g} of its input, so the Jacobian "
            "is zero and has no spectrum; raise the variances so that the signal reaches its slope"
        )
    if not is_symbolic(gain, count):
        slopes = tuple(float(v) for v in slopes)
    return Factor(gain, haar, slopes, opened, count)


def _factors(network: Network, inputs: Any) -> tuple[Factor, ...]:
    """One factor for each dense layer, with the activation that follows it."""
    theory = predict(network, inputs)
    _check_chain(network, theory.points)
    nodes = network.nodes[1:]
    factors = []
    for node, after in zip(nodes, [*nodes[1:], None], strict=True):
        if not isinstance(node.layer, Dense):
            continue
        followed = after is not None and isinstance(after.layer, Elementwise)
        phi = after.layer.activation if followed else identity()  # type: ignore[union-attr]
        q = 1.0 if phi.homogeneous else float(theory.value(node.name, "second_moment")[0])
        gain = node.layer.fan_in * node.layer.weight_variance
        factors.append(_factor(phi, q, gain, _is_haar(node.name, node.layer.weight_law), 1))
    return _grouped(factors)


def _check_chain(network: Network, points: int) -> None:
    if points != 1:
        raise ValueError(f"a Jacobian belongs to one input, got {points}; pass one row")
    if network.tied:
        raise ValueError(
            "the spectrum takes the weights of different layers to be free of each other, and here "
            "some are tied; measure it with varprop.singular_values"
        )
    kinds = [isinstance(n.layer, Dense) for n in network.nodes[1:]]
    for before, node in zip(network.nodes[:-1], network.nodes[1:], strict=True):
        chained = node.inputs == (before.name,)
        known = isinstance(node.layer, Dense) or (
            isinstance(node.layer, Elementwise)
            and not isinstance(before.layer, Elementwise | Input)
        )
        if not chained or not known:
            raise ValueError(
                f"the spectrum is that of a chain of dense layers, each with at most one activation"
                f" after it; {node.name} is something else. Measure it with varprop.singular_values"
            )
    sizes = set(network.sizes.values())
    if len(sizes) > 1 or not any(kinds):
        raise ValueError(
            f"the spectrum is that of a square network, got widths {sorted(sizes, key=str)}; use "
            "one width for all nodes, or measure with varprop.singular_values"
        )


def _is_haar(name: str, law: Law) -> bool:
    if isinstance(law, Orthogonal):
        return True
    if not law.independent:
        raise ValueError(
            f"the spectrum needs iid or orthogonal weights, and those of {name} are {law}; "
            "measure it with varprop.singular_values"
        )
    return False


def _grouped(factors: Sequence[Factor]) -> tuple[Factor, ...]:
    """Equal layers counted together."""
    counts: dict[Factor, int] = {}
    for factor in factors:
        counts[factor] = counts.get(factor, 0) + 1
    return tuple(Factor(f.gain, f.haar, f.slopes, f.gate, count) for f, count in counts.items())


def _check_slopes(phi: Activation) -> None:
    if phi.jumps:
        raise ValueError(
            f"the spectrum needs an activation without jumps, and {phi} jumps at "
            f"{', '.join(map(str, phi.jumps))}: its Jacobian is zero or infinite; use a continuous "
            "one such as hard tanh"
        )


def _check_depth(depth: Any) -> None:
    symbol = isinstance(depth, sp.Expr) and not depth.is_number
    whole = isinstance(depth, int | np.integer) and not isinstance(depth, bool) and depth >= 1
    if not (symbol or whole):
        raise ValueError(
            f"depth must be a positive integer or a SymPy symbol, the number of layers; got "
            f"{depth!r}"
        )
