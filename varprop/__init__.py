"""varprop derives, measures and judges how variance travels through deep networks.

    theory = varprop.predict(net, inputs=x)          # numbers or formulas, each with its regime
    sample = varprop.simulate(net, inputs=x, draws=400, seed=0)
    report = varprop.compare(theory, sample)         # CONFIRMED, REFUTED or UNDECIDED

Names load on first use, so that importing the package costs milliseconds.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_PLACES = {
    "Activation": "varprop.activations",
    "activation": "varprop.activations:get",
    "custom_activation": "varprop.activations:custom",
    "Initializer": "varprop.initializers",
    "init": "varprop.initializers:",
    "TruncatedMoments": "varprop.laws",
    "TruncationReport": "varprop.laws",
    "truncated_normal": "varprop.laws",
    "truncated_std": "varprop.laws",
    "truncation_report": "varprop.laws",
    "Moments": "varprop.moments",
    "Regime": "varprop.moments",
    "Layer": "varprop.layers",
    "Add": "varprop.layers",
    "Dense": "varprop.layers",
    "Elementwise": "varprop.layers",
    "Input": "varprop.layers",
    "Scale": "varprop.layers",
    "Graph": "varprop.network",
    "Network": "varprop.network",
    "Node": "varprop.network",
    "mlp": "varprop.builders",
    "residual": "varprop.builders",
    "LengthLaw": "varprop.theory",
    "gradient_law": "varprop.theory",
    "length_law": "varprop.theory",
    "Prediction": "varprop.theory",
    "predict": "varprop.theory",
    "Recurrence": "varprop.theory",
    "recurrence": "varprop.theory:recurrence",
    "Sample": "varprop.montecarlo",
    "simulate": "varprop.montecarlo",
    "Sweep": "varprop.montecarlo",
    "sweep": "varprop.montecarlo:sweep",
    "TracedNetwork": "varprop.torch_modules",
    "trace": "varprop.torch_modules:trace",
    "measure": "varprop.torch_modules:measure",
    "Report": "varprop.comparison",
    "compare": "varprop.comparison:compare",
    "InitializerReport": "varprop.comparison",
    "check_initializer": "varprop.comparison",
    "compare_samples": "varprop.comparison",
    "WidthStudy": "varprop.comparison",
    "width_study": "varprop.comparison",
    "NeuronStudy": "varprop.comparison",
    "neuron_study": "varprop.comparison",
    "verify": "varprop.comparison:verify",
    "Plan": "varprop.comparison",
    "plan": "varprop.comparison:plan",
    "PrecisionStudy": "varprop.comparison",
    "precision_study": "varprop.comparison:precision_study",
    "Verdict": "varprop.stats",
    "JacobianSpectrum": "varprop.theory",
    "jacobian_spectrum": "varprop.theory",
    "singular_values": "varprop.montecarlo",
    "MeanLengths": "varprop.montecarlo",
    "mean_length": "varprop.montecarlo",
    "tied_second_moment": "varprop.theory",
    "frames": "varprop.theory.frames:",
    "ntk": "varprop.theory",
    "MeanField": "varprop.theory.meanfield",
    "PhaseDiagram": "varprop.theory.meanfield",
    "CriticalPoint": "varprop.theory.meanfield",
    "FixedPoint": "varprop.theory.meanfield",
    "Gain": "varprop.theory.meanfield",
    "GainTable": "varprop.theory.meanfield",
    "PowerLaw": "varprop.theory.meanfield",
    "ResidualStack": "varprop.theory.meanfield",
    "critical_points": "varprop.theory.meanfield",
    "critical_bias": "varprop.theory.meanfield",
    "critical_line": "varprop.theory.meanfield",
    "critical_point": "varprop.theory.meanfield",
    "gain": "varprop.theory.meanfield",
    "gain_table": "varprop.theory.meanfield",
    "mean_field": "varprop.theory.meanfield",
    "phase_diagram": "varprop.theory.meanfield",
    "power_laws": "varprop.theory.meanfield",
    "residual_stack": "varprop.theory.meanfield",
}

__all__ = [
    "Activation",
    "Add",
    "CriticalPoint",
    "Dense",
    "Elementwise",
    "FixedPoint",
    "Gain",
    "GainTable",
    "Graph",
    "Initializer",
    "InitializerReport",
    "Input",
    "JacobianSpectrum",
    "Layer",
    "LengthLaw",
    "MeanField",
    "MeanLengths",
    "Moments",
    "Network",
    "NeuronStudy",
    "Node",
    "PhaseDiagram",
    "Plan",
    "PowerLaw",
    "PrecisionStudy",
    "Prediction",
    "Recurrence",
    "Regime",
    "Report",
    "ResidualStack",
    "Sample",
    "Scale",
    "Sweep",
    "TracedNetwork",
    "TruncatedMoments",
    "TruncationReport",
    "Verdict",
    "WidthStudy",
    "activation",
    "check_initializer",
    "compare",
    "compare_samples",
    "critical_bias",
    "critical_line",
    "critical_point",
    "critical_points",
    "custom_activation",
    "frames",
    "gain",
    "gain_table",
    "gradient_law",
    "init",
    "jacobian_spectrum",
    "length_law",
    "mean_field",
    "mean_length",
    "measure",
    "mlp",
    "neuron_study",
    "ntk",
    "phase_diagram",
    "plan",
    "power_laws",
    "precision_study",
    "predict",
    "recurrence",
    "residual",
    "residual_stack",
    "simulate",
    "singular_values",
    "sweep",
    "tied_second_moment",
    "trace",
    "truncated_normal",
    "truncated_std",
    "truncation_report",
    "verify",
    "width_study",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'varprop' has no attribute {name!r}")
    module, _, attribute = _PLACES[name].partition(":")
    loaded = import_module(module)
    whole = _PLACES[name].endswith(":")
    value = loaded if whole else getattr(loaded, attribute or name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])


if TYPE_CHECKING:
    from varprop import initializers as init
    from varprop.activations import Activation
    from varprop.activations import custom as custom_activation
    from varprop.activations import get as activation
    from varprop.builders import mlp, residual
    from varprop.comparison import (
        InitializerReport,
        NeuronStudy,
        Plan,
        PrecisionStudy,
        Report,
        WidthStudy,
        check_initializer,
        compare,
        compare_samples,
        neuron_study,
        plan,
        precision_study,
        verify,
        width_study,
    )
    from varprop.initializers import Initializer
    from varprop.laws import (
        TruncatedMoments,
        TruncationReport,
        truncated_normal,
        truncated_std,
        truncation_report,
    )
    from varprop.layers import Add, Dense, Elementwise, Input, Layer, Scale
    from varprop.moments import Moments, Regime
    from varprop.montecarlo import (
        MeanLengths,
        Sample,
        Sweep,
        mean_length,
        simulate,
        singular_values,
        sweep,
    )
    from varprop.network import Graph, Network, Node
    from varprop.stats import Verdict
    from varprop.theory import (
        JacobianSpectrum,
        LengthLaw,
        Prediction,
        Recurrence,
        frames,
        gradient_law,
        jacobian_spectrum,
        length_law,
        ntk,
        predict,
        recurrence,
        tied_second_moment,
    )
    from varprop.theory.meanfield import (
        CriticalPoint,
        FixedPoint,
        Gain,
        GainTable,
        MeanField,
        PhaseDiagram,
        PowerLaw,
        ResidualStack,
        critical_bias,
        critical_line,
        critical_point,
        critical_points,
        gain,
        gain_table,
        mean_field,
        phase_diagram,
        power_laws,
        residual_stack,
    )
    from varprop.torch_modules import TracedNetwork, measure, trace
