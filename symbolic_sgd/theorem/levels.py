"""The geometry of Γ in the gradients J of residuals, where matrices and vectors are arrays of numbers."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from symbolic_sgd.theorem.geometry import Geometry


@dataclass(frozen=True)
class Along:
    """A matrix B with JB = 0, by τ_i = ⟨∇²f_i, B⟩; and T[B] = JᵀKτ."""

    traces: Any


@dataclass(frozen=True)
class Across:
    """A matrix B with ∂ΦB∂Φ = 0, by T[B] up to the range of Jᵀ: `factor` times a vector."""

    field: Any
    factor: float


class LevelGeometry(Geometry[Any, Any]):
    """∂Φ = I − JᵀG⁻¹J with G = JJᵀ, and H = JᵀKJ (theorem/composed.py says why no third derivatives are needed)."""

    half: ClassVar[Any] = 0.5

    @abstractmethod
    def lifted(self, traces: Any) -> Any:
        """JᵀG⁻¹τ = H†JᵀKτ."""

    def pseudo_inverse(self, vector: Along) -> Any:
        return self.lifted(vector.traces)

    def third(self, b: Along | Across) -> Any:
        return b if isinstance(b, Along) else b.factor * b.field
