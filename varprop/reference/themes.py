"""What the reference shows, in its order: the public names by theme, modules and the guide."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Theme:
    """Names of `varprop.__all__`; the heads of `modules` state what they have in common."""

    title: str
    sentence: str
    names: tuple[str, ...]
    modules: tuple[str, ...] = ()


def _theme(title: str, sentence: str, names: str, *modules: str) -> Theme:
    return Theme(title, sentence, tuple(names.split()), modules)


THEMES = (
    _theme(
        "Networks",
        "A network is a graph of layers; theory and simulation read the same one.",
        "mlp residual Graph Network Node",
    ),
    _theme(
        "Layers",
        "Each layer has its moment rules and its sampling side by side.",
        "Layer Input Dense Elementwise Add Scale",
    ),
    _theme(
        "Activations and initializers",
        "Named entries of two tables, or your own.",
        "activation custom_activation Activation init Initializer",
    ),
    _theme(
        "Predict",
        "Numbers or formulas, each with its regime.",
        "predict Prediction Moments Regime recurrence Recurrence ntk tied_second_moment frames",
    ),
    _theme(
        "Laws at finite width",
        "The whole distribution of a length over networks.",
        "length_law gradient_law LengthLaw",
    ),
    _theme(
        "Mean field",
        "Deep stacks of wide layers: fixed points, phases, depth scales, gains.",
        "mean_field MeanField FixedPoint critical_line critical_bias critical_point"
        " critical_points CriticalPoint power_laws PowerLaw phase_diagram PhaseDiagram gain Gain"
        " gain_table GainTable residual_stack ResidualStack",
        "varprop.theory.meanfield.stack",
    ),
    _theme(
        "Jacobian spectra",
        "The singular values of the input-output map, predicted and measured.",
        "jacobian_spectrum JacobianSpectrum singular_values",
    ),
    _theme(
        "Measure",
        "Many networks with fresh weights; one row for each.",
        "simulate Sample sweep Sweep mean_length MeanLengths trace TracedNetwork measure",
    ),
    _theme(
        "Judge",
        "CONFIRMED, REFUTED or UNDECIDED, at stated error rates.",
        "compare verify plan Plan Report Verdict compare_samples check_initializer"
        " InitializerReport width_study WidthStudy neuron_study NeuronStudy precision_study"
        " PrecisionStudy",
    ),
    _theme(
        "Truncated normals",
        "Any window, exact moments, and the known pitfalls.",
        "truncated_normal TruncatedMoments truncated_std truncation_report TruncationReport",
    ),
)
"""Every public name stands in one theme, which a test checks."""

MODULES = {
    "varprop.init": "varprop.initializers",
    "varprop.frames": "varprop.theory.frames",
    "varprop.testing": "varprop.testing",
    "varprop.results": "varprop.results.table",
    "varprop.stats": "varprop.stats",
}
"""The modules that have a page of their own, by the name under which they are used."""

GUIDE = ("prove", "measure", "judge", "tests", "figures", "scale", "own", "verdicts")
"""The pages of the guide, `varprop/guide/*.md`, in reading order."""
