"""What a figure is drawn from: arrays, judged claims, and how they were made; one .npz file."""

import io
import json
import math
import platform
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

import varprop as vp
from varprop.comparison import Judged
from varprop.montecarlo.store import replace_file
from varprop.stats import overall

ABOUT = "about"  # the entry of the .npz file that holds everything but arrays, as JSON
LIBRARIES = ("numpy", "scipy", "sympy", "torch")
ERROR_RATE = 1e-6  # with which at most a claim is REFUTED that is true


@dataclass(frozen=True)
class Claim:
    """A statement that the figure makes, its verdict, and the line of evidence behind it.

    `panel` and `series` say where in the figure it is drawn. Claims of one statement are told
    together in the caption, with the evidence of the one whose `gap` is the widest. `error_rate`
    bounds the probability that the claim is REFUTED although it is true; None: nothing is stated.
    """

    statement: str
    verdict: str
    evidence: str
    panel: str = ""
    series: str = ""
    gap: float = 0.0
    error_rate: float | None = None

    @property
    def confirmed(self) -> bool:
        return self.verdict == vp.Verdict.CONFIRMED


@dataclass(frozen=True)
class Results:
    """`about` holds parameters, seed, versions, device, dtype and networks, as JSON values."""

    arrays: Mapping[str, np.ndarray]
    claims: tuple[Claim, ...]
    about: Mapping[str, Any] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set, init=False, compare=False, repr=False)

    @property
    def verdict(self) -> vp.Verdict:
        return overall(vp.Verdict(claim.verdict) for claim in self.claims)

    def doubted(self, panel: str, series: str = "") -> str:
        """The verdict on what is drawn there, or nothing where it is CONFIRMED.

        `asked` keeps the panels that a drawing asked for, so that no doubt is lost.
        """
        self.asked.add(panel)
        here = [c for c in self.claims if c.panel == panel and (not series or c.series == series)]
        if all(claim.confirmed for claim in here):
            return ""
        return str(overall(vp.Verdict(claim.verdict) for claim in here))

    def unmarked(self) -> str:
        """The verdict on the claims whose panel no drawing asked for, if one is not CONFIRMED."""
        rest = [c for c in self.claims if not c.panel or c.panel not in self.asked]
        if all(claim.confirmed for claim in rest):
            return ""
        return str(overall(vp.Verdict(claim.verdict) for claim in rest))

    def save(self, path: Path) -> None:
        """Write the file in one step, the same bytes for the same results."""
        about = dict(self.about) | {"claims": [asdict(claim) for claim in self.claims]}
        text = np.array(json.dumps(about, sort_keys=True))
        file = io.BytesIO()
        np.savez(file, allow_pickle=False, **self.arrays, **{ABOUT: text})
        replace_file(path, file.getvalue())

    @staticmethod
    def load(path: Path) -> "Results | None":
        """The saved results, or None where there is no readable file."""
        try:
            with path.open("rb") as raw, np.load(raw) as file:
                arrays = {name: file[name] for name in file.files if name != ABOUT}
                about = json.loads(str(file[ABOUT]))
            claims = tuple(Claim(**claim) for claim in about.pop("claims"))
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
            return None
        return Results(arrays, claims, about)

    def match(self, parameters: Mapping[str, Any], seed: int, device: str) -> bool:
        """Whether these are the results of that computation; "auto" accepts any device."""
        asked = {"parameters": dict(parameters), "seed": seed, "varprop": vp.__version__}
        if device != "auto":
            asked["device"] = device
        made = {**self.about, "varprop": self.about.get("versions", {}).get("varprop")}
        return all(made.get(key) == value for key, value in asked.items())

    def manifest(self) -> dict[str, Any]:
        """Everything but the arrays, for the JSON file beside the figure."""
        return {
            "verdict": str(self.verdict),
            "claims": [asdict(claim) for claim in self.claims],
            **self.about,
        }


class Drawn(Protocol):
    """What a sample tells of how it was drawn."""

    @property
    def device(self) -> str: ...
    @property
    def dtype(self) -> str: ...
    @property
    def engine(self) -> str: ...


class Tensors(NamedTuple):
    """How tensors were drawn outside of a sample, for the manifest."""

    device: str
    dtype: str = "float32"
    engine: str = "explicit"


def provenance(
    parameters: Mapping[str, Any],
    seed: int,
    samples: Iterable[Drawn],
    networks: Mapping[str, Mapping[str, Any]],
    data: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """How results were made: from which parameters and data, on what, by which versions."""
    sample, *_ = samples
    versions = {name: version(name) for name in LIBRARIES}
    return {
        "parameters": dict(parameters),
        "seed": seed,
        "device": sample.device,
        "dtype": sample.dtype,
        "engine": sample.engine,
        "networks": {name: dict(about) for name, about in networks.items()},
        **({"data": dict(data)} if data else {}),
        "versions": {"varprop": vp.__version__, "python": platform.python_version(), **versions},
    }


def percent(value: float, digits: int = 1) -> str:
    """+1.2 %, with a minus sign that is one and a space that breaks no line."""
    return f"{value:+.{digits}%}".replace("-", "−").replace("%", "\N{NO-BREAK SPACE}%")


def claim_of(
    rows: Sequence[Judged], statement: str, draws: int, panel: str, series: str = ""
) -> Claim:
    """The claim that stands on these rows of a comparison; its evidence is the worst of them."""
    worst = max(rows, key=lambda row: (row.verdict != vp.Verdict.CONFIRMED, abs(row.gap)))
    evidence = gap_evidence(worst.node, worst.gap, worst.low, worst.high, draws)
    if worst.note and worst.verdict != vp.Verdict.CONFIRMED:
        evidence = f"{worst.node} {worst.quantity}, {draws} networks: {worst.note}"
    verdict = overall(row.verdict for row in rows)
    gap = worst.gap if math.isfinite(worst.gap) else 0.0
    return Claim(statement, str(verdict), evidence, panel, series, gap, ERROR_RATE)


def gap_evidence(node: str, gap: float, low: float, high: float, draws: int) -> str:
    """Where measured and expected differ most, and the interval of the difference."""
    interval = f"[{percent(low)}, {percent(high)}]"
    return f"Widest gap {percent(gap)} in {interval} at {node}, {draws} networks"


def describe(network: vp.Network, **arguments: Any) -> dict[str, Any]:
    """A network in words: the arguments that built it, and its size."""
    told = {
        key: value if isinstance(value, int) else str(value) for key, value in arguments.items()
    }
    return {**told, "nodes": len(network.nodes), "parameters": network.parameter_count}


def streams(seed: int, count: int) -> list[int]:
    """Seeds of independent samples of one figure."""
    return [int(word) for word in np.random.SeedSequence(seed).generate_state(count)]
