"""Modules of one's own: fresh ones from a function, or the weights of one."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn

from varprop.stats import Verdict
from varprop.testing import assert_matches_theory, runner, smallest_fault

LAWS = {"weights": "kaiming_normal"}
ROUGH = {"margin": 0.4, "error_rate": 1e-4, "false_pass": 1e-3}


@pytest.fixture(autouse=True)
def _no_runner(monkeypatch, seed):
    monkeypatch.setattr(runner, "running", None)
    torch.manual_seed(seed)


def he(width=64, depth=1, factor=1.0):
    layers = []
    for _ in range(depth):
        linear = nn.Linear(width, width, bias=False)
        nn.init.normal_(linear.weight, std=(factor * 2 / width) ** 0.5)
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers)


def test_modules_that_their_laws_describe_pass(seed):
    report = assert_matches_theory(he, seed=seed, **LAWS, **ROUGH)
    assert report.engine == "module" and report.draws > 1
    assert smallest_fault(report) <= 0.4


def test_modules_of_another_law_fail(seed):
    with pytest.raises(AssertionError, match="the theory is REFUTED") as caught:
        assert_matches_theory(lambda: he(factor=1.5), seed=seed, **LAWS, **ROUGH)
    assert re.search(r"dense_\d second_moment: effect \+", str(caught.value))


@pytest.mark.slow
def test_the_default_laws_are_those_of_torch(seed):
    def plain():
        return nn.Sequential(nn.Linear(64, 64), nn.Tanh())

    assert assert_matches_theory(plain, seed=seed, **ROUGH).verdict is not Verdict.REFUTED


def test_one_module_passes_where_nothing_is_refuted_and_all_was_tested(seed):
    """One network of 64 wide sees no fault of 5 %; it sees one of its size in `smallest_fault`."""
    module = he(64, 8)
    report = assert_matches_theory(module, seed=seed, **LAWS)
    assert report.draws == 1 and smallest_fault(report) > 1
    with pytest.raises(AssertionError, match="REFUTED"):
        assert_matches_theory(he(64, 8, factor=4.0), seed=seed, **LAWS)


def test_one_module_cannot_keep_to_a_margin_that_it_does_not_see(seed):
    with pytest.raises(AssertionError) as caught:
        assert_matches_theory(he(), seed=seed, margin=0.4, **LAWS)
    assert "but one network sees faults of" in str(caught.value)
    assert "pass a function that makes fresh modules" in str(caught.value)


def test_one_module_of_other_laws_than_gaussian_was_not_tested(seed):
    with pytest.raises(AssertionError, match="some steps could not be tested"):
        assert_matches_theory(nn.Sequential(nn.Linear(16, 16), nn.ReLU()), seed=seed)


def test_torch_s_own_stream_is_left_alone(seed):
    expected = torch.rand(3)
    torch.manual_seed(seed)
    with pytest.raises(AssertionError):  # too few to pass
        assert_matches_theory(he, seed=seed, draws=3, **LAWS)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(
    "subject, settings, message",
    [
        (he, {"engine": "explicit"}, "modules are measured as they are, got engine='explicit'"),
        (he(), {"draws": 2}, "one module is one network drawn, got draws=2"),
        (lambda: None, {}, "NoneType"),
    ],
)
def test_bad_arguments_are_named(subject, settings, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        assert_matches_theory(subject, **settings)
