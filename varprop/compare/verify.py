"""verify: predict, simulate and compare in one call, with the draws that the margin asks for."""

from typing import Any

from varprop.compare.judge import compare
from varprop.compare.report import Report
from varprop.layers import Dense, Elementwise
from varprop.montecarlo import simulate
from varprop.network import Network
from varprop.stats import draws_to_certify
from varprop.theory import predict

LEAST = 256  # below this the studentized test refuses at the default error rate


def verify(
    network: Network,
    inputs: Any = None,
    *,
    margin: float = 0.05,
    error_rate: float = 1e-6,
    false_pass: float = 1e-4,
    seed: int = 0,
    draws: int | None = None,
    device: str = "auto",
    engine: str = "explicit",
    progress: bool | None = None,
) -> Report:
    """The report of `compare` on fresh draws: by default as many as confirm a true theory.

    See `compare` for margin and error rates, `simulate` for the engines.
    """
    theory = predict(network, inputs)
    if draws is None:
        draws = draws_for(network, margin, false_pass)
    sample = simulate(
        network, inputs, draws=draws, seed=seed, device=device, engine=engine, progress=progress
    )
    return compare(theory, sample, margin=margin, error_rate=error_rate, false_pass=false_pass)


def draws_for(
    network: Network, margin: float = 0.05, false_pass: float = 1e-4, power: float = 0.999
) -> int:
    """Draws with which a true theory has every step inside the margin with probability `power`."""
    widths = [network.sizes[n.name] for n in network if isinstance(n.layer, (Dense, Elementwise))]
    kurtoses = [
        float(n.layer.activation.fourth_moment(1.0) / n.layer.activation.second_moment(1.0) ** 2)
        for n in network
        if isinstance(n.layer, Elementwise)
    ]
    spread = max([3.0, *kurtoses]) - 1
    if not widths:
        return LEAST
    needed = draws_to_certify(
        margin, spread / min(widths), level=false_pass, power=power, tests=4 * len(widths)
    )
    return max(LEAST, needed)
