"""The engines on a CUDA device: the verdicts, a planted fault refuted, the law of the CPU."""

import numpy as np
import pytest
import torch

import varprop as vp
from varprop.stats import holm

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]
NETWORK = vp.mlp(128, 10, activation="tanh", bias=vp.init.normal(std=0.3))


@pytest.mark.parametrize("engine", ["explicit", "conditional"])
def test_theory_is_confirmed_and_a_fault_is_refuted(engine, seed):
    sample = vp.simulate(NETWORK, draws=1500, seed=seed, device="cuda", engine=engine)
    assert sample.device.startswith("cuda")
    assert vp.compare(vp.predict(NETWORK), sample).verdict is vp.Verdict.CONFIRMED
    wrong = vp.mlp(128, 10, activation="tanh", bias=vp.init.normal(std=0.33))
    assert vp.compare(vp.predict(wrong), sample).verdict is vp.Verdict.REFUTED


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_a_hundred_layers_keep_their_scale(dtype, seed):
    net = vp.mlp(64, 100, activation="identity", weights=vp.init.normal(), output=None)
    sample = vp.simulate(net, draws=8, seed=seed, device="cuda", dtype=dtype, engine="explicit")
    growth = np.log(sample.values("identity_100", "second_moment")) / np.log(64.0)
    assert np.all(np.abs(growth - 100) < 2)


def test_devices_agree_in_law(seed):
    """Means of the log second moment over networks, CPU against CUDA; error rate 1e-6."""
    samples = [
        vp.simulate(NETWORK, draws=1500, seed=seed, device=device, engine="explicit")
        for device in ("cpu", "cuda")
    ]
    p_values = []
    for node, _, _ in NETWORK.nodes[1:]:
        a, b = (np.log(s.values(node, "second_moment")[:, 0]) for s in samples)
        z = (a.mean() - b.mean()) / np.sqrt(a.var() / len(a) + b.var() / len(b))
        p_values.append(float(torch.special.erfc(torch.tensor(abs(z) / 2**0.5).double())))
    assert not holm(p_values, 1e-6).rejected.any()
