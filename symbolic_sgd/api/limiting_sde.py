"""The façade: the limiting SDE as users hold it, with everything they can do with it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, TypeVar, overload

import numpy as np
import sympy as sp
from sympy.printing.defaults import Printable

from symbolic_sgd import (
    api,
    attractors,
    charges,
    charts,
    documents,
    families,
    function_space,
    numeric,
    printing,
    regularizer,
    symmetries,
)
from symbolic_sgd.algebra.as_read import reading
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.algebra.translation import SymbolicMatrix
from symbolic_sgd.api.manifold_summary import ManifoldSummary
from symbolic_sgd.api.term_sizes import TermSize, written_or_none
from symbolic_sgd.effort import ATTRACTORS, REGULARIZER, Effort, Progress, checked_progress, checked_seconds
from symbolic_sgd.errors import BadInput, ExpressionTooLarge
from symbolic_sgd.families.family import Family
from symbolic_sgd.families.matrix_family import MatrixFamily
from symbolic_sgd.manifold.equations import Component
from symbolic_sgd.numeric.backend import Backend
from symbolic_sgd.numeric.backends.register_machine import NumPy
from symbolic_sgd.numeric.seeds import generator_of
from symbolic_sgd.optimizers.optimizer import Optimizer, with_symbols_of
from symbolic_sgd.problems.problem import Problem
from symbolic_sgd.theorem.canonical import Written, shortest_program, written
from symbolic_sgd.theorem.derivation import PLAIN, Derivation, derive
from symbolic_sgd.theorem.restated import restated
from symbolic_sgd.theorem.stratonovich import stratonovich_program
from symbolic_sgd.theorem.structural import StructuralFormulas
from symbolic_sgd.theorem.structural_lines import structural_formulas
from symbolic_sgd.theorem.terms import DRIFT_TERMS

if TYPE_CHECKING:
    from symbolic_sgd.api.family_sde import FamilySDE
    from symbolic_sgd.api.matrix_family_sde import MatrixFamilySDE
    from symbolic_sgd.api.point_report import PointReport
    from symbolic_sgd.attractors.attractors import Attractor, Attractors
    from symbolic_sgd.attractors.lagrange_road import LagrangeRoad
    from symbolic_sgd.attractors.optimality import Optimality
    from symbolic_sgd.charges.charge import Charge
    from symbolic_sgd.charts.chart_sde import ChartSDE
    from symbolic_sgd.checks.certificate import Certificate
    from symbolic_sgd.documents.document import Document, Figure
    from symbolic_sgd.documents.wants import Wants
    from symbolic_sgd.function_space.induced import InducedRegularizer
    from symbolic_sgd.numeric.callables import NumericFunctions
    from symbolic_sgd.regularizer.arc import RegularizerArc
    from symbolic_sgd.regularizer.regularizer import Regularizer
    from symbolic_sgd.symmetries.symmetries import Symmetries

Part = TypeVar("Part")

NUMPY = NumPy()
"""The back end that is always there."""

SHOWN = 2000
"""Operations of the drift's program up to which `str` looks for a form that is short enough to be shown."""


REPORTED = 20.0
"""Seconds of processor time for the fixed points of a report."""


