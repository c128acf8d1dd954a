"""The flow of an optimizer that goes down λ_1, literally: eigenvectors of ∇²L, and SymPy's third derivatives."""

from dataclasses import dataclass, replace

import numpy as np

from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.checks.by_sympy import DIGITS
from symbolic_sgd.checks.fresh_points import Point
from symbolic_sgd.checks.literal import PRECISE, LiteralTerms, LiteralTheorem, literal_terms, number_at
from symbolic_sgd.optimizers.kernel import A
from symbolic_sgd.optimizers.sharpness import SharpnessDescent


@dataclass(frozen=True)
class LiteralSharpness(LiteralTheorem):
    """−∂Φ∇R(λ_1) at points of Γ: ∇λ_1 = T[u_1u_1ᵀ]."""

    def terms(self, point: Point) -> LiteralTerms:
        optimizer = self.optimizer
        assert isinstance(optimizer, SharpnessDescent)
        with mp.workdps(DIGITS):
            hessian = self._hessian(point)
            still = 0 * hessian[:, 0]
            plain = literal_terms(PRECISE, hessian, still, lambda b: self._third(point, b), self.rank)
            values, vectors = mp.eigsy(hessian)
            steepest, axis = values[len(values) - 1], vectors[:, len(values) - 1]
            solution = axis * axis.T * number_at(optimizer.weight, {**point, A: steepest})
            regularization = -(plain.tangent_projection * self._third(point, solution)) / 2
            return replace(plain, lyapunov_solution=solution, normal_regularization=regularization)

    def diffusion(self, point: Point):
        return self.terms(point).tangent_noise

    def float_terms(self, row: np.ndarray) -> LiteralTerms:
        terms = self.terms(self.onto(dict(zip(self.stated.problem.symbols, row.tolist(), strict=True))))
        return terms.as_floats()
