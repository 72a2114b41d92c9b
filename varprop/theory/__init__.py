"""Theory: predictions as folds of the layers' moment rules, and laws at finite width."""

from varprop.theory.finite_width import LengthLaw, Lengths, gradient_law, length_law
from varprop.theory.fold import backward, forward, tangents
from varprop.theory.ntk import ntk
from varprop.theory.precision import Range, exceedance, range_of
from varprop.theory.predict import predict
from varprop.theory.prediction import Prediction
from varprop.theory.recurrence import LAYER, MEAN, SECOND, START, Recurrence, recurrence
from varprop.theory.rounding import Rounding, rounding_of
from varprop.theory.spectra import JacobianSpectrum, jacobian_spectrum
from varprop.theory.tied import tied_second_moment

__all__ = [
    "LAYER",
    "MEAN",
    "SECOND",
    "START",
    "JacobianSpectrum",
    "LengthLaw",
    "Lengths",
    "Prediction",
    "Range",
    "Recurrence",
    "Rounding",
    "backward",
    "exceedance",
    "forward",
    "gradient_law",
    "jacobian_spectrum",
    "length_law",
    "ntk",
    "predict",
    "range_of",
    "recurrence",
    "rounding_of",
    "tangents",
    "tied_second_moment",
]
