"""The limiting SDE of a family of losses of every size, as users hold it: what families of coordinates and of matrices have in common."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import sympy as sp

from symbolic_sgd import documents
from symbolic_sgd.algebra.translation import Expression, SymbolicMatrix
from symbolic_sgd.errors import BadInput, NoCharges, Undecided
from symbolic_sgd.families.array_modules import array_module
from symbolic_sgd.families.arrays import NO_POTENTIAL, FamilyArrays, family_arrays
from symbolic_sgd.families.codimension import Codimension, codimension_of
from symbolic_sgd.families.matrix_charges import MatrixCharge, matrix_charges
from symbolic_sgd.families.matrix_latex import displayed
from symbolic_sgd.families.matrix_terms import MatrixTerms
from symbolic_sgd.families.settled_moments import SettledMoments
from symbolic_sgd.families.slow_motion import PLAIN, AnyFamily, SlowMotion
from symbolic_sgd.optimizers.optimizer import Optimizer
from symbolic_sgd.printing.blocks import Block, Math, one_output, snippet
from symbolic_sgd.printing.layout import PAGE, laid_out, layout_of
from symbolic_sgd.problems.problem import Problem
from symbolic_sgd.tensors.formula import MatrixFormula

if TYPE_CHECKING:
    from symbolic_sgd.checks.certificate import Certificate
    from symbolic_sgd.documents.document import Document
    from symbolic_sgd.documents.family_document import FamilyFindings

Terms = TypeVar("Terms")
"""How the terms of a drift are written."""


@dataclass(frozen=True)
class FamilyLimit(ABC, Generic[AnyFamily, Terms]):
    """dY = ½∂²Φ[Σ] dt + ∂Φ σ dW on Γ = {f = 0}, with every size as a symbol.

    Args:
        family: what was stated, with the optimizer's symbols among its constants.
        optimizer: whose limit it is.

    >>> from symbolic_sgd import derive_limiting_sde, models
    >>> print(derive_limiting_sde(models.difference_of_squares()).trace_hessian)
    4/n Σ_i (‖u ∘ z_i‖² + ‖v ∘ z_i‖²)
    """

    family: AnyFamily
    optimizer: Optimizer = PLAIN

    def __post_init__(self) -> None:
        _ = self.family.at_zero  # refuses losses that f = 0 does not minimise

    @cached_property
    def _motion(self) -> SlowMotion[AnyFamily]:
        return SlowMotion(self.family, self.optimizer)

    @cached_property
    def _formulas(self) -> MatrixTerms:
        return MatrixTerms(self.family, self.optimizer)

    @abstractmethod
    def _term(self, name: str) -> Terms:
        """A term of the drift."""

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
    def covariance_kernel(self) -> sp.Lambda | None:
        """k(a, b) with the stationary covariance Σ∘k in the eigenvectors of ∇²L; None where steps draw samples at a learning rate that
        stays."""
        return None if self._motion.draws_batches else self._motion.kernel.shown

    # --- the model --------------------------------------------------------------------------

    @property
    def residual(self) -> MatrixFormula:
        """f, or the outputs before what they are compared with."""
        return self._formulas.residual

    @property
    def gradient(self) -> Mapping[Any, MatrixFormula]:
        """∇f of one residual, by parameter."""
        return dict(zip(self.family.parameters, self._formulas.gradient.values(), strict=True))

    @property
    def gram(self) -> MatrixFormula:
        """G = JJᵀ, the inner product of the gradients of two residuals."""
        return self._formulas.gram

    @property
    def trace_hessian(self) -> MatrixFormula:
        """tr ∇²L on Γ."""
        return self._formulas.trace_hessian

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
    def drift(self) -> Terms:
        """½∂²Φ[Σ], the sum of the terms, and the optimizer's own drift; what it names is in `definitions`."""
        return self._term("drift")

    @property
    def tangent_noise_compensation(self) -> Terms:
        """−½ ∇²L† T[Σ_∥]."""
        return self._term("tangent_noise_compensation")

    @property
    def mixed_regularization(self) -> Terms:
        """−∂Φ T[∇²L†Σ_⊥∥]; of matrices before the projection ∂Φ."""
        return self._term("mixed_regularization")

    @property
    def normal_regularization(self) -> Terms:
        """−½ ∂Φ T[𝓛⁻¹(Σ_⊥)]; of matrices before the projection ∂Φ."""
        return self._term("normal_regularization")

    @property
    def imposed_drift(self) -> Terms:
        """−∂Φg for the optimizer's weight decay and slow potential, g = wx + ∇R; of matrices before the projection ∂Φ. It is part of the
        drift."""
        return self._term("imposed_drift")

    @property
    @abstractmethod
    def definitions(self) -> Sequence[Any]:
        """What the drift names, each with its equation."""

    @property
    def where(self) -> Sequence[Any]:
        """The same as `definitions`."""
        return self.definitions

    @property
    def regularizer(self) -> Any:
        """R with mixed + normal = −∂Φ∇R on Γ, up to a constant: (c/4) tr ∇²L for Σ = c∇²L, (s²/4) ln|∇²L|₊ for Σ = s²I, for SGD at
        η → 0 and what is a multiple of it; else half of c or s² times Σ F(λ) over the curvatures.

        Raises:
            Undecided: the noise has neither structure.
        """
        found = self._potential
        if found is None and self._motion.draws_batches:
            raise Undecided(f"no regularizer is known: {NO_POTENTIAL}")
        if found is None:
            raise Undecided(
                "a family has a known regularizer for Σ = c∇²L and for Σ = s²I on Γ; for other noise use family.problem(…)"
            )
        return found

    @property
    @abstractmethod
    def _potential(self) -> Any:
        """R, or None."""

    @cached_property
    def charges(self) -> tuple[MatrixCharge, ...]:
        """The matrices UᵀU − VᵀV that the gradient flow conserves because f does not change under U ↦ Ug, V ↦ Vg^{−⊤}, and
        their drift in the limit, for label noise and for isotropic noise. They are read off the indices: there may be others. In a sum
        over coordinates no two parameters are joined by an index of their own, so that a `Family` has none of this kind.

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

    # --- matrices ---------------------------------------------------------------------------

    @cached_property
    def jacobian(self) -> SymbolicMatrix:
        """J, N×D."""
        model = self.family.model
        return sp.MatrixSymbol(
            "J", sp.Mul(*(i.size for i in model.labels)), sp.Add(*(sp.Mul(*p.shape) for p in model.parameters))
        )

    @property
    def hessian(self) -> SymbolicMatrix:
        """∇²L = JᵀKJ, K = diag(ℓ″(0))/n."""
        return self.jacobian.T * self._curvature * self.jacobian

    @property
    def hessian_pinv(self) -> SymbolicMatrix:
        """∇²L† = JᵀG†K⁻¹G†J, G = JJᵀ, where κ is a number or the gradients are independent.

        Raises:
            Undecided: K of a cross-entropy has no inverse.
        """
        if self.family.curvature is None:
            raise Undecided("the curvature of a cross-entropy has no inverse: ∇²L† is not written out in J")
        j, inverse = self.jacobian, self._gram_pinv
        return j.T * inverse * self._curvature.inverse() * inverse * j

    @property
    def lyapunov_solution(self) -> SymbolicMatrix:
        """S = Σ_⊥∘k: share times (c/2)(I − ∂Φ) or (s²/2)∇²L†; else JᵀZJ with an N×N matrix Z, for plain SGD the solution of
        KGZ + ZGK = G†JΣJᵀG†."""
        j, share, isotropy = self.jacobian, self._motion.share, self.family.noise.isotropy
        if share is not None and self.family.proportion is not None:
            return share * self.family.proportion / 2 * j.T * self._gram_pinv * j
        if share is not None and isotropy is not None:
            return share * isotropy / 2 * self.hessian_pinv
        return j.T * sp.MatrixSymbol("Z", j.rows, j.rows) * j

    @property
    def diffusion(self) -> SymbolicMatrix:
        """√τ ∂Φ σ, τ of the optimizer, ∂Φ = I − JᵀG†J."""
        width = sp.Symbol("Xi", integer=True, positive=True)
        noise = self._projection * sp.MatrixSymbol("sigma", self.jacobian.cols, width)
        return sp.sqrt(self.optimizer.tangent_factor) * noise

    @property
    def _projection(self) -> SymbolicMatrix:
        j = self.jacobian
        return sp.Identity(j.cols) - j.T * self._gram_pinv * j

    @property
    def _gram_pinv(self) -> SymbolicMatrix:
        """(JJᵀ)⁻¹ where the gradients have to be independent, else G† by its name."""
        j = self.jacobian
        return (j * j.T).inverse() if self.family.independent else sp.MatrixSymbol("G^{+}", j.rows, j.rows)

    @property
    def _curvature(self) -> SymbolicMatrix:
        """K: a multiple of I where ℓ″(0) is the same for all samples."""
        size = self.jacobian.rows
        if not self.family.is_uniform:
            return sp.MatrixSymbol("K", size, size)
        return self.family.curvature / self.family.model.samples * sp.Identity(size)

    # --- numbers and words ------------------------------------------------------------------

    def lambdify(
        self, *, check: bool = True, backend: Any = None, sizes: Mapping[Any, int] | None = None, **data: Any
    ) -> FamilyArrays:
        """Array functions for given data (and constants), each by its name.

        Args:
            check: whether points are tested.
            backend: NumPy() (default), JAX() or Torch().
            sizes: of what no array tells, by symbol, such as the width of a network.
            data: arrays, whose first axis is the index of the sample where they have one; with two axes they may be SciPy's sparse
                matrices. `targets=` for outputs.

        Raises:
            BadInput: and its subclasses: names, shapes, signs, sizes that disagree, or more samples than parameters of a `Family`.
        """
        return family_arrays(self._motion, data, check=check, sizes=sizes, home=array_module(backend))

    def problem(self, *, sizes: Mapping[Any, int] | None = None, sigma: Any = None, **data: Any) -> Problem:
        """The explicit problem with these data: see `family.problem`.

        Args:
            sizes: of what no array tells, symbol → number.
            sigma: σ(x), D×Ξ, for `AnyNoise`.
            data: an array of numbers for each of the family's data, by name, with its samples along the first axis.
        """
        return self.family.problem(sizes=sizes, sigma=sigma, **data)

    def latex(self, *, line: int | None = None) -> str:
        """The theorem for the family, as LaTeX that compiles with amsmath; what is wider than a line is broken.

        Args:
            line: characters of a line; 75 by default, as in an article in one column, and 45 for one in two.

        Raises:
            BadInput: a length out of range.
        """
        with laid_out(layout_of(None, line, ())):
            return snippet(self._blocks())

    def document(
        self,
        writer: "Callable[[Document], str] | None" = None,
        *,
        title: str | None = None,
        certificate: "Certificate | None" = None,
        predictor: Any = None,
        line: int | None = None,
    ) -> str:
        """What there is to say of the family as a document: the limit, R, Γ and its codimension, what the flow conserves.

        Args:
            writer: `latex`, `markdown` (None) or `html` of `symbolic_sgd.documents.writers`.
            title: the heading; any text (None: the limit of the optimizer on a family of losses).
            certificate: the outcome of `verify`, for a table of its checks.
            predictor: a matrix that the residuals are functions of, for the regularizer in function space; None for none.
            line: characters of a line (default 90; 45 for LaTeX in two columns).

        Raises:
            BadInput: a length out of range, or a predictor that does not determine the residuals.

        >>> from symbolic_sgd import derive_limiting_sde, models
        >>> print(derive_limiting_sde(models.full_factorization()).document().splitlines()[2])
        # The limit of SGD on a family of losses
        """
        page = writer or documents.markdown.markdown
        with laid_out(layout_of(None, line, (), default=PAGE)):
            return page(documents.family_document.family_document(self._findings(title, certificate, predictor)))

    def _findings(self, title: str | None, certificate: "Certificate | None", predictor: Any) -> "FamilyFindings":
        known = self._potential
        try:
            pairs = [(("q", q.formula.latex()), (r"\text{drift}", q.drift.latex())) for q in self.charges]
            charges, unknown = tuple(block for pair in pairs for block in displayed(pair)), ()
        except NoCharges as error:
            charges, unknown = (), (f"What the gradient flow conserves is not said: {error}.",)
        return documents.family_document.FamilyFindings(
            title=f"The limit of {self.optimizer.label} on a family of losses" if title is None else title,
            limit=tuple(self._blocks()),
            known=(*self.explain().splitlines(), *unknown),
            regularizer=None if known is None else Math(self._written(known), self._shown(known)),
            charges=charges,
            induced=None if predictor is None else self._induced(predictor),
            certificate=certificate,
        )

    def _induced(self, predictor: Any) -> str:
        """LaTeX of the regularizer in function space."""
        raise BadInput("predictor= is a matrix, for a MatrixFamily: a sum over coordinates has none")

    def _written(self, potential: Any) -> str:
        """LaTeX of R."""
        return potential.latex()

    def _repr_latex_(self) -> str:
        return one_output(self._blocks())

    @abstractmethod
    def _blocks(self) -> Iterator[Block]:
        """Paragraphs and displays."""

    def explain(self) -> str:
        """What was recognised."""
        family, plain = self.family, self._motion.is_plain
        lines = [self._manifold_words]
        if self._motion.draws_batches:
            lines.append("Labels are the only noise: the limit has none.")
        elif family.proportion is not None:
            r = "descends R = (c/4) tr ∇²L" if plain else f"its drift by the noise is −∂Φ∇R, R = {self._letters}"
            lines.append(f"Σ = c∇²L on Γ with c = {family.proportion}: the limit has no noise, and {r}.")
        elif family.noise.isotropy is not None:
            r = "R = (s²/4) ln|∇²L|₊" if plain else f"R = {self._letters}"
            lines.append(f"Σ = s²I: no mixed term, {r}, and no Lyapunov equation has to be solved.")
        else:
            equation = "Lyapunov equation" if self._motion.response.is_lyapunov else "map Σ_⊥ ↦ Σ_⊥∘k"
            lines.append(
                f"The {equation} stays an operator on matrices of the size of G; array code solves it by eigenvectors."
            )
        return "\n".join([*lines, *self._further_words, *self._motion.words])

    @property
    @abstractmethod
    def _manifold_words(self) -> str:
        """What Γ is."""

    @property
    def _further_words(self) -> tuple[str, ...]:
        return ()

    @property
    def _letters(self) -> str:
        """R, in letters."""
        share, label = self._motion.share, self.family.proportion is not None
        if share is None:
            return "(c/2) Σ F(λ), F′(λ) = λk(λ, λ)" if label else "(s²/2) Σ F(λ), F′(λ) = k(λ, λ)"
        scale = "" if share == 1 else f"({share}) "
        return scale + ("(c/4) tr ∇²L" if label else "(s²/4) ln|∇²L|₊")

    def __repr__(self) -> str:
        """The SDE, a line for each parameter."""
        factor = sp.sqrt(self.optimizer.tangent_factor)
        still = self.family.proportion is not None
        noise = "" if still else f" + {'' if factor == 1 else f'({factor}) '}∂Φ σ dW"
        name, residual = self._shown_residual
        lines = [f"dY = b dt{noise} on Γ = {{{name if self.family.independent else 'f'} = 0}}, {name} = {residual}"]
        lines += [f"  b_{place} = {block}" for place, block in self._shown_drift()]
        if self._potential is not None:
            lines.append(f"  R = {self._shown(self._potential)}")
        return "\n".join([*lines, *(f"  {d}" for d in self._shown_definitions)])

    @property
    @abstractmethod
    def _shown_residual(self) -> tuple[str, str]:
        """What a residual is called, and what it is."""

    @abstractmethod
    def _shown_drift(self) -> Iterator[tuple[str, str]]:
        """Each block of the drift, by its place."""

    @property
    def _shown_definitions(self) -> Sequence[Any]:
        return ()

    def _shown(self, potential: Any) -> str:
        return str(potential)
