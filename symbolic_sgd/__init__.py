"""Derive, print, compile and verify the SDE that SGD follows along a manifold of minimizers."""

from symbolic_sgd.errors import SymbolicSGDError
from symbolic_sgd.limiting_sde import LimitingSDE, derive_limiting_sde, verify
from symbolic_sgd.problems.exact import exact
from symbolic_sgd.problems.noise import GradientNoise, IsotropicNoise, LabelNoise
from symbolic_sgd.problems.problem import Problem

__all__ = [
    "GradientNoise",
    "IsotropicNoise",
    "LabelNoise",
    "LimitingSDE",
    "Problem",
    "SymbolicSGDError",
    "derive_limiting_sde",
    "exact",
    "verify",
]
