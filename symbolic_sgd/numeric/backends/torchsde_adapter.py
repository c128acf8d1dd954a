"""The limiting SDE as torchsde takes it."""

from typing import Any

import torch  # pyright: ignore[reportMissingImports]

from symbolic_sgd.errors import BadInput
from symbolic_sgd.numeric.backends.torch_functions import Torch
from symbolic_sgd.numeric.callables import NumericFunctions, derivation_of

METHODS = {"euler": "ito", "midpoint": "stratonovich", "heun": "stratonovich", "euler_heun": "stratonovich"}
"""Methods of torchsde that carry general noise, and the sense in which they read the drift."""


class TorchSDE(torch.nn.Module):
    """f and g for `torchsde.sdeint(problem, y0, ts, method=problem.method)`; y0 has shape (batch, D).

    torchsde takes no step back to Γ: a path leaves Γ as the scheme's order allows.

    Args:
        sde: the limiting SDE.
        method: a key of `METHODS`.
        constants: the problem's constants.

    Raises:
        BadInput: the method needs diagonal, scalar or additive noise.

    >>> import sympy as sp
    >>> from symbolic_sgd import LabelNoise, Problem, derive_limiting_sde
    >>> u, v = sp.symbols("u v")
    >>> sde = derive_limiting_sde(Problem.least_squares([u*v - 1], parameters=(u, v), noise=LabelNoise(1)))
    >>> TorchSDE(sde).g(0.0, torch.tensor([[2.0, 0.5]])).shape
    torch.Size([1, 2, 2])
    """

    noise_type = "general"

    def __init__(self, sde: Any, method: str = "euler", **constants: Any):
        super().__init__()
        if method not in METHODS:
            raise BadInput(
                f"the noise of the limiting SDE is general, which torchsde's method {method!r} does not carry: "
                f"use one of {', '.join(METHODS)}"
            )
        self.method = method
        self.sde_type = METHODS[method]
        self.constants = constants
        self._functions = NumericFunctions(derivation_of(sde), check=False, backend=Torch())

    def f(self, t: Any, y: Any) -> Any:
        """The drift in the method's sense, (batch, D)."""
        drift = self._functions.drift if self.sde_type == "ito" else self._functions.stratonovich_drift
        return drift(y, **self.constants)

    def g(self, t: Any, y: Any) -> Any:
        """∂Φ σ, (batch, D, Ξ)."""
        return self._functions.diffusion(y, **self.constants)
