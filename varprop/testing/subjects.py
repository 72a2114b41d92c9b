"""What can be asserted: a network of laws, a torch module, a function that makes fresh modules."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import varprop as vp

if TYPE_CHECKING:
    from varprop.montecarlo import Sample
    from varprop.network import Network


@dataclass(frozen=True)
class Subject:
    """`network` has the theory; `sample(draws, seed)` measures what the theory is asserted of.

    `single`: it is one network, of which no more can be drawn. `laws`: it is the network itself.
    """

    network: "Network"
    sample: Callable[[int, int], "Sample"]
    single: bool = False
    laws: bool = False


def subject_of(subject: Any, inputs: Any, weights: Any, bias: Any, engine: str | None) -> Subject:
    """Raises ValueError for what is none of the three, and for arguments that it does not take."""
    from varprop.network import Network

    if isinstance(subject, Network):
        return _laws(subject, inputs, weights, bias, engine)
    if not callable(subject):
        raise ValueError(
            "a varprop Network, a torch.nn.Module, or a function that makes modules is needed, "
            f"got {subject!r}; build a network with varprop.mlp, varprop.residual or varprop.Graph"
        )
    if engine is not None:
        raise ValueError(f"modules are measured as they are, got engine={engine!r}; leave it out")
    return _modules(subject, inputs, weights, bias)


def _laws(network: "Network", inputs: Any, weights: Any, bias: Any, engine: str | None) -> Subject:
    from varprop.network import check_not_symbolic

    check_not_symbolic(network, "assert_matches_theory needs")
    if weights is not None or bias is not None:
        raise ValueError(
            "weights and bias say from which laws a module was drawn, and a Network has its own; "
            "build it with them"
        )

    def sample(draws: int, seed: int) -> "Sample":
        how = {"engine": engine or "auto", "progress": False}
        return vp.simulate(network, inputs, draws=draws, seed=seed, **how)

    return Subject(network, sample, laws=True)


def _modules(subject: Any, inputs: Any, weights: Any, bias: Any) -> Subject:
    import torch

    from varprop.torch_modules.measure import own_stream

    single = isinstance(subject, torch.nn.Module)
    with own_stream(0):  # leave the user's
        module = subject if single else subject()
    network = vp.trace(module, inputs, weights=weights, bias=bias)

    def sample(draws: int, seed: int) -> "Sample":
        return vp.measure(subject, inputs, network=network, draws=draws, seed=seed)

    return Subject(network, sample, single)
