"""The limiting SDE as diffrax takes it."""

from typing import Any

import diffrax  # pyright: ignore[reportMissingImports]

from symbolic_sgd.errors import BadInput
from symbolic_sgd.numeric.backends.jax_functions import JAX
from symbolic_sgd.numeric.callables import NumericFunctions, derivation_of

ITO = ("Euler",)
"""Itô solvers that converge for noise that is general: neither additive nor commutative."""

STRATONOVICH = ("EulerHeun", "Heun", "Midpoint", "Ralston", "ReversibleHeun", "SPaRK", "GeneralShARK")
"""Stratonovich solvers that do."""


def diffrax_terms(sde: Any, control: Any, solver: Any, **constants: Any) -> Any:
    """`MultiTerm(ODETerm, ControlTerm)` in the sense, Itô's or Stratonovich's, in which the solver reads it.

    The state has shape (D,), the control (Ξ,). These solvers take no step back to Γ: in ambient coordinates a path leaves
    Γ as the scheme's order allows.

    Args:
        sde: the limiting SDE.
        control: a Brownian motion of shape (Ξ,), e.g. diffrax.VirtualBrownianTree.
        solver: the solver that will be used.
        constants: the problem's constants.

    Raises:
        BadInput: the solver needs additive or commutative noise, or the control has another number of components.

    >>> import jax
    >>> import sympy as sp
    >>> from symbolic_sgd import IsotropicNoise, Problem, derive_limiting_sde
    >>> jax.config.update("jax_enable_x64", True)
    >>> u, v = sp.symbols("u v")
    >>> sde = derive_limiting_sde(Problem(loss=(u*v - 1)**2/2, parameters=(u, v), noise=IsotropicNoise(1)))
    >>> motion = diffrax.VirtualBrownianTree(0.0, 1.0, tol=1e-3, shape=(2,), key=jax.random.PRNGKey(0))
    >>> len(diffrax_terms(sde, motion, diffrax.Euler()).terms)
    2
    """
    derivation = derivation_of(sde)
    name, width = type(solver).__name__, noise_width(derivation)
    if name not in (*ITO, *STRATONOVICH):
        raise BadInput(
            f"the noise of the limiting SDE is general (D×Ξ, not commutative), which {name} does not carry: use "
            f"{', '.join(ITO)} (Itô), or {', '.join(STRATONOVICH)} (Stratonovich)"
        )
    shape = getattr(getattr(control, "shape", None), "shape", getattr(control, "shape", None))
    if shape is not None and tuple(shape) != (width,):
        raise BadInput(
            f"the control has shape {tuple(shape)}, and the noise has {width} columns: give shape=({width},)"
        )
    f = NumericFunctions(derivation, check=False, backend=JAX())
    drift = f.drift if name in ITO else f.stratonovich_drift
    return diffrax.MultiTerm(
        diffrax.ODETerm(lambda t, y, args: drift(y, **constants)),
        diffrax.ControlTerm(lambda t, y, args: f.diffusion(y, **constants), control),
    )


def noise_width(derivation: Any) -> int:
    """Ξ, the number of columns of ∂Φ σ."""
    return derivation.program.select("tangent_noise").outputs[0].shape[1]
