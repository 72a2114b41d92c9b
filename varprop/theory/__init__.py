"""Theory: predictions as folds of the layers' moment rules."""

from varprop.theory.fold import backward, forward, tangents
from varprop.theory.precision import Range, range_of
from varprop.theory.predict import Prediction, predict
from varprop.theory.recurrence import LAYER, MEAN, SECOND, START, Recurrence, recurrence

__all__ = [
    "LAYER",
    "MEAN",
    "SECOND",
    "START",
    "Prediction",
    "Range",
    "Recurrence",
    "backward",
    "forward",
    "predict",
    "range_of",
    "recurrence",
    "tangents",
]
