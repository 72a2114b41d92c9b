"""Singular values of input-output Jacobians, against free probability."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from varprop.builders import mlp
from varprop.initializers import normal, orthogonal, uniform, xavier_uniform
from varprop.ledger.claim import Claim, Evidence, Experiment, Settings
from varprop.ledger.experiments import ERROR_RATE, MARGIN, against
from varprop.montecarlo import singular_values
from varprop.network import Network
from varprop.stats import TooFewDraws, Verdict, overall

PENNINGTON = "Pennington, Schoenholz & Ganguli (2017, 2018)"
WIDTH = 64
LABEL = "log(m_2/m_1^2)"

Read = Callable[[np.ndarray], np.ndarray]  # singular values (draws, k) to one number a network


def columns(
    name: str,
    measure: Callable[[Settings], Mapping[str, np.ndarray]],
    stated: Mapping[str, float],
    margin: float = MARGIN,
) -> Experiment:
    """Averages over draws of measured columns (draws,) against stated numbers, by equivalence."""

    def run(settings: Settings) -> Evidence:
        verdicts, words, figures = [], [], {}
        for label, column in measure(settings).items():
            figures[label] = float(column.mean())
            text = f"{label}: stated {stated[label]:.6g}, measured {column.mean():.6g}"
            try:
                verdict, low, high = against(
                    column / stated[label], margin, ERROR_RATE / len(stated)
                )
                text += f", gap in [{low:+.2%}, {high:+.2%}]"
            except TooFewDraws as refusal:
                verdict, text = Verdict.UNDECIDED, f"{text}: {refusal}"
            verdicts.append(verdict)
            words.append(text)
        return Evidence(name, overall(verdicts), "; ".join(words), figures)

    run.__name__ = name
    return run


def moment(k: int) -> Read:
    """The mean over the spectrum of s^(2k)."""
    return lambda s: (s ** (2 * k)).mean(-1)


def above(place: float) -> Read:
    """The share of squared singular values above `place` times their mean."""
    return lambda s: (s**2 > place * (s**2).mean(-1, keepdims=True)).mean(-1)


def spread(s: np.ndarray) -> np.ndarray:
    """log(m_2/m_1^2) of each network."""
    return np.log(moment(2)(s) / moment(1)(s) ** 2)


def spectrum(
    name: str,
    network: Network,
    stated: Sequence[tuple[str, float, Read]],
    *,
    inputs: np.ndarray | None = None,
    draws: int = 112,
    margin: float = MARGIN,
) -> Experiment:
    """Numbers read off each network's singular values, averaged, against stated ones."""

    def measure(settings: Settings) -> dict[str, np.ndarray]:
        values = singular_values(
            network,
            inputs,
            draws=settings.draws(draws),
            seed=settings.seed,
            device=settings.device,
            progress=False,
        )[:, 0]
        return {label: read(values) for label, _, read in stated}

    return columns(name, measure, {label: value for label, value, _ in stated}, margin)


def _square(activation: str, depth: int, weights: str, gain: float) -> Network:
    law = orthogonal(gain=gain**0.5) if weights == "orthogonal" else normal(variance=gain / WIDTH)
    return mlp(WIDTH, depth, activation=activation, weights=law, output=None)


def _glorot(limit: float) -> Experiment:
    def mean(s: np.ndarray) -> np.ndarray:
        return s.mean(-1)

    law = xavier_uniform() if limit == 1 else uniform(-(WIDTH**-0.5), WIDTH**-0.5)
    net = mlp(WIDTH, 1, activation="identity", weights=law, output=None)
    stated = 8 / (3 * np.pi) * limit**0.5
    label = "normalised" if limit == 1 else "standard"
    return spectrum(label, net, [("mean singular value", stated, mean)])


CLAIMS = (
    Claim(
        name="fuss-catalan",
        title="The spectrum of a deep linear network is Fuss-Catalan's",
        statement="L Gaussian layers of variance 1/n: m_k = C((L+1)k, k)/(Lk+1), so m_2 = L+1; "
        "largest squared singular value (L+1)^(L+1)/L^L",
        source="Haagerup & Moeller (2013); Penson & Zyczkowski (2011)",
        derivation="fuss-catalan",
        experiments=(
            spectrum(
                "two layers: 1, 3",
                _square("identity", 2, "gaussian", 1.0),
                [("m_1", 1.0, moment(1)), ("m_2", 3.0, moment(2))],
            ),
        ),
        note="At width n the average of m_2 over networks is larger by 3/n + 3/n^2 (two layers).",
    ),
    Claim(
        name="jacobian-variance",
        title="Dynamical isometry: the variance of J J' is L (mu_2/mu_1^2 - 1 - s_1)",
        statement="m_2/m_1^2 - 1 of three ReLU layers: 3 with orthogonal, 6 with Gaussian weights; "
        "of three linear orthogonal layers 0",
        source=PENNINGTON,
        derivation="jacobian-variance",
        experiments=(
            spectrum(
                "ReLU, orthogonal",
                _square("relu", 3, "orthogonal", 2.0),
                [(LABEL, np.log(4.0), spread)],
            ),
            spectrum(
                "ReLU, Gaussian",
                _square("relu", 3, "gaussian", 2.0),
                [(LABEL, np.log(7.0), spread)],
            ),
            spectrum(
                "tanh at its fixed point, orthogonal, sigma_w^2 = 1.5, q = 0.28689",
                _square("tanh", 4, "orthogonal", 1.5),
                [(LABEL, np.log(1.6464), spread)],
                inputs=np.full((1, WIDTH), (0.28689 / 1.5) ** 0.5),
            ),
        ),
    ),
    Claim(
        name="relu-spectrum-edges",
        title="The spectral density of a deep ReLU network",
        statement="He's variance, three layers, squared singular values: 27.27 % above their "
        "mean and 20.33 % above twice that with orthogonal weights, up to 27/4; 19.68 % "
        "and 14.42 % with Gaussian "
        "ones, up to 16.46; half of all are zero",
        source=PENNINGTON + "; numbers by the S-transform",
        derivation="relu-spectrum-edges",
        experiments=(
            spectrum(
                "orthogonal",
                _square("relu", 3, "orthogonal", 2.0),
                [("above 1", 0.2727353, above(1.0)), ("above 2", 0.2033325, above(2.0))],
            ),
            spectrum(
                "Gaussian",
                _square("relu", 3, "gaussian", 2.0),
                [("above 1", 0.1968411, above(1.0)), ("above 2", 0.1441635, above(2.0))],
            ),
        ),
    ),
    Claim(
        name="average-singular-value",
        title="The average singular value of a layer's Jacobian",
        statement="normalised initialization 8/(3 pi) = 0.849 ('around 0.8'), standard "
        "initialization 8/(3 pi sqrt(3)) = 0.490 ('0.5')",
        source="Glorot & Bengio (2010), section 4.2",
        derivation="quarter-circle-mean",
        experiments=(_glorot(1.0), _glorot(1 / 3)),
    ),
)
