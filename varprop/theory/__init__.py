"""Theory: predictions as folds of the layers' moment rules."""

from varprop.theory.fold import backward, forward, tangents
from varprop.theory.precision import Range, range_of
from varprop.theory.predict import Prediction, predict

__all__ = ["Prediction", "Range", "backward", "forward", "predict", "range_of", "tangents"]
