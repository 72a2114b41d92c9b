"""Functions that fill weights against the laws that are stated of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
import sympy as sp
import torch
from torch.nn import init

import varprop as vp
from varprop.comparison import entry_moments, initializer
from varprop.laws import Law, Normal, Uniform
from varprop.stats import Verdict, accepted_draws, binomial_interval

CONFIRMED, REFUTED, UNDECIDED = Verdict.CONFIRMED, Verdict.REFUTED, Verdict.UNDECIDED
SHAPE = (32, 64)
DEFAULT = partial(init.kaiming_uniform_, a=5**0.5)  # torch.nn.Linear's


def refuted(report):
    return {row.quantity for row in report.rows() if row.verdict is REFUTED}


@pytest.mark.statistical
def test_torchs_default_has_variance_a_third_of_one_over_fan_in(seed):
    law = Uniform(-1 / 8, 1 / 8)
    assert law.variance == sp.Rational(1, 3 * 64)
    report = vp.check_initializer(DEFAULT, law, SHAPE, seed=seed)
    assert report.verdict is CONFIRMED and report.seed == seed
    assert vp.check_initializer(DEFAULT, "torch_default_weight", SHAPE, seed=seed).verdict is (
        CONFIRMED
    )
    he = vp.check_initializer(DEFAULT, "kaiming_uniform", SHAPE, seed=seed)  # sqrt(5) forgotten
    assert refuted(he) == {"variance", "kurtosis"}
    row = next(r for r in he.rows() if r.quantity == "variance")
    assert row.gap == pytest.approx(1 / 6 - 1, abs=0.02) and row.low < 1 / 6 - 1 < row.high
    assert row.measured / row.value == pytest.approx(1 + row.gap)


@pytest.mark.statistical
def test_bounds_of_trunc_normal_are_absolute(seed):
    """std = .02 with bounds at +-2 is not truncated at all; std = 1 is, and loses variance."""
    small = partial(init.trunc_normal_, std=0.02)
    wished = vp.init.trunc_normal(std=0.02, a=-0.04, b=0.04)
    assert vp.check_initializer(small, wished, SHAPE, seed=seed).verdict is REFUTED
    assert vp.check_initializer(small, vp.init.normal(std=0.02), SHAPE, seed=seed).verdict is (
        CONFIRMED
    )
    whole = vp.check_initializer(init.trunc_normal_, vp.init.normal(std=1), SHAPE, seed=seed)
    assert "variance" in refuted(whole)
    assert vp.check_initializer(init.trunc_normal_, "trunc_normal", SHAPE, seed=seed).verdict is (
        CONFIRMED
    )


@pytest.mark.statistical
def test_a_law_with_the_right_variance_and_another_shape_is_refuted(seed):
    report = vp.check_initializer("kaiming_uniform", "kaiming_normal", SHAPE, seed=seed)
    assert refuted(report) == {"kurtosis"}
    shifted = vp.check_initializer(Normal(0.1, 1), Normal(0, 1), SHAPE, seed=seed)
    assert "mean" in refuted(shifted)


@pytest.mark.statistical
@pytest.mark.parametrize("name", ["orthogonal", "spherical", "sparse", "eye"])
def test_dependent_entries_are_averaged_over_tensors(name, seed):
    """The squares of an orthogonal matrix add up to the same number in every draw."""
    law = vp.init.sparse(0.5) if name == "sparse" else getattr(vp.init, name)()
    report = vp.check_initializer(law, law, (16, 8), seed=seed)
    assert report.verdict is CONFIRMED
    assert all(row.test in ("t", "identity") for row in report.rows())
    assert report.draws >= accepted_draws(8 / 128**0.5, 1e-6 / 3)  # fewer are refused by chance
    wrong = vp.init.orthogonal(gain=1.001)
    if name == "orthogonal":
        row = {r.quantity: r for r in report.rows()}["variance"]
        assert row.test == "identity"
        off = vp.check_initializer(init.orthogonal_, wrong, (16, 8), seed=seed)
        assert "variance" in refuted(off)


@pytest.mark.statistical
def test_the_size_is_the_stated_one(generator, rate_contains_level):
    """300 weights of 512 entries: no law is taken for a Gaussian one."""
    for law in ("kaiming_normal", "kaiming_uniform", vp.init.laplace()):
        known = initializer._law(law, (16, 32))
        stated = entry_moments.moments_of(known)
        w = known.sample((300, 16, 32), generator=generator).double().view(300, 1, -1).numpy()
        smallest = [
            min(
                row.p_value
                for row in initializer.judge_steps(
                    entry_moments.moment_steps("w", part, known, stated, 0.05), 0.4, 0.05, 0.1, 1e-5
                )
            )
            for part in w
        ]
        rate_contains_level(np.array(smallest) <= 0.05)


@pytest.fixture
def rate_contains_level():
    """Holm over three dependent moments: at most 5 %, and not far below."""

    def check(hits):
        low, high = binomial_interval(int(hits.sum()), hits.size, 1e-6)
        assert low <= 0.05 and high >= 0.01

    return check


@pytest.mark.statistical
def test_a_bias_is_checked_where_its_law_needs_no_fans(seed):
    """A shape of one axis; torch's layers fill biases by the fan_in of the weight, here 64."""
    fill = partial(init.uniform_, a=-1 / 8, b=1 / 8)
    for law in (vp.init.uniform(-1 / 8, 1 / 8), vp.init.torch_default_bias().at(64, 32)):
        report = vp.check_initializer(fill, law, (32,), seed=seed)
        assert report.verdict is CONFIRMED and report.shape == (32,)
    assert refuted(vp.check_initializer(fill, vp.init.normal(std=1 / 8), (32,), seed=seed))
    assert vp.check_initializer(init.zeros_, "zeros", (5,)).verdict is CONFIRMED


