"""One statistical test serves all initializers, and helpers that take an example to its weights.

N independent entries, their centred powers 1, 2 and 4 against the exact moments, each at a standard
error from the exact moment of twice the order. An entry is taken from every position where entries
are iid, else from one random position of each matrix.
"""

import math
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import scipy.stats
import torch
from scipy.optimize import brentq

from varprop import laws
from varprop.initializers import EXAMPLES, Initializer

FAN_IN, FAN_OUT = 8, 12  # different, so that one for the other is a fault; multiples of the kernel
ERROR_RATE = 1e-6  # of each of the three tests made of one sample
N = 200_000


def law_of(example: Initializer) -> laws.Law:
    arguments = dict(example.arguments)
    taps = math.prod(arguments.get("kernel", ()))
    return example.at(FAN_IN, FAN_OUT, rows=FAN_OUT * arguments.get("groups", 1) // taps)


def shape_of(law: laws.Law) -> tuple[int, int]:
    return int(getattr(law, "rows", FAN_OUT)), int(getattr(law, "cols", FAN_IN))


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """QR of thousands of tiny matrices: more threads only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def threshold(skewness: float, count: int) -> float:
    """|z| passed by a mean of `count` terms with probability ERROR_RATE.

    The tail is the normal one with Cramer's first correction exp(skewness z^3 / (6 sqrt(count))).
    """
    bend = abs(skewness) / (6 * math.sqrt(count))

    def excess(z: float) -> float:
        return scipy.stats.norm.logsf(z) + bend * z**3 - math.log(ERROR_RATE / 2)

    return brentq(excess, 1.0, min(20.0, 1 / (3 * bend)) if bend else 20.0)


def departure(law: laws.Law, w: torch.Tensor) -> float:
    """Largest |z| / threshold over the centred powers 1, 2, 4 of independent entries; 1 rejects."""
    c = {k: float(law.central_moment(k)) for k in (1, 2, 3, 4, 6, 8, 12)}
    x = w.double().flatten() - float(law.mean)
    worst = 0.0
    for k in (1, 2, 4):
        variance = c[2 * k] - c[k] ** 2
        gap = abs(float((x**k).mean()) - c[k])
        if variance <= 1e-12 * c[2 * k]:  # |w - mean| is one value, whose power has no noise
            worst = max(worst, gap / (1e-5 * c[k] or 1e-6))
            continue
        third = c[3 * k] - 3 * c[2 * k] * c[k] + 2 * c[k] ** 3
        z = gap / math.sqrt(variance / x.numel())
        worst = max(worst, z / threshold(third / variance**1.5, x.numel()))
    return worst


def evidence(law: laws.Law, w: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Independent entries of a stack of matrices."""
    if law.independent:
        return w
    w = w.flatten(0, -3)
    places = torch.randint(w[0].numel(), (len(w), 1), generator=generator)
    return w.flatten(1).gather(1, places)


def structure_holds(law: laws.Law, w: torch.Tensor) -> bool:
    """What is certain of each matrix: orthonormality, counts of zeros, each entry."""
    if isinstance(law, laws.Orthogonal):
        short = w if w.shape[-2] <= w.shape[-1] else w.mT
        target = float(law.gain) ** 2 * torch.eye(short.shape[-2], dtype=w.dtype)
        return bool(((short @ short.mT - target).abs() < 1e-5).all())
    if isinstance(law, laws.Spherical):
        return bool((w.norm(dim=-1) - float(law.gain)).abs().max() < 1e-5)
    if isinstance(law, laws.Sparse):
        return bool(((w == 0).sum(-2) == int(law.zeros)).all())
    if isinstance(law, laws.Dirac):
        return torch.equal(w, law.sample(tuple(w.shape), generator=torch.Generator()))
    return True


def draws_of(law: laws.Law) -> int:
    return N // math.prod(shape_of(law)) if law.independent else 40_000


@pytest.fixture(params=EXAMPLES, ids=str)
def example(request: pytest.FixtureRequest) -> Initializer:
    """Each initializer, with one or two choices of its arguments."""
    return request.param


@pytest.fixture
def law(example: Initializer) -> laws.Law:
    """The example's law at fans 8 and 12."""
    return law_of(example)


@pytest.fixture(scope="session")
def weigh() -> SimpleNamespace:
    """The helpers of this page."""
    tools = (departure, draws_of, evidence, law_of, shape_of, structure_holds, threshold)
    return SimpleNamespace(N=N, **{tool.__name__: tool for tool in tools})
