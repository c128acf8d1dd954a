"""The limiting SDE of a family of matrices, for every size, as users hold it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.translation import Expression
from symbolic_sgd.api.induced_family import InducedFamilyRegularizer, induced_by_family
from symbolic_sgd.errors import Undecided
from symbolic_sgd.families.array_modules import array_module
from symbolic_sgd.families.codimension import Codimension, codimension_of
from symbolic_sgd.families.matrix_charges import MatrixCharge, matrix_charges
from symbolic_sgd.families.matrix_definitions import Definition
from symbolic_sgd.families.matrix_family import MatrixFamily
from symbolic_sgd.families.matrix_latex import matrix_family_blocks
from symbolic_sgd.families.matrix_member import matrix_member
from symbolic_sgd.families.matrix_potentials import LogarithmOfCurvature, SpectralRegularizer
from symbolic_sgd.families.matrix_terms import MatrixTerms
from symbolic_sgd.families.orbit_point import MatrixPair
from symbolic_sgd.families.settled_moments import SettledMoments
from symbolic_sgd.families.slow_motion import PLAIN, SlowMotion
from symbolic_sgd.families.tensor_arrays import MatrixArrays, family_arrays
from symbolic_sgd.optimizers.optimizer import Optimizer
from symbolic_sgd.printing.blocks import one_output, snippet
from symbolic_sgd.printing.layout import laid_out, layout_of
from symbolic_sgd.problems.problem import Problem
from symbolic_sgd.tensors.formula import MatrixFormula


@dataclass(frozen=True)
class MatrixFamilySDE:
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

    family: MatrixFamily
    optimizer: Optimizer = PLAIN

    @cached_property
    def _terms(self) -> MatrixTerms:
        return MatrixTerms(self.family, self.optimizer)

    @property
    def _motion(self) -> SlowMotion[MatrixFamily]:
        return self._terms.motion

    # --- the optimizer ----------------------------------------------------------------------

    @property
    def time_unit(self) -> Expression:
        """What one step adds to t.

        >>> from symbolic_sgd import HeavyBall, derive_limiting_sde, models
        >>> derive_limiting_sde(models.matrix_sensing(), optimizer=HeavyBall(momentum=0.5)).time_unit
        4*eta**2
        """
        return self.optimizer.time_unit

    @property
    def covariance_kernel(self) -> sp.Lambda:
        """k(a, b) with the stationary covariance Σ∘k in the eigenvectors of ∇²L."""
        return self._motion.kernel.shown

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
        """How many of the gradients are independent: by a count of the orbit that Γ is, with the condition under which that is proved, and
        as it was measured at random points of several sizes.

        >>> from symbolic_sgd import derive_limiting_sde, models
        >>> derive_limiting_sde(models.cp_decomposition()).codimension.expression
        r*(d1 + d2 + d3 - 2)
        """
        return codimension_of(self.family)

    # --- the theorem ------------------------------------------------------------------------

    @property
    def regularizer(self) -> MatrixFormula | LogarithmOfCurvature | SpectralRegularizer:
        """R with mixed + normal = −∂Φ∇R on Γ, up to a constant: (c/4) tr ∇²L for Σ = c∇²L, (s²/4) ln|∇²L|₊ for Σ = s²I, for SGD at
        η → 0 and what is a multiple of it; else half of c or s² times Σ F(λ) over the curvatures.

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
    def imposed_drift(self) -> Mapping[Any, MatrixFormula]:
        """−g for the optimizer's weight decay and slow potential, g = wx + ∇R, before the projection ∂Φ; it is part of the drift."""
        return self._by_symbol(self._terms.imposed)

    @property
    def definitions(self) -> tuple[Definition, ...]:
        """What the formulas name: the multipliers λ, and matrices of the size of G, each with its equation."""
        return self._terms.definitions

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

    @property
    def where(self) -> tuple[Definition, ...]:
        """The same as `definitions`."""
        return self.definitions

    @cached_property
    def charges(self) -> tuple[MatrixCharge, ...]:
        """The matrices UᵀU − VᵀV that the gradient flow conserves because f does not change under U ↦ Ug, V ↦ Vg^{−⊤}, and
        their drift in the limit, for label noise and for isotropic noise. They are read off the indices: there may be others.

        Raises:
            NoCharges: an optimizer whose limit is not that of SGD in another time, or a slow potential.
        """
        return matrix_charges(self._motion)

    def settled_moments(self, optimizer: Optimizer) -> SettledMoments:
        """The limit of RMSprop or Adam where second moments have settled, for label noise: R = (√c/2) tr Diag(∇²L)^{1/2}.

        Args:
            optimizer: RMSprop(second_moment_rate=c) or Adam(…), whose learning rate tends to 0.

        Returns:
            `.regularizer`, `.moments`, `.drift`, `.definitions`, and `.on(sde.lambdify(…))`: the same on arrays.

        Raises:
            BadInput: another optimizer.
            Undecided: other noise, a learning rate that stays, or weight decay.

        Source: the quasi-static limit of Li, Wen and Lyu (2025).

        >>> from symbolic_sgd import RMSprop, derive_limiting_sde, models
        >>> settled = derive_limiting_sde(models.full_factorization()).settled_moments(RMSprop(second_moment_rate=1))
        >>> print(settled.moments[settled.family.parameters[0]])
        1/(d1 d2) 𝟏 diag(Vᵀ V)ᵀ
        """
        return SettledMoments(self.family, optimizer)

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
        return family_arrays(self._motion, data, check=check, sizes=sizes or {}, home=array_module(backend))

    def problem(self, *, sizes: Mapping[Any, int] | None = None, sigma: Any = None, **data: Any) -> Problem:
        """The explicit problem with these data: see `MatrixFamily.problem`.

        Args:
            sizes: of what no array tells, symbol → number.
            sigma: σ(x), D×Ξ, for `AnyNoise`.
            data: an array of numbers for each of the family's data, by name, with its samples along the first axis.
        """
        return matrix_member(self.family, data, sizes or {}, sigma)

    def latex(self, *, line: int | None = None) -> str:
        """The theorem for the family, as LaTeX that compiles with amsmath; what is wider than a line is broken.

        Args:
            line: characters of a line; 75 by default, as in an article in one column, and 45 for one in two.

        Raises:
            BadInput: a length out of range.
        """
        with laid_out(layout_of(None, line, ())):
            return snippet(matrix_family_blocks(self._terms))

    def _repr_latex_(self) -> str:
        return one_output(matrix_family_blocks(self._terms))

    def explain(self) -> str:
        """What was recognised."""
        family, plain, projection = self.family, self._motion.is_plain, self.tangent_projection
        equation = "Lyapunov equation" if self._motion.response.is_lyapunov else "map Σ_⊥ ↦ Σ_⊥∘k"
        lines = [f"Γ is where all residuals vanish; {self.codimension}."]
        if family.proportion is not None:
            r = "descends R = (c/4) tr ∇²L" if plain else f"its drift by the noise is −∂Φ∇R, R = {self._regularizer}"
            lines.append(f"Σ = c∇²L on Γ with c = {family.proportion}: the limit has no noise, and {r}.")
        elif family.noise.isotropy is not None:
            r = "R = (s²/4) ln|∇²L|₊" if plain else f"R = {self._regularizer}"
            lines.append(f"Σ = s²I: no mixed term, {r}, and no Lyapunov equation has to be solved.")
        else:
            lines.append(
                f"The {equation} stays an operator on matrices of the size of G; array code solves it by eigenvectors."
            )
        if projection is not None:
            lines.append(f"{projection}; array code uses it.")
        return "\n".join([*lines, *self._motion.words])

    @property
    def _regularizer(self) -> str:
        """R, in letters."""
        share, label = self._motion.share, self.family.proportion is not None
        if share is None:
            return "(c/2) Σ F(λ), F′(λ) = λk(λ, λ)" if label else "(s²/2) Σ F(λ), F′(λ) = k(λ, λ)"
        scale = "" if share == 1 else f"({share}) "
        return scale + ("(c/4) tr ∇²L" if label else "(s²/4) ln|∇²L|₊")

    def __repr__(self) -> str:
        """The SDE, a line for each parameter."""
        noise = "" if self.family.proportion is not None else f" + {self._noise_factor}∂Φ σ dW"
        lines = [f"dY = b dt{noise} on Γ = {{f = 0}}, f{self._terms.subscript} = {self._terms.residual}"]
        lines += [f"  b_{name} = {block}" for name, block in self._terms.drift.items()]
        if self._terms.regularizer is not None:
            lines.append(f"  R = {self._terms.regularizer}")
        lines += [f"  {definition}" for definition in self.definitions]
        return "\n".join(lines)

    @property
    def _noise_factor(self) -> str:
        """√τ."""
        factor = sp.sqrt(self.optimizer.tangent_factor)
        return "" if factor == 1 else f"({factor}) "

    def _by_symbol(self, blocks: Mapping[str, MatrixFormula]) -> dict[Any, MatrixFormula]:
        return dict(zip(self.family.parameters, blocks.values(), strict=True))
