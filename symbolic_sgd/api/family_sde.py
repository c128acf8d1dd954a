"""The limiting SDE of a family of coordinates, for every n and d, as users hold it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.as_read import ReadersText
from symbolic_sgd.algebra.translation import SymbolicMatrix
from symbolic_sgd.api.family_limit import FamilyLimit
from symbolic_sgd.families.family import Family
from symbolic_sgd.families.latex import family_blocks, written
from symbolic_sgd.families.terms import Definition, FamilyTerms, IndexedVector
from symbolic_sgd.printing.blocks import Block


@dataclass(frozen=True, repr=False)
class FamilySDE(FamilyLimit[Family, IndexedVector]):
    """dY = ½∂²Φ[Σ] dt + ∂Φ σ dW on Γ = {f_1 = … = f_n = 0}, with n and d as symbols.

    Each term is an `IndexedVector`: its entries at coordinate j, as sums over samples and coordinates, for each parameter of
    a coordinate. Matrices are SymPy matrix expressions in J = (∇f_1 … ∇f_n)ᵀ, n×D, and σ, D×Ξ. A regularizer in function space asks for
    a predictor in matrices: state the model as a `MatrixFamily` for `induced_regularizer`.

    Args:
        family: what was stated, with the optimizer's symbols among its constants.
        optimizer: whose limit it is.

    >>> import sympy as sp
    >>> from symbolic_sgd import Family, LabelNoise, derive_limiting_sde
    >>> (i, j), (n, d) = sp.symbols("i j", integer=True), sp.symbols("n d", integer=True, positive=True)
    >>> x, y, z = map(sp.IndexedBase, "xyz")
    >>> line = sp.Sum(z[i, j]*x[j]**2, (j, 1, d)) - y[i]
    >>> sde = derive_limiting_sde(Family(residual=line, sample=(i, 1, n), parameters=(x,), noise=LabelNoise(1)))
    >>> sde.regularizer
    Sum(x[j]**2*Sum(z[i, j]**2, (i, 1, n)), (j, 1, d))/n
    >>> print(sde.trace_hessian)
    4/n Σ_i ‖x ∘ z_i‖²
    """

    @cached_property
    def _terms(self) -> FamilyTerms:
        return FamilyTerms(self._motion)

    def _term(self, name: str) -> IndexedVector:
        return self._terms.terms[name]

    @property
    def definitions(self) -> Sequence[Definition]:
        """What the drift names, each with its equation, or what it is in words."""
        return self.drift.definitions

    @property
    def tangent_projection(self) -> SymbolicMatrix:
        """∂Φ = I − Jᵀ(JJᵀ)⁻¹J."""
        return self._projection

    @property
    def _potential(self) -> Any:
        return self._terms.regularizer

    def _blocks(self) -> Iterator[Block]:
        return family_blocks(self._terms)

    @property
    def _manifold_words(self) -> str:
        return f"Γ is where all {self.family.samples} residuals vanish and their gradients are independent (n ≤ D)."

    @property
    def _shown_residual(self) -> tuple[str, str]:
        return f"f_{self.family.i}", ReadersText().written(self.family.residual)

    def _shown_drift(self) -> Iterator[tuple[str, str]]:
        for base, entry in zip(self.drift.bases, self.drift.components, strict=True):
            yield str(base[self.family.j]), ReadersText().written(entry)

    def _shown(self, potential: Any) -> str:
        return ReadersText().written(potential) if isinstance(potential, sp.Basic) else str(potential)

    def _written(self, potential: Any) -> str:
        return written(potential) if isinstance(potential, sp.Basic) else potential.latex()
