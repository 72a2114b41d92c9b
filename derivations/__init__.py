"""Proofs of the classical results on variance propagation, each step checked by machine.

    python -m derivations                     verify all
    python -m derivations he-factor-two       print one

A derivation runs varprop's own rules on symbols and shows them equal to what first principles
give: explicit sums of independent terms, integrals, symmetry. Other proofs rest on `price-theorem`.
"""

from collections.abc import Callable
from difflib import get_close_matches
from importlib import import_module

from derivations.derivation import Derivation, DerivationError, Step

__all__ = ["CATALOGUE", "Derivation", "DerivationError", "Step", "derive"]

_THEMES = {
    "dense": ("dense-forward", "dense-backward"),
    "glorot_2010": (
        "glorot-conditions",
        "glorot-rectangular",
        "glorot-uniform",
        "xavier-tanh",
        "signal-shrinks",
    ),
    "he_2015": ("he-factor-two", "he-leaky", "he-telescoping"),
    "rectified_folklore": ("xavier-relu-vanishes", "two-over-root-n"),
    "linear_scales": ("lecun", "explosion", "unit-scale-linear"),
    "saturating": ("linear-regime", "tanh-not-linear", "saturation"),
    "library_defaults": ("pytorch-default", "caffe-fillers"),
    "truncation": ("truncated-normal", "truncated-density-without-sigma"),
    "truncation_pitfalls": ("truncated-inverse", "truncation-pitfalls"),
    "symmetry": ("equal-neurons",),
    "gaussian_calculus": ("price-theorem",),
    "kinked_kernels": ("relu-kernel", "leaky-kernel"),
    "smooth_kernels": ("erf-kernel", "gelu-kernel", "sin-kernel"),
    "spectra": (
        "jacobian-variance",
        "fuss-catalan",
        "relu-spectrum-edges",
        "quarter-circle-mean",
    ),
    "selu": ("selu-constants",),
    "siren": ("siren-variance",),
    "tied": ("tied-weights",),
    "conditional": ("conditional-gaussian", "conditional-haar"),
    "frames": ("coherence-bound",),
    "piecewise": ("truncated-moments", "truncated-pairs", "rectified-kernels", "elu-moments"),
    "entire_kernels": (
        "polynomial-kernels",
        "exponential-kernels",
        "wave-kernels",
        "normal-cdf-kernel",
    ),
    "residual": ("residual-doubling",),
    "recurrences": ("affine-recurrence", "residual-recurrence", "riccati-recurrence"),
    "mean_field": (
        "mean-field-chi",
        "erf-critical-line",
        "dropout-correlation",
    ),
    "critical_decay": (
        "relu-correlation-decay",
        "smooth-correlation-decay",
        "vanishing-variance",
    ),
    "gains": ("stricter-criticality", "gain-table", "unit-gain"),
    "finite_width": ("length-fluctuation", "length-products", "random-kernel"),
    "finite_width_gradients": ("gradient-fluctuation",),
    "finite_width_pairs": ("random-kernel-of-pairs", "gradient-terms"),
    "neuron": ("neuron-kurtosis",),
    "finite_width_laws": ("length-law-moments", "dead-networks", "typical-length"),
}


def _builder(module: str, name: str) -> Callable[[], Derivation]:
    def build() -> Derivation:
        return getattr(import_module(f"derivations.{module}"), name.replace("-", "_"))()

    build.__name__ = name
    return build


CATALOGUE: dict[str, Callable[[], Derivation]] = {
    name: _builder(module, name) for module, names in _THEMES.items() for name in names
}
"""Every derivation by name; a call runs varprop's rules and builds it."""


def derive(name: str) -> Derivation:
    """Build the derivation of that name; ValueError for an unknown one, with close names."""
    if name not in CATALOGUE:
        near = get_close_matches(name, CATALOGUE, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(CATALOGUE)}"
        raise ValueError(f"no derivation is called {name!r}; {hint}")
    return CATALOGUE[name]()
