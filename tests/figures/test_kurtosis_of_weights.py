"""The claims of the kurtosis figure: a law of the same variance but another kurtosis is refuted."""

import numpy as np
import pytest

import varprop as vp
from figures import kurtosis_of_weights as figure

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
SIZES = {"width": 24, "depth": 1, "draws": 8192, "margin": 0.4, "mean_margin": 0.2}


WIDE = {**SIZES, "width": 64, "draws": 8192}  # where squares of Laplace weights can be judged


def verdicts(results, panel):
    return {claim.series: claim.verdict for claim in results.claims if claim.panel == panel}


@pytest.mark.slow
@pytest.mark.statistical
def test_the_claims_hold(seed):
    results = figure.compute(WIDE, seed, "cpu")
    assert results.verdict == "CONFIRMED", results.claims


@pytest.mark.statistical
def test_another_kurtosis_is_refuted_by_the_fluctuation_and_not_by_the_mean(seed, drawn_as):
    drawn_as(lambda law, n: vp.init.rademacher(2))
    results = figure.compute(SIZES, seed, "cpu")
    assert set(verdicts(results, "mean").values()) == {"CONFIRMED"}
    found = verdicts(results, "one entry")
    assert found.pop("Rademacher") == "CONFIRMED"
    assert set(found.values()) == {"REFUTED"}


@pytest.mark.statistical
def test_another_variance_is_refuted_by_the_mean(seed, drawn_as):
    drawn_as(lambda law, n: vp.init.rademacher(3))
    results = figure.compute(SIZES, seed, "cpu")
    assert set(verdicts(results, "mean").values()) == {"REFUTED"}


def test_the_first_layer_fluctuates_as_the_docstring_says():
    n = 10
    x = figure.inputs(n)
    for law in figure.LAWS.values():
        theory = vp.predict(vp.mlp(n, 1, weights=law, output=None), x, order=1)
        evenness = (x**4).sum(1) / (x**2).sum(1) ** 2
        stated = (5 + 2 * (float(law.at(n, n).kurtosis) - 3) * evenness) / n
        np.testing.assert_allclose(theory.value("relu_1", "length_fluctuation"), stated, rtol=1e-12)


def test_all_laws_have_he_variance():
    variances = {float(law.at(50, 50).variance) for law in figure.LAWS.values()}
    assert variances == {0.04}
