"""torchsde integrates the exported SDE as our own steps do, on the same Brownian increments."""

from itertools import pairwise

import numpy as np
import pytest
from exported_sdes import SDES, STARTS, TIME, euler, quadric

from symbolic_sgd.errors import BadInput

torch = pytest.importorskip("torch", reason="torch is not installed (extra 'solvers')")
torchsde = pytest.importorskip("torchsde", reason="torchsde is not installed (extra 'solvers')")
from symbolic_sgd import TorchSDE  # noqa: E402


@pytest.mark.parametrize("name", ["hyperbola", "quadric"])
@pytest.mark.parametrize("method", ["euler", "heun"])
def test_torchsde(name, method):
    sde, steps, batch = SDES[name](), 256, 3
    width, problem = sde.tangent_noise.cols, TorchSDE(sde.derivation, method)
    motion = torchsde.BrownianInterval(0.0, TIME, size=(batch, width), dtype=torch.float64, entropy=5)
    start = torch.tensor([STARTS[name]] * batch, dtype=torch.float64)
    end = torchsde.sdeint(
        problem, start, torch.tensor([0.0, TIME], dtype=torch.float64), bm=motion, dt=TIME / steps, method=method
    )[-1]
    times = np.linspace(0, TIME, steps + 1)
    increments = np.array([motion(a, b).numpy() for a, b in pairwise(times)])
    ours = np.array([euler(sde, STARTS[name], increments[:, k], TIME / steps) for k in range(batch)])
    tolerance = {"euler": 1e-9, "heun": 0.1}[method]  # another scheme agrees to its order only
    np.testing.assert_allclose(end.detach().numpy(), ours, rtol=tolerance, atol=tolerance)


def test_what_torchsde_cannot_carry():
    for method in ("milstein", "srk", "adjoint_reversible_heun", None):
        with pytest.raises(BadInput, match="does not carry"):
            TorchSDE(quadric().derivation, method)
