"""The limiting SDE of a family of matrices, for every size, as users hold it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from symbolic_sgd.api.family_limit import FamilyLimit
from symbolic_sgd.api.induced_family import InducedFamilyRegularizer, induced_by_family
from symbolic_sgd.families.matrix_definitions import Definition
from symbolic_sgd.families.matrix_family import MatrixFamily
from symbolic_sgd.families.matrix_latex import matrix_family_blocks
from symbolic_sgd.families.orbit_point import MatrixPair
from symbolic_sgd.printing.blocks import Block
from symbolic_sgd.tensors.formula import MatrixFormula


@dataclass(frozen=True, repr=False)
class MatrixFamilySDE(FamilyLimit[MatrixFamily, Mapping[Any, MatrixFormula]]):
    """dY = ½∂²Φ[Σ] dt + ∂Φ σ dW on Γ = {f = 0}, in matrices of any size.

    Formulas are `MatrixFormula`s: `str` prints them in matrices, `.indices()` with every index, `.einsum()` as array code. A term
    of the drift is a mapping from each parameter to its block.

    Args:
        family: what was stated, with the optimizer's symbols among its constants.
        optimizer: whose limit it is.

    >>> from symbolic_sgd import derive_limiting_sde, models
    >>> sde = derive_limiting_sde(models.matrix_sensing())
    >>> U, V = sde.family.parameters
    >>> print(sde.drift[U])
    Σ_i λ_i A_i V − 1/(2 n) Σ_i A_i A_iᵀ U
    """

    def _term(self, name: str) -> Mapping[Any, MatrixFormula]:
        return dict(zip(self.family.parameters, getattr(self._formulas, name).values(), strict=True))

    @property
    def definitions(self) -> tuple[Definition, ...]:
        """What the formulas name: the multipliers λ, and matrices of the size of G, each with its equation."""
        return self._formulas.definitions

    @property
    def tangent_projection(self) -> Definition | None:
        """∂Φ by a Sylvester equation of the size of r, where Γ is locally an orbit of GL(r), with the condition; None where it is not
        known to be: ∂ΦE = E + Jᵀλ with λ = −G†JE.

        >>> from symbolic_sgd import derive_limiting_sde, models
        >>> print(derive_limiting_sde(models.full_factorization()).tangent_projection)
        ∂Φ(A, B) = (U S, −V Sᵀ), Uᵀ U S + S Vᵀ V = Uᵀ A − Bᵀ V, where U and V have rank r
        """
        pair = MatrixPair.of(self.family)
        return None if pair is None else pair.projection

    def induced_regularizer(self, predictor: Any, *, name: str = "beta") -> InducedFamilyRegularizer:
        """R̂(β) = inf {R(θ) : F(θ) = β} for every size: the regularizer in function space, for label noise.

        Args:
            predictor: F, a matrix expression in the parameters of which the residuals are functions: U*V.T, W3*W2*W1,
                HadamardProduct(u, v), …; or a list of such that share no parameters.
            name: of β.

        Returns:
            `.expression` in β and in the letters of `.quantities` (or None), `.attainment`, `.evidence`, `.value(β, **data)`,
            `.at_sizes(sizes, **data)`: the same of one member, from its entries.

        Raises:
            BadInput: F is not seen to determine the residuals.
            Undecided: the noise is no label noise.

        >>> from symbolic_sgd import derive_limiting_sde, models
        >>> family = models.full_factorization()
        >>> U, V = family.parameters
        >>> derive_limiting_sde(family).induced_regularizer(U*V.T).expression
        ‖beta‖_*/(2*sqrt(d1)*sqrt(d2))
        """
        return induced_by_family(self._formulas, predictor, name)

    @property
    def _potential(self) -> Any:
        return self._formulas.regularizer

    def _induced(self, predictor: Any) -> str:
        return self.induced_regularizer(predictor).latex()

    def _blocks(self) -> Iterator[Block]:
        return matrix_family_blocks(self._formulas)

    @property
    def _manifold_words(self) -> str:
        return f"Γ is where all residuals vanish; {self.codimension}."

    @property
    def _further_words(self) -> tuple[str, ...]:
        return () if self.tangent_projection is None else (f"{self.tangent_projection}; array code uses it.",)

    @property
    def _shown_residual(self) -> tuple[str, str]:
        return f"f{self._formulas.subscript}", str(self.residual)

    def _shown_drift(self) -> Iterator[tuple[str, str]]:
        return ((name, str(block)) for name, block in self._formulas.drift.items())

    @property
    def _shown_definitions(self) -> Sequence[Definition]:
        return self.definitions
