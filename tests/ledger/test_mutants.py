"""Faults planted on one side only, in the theory or in the engine, must turn claims to REFUTED.

Each mutant changes one factor; the claim that uses it is run as the ledger runs it. Design: false
alarms 1e-6 per experiment, and the planted effects are at least twice the step that the ledger's
draws detect with probability 1 - 1e-4.
"""

from dataclasses import replace

import pytest
import torch

from varprop.activations.activation import Activation
from varprop.initializers import normal
from varprop.layers import Dense, Scale
from varprop.layers.elementwise import Elementwise
from varprop.ledger import Settings, claims
from varprop.ledger.statements.gains import GAMMAS, unit_variance
from varprop.montecarlo import simulate as honest_simulate
from varprop.stats import Verdict
from varprop.theory import predict as honest_predict
from varprop.theory.meanfield import gain

CLAIMS = {claim.name: claim for claim in claims()}


def _experiment(claim: str, index: int):
    return CLAIMS[claim].experiments[index]


def _rescaled(network, factor, only=None):
    """The network with `factor` times its weight variance, in all dense nodes or in one."""
    nodes = tuple(
        node._replace(
            layer=replace(
                node.layer, weights=normal(variance=factor * float(node.layer.weight_variance))
            )
        )
        if isinstance(node.layer, Dense) and only in (None, node.name)
        else node
        for node in network.nodes
    )
    return replace(network, nodes=nodes)


def _stated_variance(monkeypatch, factor, only=None):
    """The theory's network has weight variance `factor` times the stated one."""
    monkeypatch.setattr(
        "varprop.ledger.experiments.predict",
        lambda network, inputs=None: honest_predict(_rescaled(network, factor, only), inputs),
    )


def theory_factor(monkeypatch):
    _stated_variance(monkeypatch, 1.9 / 2)


def theory_one_layer(monkeypatch):
    _stated_variance(monkeypatch, 1.2, only="dense_7")


def theory_bias(monkeypatch):
    def predict(network, inputs=None):
        nodes = tuple(
            node._replace(layer=replace(node.layer, bias=None))
            if isinstance(node.layer, Dense)
            else node
            for node in network.nodes
        )
        return honest_predict(replace(network, nodes=nodes), inputs)

    monkeypatch.setattr("varprop.ledger.experiments.predict", predict)


def _scaled_method(monkeypatch, name, factor):
    honest = getattr(Activation, name)
    monkeypatch.setattr(Activation, name, lambda self, q: factor * honest(self, q))


def theory_second_moment(monkeypatch):
    _scaled_method(monkeypatch, "second_moment", 1.06)


def theory_derivative_moment(monkeypatch):
    _scaled_method(monkeypatch, "derivative_second_moment", 1.06)


def theory_fan(monkeypatch):
    honest = Dense.moments

    def moments(self, name, *inputs):
        law = honest(self, name, *inputs)
        ratio = self.fan_out / self.fan_in
        return replace(law, second=ratio * law.second, gap=ratio * law.gap)

    monkeypatch.setattr(Dense, "moments", moments)


def theory_backward_fan(monkeypatch):
    def gradients(self, name, inputs, gradient):
        second = self.fan_in * self.weight_variance * gradient.second
        paths = frozenset({name})
        return (replace(gradient, second=second, paths=paths, base=None, factor=None),)

    monkeypatch.setattr(Dense, "gradients", gradients)


def theory_skip_square(monkeypatch):
    honest = Scale.moments

    def moments(self, name, x):
        law = honest(self, name, x)
        return replace(law, second=law.second / self.factor, gap=law.gap / self.factor)

    monkeypatch.setattr(Scale, "moments", moments)


def _drawn_weights(monkeypatch, factor):
    honest = Dense.fill

    def fill(self, parameters, generator):
        honest(self, parameters, generator)
        parameters[0].mul_(factor(self))

    monkeypatch.setattr(Dense, "fill", fill)


def engine_factor(monkeypatch):
    _drawn_weights(monkeypatch, lambda self: (1.9 / 2) ** 0.5)


def engine_variance(monkeypatch):
    """For the engine that draws no weights: the network that it is given has the wrong ones."""
    monkeypatch.setattr(
        "varprop.ledger.experiments.simulate",
        lambda network, *args, **kwargs: honest_simulate(_rescaled(network, 1.05), *args, **kwargs),
    )


