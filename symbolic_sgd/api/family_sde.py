"""The limiting SDE of a family of losses, for every n and d, as users hold it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.as_read import ReadersText
from symbolic_sgd.algebra.translation import Expression, SymbolicMatrix
from symbolic_sgd.errors import Undecided
from symbolic_sgd.families.arrays import FamilyArrays
from symbolic_sgd.families.data import FamilyData
from symbolic_sgd.families.family import Family
from symbolic_sgd.families.latex import family_blocks
from symbolic_sgd.families.slow_motion import PLAIN, SlowMotion
from symbolic_sgd.families.terms import FamilyTerms, IndexedVector
from symbolic_sgd.optimizers.optimizer import Optimizer
from symbolic_sgd.printing.blocks import one_output, snippet


@dataclass(frozen=True)
class FamilySDE:
    """dY = ½∂²Φ[Σ] dt + ∂Φ σ dW on Γ = {f_1 = … = f_n = 0}, with n and d as symbols.

    Each term is an `IndexedVector`: its entries at coordinate j, as sums over samples and coordinates, for each parameter of
    a coordinate. Matrices are SymPy matrix expressions in J = (∇f_1 … ∇f_n)ᵀ, n×D, and σ, D×Ξ.

    Args:
        family: what was stated, with the optimizer's symbols among its constants.
        optimizer: whose limit it is.

    >>> import sympy as sp
    >>> from symbolic_sgd import Family, LabelNoise, derive_limiting_sde
    >>> (i, j), (n, d) = sp.symbols("i j", integer=True), sp.symbols("n d", integer=True, positive=True)
    >>> x, y, z = map(sp.IndexedBase, "xyz")
    >>> line = sp.Sum(z[i, j]*x[j]**2, (j, 1, d)) - y[i]
    >>> derive_limiting_sde(Family(residual=line, sample=(i, 1, n), parameters=(x,), noise=LabelNoise(1))).regularizer
    Sum(x[j]**2*Sum(z[i, j]**2, (i, 1, n)), (j, 1, d))/n
    """

    family: Family
    optimizer: Optimizer = PLAIN

    def __post_init__(self) -> None:
        _ = self.family.at_zero  # refuses losses that f = 0 does not minimise

    @cached_property
    def _terms(self) -> FamilyTerms:
        return FamilyTerms(self._motion)

    @cached_property
    def _motion(self) -> SlowMotion[Family]:
        return SlowMotion(self.family, self.optimizer)

    # --- the optimizer ----------------------------------------------------------------------

    @property
    def time_unit(self) -> Expression:
        """What one step adds to t."""
        return self.optimizer.time_unit

    @property
    def covariance_kernel(self) -> sp.Lambda:
        """k(a, b) with the stationary covariance Σ∘k in the eigenvectors of ∇²L."""
        return self._motion.kernel.shown

    # --- the theorem ------------------------------------------------------------------------

    @property
    def tangent_noise_compensation(self) -> IndexedVector:
        """−½ ∇²L† T[Σ_∥]."""
        return self._terms.terms["tangent_noise_compensation"]

    @property
    def mixed_regularization(self) -> IndexedVector:
        """−∂Φ T[∇²L†Σ_⊥∥]."""
        return self._terms.terms["mixed_regularization"]

    @property
    def normal_regularization(self) -> IndexedVector:
        """−½ ∂Φ T[𝓛⁻¹(Σ_⊥)]."""
        return self._terms.terms["normal_regularization"]

    @property
    def imposed_drift(self) -> IndexedVector:
        """−∂Φg for the optimizer's weight decay and slow potential, g = wx + ∇R; it is part of the drift."""
        return self._terms.terms["imposed_drift"]

    @property
    def drift(self) -> IndexedVector:
        """½∂²Φ[Σ], their sum, and the optimizer's own drift."""
        return self._terms.terms["drift"]

    @property
    def regularizer(self) -> sp.Expr:
        """R with mixed + normal = −∂Φ∇R on Γ, up to a constant: (c/4) tr ∇²L for Σ = c∇²L, (s²/4) ln det JJᵀ for Σ = s²I; for an
        optimizer that makes a multiple of it, that.

        Raises:
            Undecided: the noise has neither structure, or the optimizer makes a function of the curvatures of it.
        """
        if self._motion.share is None:
            raise Undecided(
                f"{self.optimizer.label} makes a function of the curvatures of the noise, and a family of coordinates has no R of that; "
                "state the model as a MatrixFamily, or the problem for given n and d: family.problem(…)"
            )
        if self._terms.regularizer is None:
            raise Undecided(
                "a family has a known regularizer for Σ = c∇²L and Σ = s²I on Γ; for other noise state the problem for given n and d"
            )
        return self._terms.regularizer

    # --- matrices ---------------------------------------------------------------------------

    @cached_property
    def jacobian(self) -> SymbolicMatrix:
        """J, n×D."""
        return sp.MatrixSymbol("J", self.family.samples, self.family.coordinates * len(self.family.parameters))

    @property
    def tangent_projection(self) -> SymbolicMatrix:
        """∂Φ = I − Jᵀ(JJᵀ)⁻¹J."""
        j = self.jacobian
        return sp.Identity(j.cols) - j.T * (j * j.T).inverse() * j

    @property
    def hessian(self) -> SymbolicMatrix:
        """∇²L = JᵀKJ, K = diag(ℓ″(0))/n."""
        return self.jacobian.T * self._curvature * self.jacobian

    @property
    def hessian_pinv(self) -> SymbolicMatrix:
        """∇²L† = Jᵀ(JJᵀ)⁻¹K⁻¹(JJᵀ)⁻¹J."""
        j = self.jacobian
        inverse = (j * j.T).inverse()
        return j.T * inverse * self._curvature.inverse() * inverse * j

    @property
    def lyapunov_solution(self) -> SymbolicMatrix:
        """S = Σ_⊥∘k: share times (c/2)(I − ∂Φ) or (s²/2)∇²L†; else JᵀZJ with an n×n matrix Z, for plain SGD the solution of
        KGZ + ZGK = G⁻¹JΣJᵀG⁻¹."""
        j, share = self.jacobian, self._motion.share
        if share is None:
            return j.T * sp.MatrixSymbol("Z", self.family.samples, self.family.samples) * j
        if self.family.proportion is not None:
            return share * self.family.proportion / 2 * j.T * (j * j.T).inverse() * j
        isotropy = self.family.noise.isotropy
        if isotropy is not None:
            return share * isotropy / 2 * self.hessian_pinv
        return j.T * sp.MatrixSymbol("Z", self.family.samples, self.family.samples) * j

    @property
    def diffusion(self) -> SymbolicMatrix:
        """√τ ∂Φ σ, τ of the optimizer."""
        width = sp.Symbol("Xi", integer=True, positive=True)
        noise = self.tangent_projection * sp.MatrixSymbol("sigma", self.jacobian.cols, width)
        return sp.sqrt(self.optimizer.tangent_factor) * noise

    @property
    def _curvature(self) -> SymbolicMatrix:
        """K: a multiple of I where ℓ″(0) is the same for all samples."""
        n, kappa = self.family.samples, self.family.curvature
        if kappa.atoms(sp.Indexed):
            return sp.MatrixSymbol("K", n, n)
        return kappa / n * sp.Identity(n)

    # --- numbers and words ------------------------------------------------------------------

    def lambdify(self, *, check: bool = True, sizes: Mapping[Any, int] | None = None, **data: Any) -> FamilyArrays:
        """Array functions for given data (and constants), each by the name of its `IndexedBase`.

        Args:
            check: whether points are tested.
            sizes: what no data tell, by symbol, such as the width of a network.
            data: arrays; those indexed (i, j) may be SciPy's sparse matrices.

        Raises:
            BadInput: and its subclasses: names, shapes, or more samples than parameters.
        """
        return FamilyArrays(FamilyData(self.family, data, sizes or {}, self.optimizer), check)

    def latex(self) -> str:
        """The theorem for the family, as LaTeX that compiles with amsmath."""
        return snippet(family_blocks(self._terms))

    def _repr_latex_(self) -> str:
        return one_output(family_blocks(self._terms))

    def explain(self) -> str:
        """What was recognised."""
        c, plain = self.family.proportion, self._motion.is_plain
        equation = "Lyapunov equation" if self._motion.response.is_lyapunov else "map Σ_⊥ ↦ Σ_⊥∘k"
        lines = [f"Γ is where all {self.family.samples} residuals vanish and their gradients are independent (n ≤ D)."]
        if c is not None:
            lines.append(
                f"Σ = c∇²L on Γ with c = {c}: the limit has no noise{', and descends R = (c/4) tr ∇²L' if plain else ''}."
            )
        elif self.family.noise.isotropy is not None:
            r = ", R = (s²/4) ln|∇²L|₊" if plain else ""
            lines.append(f"Σ = s²I: no mixed term{r}, and no Lyapunov equation has to be solved.")
        else:
            lines.append(
                f"The {equation} stays an operator in n dimensions; numeric callables solve it by eigenvectors."
            )
        return "\n".join([*lines, *self._motion.words])

    def __repr__(self) -> str:
        """The SDE, a line for each parameter of a coordinate."""
        i, drift, write = self.family.i, self.drift, ReadersText().written
        factor = sp.sqrt(self.optimizer.tangent_factor)
        noise = "" if self.family.proportion is not None else f" + {'' if factor == 1 else f'({factor}) '}∂Φ σ dW"
        lines = [f"dY = b dt{noise} on Γ = {{f_{i} = 0}}, f_{i} = {write(self.family.residual)}"]
        entries = zip(drift.bases, drift.components, strict=True)
        lines.extend(f"  b_{base[self.family.j]} = {write(entry)}" for base, entry in entries)
        if self._terms.regularizer is not None:
            lines.append(f"  R = {write(self._terms.regularizer)}")
        return "\n".join(lines)
