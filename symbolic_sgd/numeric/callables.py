"""The limiting SDE as numeric functions, guarded against points where it does not hold."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from symbolic_sgd.algebra.program import Program
from symbolic_sgd.errors import BadInput
from symbolic_sgd.numeric.backend import Backend, Evaluation, Part
from symbolic_sgd.numeric.backends.exact_numbers import MPMath
from symbolic_sgd.numeric.backends.register_machine import NumPy
from symbolic_sgd.numeric.digits import right_digits, settled
from symbolic_sgd.numeric.lowering import lower
from symbolic_sgd.theorem.derivation import Derivation
from symbolic_sgd.theorem.stratonovich import stratonovich_program


@dataclass(frozen=True)
class NumericFunctions:
    """The terms of a limiting SDE at points of Γ.

    Every method takes x of shape (..., D) and the constants by keyword (numbers, or arrays that broadcast against the
    batch), and returns (..., D), (..., D, Ξ) for the diffusion, (..., D, D) for the D×D matrices.

    Args:
        derivation: what is evaluated.
        check: whether each point is tested first.
        backend: how, and on what kind of arrays, they are evaluated.

    Raises:
        BadPoint: wrong last dimension; not real or not finite.
        OffManifold: a point off Γ.
        SingularPoint: a point of Γ where `valid_where` fails.

    >>> import sympy as sp
    >>> from symbolic_sgd import LabelNoise, Problem, derive_limiting_sde
    >>> u, v = sp.symbols("u v")
    >>> sde = derive_limiting_sde(Problem.least_squares([u*v - 1], parameters=(u, v), noise=LabelNoise(1)))
    >>> f = sde.lambdify()
    >>> f.drift([2.0, 0.5]).round(4), f.diffusion([[2.0, 0.5]]).shape
    (array([-0.8824,  0.2206]), (1, 2, 2))
    """

    derivation: Derivation
    check: bool = True
    backend: Backend = field(default_factory=NumPy)

    def drift(self, x: Any, /, **constants: Any) -> Any:
        """½∂²Φ[Σ], (..., D)."""
        return self.term("drift", x, **constants)

    def diffusion(self, x: Any, /, **constants: Any) -> Any:
        """∂Φ σ, (..., D, Ξ)."""
        return self.term("tangent_noise", x, **constants)

    def tangent_noise_compensation(self, x: Any, /, **constants: Any) -> Any:
        """−½ H† T[Σ_∥], (..., D)."""
        return self.term("tangent_noise_compensation", x, **constants)

    def mixed_regularization(self, x: Any, /, **constants: Any) -> Any:
        """−∂Φ T[H†Σ_⊥∥], (..., D)."""
        return self.term("mixed_regularization", x, **constants)

    def normal_regularization(self, x: Any, /, **constants: Any) -> Any:
        """−½ ∂Φ T[𝓛_H⁻¹(Σ_⊥)], (..., D)."""
        return self.term("normal_regularization", x, **constants)

    def stratonovich_drift(self, x: Any, /, **constants: Any) -> Any:
        """The drift in Stratonovich's sense, ½∂²Φ[Σ] − ½ Σ_k (∂A_k)A_k with A = ∂Φ σ, (..., D)."""
        return self._evaluation("stratonovich_drift", lambda: stratonovich_program(self.derivation))(x, constants)

    def term(self, name: str, x: Any, /, **constants: Any) -> Any:
        """Any term of the theorem, by its name.

        Raises:
            BadInput: there is no such term.
        """
        names = [term.name for term in self.derivation.terms]
        if name not in names:
            raise BadInput(f"{name!r} is no term of the theorem; they are {', '.join(names)}")
        stages = self.derivation.in_matrices
        if stages is not None and name not in self._evaluations:
            by_matrices = self.backend.compile_matrices(stages, name, self.check)
            if by_matrices is not None:
                self._evaluations[name] = by_matrices
        return self._evaluation(name, lambda: self.derivation.program.select(name))(x, constants)

    def digits(self, name: str, x: Any, /, **constants: Any) -> np.ndarray:
        """How many digits of a term are right at x, as this back end computes it, (...,).

        −log₁₀ of the error beside the term's largest entry: about 15.9 where float64 loses nothing, 0 where no digit is
        left, ∞ where every entry is exact. The error is measured against the same formulas in arithmetic of 50 digits and
        more, as many as it takes (NaN where 3200 do not do); that costs milliseconds a point.
        """
        value, shape = self.term(name, x, **constants), np.shape(x)[:-1]
        width = int(np.prod(np.shape(value)[len(shape) :]))

        def precise(digits: int) -> np.ndarray:
            functions = NumericFunctions(self.derivation, check=False, backend=MPMath(digits))
            return functions.term(name, x, **constants).reshape(-1, width)

        return right_digits(np.asarray(value).reshape(-1, width), settled(precise)).reshape(shape)

    def source_hash(self, name: str) -> str:
        """SHA-256 of the steps that every float64 back end runs for a term; certificates name it."""
        return lower([self.derivation.program.select(name)], self.derivation.problem.symbols).source_hash

    def _evaluation(self, name: str, program: Callable[[], Program]) -> Evaluation:
        if name not in self._evaluations:
            self._evaluations[name] = self.backend.compile(Part(self.derivation, program(), self.check))
        return self._evaluations[name]

    @cached_property
    def _evaluations(self) -> dict[str, Evaluation]:
        return {}

    def __repr__(self) -> str:
        tested = "" if self.check else ", points are not tested"
        return f"NumericFunctions({', '.join(term.name for term in self.derivation.terms)}; {self.backend!r}{tested})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Only the recipe is pickled; what was compiled is built again."""
        return NumericFunctions, (self.derivation, self.check, self.backend)


def derivation_of(sde: Any) -> Derivation:
    """What a limiting SDE has been derived as; a derivation is its own.

    Raises:
        BadInput: something else.
    """
    found = sde if isinstance(sde, Derivation) else getattr(sde, "derivation", None)
    if not isinstance(found, Derivation):
        raise BadInput(f"a limiting SDE is needed (from derive_limiting_sde), not a {type(sde).__name__}")
    return found