def engine_fan(monkeypatch):
    _drawn_weights(monkeypatch, lambda self: (self.fan_in / self.fan_out) ** 0.5)


def engine_bias(monkeypatch):
    honest = Dense.apply
    monkeypatch.setattr(
        Dense, "apply", lambda self, p, *v, unit=1.0: honest(self, p[:1], *v, unit=unit)
    )


def engine_value(monkeypatch):
    honest = Elementwise.apply
    monkeypatch.setattr(
        Elementwise, "apply", lambda self, p, *v, unit=1.0: 1.03 * honest(self, p, *v, unit=unit)
    )


class _WrongSlope(torch.autograd.Function):
    """The identity whose reverse mode, and only that, is 5 % off."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x):
        return x.clone()

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def backward(ctx, grad):
        return 1.05 * grad

    @staticmethod
    def jvp(ctx, tangent):
        return tangent.clone()


def engine_gradient(monkeypatch):
    honest = Elementwise.apply
    monkeypatch.setattr(
        Elementwise,
        "apply",
        lambda self, p, *v, unit=1.0: _WrongSlope.apply(honest(self, p, *v, unit=unit)),
    )


def engine_skip_square(monkeypatch):
    monkeypatch.setattr(Scale, "apply", lambda self, p, x, unit=1.0: self.factor**0.5 * x)


MUTANTS = {
    "theory: 1.9 for 2": (theory_factor, "he-relu", 0),
    "theory: 1.9 for 2, digits": (theory_factor, "he-relu", 1),
    "theory: one layer 20 % off": (theory_one_layer, "he-relu", 0),
    "theory: wrong E phi^2": (theory_second_moment, "tanh-with-bias", 0),
    "theory: wrong E phi^2, relu": (theory_second_moment, "he-relu", 0),
    "theory: wrong E phi'^2": (theory_derivative_moment, "tanh-with-bias", 0),
    "theory: wrong E phi'^2, relu": (theory_derivative_moment, "he-relu", 0),
    "theory: forgotten bias": (theory_bias, "tanh-with-bias", 0),
    "theory: forgotten bias, default": (theory_bias, "default-collapses", 0),
    "theory: fan_out for fan_in": (theory_fan, "glorot-compromise", 0),
    "theory: fan_in for fan_out, backward": (theory_backward_fan, "backward", 0),
    "theory: forgotten square on a skip scale": (theory_skip_square, "residual-doubling", 1),
    "engine: 1.9 for 2": (engine_factor, "he-relu", 0),
    "engine: fan_out for fan_in": (engine_fan, "glorot-compromise", 0),
    "engine: forgotten bias": (engine_bias, "tanh-with-bias", 0),
    "engine: values 3 % off": (engine_value, "he-relu", 0),
    "engine: 1.05 for 1": (engine_variance, "vanishing-variance", 0),
    "engine: 1.05 for 1, softsign": (engine_variance, "vanishing-variance", 1),
    "engine: gradients 5 % off": (engine_gradient, "he-relu", 0),
    "engine: forgotten square on a skip scale": (engine_skip_square, "residual-doubling", 1),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_planted_fault_is_refuted(mutant, monkeypatch, seed):
    plant, claim, index = MUTANTS[mutant]
    plant(monkeypatch)
    evidence = _experiment(claim, index)(Settings(seed=seed))
    assert evidence.verdict is Verdict.REFUTED, evidence.summary


@pytest.mark.slow  # `varprop verify` runs them all
@pytest.mark.parametrize("claim, index", sorted({(c, i) for _, c, i in MUTANTS.values()}))
def test_without_a_fault_the_same_experiment_confirms(claim, index, seed):
    evidence = _experiment(claim, index)(Settings(seed=seed))
    assert evidence.verdict is Verdict.CONFIRMED, evidence.summary


def test_exact_gains_have_theunit_variance_that_published_ones_miss():
    exact = {name: gain(name, "variance").value for name in GAMMAS}
    assert _experiment("nfnet-gammas", 0)(Settings()).verdict is Verdict.REFUTED
    assert unit_variance(exact)(Settings()).verdict is Verdict.CONFIRMED
    one_off = {**exact, "gelu": exact["gelu"] + 5e-4}
    assert unit_variance(one_off)(Settings()).verdict is Verdict.REFUTED
