"""The samplers against the laws."""

import math
from types import SimpleNamespace

import pytest
import scipy.stats
import torch

from varprop import laws


@pytest.mark.statistical
def test_sampler_follows_its_law(
    law: laws.Law, generator: torch.Generator, weigh: SimpleNamespace
) -> None:
    w = law.sample((weigh.draws_of(law), *weigh.shape_of(law)), generator=generator)
    assert w.dtype == torch.float32
    assert weigh.departure(law, weigh.evidence(law, w, generator)) < 1
    fine = law.sample((100, *weigh.shape_of(law)), generator=generator, dtype=torch.float64)
    assert weigh.structure_holds(law, fine)  # a float32 normal is exactly 0 once in some 2^24 draws


@pytest.mark.statistical
def test_leading_axes_are_independent(
    law: laws.Law, generator: torch.Generator, weigh: SimpleNamespace
) -> None:
    w = law.sample((2, 10_000, *weigh.shape_of(law)), generator=generator, dtype=torch.float64)
    if float(law.variance) == 0 or isinstance(law, laws.Dirac):
        assert bool((w == w[0, 0]).all())
        return
    centred = (w - float(law.mean)).flatten(2)
    products = (centred[0] * centred[1])[:, 0]  # one per pair of matrices
    z = float(products.mean()) * math.sqrt(len(products)) / float(law.variance)
    skewness = float(law.central_moment(3)) ** 2 / float(law.variance) ** 3
    assert abs(z) < weigh.threshold(skewness, len(products))
    assert not torch.equal(w[0], w[1])


def test_sampler_is_reproducible_and_rounds_once(
    law: laws.Law, seed: int, weigh: SimpleNamespace
) -> None:

    def sample(dtype: torch.dtype) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        return law.sample((2, 3, *weigh.shape_of(law)), generator=generator, dtype=dtype)

    w = sample(torch.float32)
    assert w.shape == (2, 3, *weigh.shape_of(law))
    assert torch.equal(w, sample(torch.float32))
    assert torch.equal(w.bfloat16(), sample(torch.bfloat16))
    assert sample(torch.float64).dtype == torch.float64


@pytest.mark.statistical
@pytest.mark.parametrize("cols", [1, 2, 5])
def test_spherical_rows_are_uniform_and_independent(cols: int, generator: torch.Generator) -> None:
    """w_1 / |w| of each row is the cosine of a uniform angle: Beta on (-1, 1); so is that of rows.

    By symmetry the inner product of two independent uniform rows has the law of one coordinate.
    """
    law = laws.Spherical(2, 3, cols)
    w = law.sample((20_000, 3, cols), generator=generator, dtype=torch.float64).numpy() / 2
    cosines = {"coordinate": w[:, 1, -1], "rows": (w[:, 0] * w[:, 2]).sum(-1)}
    for cosine in cosines.values():
        assert abs((cosine > 0).mean() - 0.5) < 5 * 0.5 / math.sqrt(len(w))  # 5 s.e.: 6e-7
        if cols > 1:
            beta = scipy.stats.beta(0.5, (cols - 1) / 2)
            assert scipy.stats.kstest(cosine**2, beta.cdf).pvalue > 1e-6


@pytest.mark.statistical
@pytest.mark.parametrize("rows, cols", [(6, 6), (4, 8), (8, 4)])
def test_orthogonal_is_haar(
    rows: int, cols: int, generator: torch.Generator, weigh: SimpleNamespace
) -> None:
    """E O_11 ... vanish and, for a square matrix, E tr Q = 0 and E (tr Q)^2 = 1.

    Without the sign fix E tr Q is near -1.6 at size 8. (tr Q)^2 has variance 2, that of a chi
    square with one degree: the moments of tr Q up to order 2 size + 1 are those of a normal.
    """
    law = laws.Orthogonal(1, rows, cols)
    w = law.sample((20_000, rows, cols), generator=generator)
    corner = w[:, 0, 0]
    assert weigh.departure(law, corner) < 1
    trace = w.diagonal(dim1=-2, dim2=-1).sum(-1).double()
    if rows == cols:
        assert weigh.departure(laws.Normal(0, 1), trace) < 1
        unsigned = torch.linalg.qr(torch.randn(w.shape, generator=generator)).Q
        biased = unsigned.diagonal(dim1=-2, dim2=-1).sum(-1)
        assert weigh.departure(laws.Normal(0, 1), biased) > 1
