"""Constant initialization: neurons that stay equal forever."""

from collections.abc import Callable

import torch
from torch import nn

from varprop.ledger.claim import Claim, Evidence, Experiment, Series, Settings
from varprop.ledger.experiments import labelled_digits
from varprop.stats import Verdict

STEPS = 200
HIDDEN = 16
ROUNDING = 1e-12  # of outputs of order one, in float64
STEP_ROUNDING = 1e-9  # Adam divides gradients by at least 1e-8, and so their rounding of 1e-16

OPTIMIZERS: dict[str, Callable[[list[nn.Parameter]], torch.optim.Optimizer]] = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.05),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9),
    "Adam": lambda p: torch.optim.Adam(p, lr=0.01),
}


class _Classifier(nn.Module):
    """64 pixels, one hidden ReLU layer, ten classes."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(64, HIDDEN), nn.Linear(HIDDEN, 10)
        self.double()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(torch.relu(self.first(x)))


def _trained(
    optimizer: str, constant: float | None, settings: Settings
) -> tuple[_Classifier, list[float], list[float]]:
    """A digits classifier after STEPS steps: the module, its spread over neurons, its losses.

    `constant` fills every weight (biases zero); None keeps the default initialization. The spread
    is the largest difference between two hidden neurons' incoming or outgoing weights. Neurons that
    start equal are made equal again after each step, so that the spread is what one step makes:
    matrix products may round neurons differently, and Adam turns 1e-13 into 1 within 200 steps.
    """
    with torch.random.fork_rng(devices=[]):
        torch.random.manual_seed(settings.seed)
        net = _Classifier()
    if constant is not None:
        for layer in (net.first, net.last):
            nn.init.constant_(layer.weight, constant)
            nn.init.zeros_(layer.bias)
    x, labels = _data()
    step = OPTIMIZERS[optimizer](list(net.parameters()))
    spread, losses = [], []
    for _ in range(STEPS):
        step.zero_grad()
        loss = nn.functional.cross_entropy(net(x), labels)
        loss.backward()
        step.step()
        incoming, outgoing = net.first.weight.detach(), net.last.weight.detach()
        rows = (incoming - incoming[:1]).abs().max()
        columns = (outgoing - outgoing[:, :1]).abs().max()
        spread.append(float(torch.maximum(rows, columns)))
        losses.append(float(loss.detach()))
        if constant is not None:
            biases = net.first.bias.detach()
            biases.copy_(biases[:1].expand_as(biases).clone())
            incoming.copy_(incoming[:1].expand_as(incoming).clone())
            outgoing.copy_(outgoing[:, :1].expand_as(outgoing).clone())
    return net, spread, losses


def _data(points: int = 256) -> tuple[torch.Tensor, torch.Tensor]:
    pixels, labels = labelled_digits(points)
    return torch.as_tensor(pixels), torch.as_tensor(labels)


def _stays_equal(optimizer: str) -> Experiment:
    def run(settings: Settings) -> Evidence:
        _, spread, losses = _trained(optimizer, 0.05, settings)
        _, control, best = _trained(optimizer, None, settings)
        equal = max(spread) < STEP_ROUNDING < min(control) and losses[-1] < losses[0]
        summary = (
            f"{STEPS} steps on digits: one step parts hidden neurons by at most {max(spread):.2g} "
            f"(default initialization: {control[-1]:.3g}); loss {losses[0]:.3f} to "
            f"{losses[-1]:.3f} (default: {best[-1]:.3f})"
        )
        figures = {
            "largest difference": max(spread),
            "final loss": losses[-1],
            "final loss, default": best[-1],
        }
        at = tuple(range(0, STEPS, 5))
        series = tuple(
            Series(label, tuple(map(float, at)), None, tuple(values[i] for i in at))
            for label, values in (("constant 0.05", losses), ("default", best))
        )
        verdict = Verdict.CONFIRMED if equal else Verdict.REFUTED
        return Evidence(optimizer, verdict, summary, figures, series, ("step", "loss"))

    return run


def _acts_as_one(settings: Settings) -> Evidence:
    """The constant net of 16 neurons against a single neuron with 16 times the outgoing weight."""
    net, _, _ = _trained("SGD", 0.05, settings)
    x, _ = _data()
    first, last = net.first, net.last
    with torch.no_grad():
        neuron = torch.relu(x @ first.weight[0] + first.bias[0])
        single = neuron[:, None] * (HIDDEN * last.weight[:, 0]) + last.bias
        gap = float((net(x) - single).abs().max())
        rank = int(torch.linalg.matrix_rank(first.weight))
    verdict = Verdict.CONFIRMED if gap < ROUNDING and rank == 1 else Verdict.REFUTED
    summary = f"largest difference to one neuron {gap:.2g}, rank of the first weight {rank}"
    return Evidence("16 neurons act as one", verdict, summary, {"difference": gap, "rank": rank})


def _zero_learns_nothing(settings: Settings) -> Evidence:
    """All parameters zero: after training only the last bias has moved."""
    net, _, losses = _trained("momentum", 0.0, settings)
    moved = {name: float(p.detach().abs().max()) for name, p in net.named_parameters()}
    only_bias = all(v == 0 for k, v in moved.items() if k != "last.bias") and moved["last.bias"] > 0
    summary = "; ".join(f"{name} moved by {value:.3g}" for name, value in moved.items())
    verdict = Verdict.CONFIRMED if only_bias else Verdict.REFUTED
    return Evidence("all zero, ReLU", verdict, summary, {"final loss": losses[-1], **moved})


CLAIMS = (
    Claim(
        name="equal-neurons",
        title="Neurons that start equal stay equal",
        statement="constant weights: equal outputs, gradients and updates of all neurons of a "
        "layer, forever, under SGD, momentum and Adam; zero weights with ReLU learn a bias only",
        source="course notes on network tricks; PyTorch notes on initialization",
        derivation="equal-neurons",
        note="Exact in real arithmetic; measured step by step, as training amplifies rounding.",
        rows=("B1", "C5"),
        experiments=(
            *(_stays_equal(name) for name in OPTIMIZERS),
            _acts_as_one,
            _zero_learns_nothing,
        ),
    ),
)
