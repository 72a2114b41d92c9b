"""Seeds of the suite: every random test draws from its own name and one session seed.

`pytest --seed N` (or VARPROP_TEST_SEED=N) reruns the same suite on other random numbers; a correct
suite passes under any N. Hypothesis follows: deterministic at N = 0, seeded by N otherwise.
"""

from __future__ import annotations

import os
import zlib
from typing import TYPE_CHECKING

import hypothesis
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import torch

IS_XDIST_WORKER = "PYTEST_XDIST_WORKER" in os.environ

# Set before any numerical library loads; the subprocesses that tests start inherit both.
os.environ["MPLBACKEND"] = "Agg"
if IS_XDIST_WORKER:  # the workers share the cores, so each computes on one thread
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = "1"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--seed",
        type=int,
        default=int(os.environ.get("VARPROP_TEST_SEED", "0")),
        help="session seed, mixed with each test's name (default: VARPROP_TEST_SEED or 0)",
    )


@pytest.hookimpl(tryfirst=True)  # before hypothesis reads its own option
def pytest_configure(config: pytest.Config) -> None:
    session_seed = config.getoption("--seed")
    hypothesis.settings.register_profile(
        "varprop", deadline=None, database=None, derandomize=session_seed == 0
    )
    hypothesis.settings.load_profile("varprop")
    if session_seed != 0 and config.getoption("--hypothesis-seed") is None:
        config.option.hypothesis_seed = str(session_seed)
    if IS_XDIST_WORKER:
        import torch

        torch.set_num_threads(1)


def pytest_report_header(config: pytest.Config) -> str:
    return f"session seed: {config.getoption('--seed')} (change it with --seed N)"


@pytest.fixture(autouse=True, scope="session")
def _shapes() -> None:
    """Check the shapes of every state that the suite builds."""
    from tests.shapes import CONTRACTS, guard

    for cls, contract in CONTRACTS.items():
        guard(cls, contract)


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """A 32-bit seed that depends on the test's node id and the session seed only."""
    session_seed = request.config.getoption("--seed")
    return zlib.crc32(f"{session_seed}:{request.node.nodeid}".encode())


@pytest.fixture
def rng(seed: int) -> np.random.Generator:
    """A numpy generator on this test's own stream."""
    import numpy as np

    return np.random.default_rng(seed)


@pytest.fixture
def generator(seed: int) -> torch.Generator:
    """A torch CPU generator on this test's own stream."""
    import torch

    return torch.Generator().manual_seed(seed)


@pytest.fixture
def bent_relu() -> Callable:
    """Makes `Elementwise.apply` with a backward pass of relu that is `factor` times too large."""
    import torch

    from varprop.layers import Elementwise

    plain = Elementwise.apply

    def make(factor: float) -> Callable:
        class Bent(torch.autograd.Function):
            @staticmethod
            def forward(z):
                return torch.relu(z)

            @staticmethod
            def setup_context(ctx, inputs, output):
                ctx.save_for_backward(inputs[0])
                ctx.save_for_forward(inputs[0])

            @staticmethod
            def backward(ctx, g):
                return factor * g * (ctx.saved_tensors[0] > 0)

            @staticmethod
            def jvp(ctx, t):
                return t * (ctx.saved_tensors[0] > 0)

        def apply(self, parameters, *values, unit=1.0):
            if self.kind == "relu":
                return Bent.apply(values[0])
            return plain(self, parameters, *values, unit=unit)

        return apply

    return make
