"""Theory: predictions as folds of the layers' moment rules."""

from varprop.theory.fold import backward, forward, tangents
from varprop.theory.predict import Prediction, predict

__all__ = ["Prediction", "backward", "forward", "predict", "tangents"]
