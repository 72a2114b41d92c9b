"""Averages of heavy-tailed lengths: which are trusted, and logarithms against their exact law."""

from dataclasses import replace

import numpy as np
import pytest

from varprop.builders import mlp
from varprop.initializers import normal
from varprop.montecarlo import simulate
from varprop.theory import gradient_law, length_law

FAR = 5.33  # standard errors: 1e-7 for a normal mean
DRAWS = 2048


@pytest.fixture(scope="module", params=["relu", "identity"])
def activation(request):
    return request.param


def score(measured, law):
    return float(abs(measured[0][0] - law.log_mean) / (law.log_variance / DRAWS) ** 0.5)


def test_mean_logarithms_are_those_of_the_exact_law(activation, seed):
    """Depth = width, where a t-test on the mean itself rejects a true theory one time in five."""
    net = mlp(16, 15, activation=activation)
    sample = simulate(net, draws=DRAWS, seed=seed)
    lengths = sample.log_mean(net.output, "second_moment")
    gradients = sample.log_mean(net.input, "grad_second_moment")
    assert score(lengths, length_law(net)) < FAR
    assert score(gradients, gradient_law(net)) < FAR
    exact = (length_law(net).log_variance / DRAWS) ** 0.5
    assert lengths[1][0] == pytest.approx(exact, rel=0.15)
    off = mlp(16, 15, activation=activation, weights=normal(variance=2.1 / 16))
    assert score(lengths, length_law(off)) > FAR  # weights 5 % more variable


def test_only_even_averages_are_trusted(seed):
    """Log-variance 5: 1.3 % are trusted. The network as wide as deep has 6.7."""
    deep, wide = mlp(16, 16), mlp(256, 4)
    rows = {row[:2]: row for row in simulate(deep, draws=256, seed=seed).rows()}
    assert not rows[deep.output, "second_moment"].trusted
    assert not rows[deep.output, "length_fluctuation"].trusted
    assert rows[deep.input, "second_moment"].trusted
    even = simulate(wide, draws=256, seed=seed).frame()
    assert even[even["quantity"].isin(["second_moment", "grad_second_moment"])]["trusted"].all()


def test_a_number_that_is_not_finite_is_not_trusted(seed):
    sample = simulate(mlp(8, 1), draws=256, seed=seed)
    record = sample.records["dense_2"]
    second = record.second.copy()
    second[3] = np.inf
    records = {**sample.records, "dense_2": replace(record, second=second)}
    with np.errstate(invalid="ignore"):
        rows = [r for r in replace(sample, records=records).rows() if r.node == "dense_2"]
    trusted = {row.quantity: row.trusted for row in rows}
    assert not trusted["second_moment"] and trusted["mean"]


def test_dead_networks_are_left_out_of_the_logarithm(seed):
    net = mlp(2, 2, output=None)
    sample = simulate(net, draws=256, seed=seed)
    values = sample.values(net.output, "second_moment")[:, 0]
    assert 0 < (values == 0).sum() < 256
    logs = np.log(values[values > 0])
    mean, error = sample.log_mean(net.output, "second_moment")
    np.testing.assert_allclose(mean, logs.mean())
    np.testing.assert_allclose(error, logs.std(ddof=1) / len(logs) ** 0.5)


def test_logarithms_of_negative_numbers_are_refused(seed):
    sample = simulate(mlp(8, 1), draws=32, seed=seed)
    with pytest.raises(ValueError, match="a mean logarithm needs two positive values and no neg"):
        sample.log_mean("dense_2", "mean")


def with_lengths(values):
    """A sample whose last node has these squares of lengths."""
    sample = simulate(mlp(8, 1), draws=len(values), seed=0, backward=False)
    second = np.array(values)[:, None, None]
    record = replace(sample.records["dense_2"], second=second)
    return replace(sample, records={**sample.records, "dense_2": record})


@pytest.mark.parametrize(
    "values, lost",
    [
        ([1.0, 2.0, np.inf, np.nan], 2),
        ([1e-250, 1e-280, 0.0, 1e-250], 1),
        ([1.0, 2.0, 1e-310, 0.0], 2),
    ],
)
def test_lengths_beyond_floats_are_refused(values, lost):
    reason = f"second_moment of dense_2 left it in {lost} of 4 draws; take fewer layers"
    with pytest.raises(ValueError, match=reason):
        with_lengths(values).log_mean("dense_2", "second_moment")


def test_zeros_beside_ordinary_lengths_are_dead_networks():
    (mean,), _ = with_lengths([1.0, 1e-150, 0.0, 1.0]).log_mean("dense_2", "second_moment")
    assert mean == pytest.approx(np.log(1e-150) / 3)


def test_networks_too_deep_for_floats_are_refused():
    net = mlp(2, 550, activation="identity", weights=normal(std=0.5), output=None)
    sample = simulate(net, draws=64, seed=0, backward=False)
    with pytest.raises(ValueError, match="needs numbers within the range of float64"):
        sample.log_mean(net.output, "second_moment")


def test_lengths_that_all_vanished_are_refused():
    with pytest.raises(ValueError, match=r"0 positive of 4, least 0; .* or fewer layers where"):
        with_lengths([0.0] * 4).log_mean("dense_2", "second_moment")
