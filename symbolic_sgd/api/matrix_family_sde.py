"""The limiting SDE of a family of matrices, for every size, as users hold it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from symbolic_sgd.api.induced_family import InducedFamilyRegularizer, induced_by_family
from symbolic_sgd.errors import Undecided
from symbolic_sgd.families.array_modules import array_module
from symbolic_sgd.families.codimension import Codimension, measured_codimension
from symbolic_sgd.families.matrix_charges import MatrixCharge, matrix_charges
from symbolic_sgd.families.matrix_family import MatrixFamily
from symbolic_sgd.families.matrix_latex import matrix_family_blocks
from symbolic_sgd.families.matrix_member import matrix_member
from symbolic_sgd.families.matrix_terms import Definition, LogarithmOfCurvature, MatrixTerms
from symbolic_sgd.families.tensor_arrays import MatrixArrays, family_arrays
from symbolic_sgd.printing.blocks import one_output, snippet
from symbolic_sgd.problems.problem import Problem
from symbolic_sgd.tensors.formula import MatrixFormula


@dataclass(frozen=True)
class MatrixFamilySDE:
    """dY = ½∂²Φ[Σ] dt + ∂Φ σ dW on Γ = {f = 0}, in matrices of any size.

    Formulas are `MatrixFormula`s: `str` prints them in matrices, `.indices()` with every index, `.einsum()` as array code. A term
    of the drift is a mapping from each parameter to its block.

    Args:
        family: what was stated.

    >>> from symbolic_sgd import derive_limiting_sde, models
    >>> sde = derive_limiting_sde(models.matrix_sensing())
    >>> U, V = sde.family.parameters
    >>> print(sde.drift[U])
    Σ_i λ_i A_i V − 1/(2 n) Σ_i A_i A_iᵀ U
    """

    family: MatrixFamily

    @cached_property
    def _terms(self) -> MatrixTerms:
        return MatrixTerms(self.family)

    # --- the model --------------------------------------------------------------------------

    @property
    def residual(self) -> MatrixFormula:
        """f, or the outputs before what they are compared with."""
        return self._terms.residual

    @property
    def gradient(self) -> Mapping[Any, MatrixFormula]:
        """∇f of one residual, by parameter."""
        return self._by_symbol(self._terms.gradient)

    @property
    def gram(self) -> MatrixFormula:
        """G = JJᵀ, the inner product of the gradients of two residuals."""
        return self._terms.gram

    @property
    def trace_hessian(self) -> MatrixFormula:
        """tr ∇²L on Γ."""
        return self._terms.trace_hessian

    @cached_property
    def codimension(self) -> Codimension:
        """How many of the gradients are independent, as it was measured at random points of several sizes."""
        return measured_codimension(self.family)

    # --- the theorem ------------------------------------------------------------------------

    @property
    def regularizer(self) -> MatrixFormula | LogarithmOfCurvature:
        """R with mixed + normal = −∂Φ∇R on Γ, up to a constant: (c/4) tr ∇²L for Σ = c∇²L, (s²/4) ln|∇²L|₊ for Σ = s²I.

        Raises:
            Undecided: the noise has neither structure.
        """
        if self._terms.regularizer is None:
            raise Undecided(
                "a family has a known regularizer for Σ = c∇²L and for Σ = s²I on Γ; for other noise use family.problem(…)"
            )
        return self._terms.regularizer

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
        return induced_by_family(self._terms, predictor, name)

    @property
    def drift(self) -> Mapping[Any, MatrixFormula]:
        """½∂²Φ[Σ], by parameter; its multipliers are in `definitions`."""
        return self._by_symbol(self._terms.drift)

    @property
    def tangent_noise_compensation(self) -> Mapping[Any, MatrixFormula]:
        """−½ ∇²L† T[Σ_∥]."""
        return self._by_symbol(self._terms.compensation)

    @property
    def mixed_regularization(self) -> Mapping[Any, MatrixFormula]:
        """−∂Φ T[∇²L†Σ_⊥∥], before the projection ∂Φ."""
        return self._by_symbol(self._terms.mixed)

    @property
    def normal_regularization(self) -> Mapping[Any, MatrixFormula]:
        """−½ ∂Φ T[𝓛⁻¹(Σ_⊥)], before the projection ∂Φ."""
        return self._by_symbol(self._terms.normal)

    @property
    def definitions(self) -> tuple[Definition, ...]:
        """What the formulas name: the multipliers λ, and matrices of the size of G, each with its equation."""
        return self._terms.definitions

    @property
    def where(self) -> tuple[Definition, ...]:
        """The same as `definitions`."""
        return self.definitions

    @cached_property
    def charges(self) -> tuple[MatrixCharge, ...]:
        """The matrices UᵀU − VᵀV that the gradient flow conserves because f does not change under U ↦ Ug, V ↦ Vg^{−⊤}, and
        their drift in the limit, for label noise and for isotropic noise. They are read off the indices: there may be others."""
        return matrix_charges(self.family)

    # --- numbers and words ------------------------------------------------------------------

    def lambdify(
        self, *, check: bool = True, backend: Any = None, sizes: Mapping[Any, int] | None = None, **data: Any
    ) -> MatrixArrays:
        """Array functions for given data (and constants), each by its name.

        Args:
            check: whether points are tested.
            backend: NumPy() (default), JAX() or Torch().
            sizes: of what no array tells, by symbol.
            data: where samples is a size, the index of the sample is their first axis; `targets=` for outputs.

        Raises:
            BadInput: and its subclasses: names, shapes, or sizes that disagree.
        """
        return family_arrays(self.family, data, check=check, sizes=sizes or {}, home=array_module(backend))

    def problem(self, *, sizes: Mapping[Any, int] | None = None, sigma: Any = None, **data: Any) -> Problem:
        """The explicit problem with these data: see `MatrixFamily.problem`.

        Args:
            sizes: of what no array tells, symbol → number.
            sigma: σ(x), D×Ξ, for `AnyNoise`.
            data: an array of numbers for each of the family's data, by name, with its samples along the first axis.
        """
        return matrix_member(self.family, data, sizes or {}, sigma)

    def latex(self) -> str:
        """The theorem for the family, as LaTeX that compiles with amsmath."""
        return snippet(matrix_family_blocks(self._terms))

    def _repr_latex_(self) -> str:
        return one_output(matrix_family_blocks(self._terms))

    def explain(self) -> str:
        """What was recognised."""
        family = self.family
        lines = [f"Γ is where all residuals vanish; {self.codimension}."]
        if family.proportion is not None:
            lines.append(
                f"Σ = c∇²L on Γ with c = {family.proportion}: the limit has no noise, and descends R = (c/4) tr ∇²L."
            )
        elif family.noise.isotropy is not None:
            lines.append("Σ = s²I: no mixed term, R = (s²/4) ln|∇²L|₊, and no Lyapunov equation has to be solved.")
        else:
            lines.append(
                "The Lyapunov equation stays an operator on matrices of the size of G; array code solves it by eigenvectors."
            )
        return "\n".join(lines)

    def __repr__(self) -> str:
        """The SDE, a line for each parameter."""
        noise = "" if self.family.proportion is not None else " + ∂Φ σ dW"
        lines = [f"dY = b dt{noise} on Γ = {{f = 0}}, f{self._terms.subscript} = {self._terms.residual}"]
        lines += [f"  b_{name} = {block}" for name, block in self._terms.drift.items()]
        if self._terms.regularizer is not None:
            lines.append(f"  R = {self._terms.regularizer}")
        lines += [f"  {definition}" for definition in self.definitions]
        return "\n".join(lines)

    def _by_symbol(self, blocks: Mapping[str, MatrixFormula]) -> dict[Any, MatrixFormula]:
        return dict(zip(self.family.parameters, blocks.values(), strict=True))
