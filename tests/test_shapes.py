"""The shape contracts bite: a state of the wrong shape is an error wherever a test builds one."""

import numpy as np
import pytest
from jaxtyping import TypeCheckError

from varprop.comparison.steps import Step
from varprop.moments import Gradients, Moments, Tangents
from varprop.montecarlo.record import Record


def arrays(*shapes):
    return [np.zeros(shape) for shape in shapes]


ROWS, PAIRS = (5, 2), (5, 2, 2)
BUILDERS = {
    Moments: lambda extra=0: Moments(*arrays((2,), (2, 2), (2, 2 + extra))),
    Gradients: lambda extra=0: Gradients(*arrays((3, 2, 2 + extra))),
    Tangents: lambda extra=0: Tangents(*arrays((2,), (2, 2), (2, 2 + extra))),
    Record: lambda extra=0: Record(
        *arrays(ROWS, PAIRS, ROWS, ROWS, PAIRS, PAIRS, (5, 2, 2 + extra))
    ),
    Step: lambda extra=0: Step(
        "n", "mean", 0, None, "f", np.zeros(5), True, live=np.ones(5 + extra, bool)
    ),
}


@pytest.mark.parametrize("cls", BUILDERS, ids=lambda cls: cls.__name__)
def test_a_wrong_shape_is_refused(cls):
    assert isinstance(BUILDERS[cls](), cls)
    with pytest.raises(TypeCheckError):
        BUILDERS[cls](extra=1)
