"""Derive, print, compile and verify the SDE that SGD follows along a manifold of minimizers."""

from typing import Any

from symbolic_sgd.api.family_sde import FamilySDE
from symbolic_sgd.api.gradient_flow_limit import GradientFlowLimit, gradient_flow_limit
from symbolic_sgd.api.limiting_sde import LimitingSDE, derive_limiting_sde, verify
from symbolic_sgd.api.simulation import Run, simulate_canonical_sde, simulate_sde, simulate_sgd
from symbolic_sgd.checks.methods import FULL, QUICK
from symbolic_sgd.checks.recheck import recheck
from symbolic_sgd.errors import SymbolicSGDError
from symbolic_sgd.families.family import Family
from symbolic_sgd.families.noise import AnyNoise, RedrawnLabels
from symbolic_sgd.numeric import backends
from symbolic_sgd.problems.exact import exact
from symbolic_sgd.problems.noise import GradientNoise, IsotropicNoise, LabelNoise
from symbolic_sgd.problems.problem import Problem
from symbolic_sgd.simulate.limit import WeakOrderOne, WeakOrderTwo
from symbolic_sgd.simulate.sgd import GaussianLaw, StatedLaw, TrueLaw
from symbolic_sgd.simulate.stability import StabilityWarning

__all__ = [
    "FULL",
    "QUICK",
    "AnyNoise",
    "Family",
    "FamilySDE",
    "GaussianLaw",
    "GradientFlowLimit",
    "GradientNoise",
    "IsotropicNoise",
    "LabelNoise",
    "LimitingSDE",
    "Problem",
    "RedrawnLabels",
    "Run",
    "StabilityWarning",
    "StatedLaw",
    "SymbolicSGDError",
    "TrueLaw",
    "WeakOrderOne",
    "WeakOrderTwo",
    "derive_limiting_sde",
    "exact",
    "gradient_flow_limit",
    "recheck",
    "simulate_canonical_sde",
    "simulate_sde",
    "simulate_sgd",
    "verify",
]


def __getattr__(name: str) -> Any:
    """The back ends, each loaded when it is first asked for: `from symbolic_sgd import LLVM`."""
    if name in backends.BACKENDS or name in backends.ADAPTERS:
        return getattr(backends, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
