"""Derive, print, compile and verify the SDE that SGD follows along a manifold of minimizers."""

from typing import Any

from symbolic_sgd.errors import SymbolicSGDError
from symbolic_sgd.export import backends
from symbolic_sgd.family_sde import FamilySDE
from symbolic_sgd.gradient_flow_limit import GradientFlowLimit, gradient_flow_limit
from symbolic_sgd.limiting_sde import LimitingSDE, derive_limiting_sde, verify
from symbolic_sgd.problems.exact import exact
from symbolic_sgd.problems.family import Family
from symbolic_sgd.problems.family_noise import AnyNoise, RedrawnLabels
from symbolic_sgd.problems.noise import GradientNoise, IsotropicNoise, LabelNoise
from symbolic_sgd.problems.problem import Problem

__all__ = [
    "AnyNoise",
    "Family",
    "FamilySDE",
    "GradientFlowLimit",
    "GradientNoise",
    "IsotropicNoise",
    "LabelNoise",
    "LimitingSDE",
    "Problem",
    "RedrawnLabels",
    "SymbolicSGDError",
    "derive_limiting_sde",
    "exact",
    "gradient_flow_limit",
    "verify",
]


def __getattr__(name: str) -> Any:
    """The back ends, each loaded when it is first asked for: `from symbolic_sgd import LLVM`."""
    if name in backends.BACKENDS or name in backends.ADAPTERS:
        return getattr(backends, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
