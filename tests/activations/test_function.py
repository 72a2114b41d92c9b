"""The function itself: values and slopes against torch, kinks, jumps, and torch.nn's classes."""

import inspect
import pickle
import warnings

import numpy as np
import pytest
import torch

from varprop.activations import ACTIVATIONS, Q, get
from varprop.layers.elementwise import torch_function


def test_the_expression_is_the_torch_function_with_its_slope(phi):
    grid = torch.linspace(-6.05, 5.95, 241, dtype=torch.float64)
    away = torch.stack([(grid - kink).abs() > 1e-3 for kink in (*phi.kinks, 1e9)]).all(0)
    z = grid[away].requires_grad_()
    value = torch_function(phi)(z, *phi.arguments)
    (slope,) = torch.autograd.grad(value.sum(), z)
    points = z.detach().numpy()
    assert phi(points) == pytest.approx(value.detach().numpy(), rel=1e-13, abs=2e-14)
    assert phi.slope(points) == pytest.approx(slope.numpy(), rel=1e-12, abs=2e-14)


def test_gradients_stay_finite_far_out(phi):
    z = torch.tensor([-400.0, -1.0, 80.0], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(torch_function(phi)(z, *phi.arguments).sum(), z)
    assert torch.isfinite(slope).all()


def slopes(phi, at, step):
    """One-sided difference quotients of phi' around a point, right and left."""
    near = at + step * np.array([-2.0, -1.0, 1.0, 2.0])
    v = phi.slope(near)
    return (v[1] - v[0]) / step, (v[3] - v[2]) / step


def test_jumps_and_kinks_are_where_the_function_is_not_smooth(phi):
    """Off the declared points the function and its slope are continuous on a fine grid; at each
    declared point the function, its slope or its second derivative jumps; jumps are those of phi.
    """
    grid = np.arange(-6.05, 5.95, 1e-3 * phi.scale) + 4e-4 * phi.scale
    middle = (grid[1:] + grid[:-1]) / 2
    away = np.min([abs(middle - k) for k in (*phi.kinks, 1e9)], axis=0) > 1e-3 * phi.scale
    for f in (phi, phi.slope):
        values = f(grid)
        rise = np.abs(np.diff(values))
        assert np.all(rise[away] <= 0.02 * np.ptp(values) + 1e-12)
    for kink in phi.kinks:
        low, high = phi(np.array([kink - 1e-9, kink + 1e-9]))
        assert (abs(high - low) > 1e-6) == (kink in phi.jumps)
        before, after = phi.slope(np.array([kink - 1e-9, kink + 1e-9]))
        left, right = slopes(phi, kink, 1e-5)
        smooth = abs(high - low) < 1e-6 and abs(after - before) < 1e-6 and abs(left - right) < 1e-3
        third = "rectified_power(3" in str(phi)
        assert third or not smooth


def test_homogeneous_says_what_it_is(phi):
    z = np.linspace(-4, 4, 81)
    assert phi.homogeneous == np.allclose(phi(2 * z), 2 * phi(z), rtol=1e-12, atol=1e-12)


def test_activations_are_values(phi):
    again = pickle.loads(pickle.dumps(phi))
    assert again == phi and hash(again) == hash(phi)
    assert again.second_moment(Q) == phi.second_moment(Q)
    assert len({phi, again}) == 1


ROWS = torch.tensor([[-4.2, -0.7, 0.1], [0.4, 1.3, 7.1]], dtype=torch.float64)
PARAMETERS = {"Threshold": (0.3, -0.2)}
NAMES = {"leakyrelu": "leaky_relu", "threshold": "threshold(0.3, -0.2)"}


def elementwise_classes() -> list[str]:
    """The classes of torch.nn.modules.activation that map each entry by itself."""
    found = []
    for name, kind in vars(torch.nn.modules.activation).items():
        if not (inspect.isclass(kind) and issubclass(kind, torch.nn.Module)):
            continue
        if kind.__module__ != "torch.nn.modules.activation" or name == "MultiheadAttention":
            continue
        module = kind(*PARAMETERS.get(name, ())).double().eval()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Softmax without a dim
            try:
                together, moved = module(ROWS), module(ROWS + torch.tensor([0.0, 0.0, 1.0]))
            except (RuntimeError, ValueError):
                continue  # GLU halves the last dimension, Softmax2d wants images
        if together.shape == ROWS.shape and torch.equal(together[:, :2], moved[:, :2]):
            found.append(name)
    return found


def test_the_classes_are_found():
    assert {"ReLU", "GELU", "RReLU", "Softplus", "Tanhshrink"} <= set(elementwise_classes())
    assert not {"GLU", "Softmax", "Softmin", "LogSoftmax"} & set(elementwise_classes())


@pytest.mark.parametrize("name", elementwise_classes())
def test_every_elementwise_class_of_torch_is_in_the_table(name):
    module = getattr(torch.nn, name)(*PARAMETERS.get(name, ())).double().eval()
    phi = get(NAMES.get(name.lower(), name.lower()))
    assert phi(ROWS.numpy()) == pytest.approx(module(ROWS).detach().numpy(), rel=1e-13, abs=1e-15)


def test_the_tanh_form_of_gelu_is_in_the_table():
    module = torch.nn.GELU(approximate="tanh")
    assert get("gelu_tanh")(ROWS.numpy()) == pytest.approx(module(ROWS).numpy(), rel=1e-12)


def test_the_table_is_long():
    assert len(ACTIVATIONS) >= 30