def test_constants_and_signs_are_compared_without_a_test(seed):
    third = partial(init.constant_, val=1 / 3)
    assert vp.check_initializer(third, vp.init.constant(1 / 3), (2, 2)).verdict is CONFIRMED
    assert vp.check_initializer(third, vp.init.constant(0.334), (2, 2)).verdict is REFUTED
    assert vp.check_initializer("rademacher", "rademacher", SHAPE, seed=seed).verdict is CONFIRMED
    normal = vp.check_initializer(lambda w: w.normal_(std=1 / 8), "rademacher", SHAPE)
    assert refuted(normal) == {"variance", "kurtosis"}


def test_a_seed_is_used_where_there_is_a_generator(seed):
    a, b = (vp.check_initializer(DEFAULT, "kaiming_uniform", SHAPE, seed=seed) for _ in range(2))
    assert [r.measured for r in a.rows()] == [r.measured for r in b.rows()]
    before = torch.random.get_rng_state()
    vp.check_initializer(DEFAULT, "kaiming_uniform", SHAPE, seed=seed)
    assert torch.equal(before, torch.random.get_rng_state())
    unseeded = vp.check_initializer(lambda w: w.uniform_(-1, 1), Uniform(-1, 1), SHAPE, seed=seed)
    assert unseeded.seed == -1


def test_its_text_and_the_tensors_that_would_decide(seed):
    report = vp.check_initializer(DEFAULT, "torch_default_weight", SHAPE, draws=1, seed=seed)
    assert report.verdict is UNDECIDED and report.needed > 1
    assert str(report).startswith("UNDECIDED: kaiming_uniform_ against torch_default_weight, worst")
    assert str(report).endswith(f"about {report.needed} tensors would decide")
    assert "1 tensors (32, 64)" in str(report) and len(report.frame()) == 3


@dataclass(frozen=True)
class Heavy(Law):
    """Student's t with four degrees of freedom: variance 2, no fourth moment."""

    def central_moment(self, k):
        return sp.oo if k >= 4 and k % 2 == 0 else (sp.S.Zero if k % 2 else sp.Integer(2))


@pytest.mark.parametrize(
    "fill, law, shape, how, words",
    [
        (DEFAULT, Heavy(), SHAPE, {}, "finite kurtosis .*state a truncated law"),
        (lambda w: w.normal_()[0], Normal(), (0, 3), {}, r"positive integers, got \(0, 3\)"),
        (
            lambda w: torch.randn(3, 4),
            Normal(),
            (3, 4),
            {},
            "12 of 12 entries unfilled .* in place",
        ),
        (3, Normal(), SHAPE, {}, "a function that fills a tensor in place, got 3"),
        (DEFAULT, Normal(0, sp.Symbol("v", positive=True)), SHAPE, {}, "a law with numbers is"),
        (
            init.uniform_,
            "kaiming_normal",
            (7,),
            {},
            r"fans of the weight.*state it for .*\.at\(fan_in",
        ),
        (init.zeros_, "orthogonal", (7,), {}, r"of orthogonal\(gain=1\) depends on the fans"),
        (DEFAULT, "kaiming_normal", SHAPE, {"margin": 1e-5}, "take a larger margin, or fewer"),
        (DEFAULT, "kaiming_normal", SHAPE, {"draws": 0}, "draws must be a whole number"),
    ],
)
def test_what_is_refused(fill, law, shape, how, words):
    with pytest.raises(ValueError, match=words):
        vp.check_initializer(fill, law, shape, **how)


def test_the_report_speaks_of_tensors_and_of_constants_without_spread():
    one = vp.check_initializer(init.orthogonal_, "orthogonal", SHAPE, draws=1)
    assert one.verdict is UNDECIDED and "one tensor decides nothing" in str(one)
    assert "network" not in str(one)
    constant = vp.check_initializer(init.ones_, vp.init.constant(2.0), SHAPE)
    assert constant.verdict is REFUTED and "gap -50.00% in" in str(constant)