@dataclass(frozen=True, repr=False)
class LimitingSDE(Printable):
    """dY = ½∂²Φ[Σ] dt + ∂Φ σ dW on Γ: the limit of SGD at t = kη² (Li, Wang & Arora 2022, main theorem, corrected).

    Matrices are exact, in the user's symbols, and valid on Γ. They are expanded when asked for. SymPy's printers (str,
    `sympy.latex`, `pprint`, Jupyter) show dY = …, in the settings they are given.

    Raises:
        ExpressionTooLarge: by a matrix that does not expand within the size budget; `program` and `lambdify` always work.

    >>> import sympy as sp
    >>> from symbolic_sgd import LabelNoise, Problem, derive_limiting_sde
    >>> u, v = sp.symbols("u v")
    >>> sde = derive_limiting_sde(Problem.least_squares([u*v - 1], parameters=(u, v), noise=LabelNoise(1)))
    >>> print(sde.manifold.equations, sde.regularizer)
    (u*v - 1,) u**2/4 + v**2/4
    >>> sde.drift.T
    Matrix([[u*(-u**2 + v**2)/(2*(u**2 + v**2)), v*(u**2 - v**2)/(2*(u**2 + v**2))]])
    """

    derivation: Derivation

    @property
    def problem(self) -> Problem:
        """What was stated, in all slow variables."""
        return self.derivation.stated

    @property
    def optimizer(self) -> Optimizer:
        """Whose limit it is, as stated."""
        return self.derivation.optimizer.stated

    @property
    def learning_rate(self) -> sp.Expr:
        """η as stated, or its symbol where it tends to 0 (γ, for HeavyBall(friction=…))."""
        return self.optimizer.rate

    @property
    def noise_scale(self) -> sp.Symbol:
        """The symbol ε of the scale of the noise, which tends to 0 where the learning rate stays; ρ of SAM."""
        return self.optimizer.scale_symbol

    @property
    def time_unit(self) -> sp.Expr:
        """What one step adds to t, in `learning_rate` and `noise_scale`: η² for plain SGD.

        >>> from symbolic_sgd import SGD, LabelNoise, Problem
        >>> u, v = sp.symbols("u v")
        >>> problem = Problem.least_squares([u*v - 1], parameters=(u, v), noise=LabelNoise(1))
        >>> derive_limiting_sde(problem, optimizer=SGD(learning_rate=sp.Rational(1, 4))).time_unit
        epsilon**2/16
        """
        return self.derivation.optimizer.time_unit

    @property
    def slow_variables(self) -> tuple[sp.Symbol, ...]:
        """What drift and diffusion are over: the parameters, and slow second moments."""
        return self.problem.parameters

    @property
    def covariance_kernel(self) -> sp.Lambda | None:
        """k(a, b) with the stationary covariance Σ∘k in the eigenvectors of ∇²L; None where it is no function of pairs of curvatures."""
        kernel = self.derivation.response.kernel
        return kernel.shown if kernel is not None and self.optimizer.follows_hessian else None

    @cached_property
    def joint_potential(self) -> sp.Expr | None:
        """E(x, v), which the motion of the parameters and of slow second moments descends; None for optimizers without them.

        With label noise, Σ = κ∇²L, and S(v) = V*(s(v)), s = ∇ω: dx = −¼ ∂Φ S ∇_x E dt and dv = −c (−∂s)⁻¹ ∂_v E dt on Γ, with
        E = −(2κ/η) tr log(1 − ηS∇²L/2) − ⟨s(v), v⟩ + ω(v), and E = ⟨s(v), κV(∇²L) − v⟩ + ω(v) as η → 0. V is the diagonal for RMSprop
        and Adam, and ⟨·,·⟩ and ∂_v are those of symmetric matrices v for one-sided Shampoo.

        Raises:
            Undecided: another noise, momentum at a learning rate that stays, weight decay, or two-sided Shampoo: no potential is known
                there.
        """
        return regularizer.joint_potential.joint_potential(self.derivation)

    @cached_property
    def quasi_static_regularizer(self) -> sp.Expr | None:
        """R(x) with dx = −∂Φ S∇R dt where slow second moments have settled (c → ∞), as η → 0; None for optimizers without them.

        With label noise, Σ = κ∇²L, they settle at v = κV(∇²L), and R = ¼ω(κV(∇²L)) for S = V*(∇ω): (√κ/2) tr Diag(∇²L)^{1/2} for Adam
        and RMSprop with e = 0 and p = ½, (√κ/2) tr (Tr₂∇²L)^{1/2} for one-sided Shampoo. S is that of the settled v.

        Raises:
            Undecided: another noise, a learning rate that stays, weight decay, or two-sided Shampoo: no potential is known there.
            ExpressionTooLarge: ∇²L is too large to be written out.
        """
        return regularizer.joint_potential.quasi_static_regularizer(self.derivation)

    @property
    def manifold(self) -> ManifoldSummary:
        """Γ: its equations and dimensions."""
        d, m = self.problem.dimension, self.derivation.codimension
        return ManifoldSummary(tuple(self.derivation.equations.expand("printed").flat()), d - m, m)

    @property
    def program(self) -> Program:
        """The straight-line program behind all terms."""
        return self.derivation.program

    @property
    def valid_where(self) -> tuple[sp.Basic, ...]:
        """Conditions under which the formulas hold: the cell in which moduli, maxima and signs are smooth, and minors that are not zero.

        () if on all of Γ, or on all of `component`.
        """
        return self.derivation.conditions()

    @property
    def component(self) -> Component | None:
        """The part of Γ that the formulas are for: a point of it, its equations, and what is known of it; None for all of Γ,
        the minimizers where ∇²L has rank M."""
        return self.derivation.component

    @cached_property
    def structure(self) -> StructuralFormulas:
        r"""The same SDE in vectors and matrices: n = ∇f, A = ∇²f, … where L = Σ h_i(f_i) with f_i = 0 on Γ, else in H = ∇²L.

        `.definitions` and `.terms` are expressions by name, `.at(point)` their numbers, `.subs({symbol: value})` puts in values
        for constants, `.latex()` prints them. What is in f_i agrees with the program to 50 digits at points of Γ, where it was looked;
        otherwise the lines are the theorem's own.

        >>> from symbolic_sgd import IsotropicNoise, Problem
        >>> u, v, s = sp.symbols("u v s")
        >>> problem = Problem(loss=(u*v - 1)**2/2, parameters=(u, v), noise=IsotropicNoise(s), constants=(s,))
        >>> structure = derive_limiting_sde(problem).structure
        >>> print(structure.terms["normal_regularization"])
        -s² ∂ΦAn/(2N)
        """
        self._check_derived("the formula in vectors")
        return structural_formulas(self.derivation)

    @property
    def tangent_projection(self) -> sp.ImmutableDenseMatrix:
        """∂Φ on Γ, the orthogonal projection on the tangent space, D×D."""
        return self._form("tangent_projection").matrix

    @property
    def hessian_pinv(self) -> sp.ImmutableDenseMatrix:
        """∇²L†, D×D."""
        return self._form("hessian_pinv").matrix

    @property
    def lyapunov_solution(self) -> sp.ImmutableDenseMatrix:
        """𝓛_H⁻¹(Σ_⊥), D×D: HS + SH = Σ_⊥, S = QSQ."""
        return self._form("lyapunov_solution").matrix

    @property
    def tangent_noise(self) -> sp.ImmutableDenseMatrix:
        """∂Φ σ, D×Ξ."""
        return self._form("tangent_noise").matrix

    @property
    def tangent_noise_compensation(self) -> sp.ImmutableDenseMatrix:
        """−½ ∇²L† ∂²(∇L)[Σ_∥], D×1."""
        return self._form("tangent_noise_compensation").matrix

    @property
    def mixed_regularization(self) -> sp.ImmutableDenseMatrix:
        """−∂Φ ∂²(∇L)[∇²L† Σ_⊥∥], D×1."""
        return self._form("mixed_regularization").matrix

    @property
    def normal_regularization(self) -> sp.ImmutableDenseMatrix:
        """−½ ∂Φ ∂²(∇L)[𝓛_H⁻¹(Σ_⊥)], D×1."""
        return self._form("normal_regularization").matrix

    @property
    def drift(self) -> sp.ImmutableDenseMatrix:
        """½∂²Φ[Σ], the sum of the last three, D×1."""
        return self._form("drift").matrix

    @property
    def imposed_drift(self) -> sp.ImmutableDenseMatrix:
        """−∂Φg for the optimizer's weight decay and slow potential, g = wx + ∇R (Pg of a map), D×1; it is part of the drift."""
        if self.optimizer.has_slow_field:
            return self._form("imposed_drift").matrix
        return sp.ImmutableDenseMatrix.zeros(self.problem.dimension, 1)

    @property
    def noise_curvature_drift(self) -> sp.ImmutableDenseMatrix:
        """½P G_ξξ[V], D×1 (−∂Φ∇R₀ of a perturbed loss): zero where the noise enters the step linearly; it is part of the drift.

        Of reshuffled samples it is −∂Φ Σ_a ∂σ_a w(∇²L)σ_a: each is met where those before it in its epoch have led.
        """
        if self.derivation.optimizer.curves_noise:
            return self._form("noise_curvature_drift").matrix
        return sp.ImmutableDenseMatrix.zeros(self.problem.dimension, 1)

    @property
    def diffusion(self) -> sp.ImmutableDenseMatrix:
        """∂Φ σ, D×Ξ."""
        return self.tangent_noise

    def term(self, name: str) -> sp.ImmutableDenseMatrix:
        """Any term of `sde.derivation.terms`, by its name: D×1, D×D, or D×Ξ for the tangent noise.

        Raises:
            BadInput: there is no such term.
            ExpressionTooLarge: it does not expand within the size budget.
        """
        names = [term.name for term in self.derivation.terms]
        if name not in names:
            raise BadInput(f"{name!r} is no term of the theorem; they are {', '.join(names)}")
        return self._form(name).matrix

    def with_terms(self, **terms: Any) -> "LimitingSDE":
        """The same SDE with terms of its drift as you state them, to see whether `verify` passes or rejects them.

        The drift is the sum of its terms, the others as derived. `lambdify`, `verify`, `simulate_sde`, `in_chart` and the search for R
        take what is stated; nothing is believed of it, and `explain` names it.

        Args:
            terms: by name (`tangent_noise_compensation`, `mixed_regularization`, `normal_regularization`, and `imposed_drift` or
                `noise_curvature_drift` where the optimizer has them), D×1 matrices in the symbols of the problem, valid on Γ.

        Raises:
            BadInput: no such term, or no matrix; a large problem, which is computed by matrices. BadShape: another shape than D×1.
            InexactNumber, BadSymbol, …: an entry that could not stand in a loss.
            BadInput: by `structure`, `latex`, `document` and `charges` of the result, which are about what was derived.

        >>> from symbolic_sgd import LabelNoise, Problem, verify
        >>> u, v = sp.symbols("u v")
        >>> sde = derive_limiting_sde(Problem.least_squares([u*v - 1], parameters=(u, v), noise=LabelNoise(1)))
        >>> doubled = sde.with_terms(normal_regularization=2*sde.normal_regularization)
        >>> verify(sde).passed, verify(doubled).passed
        (True, False)
        """
        return LimitingSDE(restated(self.derivation, terms))

    def _check_derived(self, what: str) -> None:
        names = [term.name for term in self.derivation.terms if term.name in self.derivation.restated - {"drift"}]
        if names:
            raise BadInput(
                f"{what} is for terms that were derived, and {', '.join(names)} was stated here: use the SDE that derive_limiting_sde "
                "returns, or what is written entry by entry, such as sde.drift"
            )

    def _form(self, name: str) -> Written:
        return written(self.derivation, name)

    @property
    def regularizer(self) -> sp.Expr | None:
        """R with mixed + normal regularization = −∂Φ∇R on Γ, up to a constant; None where a curl or a loop integral rules it out.

        Raises:
            NoRegularizerFormula: (an Undecided) Γ is a curve, along every arc of which R exists, but no formula of it was found;
                `regularizer_along` has its values.
            Undecided: neither an R was found, nor was it shown that there is none; `find_regularizer` sets how long it may take.
        """
        return self.regularizer_evidence.expression

    def regularizer_along(self, start: Mapping[sp.Symbol, Any], *, length: float = 1.0) -> "RegularizerArc":
        """R(y) = −∫⟨mixed + normal regularization, dY⟩ along an arc of a one-dimensional Γ, with R = 0 at its `start`.

        Along an arc R always exists, whether or not there is a formula of it. Round a closed curve it need not come back to 0.

        Args:
            start: a point of Γ (symbol → number, constants included).
            length: of the arc on each side of it; it ends before that where Γ cannot be followed further.

        Returns:
            `points` (S×D) in their order, `lengths` from the start, `values` of R, and bounds of their `errors` (S each).

        Raises:
            BadInput: Γ is no curve; a length of no use; a point without a value for each symbol.
            OffManifold, SingularPoint: as the callables do.

        >>> from symbolic_sgd import IsotropicNoise
        >>> u, v = sp.symbols("u v")
        >>> sde = derive_limiting_sde(Problem(loss=(u*v - 1)**2/2, parameters=(u, v), noise=IsotropicNoise(1)))
        >>> arc = sde.regularizer_along({u: 1, v: 1}, length=0.5)      # R = ln(u² + v²)/4
        >>> bool(abs(arc.values - np.log((arc.points**2).sum(axis=1)/2)/4).max() < 1e-12)
        True
        """
        dimension = self.problem.dimension - self.derivation.codimension
        if dimension != 1:
            raise BadInput(
                f"Γ has dimension {dimension}: R is followed along Γ only where it is a curve; sde.regularizer is R itself"
            )
        if isinstance(length, bool) or not isinstance(length, Real) or not 0 < float(length) < float("inf"):
            raise BadInput(f"length is {length!r}; give a positive number")
        row, _ = api.point_report.checked_row(self.derivation, start)
        return regularizer.arc.follow_arc(self.derivation, row[0], float(length))

    @property
    def regularizer_evidence(self) -> "Regularizer":
        """The regularizer, or None, with what is known of it: words, the curl, the integral round a closed curve.

        Raises:
            Undecided: as `regularizer` does.
        """
        return self.find_regularizer()

    def find_regularizer(self, *, seconds: float = REGULARIZER, progress: Progress | None = None) -> "Regularizer":
        """What `regularizer_evidence` is, with a budget; what is found once is kept, and not sought again.

        Args:
            seconds: of processor time after which the search stops; float("inf") for no limit.
            progress: told in words what is being done.

        Raises:
            Undecided: neither an R was found, nor was it shown that there is none.
            BudgetSpent: (an Undecided) time was up before that; the message says what was tried.
        """
        effort = Effort(checked_seconds(seconds), checked_progress(progress))
        if self._regularizers:
            return self._regularizers[0]
        self._regularizers.append(regularizer.regularizer.find_regularizer(self.derivation, effort))
        return self._regularizers[0]

    @cached_property
    def _regularizers(self) -> "list[Regularizer]":
        return []

    def induced_regularizer(
        self, predictor: Any, symbols: Any = None, *, regularizer: Any = None
    ) -> "InducedRegularizer":
        """R̂(β) = inf {R(x) : F(x) = β}: the regularizer in function space, "label noise minimises the ℓ₁ norm".

        Args:
            predictor: F, k functions of the parameters of which the loss is a function: [u*v], or a matrix U*V.T.
            symbols: names of β_1 … β_k (default b, b1 …); a matrix of them for a matrix.
            regularizer: another R than `sde.regularizer`.

        Returns:
            `.expression` in β or None, `.attainment`, `.evidence`, `.minimizer(values)`, `.numeric(values, starts=8)`.

        Raises:
            BadInput: a predictor that does not determine the loss, or a domain that is not one of signs of parameters.
            NoClosedForm: there is no R. Undecided: it is not known whether there is.

        >>> from symbolic_sgd import LabelNoise
        >>> u, v, b = sp.symbols("u v b")
        >>> sde = derive_limiting_sde(Problem.least_squares([u*v - 1], parameters=(u, v), noise=LabelNoise(1)))
        >>> sde.induced_regularizer([u*v], symbols=(b,)).expression
        Abs(b)/2
        """
        noisy = "tangent_noise" not in self.derivation.zeros
        return function_space.stated.of_derivation(self.derivation, predictor, symbols, regularizer, noisy=noisy)

    @cached_property
    def symmetries(self) -> "Symmetries":
        """The matrices X with ∇f_i(x)ᵀXx ≡ 0 for all functions f_i that the loss is composed of.

        Raises:
            ProblemTooLarge: X has too many entries.

        >>> from symbolic_sgd import LabelNoise
        >>> u, v = sp.symbols("u v")
        >>> sde = derive_limiting_sde(Problem.least_squares([u*v - 1], parameters=(u, v), noise=LabelNoise(1)))
        >>> sde.symmetries.symmetric, sde.symmetries.balancedness
        ((Matrix([
        [1,  0],
        [0, -1]]),), (-u**2 + v**2,))
        """
        return symmetries.symmetries.find_symmetries(self.derivation)

    @property
    def charges(self) -> "tuple[Charge, ...]":
        """Functions I that the noiseless flow conserves, each with its own SDE, dI = ½⟨∇²I, Σ⟩ dt + ∇Iᵀσ dW on Γ, for every noise.

        They are sought once: ½xᵀSx for the symmetric S of `symmetries`, and first integrals of other forms that are independent of
        them. `law` says how a charge moves where its drift is a linear function of the charges; the basis is one in which as many as
        possible have laws of their own. At a learning rate that stays only what the steps themselves conserve is a charge. () where none
        was found.

        Raises:
            NoCharges: what this optimizer's own noiseless iteration conserves is not known.
            ProblemTooLarge: of a large problem, which is computed by matrices, the symmetries have too many unknowns.

        >>> from symbolic_sgd import LabelNoise
        >>> u, v = sp.symbols("u v")
        >>> sde = derive_limiting_sde(Problem.least_squares([u*v - 1], parameters=(u, v), noise=LabelNoise(1)))
        >>> print(*sde.charges)
        u**2 - v**2 decays exactly as exp(-t).
        """
        self._check_derived("how charges move")
        if not self._charges:
            self._charges.append(charges.charge.find_charges(self.derivation))
        return self._charges[0]

    @cached_property
    def _charges(self) -> "list[tuple[Charge, ...]]":
        return []

    def in_charges(self, coordinates: Any = None) -> "ChartSDE":
        """The limit over n = D − M of the charges q = I(x), as in a chart x = ψ(q) of Γ.

        Args:
            coordinates: n symbols for them (None: q, or q_1 … q_n).

        Raises:
            NoCharges: fewer than n independent charges were found, or none are known for this optimizer.
            NoClosedForm: {Γ, I(x) = q} was not solved for x.
            BadInput: another number of symbols.

        >>> from symbolic_sgd import LabelNoise
        >>> u, v = sp.symbols("u v")
        >>> sde = derive_limiting_sde(Problem.least_squares([u*v - 1], parameters=(u, v), noise=LabelNoise(1)))
        >>> sde.in_charges().drift
        Matrix([[-q]])
        """
        return charts.chart_sde.ChartSDE(
            charges.coordinates.chart_of_charges(self.derivation, self.charges, coordinates)
        )

    def what_the_noise_wants(
        self, predictor: Any, symbols: Any = None, *, seconds: float = REPORTED, progress: Progress | None = None
    ) -> "Wants":
        """R̂ of a predictor, the fixed points and the charges, printable; each answer, or the reason why there is none.

        Args:
            predictor, symbols: as `induced_regularizer` takes them.
            seconds: of processor time for the fixed points.
            progress: told in words what is being done.

        >>> from symbolic_sgd import LabelNoise
        >>> u, v, b = sp.symbols("u v b")
        >>> sde = derive_limiting_sde(Problem.least_squares([u*v - 1], parameters=(u, v), noise=LabelNoise(1), near={u: 1, v: 1}))
        >>> print(sde.what_the_noise_wants([u*v], symbols=(b,)).lines()[0])
        R̂(b) = Abs(b)/2
        """
        tell = checked_progress(progress)
        tell("R in function space")
        return documents.wants.Wants(
            induced=documents.findings.attempt(lambda: self.induced_regularizer(predictor, symbols)),
            attractors=documents.findings.attempt(lambda: self.attractors(seconds=seconds, progress=tell)),
            charges=documents.findings.attempt(lambda: self.charges),
        )

    @cached_property
    def stratonovich_drift(self) -> sp.ImmutableDenseMatrix:
        """b − ½ Σ_k (∂A_k)A_k for A = ∂Φ σ, D×1: the drift of dY = A ∘ dW + … in Stratonovich's sense, tangent to Γ.

        Raises:
            ExpressionTooLarge: it does not expand within the size budget.
        """
        program = stratonovich_program(self.derivation)
        try:
            return program.expand("stratonovich_drift")
        except ExpressionTooLarge as error:
            raise ExpressionTooLarge(
                f"the Stratonovich drift holds {program.expanded_size('stratonovich_drift'):.3g} operations when written out: "
                "use sde.lambdify().stratonovich_drift(x) for its values"
            ) from error

    def in_chart(
        self,
        coordinates: Any = None,
        *,
        embedding: Any = None,
        near: Mapping[sp.Symbol, Any] | None = None,
        interval: Any = None,
        period: Any = None,
    ) -> "ChartSDE":
        """The same SDE in n = D − M coordinates θ of Γ: dθ = ψ'⁺(b − ½ψ''[Σ_θ]) dt + ψ'⁺ ∂Φ σ dW for x = ψ(θ).

        Args:
            coordinates: n parameters, over which Γ is written as a graph (None: chosen, rational charts first); with
                `embedding`, the n symbols θ in their order.
            embedding: ψ as {parameter: expression in θ} or a D×1 matrix; it is checked, never believed.
            near: a point (symbol → number) beside the branch meant.
            interval: (low, high), the range of a single coordinate, where it is not found or one side is meant.
            period: T with ψ(θ + T) = ψ(θ), for closed curves whose period is not found from sines and cosines.

        Raises:
            NoClosedForm: Γ was not solved for the other parameters; state `embedding`.
            ManifoldMismatch: `embedding` does not lie on Γ, or is singular.
            BadInput: and its subclasses, naming what is wrong.

        >>> from symbolic_sgd import IsotropicNoise
        >>> u, v, t, p = sp.symbols("u v t p")
        >>> problem = Problem(loss=(u**2 + v**2 - 1)**2/8, parameters=(u, v), noise=IsotropicNoise(1))
        >>> derive_limiting_sde(problem).in_chart(embedding={u: sp.cos(t), v: sp.sin(t)}).diffusion
        Matrix([[-sin(t), cos(t)]])
        """
        stated = (coordinates, embedding, near, interval, period)
        return self._chosen_chart if stated == (None,) * len(stated) else self._chart(*stated)

    @cached_property
    def _chosen_chart(self) -> "ChartSDE":
        """Where nothing is stated: with its fixed points, which take seconds, it is found once."""
        return self._chart(None, None, None, None, None)

    def _chart(self, *stated: Any) -> "ChartSDE":
        return charts.chart_sde.ChartSDE(charts.stated.find_chart(self.derivation, *stated))

    def attractors(
        self,
        *,
        starts: int = 48,
        rng: np.random.Generator | int | None = None,
        seconds: float = ATTRACTORS,
        progress: Progress | None = None,
    ) -> "Attractors":
        """All fixed points of a limit without noise, on all of Γ, and their stability.

        Where b = −P∇R they are the Lagrange points f = 0, ∇R = Jᵀλ: solved exactly by elimination where that ends, else sought by
        Newton's method along Γ from many points. The drift linearised along Γ is −P(∇²R − Σ λ_i ∇²f_i)P; of its zero eigenvalues
        as many belong to the orbit of orthogonal symmetries as it has dimensions. Other limits: the zeros of b.

        Args:
            starts: points of Γ from which they are sought where elimination does not end.
            rng: where these lie: a seed or a Generator (None: the same in every run).
            seconds: of processor time.
            progress: told in words what is being done.

        Returns:
            Points with `.point`, `.regularizer`, `.eigenvalues`, `.stability`, `.exact`, `.orbit`, in a tuple's manner; `.complete`
            is True only where it was proved that there are no others at regular points of Γ.

        Raises:
            NotDeterministic: the limit has noise along Γ.
            Undecided: every point is fixed, or whether there is noise was not decided.
            BadInput: symbolic constants; a problem that is too large.

        >>> from symbolic_sgd import LabelNoise
        >>> u, v, w = sp.symbols("u v w")
        >>> problem = Problem.least_squares([u*v + w**2 - 2], parameters=(u, v, w), noise=LabelNoise(1))
        >>> found = derive_limiting_sde(problem).attractors()
        >>> for point in found.points[1:3]: print(point)
        u = sqrt(2), v = sqrt(2), w = 0: stable, R = 1, eigenvalues -1, -1
        u = 0, v = 0, w = -sqrt(2): saddle, R = 2, eigenvalues -3/2, 1/2
        >>> found.complete
        True
        """
        if isinstance(starts, bool) or not isinstance(starts, Integral) or int(starts) < 1:
            raise BadInput(f"starts is {starts!r}; give a whole number of points, at least 1")
        effort = Effort(checked_seconds(seconds), checked_progress(progress))
        generator = None if rng is None else generator_of(rng)
        attractors.attractors.check_moving(self.derivation)
        descent = self._descent(effort.seconds / 2, effort.progress)
        return attractors.attractors.find_attractors(
            self.derivation, descent, effort, starts=int(starts), rng=generator
        )

    def optimality(
        self, x: "Mapping[sp.Symbol, Any] | Sequence[Any] | np.ndarray | Attractor", *, seconds: float = ATTRACTORS
    ) -> "Optimality":
        """Whether the end of a limit without noise is a global minimum of R on Γ: by its own multipliers.

        Where R and f are quadratic, R(y) ≥ min (R − λᵀf) for every y on Γ, and at a fixed point that bound is R itself where
        Q = ∇²R − Σ λ_i ∇²f_i is positive semidefinite; for f_i = ⟨A_i, UVᵀ⟩ − y_i that is ‖C^{−1/2}A(λ)B^{−1/2}‖ ≤ 1. It is decided
        exactly at an exact point, and else for multipliers that are rounded and shrunk, which leaves a proved `gap`.

        Args:
            x: a point of Γ: {symbol: number}, D numbers, or one of `attractors()`. A fixed point within 10⁻³(1 + ‖x‖) of it is judged.
            seconds: of processor time for the search for R.

        Returns:
            `.verdict`, "global minimum" only where that is certified, `.gap`, `.multipliers`, `.dual_norm`, `.eigenvalues`, `.reason`.

        Raises:
            NotDeterministic: the limit has noise along Γ.
            Undecided: no R is known.
            OffManifold, SingularPoint: as the callables do.
            BadInput: no such point; a problem that is too large.

        >>> from symbolic_sgd import LabelNoise
        >>> u, v, w = sp.symbols("u v w")
        >>> problem = Problem.least_squares([u*v + w**2 - 2], parameters=(u, v, w), noise=LabelNoise(1))
        >>> sde = derive_limiting_sde(problem)
        >>> found = sde.optimality({u: sp.sqrt(2), v: sp.sqrt(2), w: 0})
        >>> found.verdict, found.gap, found.multipliers
        ('global minimum', 0, (1/2,))
        >>> sde.optimality({u: 0, v: 0, w: sp.sqrt(2)}).verdict
        'unstable'
        """
        effort = Effort(checked_seconds(seconds))
        attractors.attractors.check_noiseless(self.derivation)
        return attractors.optimality.judge(self.derivation, self._descent(effort.seconds, effort.progress), x, effort)

    def _descent(self, seconds: float, progress: Progress) -> "LagrangeRoad | str":
        """R and f with their derivatives, or in words why there are none; what is found once is kept."""
        if not self._descents:
            find = lambda: self.find_regularizer(seconds=seconds, progress=progress)  # noqa: E731
            found = attractors.lagrange_road.lagrange_road(self.derivation, find)
            if isinstance(found, str):
                return found
            self._descents.append(found)
        return self._descents[0]

    @cached_property
    def _descents(self) -> "list[LagrangeRoad]":
        return []

    def at(self, point: Mapping[sp.Symbol, Any]) -> "PointReport":
        """Every term as numbers at one point of Γ (symbol → number, constants included).

        Raises:
            OffManifold, SingularPoint: as the callables do.
        """
        return api.point_report.report_at(self.derivation, point)

    def lambdify(self, *, check: bool = True, backend: Backend = NUMPY) -> "NumericFunctions":
        """Functions of points on Γ: `drift`, `diffusion`, and every term.

        Args:
            check: refuse points that are not on Γ, or where the formulas are singular.
            backend: NumPy() by default; LLVM(threads=…) compiles to machine code,
                JAX() and Torch() are differentiable, MPMath(digits) and Exact() are for exact points.

        Returns:
            Functions of x, (..., D), with values of constants by keyword: see `NumericFunctions`.

        Raises:
            BadInput: a back end that is none.
        """
        if not isinstance(backend, Backend):
            raise BadInput(f"backend is {backend!r}; give an object such as NumPy() or LLVM(), from symbolic_sgd")
        return numeric.callables.NumericFunctions(self.derivation, check=check, backend=backend)

    def to_c(self) -> str:
        """A self-contained C file: `sde_drift`, `sde_diffusion` and each term of the drift, at one point or (`…_batch`) at many.

        `cc -O3 -shared -fPIC file.c -lm` compiles it. A point's parameters are followed by the constants, in the order
        of `problem.symbols`; the code tests nothing, so that the points have to be on Γ.
        """
        names = {"drift": "drift", "diffusion": "tangent_noise", **{name: name for name in DRIFT_TERMS}}
        programs = {f"sde_{public}": self.program.select(name) for public, name in names.items()}
        return numeric.c_source.c_source(programs, self.problem.symbols, f"{self!r}, as float64.")

    def latex(
        self,
        *,
        names: Mapping[Any, str] | None = None,
        line: int | None = None,
        labels: str | None = None,
        entries: bool = False,
    ) -> str:
        r"""The SDE, Γ, every term in vectors, and the entries that are short: LaTeX that compiles with amsmath, to be pasted or \\input.

        Args:
            names: LaTeX of symbols, {u: r"\theta_1"}: letters, Greek letters, \mathbf{…}, \hat{…}, with scripts.
            line: characters of a line (default 75, an article in one column; 45 for one in two columns).
            labels: what labels begin with: "eq:" numbers the terms as \label{eq:drift}, \label{eq:tangent_projection}, …
            entries: print all terms entry by entry.

        Raises:
            BadInput: a name that is no such LaTeX; a length of no use; labels that are none.
        """
        prefix = printing.layout.checked_labels(labels)
        matrices = {term.name: written_or_none(self.derivation, term.name) for term in self.derivation.terms}
        with printing.layout.laid_out(printing.layout.layout_of(names, line, self.problem.symbols)):
            blocks = printing.theorem.theorem(
                self.derivation, self.structure, matrices, self._shortest_program, entries=entries
            )
            return printing.blocks.snippet(blocks, prefix)

    def _shortest_program(self, name: str) -> Program | None:
        return None if self.derivation.in_matrices is not None else shortest_program(self.derivation, name)

    # --- what SymPy's printers call -----------------------------------------------------------

    def _latex(self, printer: Any) -> str:
        return printing.one_formula.display_latex(self._coefficients, self._shortest_program, reading(printer).written)

    def _sympystr(self, printer: Any) -> str:
        write, shown = reading(printer)._print, self._shown
        return " = ".join(map(write, shown.args)) if isinstance(shown, sp.Eq) else write(shown)

    def _pretty(self, printer: Any) -> Any:
        return reading(printer)._print(self._shown)

    @property
    def _coefficients(self) -> dict[str, SymbolicMatrix | None]:
        return {name: written_or_none(self.derivation, name) for name in printing.one_formula.DIFFERENTIALS}

    @property
    def _shown(self) -> sp.Basic:
        """The equation, or where it is too large its sizes."""
        m, d = self.derivation.codimension, self.problem.dimension
        if self.derivation.in_matrices is not None:
            return sp.Symbol(f"LimitingSDE(D={d}, M={m}, by matrices)")
        size = self.program.select("drift").operations
        matrices = self._coefficients if size <= SHOWN else {}
        short = {name: m for name, m in matrices.items() if m is not None and printing.one_formula.fits(m)}
        if len(short) == len(printing.one_formula.DIFFERENTIALS):
            return printing.one_formula.equation(short)
        return sp.Symbol(f"LimitingSDE(D={d}, M={m}, drift of {size} operations)")

    def document(
        self,
        writer: "Callable[[Document], str] | None" = None,
        *,
        title: str | None = None,
        certificate: "Certificate | None" = None,
        figures: "Sequence[Figure]" = (),
        predictor: Any = None,
        line: int | None = None,
        seconds: float = REGULARIZER,
        progress: Progress | None = None,
    ) -> str:
        """The whole derivation as a document: problem, assumptions, Γ, Φ, each term, the SDE, what follows from it.

        Φ and the regularizer are sought (seconds to minutes); what is not found is stated with its reason.

        Args:
            writer: `latex`, `markdown` (None) or `html` of `symbolic_sgd.documents.writers`.
            title: the heading; any text (None: the limit of the optimizer on a manifold of minimizers).
            certificate: the outcome of `verify`, for a table of its checks.
            figures: pictures for HTML, from `symbolic_sgd.plots.figure_of` or `symbolic_sgd.plots.report_figures`.
            predictor: functions of which the loss is one, for a section on what the noise wants, or that answer; None for none.
            line: characters of a line (default 90; 45 for LaTeX in two columns).
            seconds: of processor time for the search for the regularizer.
            progress: told in words what is being done.
        """
        chosen = printing.layout.layout_of(None, line, self.problem.symbols, default=printing.layout.PAGE)
        tell, budget = checked_progress(progress), checked_seconds(seconds)
        findings = documents.findings.Findings(
            title=f"The limit of {self.optimizer.label} on a manifold of minimizers" if title is None else title,
            derivation=self.derivation,
            structure=self.structure,
            matrices={term.name: written_or_none(self.derivation, term.name) for term in self.derivation.terms},
            hessian=documents.findings.hessian_or_none(self.derivation),
            regularizer=documents.findings.attempt(lambda: self.find_regularizer(seconds=budget, progress=tell)),
            limit=documents.findings.attempt(
                lambda: _told(tell, "finding Φ", lambda: documents.findings.limit_of(self.derivation))
            ),
            chart=_told(tell, "the SDE in a chart", lambda: documents.findings.attempt(self.in_chart)),
            certificate=certificate,
            figures=tuple(figures),
            wants=predictor
            if predictor is None or isinstance(predictor, documents.wants.Wants)
            else self.what_the_noise_wants(predictor, progress=tell),
        )
        page = writer or documents.markdown.markdown
        with printing.layout.laid_out(chosen):
            return page(documents.derivation_document.derivation_document(findings))

    def explain(self) -> str:
        """Which road was taken, in words, how large each term is, and in what form it is written out."""
        lines = [*self.road, *(f"{size.name}: {size}" for size in self.sizes)]
        if self._regularizers:  # only what has been asked for: the search takes seconds
            lines.append(f"Regularizer: {self._regularizers[0]}.")
        lines.extend(charge.sentence for found in self._charges for charge in found)
        lines.extend(map(str, numeric.running_form.running_forms(self.derivation)))
        return "\n".join(lines)

    @property
    def road(self) -> tuple[str, ...]:
        """Which road was taken, a sentence each: Γ, its normal space, where the formulas hold, the structure of the noise."""
        return api.road.road(self.derivation)

    @property
    def sizes(self) -> tuple[TermSize, ...]:
        """How large each term is, and in what form it is written out."""
        return tuple(self.size(term.name) for term in self.derivation.terms)

    def size(self, name: str) -> TermSize:
        """How large a term is, and in what form it is written out."""
        return api.term_sizes.size_of(self.derivation, name)


