"""torchsde integrates the exported SDE as our own steps do, on the same Brownian increments."""

from itertools import pairwise

import numpy as np
import pytest
from exported_sdes import CHARTS, KEPT, SDES, STARTS, TIME, euler, quadric

from symbolic_sgd.errors import BadInput

torch = pytest.importorskip("torch", reason="torch is not installed (extra 'solvers')")
torchsde = pytest.importorskip("torchsde", reason="torchsde is not installed (extra 'solvers')")
from symbolic_sgd import Torch, TorchSDE  # noqa: E402


@pytest.mark.parametrize("name", ["hyperbola", "quadric"])
@pytest.mark.parametrize("method", ["euler", "heun"])
def test_torchsde(name, method):
    sde, steps, batch = SDES[name](), 256, 3
    width, problem = sde.tangent_noise.cols, TorchSDE(sde, method)
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


class _InChart:
    """Rows of the ambient SDE with x = ψ(y), in the shapes of torchsde."""

    noise_type, sde_type = "general", "ito"

    def __init__(self, name):
        self.functions = SDES[name]().lambdify(backend=Torch(), check=False)
        self.chart, self.kept = CHARTS[name], KEPT[name]

    def _points(self, y):
        return torch.movedim(self.chart(torch.movedim(y, -1, 0), torch), 0, -1)

    def f(self, t, y):
        return self.functions.drift(self._points(y))[..., self.kept]

    def g(self, t, y):
        return self.functions.diffusion(self._points(y))[..., self.kept, :]


@pytest.mark.parametrize("name", ["hyperbola", "quadric"])
def test_torchsde_in_a_chart(name):
    """The same numbers as our steps on the same increments, to rounding."""
    sde, steps, batch, kept, chart = SDES[name](), 64, 3, KEPT[name], CHARTS[name]
    numeric, y = sde.lambdify(), np.array(STARTS[name])[kept]
    motion = torchsde.BrownianInterval(0.0, TIME, size=(batch, sde.tangent_noise.cols), dtype=torch.float64, entropy=5)
    end = torchsde.sdeint(
        _InChart(name), torch.tensor(np.tile(y, (batch, 1))), torch.tensor([0.0, TIME], dtype=torch.float64), bm=motion,
        dt=TIME / steps, method="euler",
    )[-1]  # fmt: skip
    for k in range(batch):
        ours = y
        for a, b in pairwise(np.linspace(0, TIME, steps + 1)):
            x, dw = chart(ours, np), motion(a, b)[k].numpy()
            ours = ours + (b - a) * numeric.drift(x)[kept] + numeric.diffusion(x)[kept] @ dw
        np.testing.assert_allclose(end[k].numpy(), ours, rtol=1e-9)


def test_what_torchsde_cannot_carry():
    for method in ("milstein", "srk", "adjoint_reversible_heun", None):
        with pytest.raises(BadInput, match="does not carry"):
            TorchSDE(quadric().derivation, method)
