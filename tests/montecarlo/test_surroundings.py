"""What a caller has set in torch changes no number."""

import numpy as np
import pytest
import torch

import varprop as vp

NET = vp.mlp(8, 2, activation="tanh")


def numbers(engine, seed):
    sample = vp.simulate(NET, draws=16, seed=seed, engine=engine)
    return sample.values("dense_3", "second_moment"), sample.values("input", "grad_second_moment")


@pytest.mark.parametrize("engine", ["explicit", "conditional"])
@pytest.mark.parametrize(
    "setting",
    [
        lambda: torch.autocast("cpu", torch.bfloat16),
        torch.inference_mode,
        torch.no_grad,
    ],
    ids=["autocast", "inference mode", "no_grad"],
)
def test_settings_of_the_callers_thread_change_nothing(engine, setting, seed):
    plain = numbers(engine, seed)
    with setting():
        within = numbers(engine, seed)
        vp.singular_values(NET, draws=2, seed=seed)
        vp.precision_study(NET, dtypes=["bfloat16"], draws=2, seed=seed)
    for a, b in zip(plain, within, strict=True):
        np.testing.assert_array_equal(a, b)


def test_float32_products_are_exact_whatever_is_allowed_and_the_setting_is_given_back(seed):
    before = torch.get_float32_matmul_precision()
    plain = numbers("explicit", seed)
    torch.set_float32_matmul_precision("medium")
    try:
        within = numbers("explicit", seed)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)
    for a, b in zip(plain, within, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"engine": "conditional", "track_scale": False}, "track_scale=False was asked for"),
        ({"engine": "conditional", "dtype": "bfloat16"}, "computes in float32 or float64"),
        ({"track_scale": "no"}, "track_scale must be True or False, got 'no'"),
        ({"device": "cuda:99"}, "device 'cuda:99' asked for"),
        ({"device": 10**400}, "unknown device"),
        ({"engine": np.ones(2)}, "unknown engine"),
    ],
)
def test_settings_that_cannot_be_kept_are_refused(how, said):
    with pytest.raises(ValueError, match=said):
        vp.simulate(NET, draws=2, seed=0, **how)


def test_any_name_of_the_processor_is_one_device(seed):
    assert vp.simulate(NET, draws=2, seed=seed, device="cpu:3").device == "cpu"