def _told(progress: Progress, words: str, part: Callable[[], Part]) -> Part:
    progress(words)
    return part()


@overload
def derive_limiting_sde(
    problem: Problem, *, optimizer: Optimizer = PLAIN, progress: Progress | None = None
) -> LimitingSDE: ...


@overload
def derive_limiting_sde(
    problem: Family, *, optimizer: Optimizer = PLAIN, progress: Progress | None = None
) -> "FamilySDE": ...


@overload
def derive_limiting_sde(
    problem: MatrixFamily, *, optimizer: Optimizer = PLAIN, progress: Progress | None = None
) -> "MatrixFamilySDE": ...


def derive_limiting_sde(
    problem: Problem | Family | MatrixFamily, *, optimizer: Optimizer = PLAIN, progress: Progress | None = None
) -> "LimitingSDE | FamilySDE | MatrixFamilySDE":
    """The limiting SDE of a problem, or of a family of problems for every n and d.

    Γ's codimension, a frame of its normal space and every rank are decided here; formulas are written out later.

    Args:
        problem: a loss and the noise of SGD, or a `Family` or `MatrixFamily` of them.
        optimizer: SGD() at a learning rate η → 0 (default), or SGD(learning_rate=η), HeavyBall(…), Nesterov(…), LocalSGD(…),
            ColouredNoise(…), RandomReshuffling(…), Preconditioned(…), RMSprop(…), Adam(…), Shampoo(…), IteratedMap(…);
            its symbols become constants of the problem. Of a family one whose slow motion follows from a kernel: SGD, HeavyBall,
            Nesterov, LocalSGD, ColouredNoise.
        progress: told in words what is being done, for large problems.

    Raises:
        ProblemTooLarge: more operations would be needed than a derivation may have; where that is foreseen, at once.
        NoManifold: (and subclasses) the loss has no manifold of minimizers to which the theorem applies.
        BadInput: no Problem, no Optimizer, or a noise that the limit of this optimizer is not known for.

    >>> from symbolic_sgd import LabelNoise
    >>> u, v = sp.symbols("u v")
    >>> sde = derive_limiting_sde(Problem.least_squares([u*v - 1], parameters=(u, v), noise=LabelNoise(1)))
    >>> sde.tangent_noise.is_zero_matrix
    True
    >>> sde.lambdify().drift([2, 0.5]).round(6)
    array([-0.882353,  0.220588])
    """
    tell = checked_progress(progress)
    if not isinstance(optimizer, Optimizer):
        raise BadInput(f"optimizer is {optimizer!r}; give one such as SGD(learning_rate=…) or HeavyBall(momentum=…)")
    if isinstance(problem, (Family, MatrixFamily)):
        family = families.slow_motion.SlowMotion.of(problem, optimizer).family
        if isinstance(family, Family):
            return api.family_sde.FamilySDE(family, optimizer)
        return api.matrix_family_sde.MatrixFamilySDE(family, optimizer)
    if not isinstance(problem, Problem):
        raise BadInput(
            f"derive_limiting_sde takes a Problem, a Family or a MatrixFamily, not a {type(problem).__name__}"
        )
    return LimitingSDE(derive(with_symbols_of(optimizer, problem), tell, optimizer))


__all__ = [
    "DRIFT_TERMS",
    "ExpressionTooLarge",
    "LimitingSDE",
    "derive_limiting_sde",
]
