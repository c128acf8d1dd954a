"""The theorem as a pipeline: a problem in, its limiting SDE out, as straight-line programs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.arithmetic import PRECISE, PreciseNumber
from symbolic_sgd.algebra.differentiate import jacobian
from symbolic_sgd.algebra.graph import Node, kinks
from symbolic_sgd.algebra.lyapunov import elementary_symmetric
from symbolic_sgd.algebra.matrices import Matrix, PositiveDefinite
from symbolic_sgd.algebra.operations import operations
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.algebra.program import EXPANSION_BUDGET, Program
from symbolic_sgd.algebra.reading import reading_cost
from symbolic_sgd.algebra.translation import Expression, SymbolicMatrix, from_sympy, nodes_of
from symbolic_sgd.effort import Progress, silent
from symbolic_sgd.errors import BadInput, ComplexValue, ExpressionTooLarge, Unstable
from symbolic_sgd.manifold.equations import Component
from symbolic_sgd.manifold.interpolation import Residuals, is_large
from symbolic_sgd.manifold.manifold import Manifold, find_manifold, interpolating_manifold
from symbolic_sgd.manifold.precise import HIGH, LOW, PrecisePoint
from symbolic_sgd.optimizers.iterated_map import IteratedMap
from symbolic_sgd.optimizers.optimizer import Optimizer
from symbolic_sgd.optimizers.sgd import SGD
from symbolic_sgd.optimizers.sharpness import SharpnessDescent
from symbolic_sgd.problems.problem import Problem
from symbolic_sgd.rational.squares import with_complete_squares
from symbolic_sgd.theorem.drift import DriftTerms, drift_terms
from symbolic_sgd.theorem.geometry import FramedGeometry, FramelessGeometry, NodeGeometry, ObliqueGeometry, geometry_of
from symbolic_sgd.theorem.map_limit import map_limit
from symbolic_sgd.theorem.matrix_stages import MatrixStages, check_smooth_noise
from symbolic_sgd.theorem.noise_on_manifold import NoiseOnManifold, noise_on_manifold
from symbolic_sgd.theorem.normal_frame import NormalFrame, normal_frame
from symbolic_sgd.theorem.normal_space import ComposedFrame, Framed, Frameless, NormalSpace
from symbolic_sgd.theorem.perturbed import on_perturbed_loss
from symbolic_sgd.theorem.reshuffling import with_reshuffling
from symbolic_sgd.theorem.response import (
    KernelResponse,
    LeadingResponse,
    ReshuffledResponse,
    Response,
    check_codimension,
    response_of,
    shorter,
)
from symbolic_sgd.theorem.second_moments import with_second_moments
from symbolic_sgd.theorem.sharpness import no_noise, sharpness_terms
from symbolic_sgd.theorem.size import check_expected_size, check_size
from symbolic_sgd.theorem.stability import Stability, stability
from symbolic_sgd.theorem.terms import CURVED, Term, terms_of

PLAIN = SGD()
"""SGD at a learning rate that tends to 0, the optimizer of the poster's theorem."""


LARGE_MINOR = "a minor of ∇²L, too large to be printed, is not singular"
LARGE_STABILITY = "the optimizer is stable, which is a condition too large to be printed"

FACTORED = 200
"""Operations of a condition that is factored."""

LARGEST_WRITTEN = 4
"""Rows of a determinant that is written out."""


@dataclass(frozen=True)
class Written:
    """What is written out entry by entry.

    Args:
        program: the straight-line program of every term.
        guard: the program of what has to hold at a point for the formulas to hold: `gradient` = 0, `hessian` ≥ 0 of
            rank M, the `conditions` of the domain, `equations` = 0 (beside their `slopes`), `kinks` > 0,
            and of a framed normal space the `frame`, of full rank.
        blocks: the program of the matrices from which the terms are composed: σ and H on Γ.
    """

    program: Program
    guard: Program
    blocks: Program


@dataclass(frozen=True, eq=False)
class OnDemand:
    """The same of a large problem, derived when it is asked for.

    Args:
        problem, optimizer: of the derivation.

    Raises:
        ProblemTooLarge: (by all of it) more operations would be needed than a graph may have.
    """

    problem: Problem
    optimizer: Optimizer

    @cached_property
    def _written(self) -> Written:
        written = derive(self.problem, silent, self.optimizer, in_matrices=False).written
        assert isinstance(written, Written)
        return written

    @property
    def program(self) -> Program:
        """As in `Written`."""
        return self._written.program

    @property
    def guard(self) -> Program:
        """As in `Written`."""
        return self._written.guard

    @property
    def blocks(self) -> Program:
        """As in `Written`."""
        return self._written.blocks

    def __reduce__(self) -> tuple[Any, ...]:
        return OnDemand, (self.problem, self.optimizer)


@dataclass(frozen=True)
class Derivation:
    """The finished derivation.

    Args:
        stated: what was stated.
        problem: the same in the cell in which the loss is smooth.
        cell: the inequalities of that cell that were not stated.
        component: which part of Γ the formulas are for; None for all of it.
        codimension: M.
        points: points of Γ to 120 digits, symbol → value.
        equations: the program of M expressions whose common zeros, near the points, are Γ; the `levels` whose gradients are the
            frame, if there are such; as `printed`, of as many as it
            takes to have no zeros at which ∇L is not zero; and, as `defining`, of M that are proved to vanish on all of Γ
            (or of the component).
        written: the programs of the terms, of what has to hold for them, and of what they are composed of.
        in_matrices: the terms as a program of matrices, where the problem is large; else None.
        normal_space: what spans it, and what is known of H there.
        stable: the program of `positive`, numbers that are all positive exactly where the optimizer stays near Γ; None where it does at
            every learning rate that is small enough.
        minor: the program of a matrix A such that the formulas hold where det A ≠ 0; None if they hold on all of Γ.
        distinct: the program of Π_{i<j} (λ_i − λ_j)², where the formulas are made of the curvatures, and not of symmetric functions.
        frame_origin: in words, what spans the normal space.
        proportion: c where Σ_⊥ = cH on Γ with a constant c; else None.
        isotropy: s² where Σ_⊥ = s²(I − ∂Φ) on Γ with a constant s²; else None.
        square: s² where Σ_⊥ = s²H² on Γ with a constant s²; else None.
        structure: in words, what was recognised of the noise.
        optimizer: whose limit it is.
        response: how it turns the noise into a stationary covariance.
        restated: the terms that were not derived, but stated, and what holds them.
    """

    stated: Problem
    problem: Problem
    cell: tuple[Any, ...]
    component: Component | None = field(hash=False)
    codimension: int
    points: tuple[Mapping[sp.Symbol, PreciseNumber], ...] = field(hash=False)
    equations: Program
    written: Written | OnDemand
    in_matrices: MatrixStages | None
    normal_space: NormalSpace
    stable: Program | None
    minor: Program | None
    distinct: Program | None
    frame_origin: str
    proportion: Expression | None
    isotropy: Expression | None
    square: Expression | None
    structure: str
    optimizer: Optimizer
    response: Response
    restated: frozenset[str] = frozenset()

    @property
    def program(self) -> Program:
        """The straight-line program of every term."""
        return self.written.program

    @property
    def guard(self) -> Program:
        """What has to hold at a point for the formulas to hold."""
        return self.written.guard

    @property
    def blocks(self) -> Program:
        """The matrices from which the terms are composed."""
        return self.written.blocks if self.in_matrices is None else self.in_matrices.blocks

    @property
    def noise_factor(self) -> Program:
        """σ on Γ."""
        return self.blocks.select("noise_factor") if self.in_matrices is None else self.in_matrices.noise_factor

    @property
    def fingerprint(self) -> str:
        """SHA-256 of what everything is computed from."""
        return self.program.fingerprint if self.in_matrices is None else self.in_matrices.fingerprint

    @cached_property
    def zeros(self) -> frozenset[str]:
        """The terms that are known to be zero on Γ."""
        if self.in_matrices is not None:
            return self.in_matrices.zeros
        zero = [i.op == "constant" and i.value == 0 for i in self.program.instructions]
        return frozenset(o.name for o in self.program.outputs if all(zero[r] for r in o.registers))

    def with_program(self, program: Program) -> "Derivation":
        """The same with another program of its terms, as in mutants; it has to be one that is written out."""
        assert isinstance(self.written, Written)
        return replace(self, written=replace(self.written, program=program))

    @property
    def terms(self) -> list[Term]:
        """The named parts of the result."""
        return terms_of(self.optimizer, self.response)

    @property
    def regularizing(self) -> tuple[str, ...]:
        """The terms that R is the potential of: mixed and normal regularization, −∂Φ∇R₀ of a perturbed loss, what samples add."""
        own = ("mixed_regularization", "normal_regularization")
        return (*own, CURVED.name) if self.optimizer.curvature_regularizes else own

    def __repr__(self) -> str:
        sizes = f"D={self.problem.dimension}, M={self.codimension}"
        if self.in_matrices is not None:
            return f"Derivation({sizes}, by matrices)"
        return f"Derivation({sizes}, drift of {self.program.select('drift').operations} operations)"

    def conditions(self, *, budget: int = EXPANSION_BUDGET) -> tuple[sp.Basic, ...]:
        """Conditions under which the formulas hold, () if on all of Γ (or of the component).

        Raises:
            ExpressionTooLarge: they hold more than `budget` operations.
        """
        return (*self.cell, *self._regular(budget), *self._stable(budget))

    def conditions_within(self, budget: int) -> tuple[tuple[sp.Basic, ...], tuple[str, ...]]:
        """The conditions that hold at most so many operations, and the others in words."""
        shown, words = list(self.cell), []
        for part, said in ((self._regular, LARGE_MINOR), (self._stable, LARGE_STABILITY)):
            try:
                shown.extend(part(budget))
            except ExpressionTooLarge:
                words.append(said)
        return tuple(shown), tuple(words)

    def _regular(self, budget: int) -> tuple[sp.Basic, ...]:
        found: list[sp.Basic] = []
        for name, program in (("minor", self.minor), ("distinct", self.distinct)):
            if program is not None:
                matrix = program.expand(name, budget=budget)
                determinant: Any = matrix[0, 0] if matrix.shape == (1, 1) else sp.Determinant(matrix)
                condition = min([determinant, *_of_same_zeros(matrix, self.problem)], key=reading_cost)
                found.extend([] if condition.is_zero is False else [sp.Ne(condition, 0)])
        return tuple(found)

    def _stable(self, budget: int) -> tuple[sp.Basic, ...]:
        if self.stable is None:
            return ()
        try:
            entries = self.stable.expand("positive", budget=budget).flat()
        except ExpressionTooLarge as error:
            raise ExpressionTooLarge(
                "the condition under which the optimizer stays near Γ is too large to be written out; "
                "sde.lambdify() tests it at every point"
            ) from error
        positive = _independent(entries, self.problem)
        return tuple(condition for e in positive if (condition := _positive(e, self.problem.parameters)) is not sp.true)


def derive(
    problem: Problem, progress: Progress = silent, optimizer: Optimizer = PLAIN, *, in_matrices: bool = True
) -> Derivation:
    """The limiting SDE of a problem.

    Args:
        problem: what is stated, with the optimizer's symbols among its constants.
        progress: told in words what is being done.
        optimizer: whose limit it is.
        in_matrices: whether a large problem may be derived as a program of matrices, and written out entry by entry only on demand.

    Raises:
        NoManifold: the loss has no manifold of minimizers that the theorem speaks of.
        ProblemTooLarge: more operations would be needed than a graph may have.
        BadInput: the optimizer's limit on this noise is not covered.
        Unstable: the optimizer stays near no point of Γ that was found.
    """
    optimizer = optimizer.on(problem)
    large = _in_matrices(problem, progress, optimizer) if in_matrices else None
    if large is not None:
        return large
    progress("foreseeing the size of the derivation")
    check_expected_size(problem)
    # Γ first: how many normal directions there are decides the size of everything that follows.
    manifold = find_manifold(problem, progress)
    response = response_of(optimizer, problem, interpolating=manifold.interpolating)
    check_codimension(response, manifold.codimension)
    progress(f"the normal space (D = {problem.dimension}, M = {manifold.codimension})")
    # A frame of the normal space, because H is singular on Γ and only its normal part can be inverted.
    _check_definite(optimizer, manifold)
    metric = _metric(optimizer, manifold)
    frame = normal_frame(manifold, framed=response.kernel is None or metric is not None)
    check_size(frame)
    # H in that frame is positive definite: H† and the Lyapunov inverse both come from it.
    graph, stated = manifold.landscape.graph, optimizer.potential_bends(manifold.problem)
    bends = [] if stated is None else [nodes_of(matrix, graph) for matrix in stated]
    normal = geometry_of(frame, metric, bends, from_sympy(optimizer.rate, graph) if optimizer.is_finite else None)
    fitted = on_perturbed_loss(optimizer, normal)
    if fitted is not optimizer:
        optimizer, response = fitted, response_of(fitted, problem, interpolating=manifold.interpolating)
    if isinstance(optimizer, IteratedMap):
        assert isinstance(normal, FramedGeometry)
        progress("the derivatives of the map")
        limit = map_limit(normal, optimizer)
        further = limit.update.entries
        derivation = _collect(frame, normal, limit.noise, limit.drift, optimizer, response, limit.stability, further)
        _check_stable_somewhere(derivation)
        return derivation
    if isinstance(response, LeadingResponse):
        _check_zero_loss(manifold, optimizer)
        distinct, still = _distinct(normal, response), no_noise(normal)
        stable = stability(normal, still, optimizer, response)
        terms = sharpness_terms(normal, response)
        derivation = _collect(frame, normal, still, terms, optimizer, response, stable, (), distinct)
        _check_stable_somewhere(derivation)
        return derivation
    # The noise on Γ, whose tangent part moves along Γ and whose normal part feeds the regularization.
    distinct = _distinct(normal, response)
    progress("the noise on Γ")
    noise = noise_on_manifold(normal, optimizer.tangent_factor, sampled=response.kernel is None)
    # The blocks of ½∂²Φ[Σ].
    progress("the drift")
    slow = _slow_fields(optimizer, manifold)
    drift = drift_terms(normal, noise, response, slow)
    if isinstance(normal, ObliqueGeometry) and normal.mirror is not None:
        bent = normal.mirror.second(noise.stated.factor @ noise.stated.factor.T)
        drift = replace(drift, curved=manifold.without_zeros(normal.tangent_part(bent).scaled(normal.half)))
    if isinstance(response, ReshuffledResponse):
        drift = with_reshuffling(drift, normal, noise, response)
    moments = optimizer.second_moments(manifold.problem)
    if moments is not None:
        drift = with_second_moments(drift, normal, noise, optimizer, moments)
    progress("collecting the terms")
    stable = stability(normal, noise, optimizer, response)
    smooth = [entry for field in slow.values() for entry in field.entries]
    derivation = _collect(frame, normal, noise, drift, optimizer, response, stable, smooth, distinct)
    _check_stable_somewhere(derivation)
    return derivation


def _in_matrices(problem: Problem, progress: Progress, optimizer: Optimizer) -> Derivation | None:
    """The derivation of a large least-squares problem whose residuals all vanish on Γ, with independent gradients, for an optimizer that
    is known by a kernel as its learning rate tends to 0; None for others."""
    plain = not (optimizer.is_finite or optimizer.reshuffles or optimizer.in_metric or optimizer.curves_noise)
    if not plain or optimizer.kernel is None or optimizer.stated is not optimizer:
        return None
    if is_large(problem):
        progress(f"points of Γ where the residuals vanish (D = {problem.dimension})")
    manifold = interpolating_manifold(problem)
    if manifold is None:
        return None
    read, points = manifold
    response = response_of(optimizer, read, interpolating=True)
    known = read.noise.known_covariance(read, interpolating=True)
    varies = known.isotropy is not None and known.isotropy.free_symbols & set(read.parameters)
    if not isinstance(response, KernelResponse) or varies:
        return None
    residuals = Residuals.of(read)
    equations = Matrix.column(residuals.levels)
    graph, count = equations[0, 0].graph, len(read.residuals)
    stages = MatrixStages(read, optimizer, response, known, residuals.multiplicity, Program.of({"levels": equations}))
    check_smooth_noise(stages, points)
    curvature = Matrix.diagonal(graph, [graph.constant(Fraction(m, count)) for m in residuals.multiplicity])
    frame = Program.of({"frame": residuals.slopes.T})
    return Derivation(
        stated=problem,
        problem=read,
        cell=(),
        component=None,
        codimension=len(residuals.levels),
        points=tuple(point.assignment for point in points),
        equations=Program.of(dict.fromkeys(("equations", "levels", "printed", "defining"), equations)),
        written=OnDemand(problem, optimizer),
        in_matrices=stages,
        normal_space=ComposedFrame(frame, Program.of({"curvature": curvature}), rigid=False),
        stable=None,
        minor=None,
        distinct=None,
        frame_origin="gradients of inner expressions of the loss",
        proportion=known.proportion,
        isotropy=known.isotropy,
        square=None,
        structure=stages.words,
        optimizer=optimizer,
        response=response,
    )


def _check_stable_somewhere(derivation: Derivation) -> None:
    """Refuse a learning rate, given as a number, at which the optimizer stays near none of the points of Γ found."""
    if derivation.stable is None or derivation.stable.symbols & set(derivation.problem.constants):
        return
    with mp.workdps(HIGH):
        if any(all(a > 0 for a in derivation.stable.run(PRECISE, p)["positive"]) for p in derivation.points):
            return
    raise Unstable(
        f"{derivation.optimizer.label} leaves Γ at every one of the {len(derivation.points)} points of it that were found: the learning "
        "rate is beyond the edge of stability there. Make it smaller, or name a flatter part of Γ by near=…"
    )


def _check_zero_loss(manifold: Manifold, optimizer: Optimizer) -> None:
    """Refuse √L of a loss that is not 0 on Γ."""
    needed = isinstance(optimizer, SharpnessDescent) and optimizer.needs_zero_loss
    if needed and not manifold.proved_zero([manifold.restrict(Matrix.column([manifold.landscape.loss]))[0, 0]])[0]:
        raise BadInput(
            f"{optimizer.label} goes down √L, which has a minimum of this kind only where L = 0, and that is not proved of this Γ: "
            "subtract the value that L has there"
        )


def _check_definite(optimizer: Optimizer, manifold: Manifold) -> None:
    """Refuse noise that is degenerate on Γ, where steps are no smooth function of where they are made."""
    stated = optimizer.definite(manifold.problem)
    if stated is None:
        return
    matrix = nodes_of(stated, manifold.landscape.graph)
    for point in manifold.points:
        if not _is_definite(point, matrix):
            raise BadInput(
                f"the noise is degenerate at a point of Γ, {point.describe(manifold.problem.symbols)}: the variance of an entry, or a "
                f"direction of the steps of {optimizer.label}, vanishes there; state noise that reaches every parameter, or exclude such "
                "points with domain=[…] or near=…"
            )


def _is_definite(point: PrecisePoint, matrix: Matrix) -> bool:
    """Whether a symmetric matrix is positive definite at a point, to 55 digits."""
    with mp.workdps(HIGH):
        try:
            entries = point.high(matrix.entries)
        except (ComplexValue, ZeroDivisionError):  # a correlation that rounding takes beyond 1; a variance that is 0
            return False
        d = matrix.shape[0]
        found = mp.eigsy(mp.matrix([entries[i * d : (i + 1) * d] for i in range(d)]), eigvals_only=True)
        return min(found) > max(found) * mp.mpf(10) ** -LOW


def _metric(optimizer: Optimizer, manifold: Manifold) -> Matrix | None:
    """S(x) of a preconditioner, which has to be positive definite at the points of Γ found."""
    stated = optimizer.metric(manifold.problem)
    if stated is None:
        return None
    metric = nodes_of(stated, manifold.landscape.graph)
    pivots = PositiveDefinite.factor(metric).pivots
    with mp.workdps(HIGH):
        for point in manifold.points:
            if not all(pivot > 0 for pivot in point.high(pivots)):
                raise BadInput(
                    f"the preconditioner is not positive definite at a point of Γ, {point.describe(manifold.problem.symbols)}: its motion "
                    "leads back to Γ only where it is; state one that is, or exclude such points with domain=[…] or near=…"
                )
    return metric


def _slow_fields(optimizer: Optimizer, manifold: Manifold) -> dict[str, Matrix]:
    graph, fields = manifold.landscape.graph, optimizer.drift_fields(manifold.problem)
    return {name: Matrix.column(from_sympy(g, graph) for g in field) for name, field in fields.items()}


def _collect(
    frame: NormalFrame,
    normal: NodeGeometry,
    noise: NoiseOnManifold,
    drift: DriftTerms,
    optimizer: Optimizer,
    response: Response,
    stable: Stability | None,
    further: Sequence[Node] = (),
    distinct: Program | None = None,
) -> Derivation:
    manifold = frame.manifold
    return Derivation(
        stated=manifold.stated,
        problem=manifold.problem,
        cell=manifold.cell,
        component=frame.component,
        codimension=manifold.codimension,
        points=tuple(p.assignment for p in manifold.points),
        equations=Program.of(
            {
                "equations": Matrix.column(frame.equations),
                "levels": Matrix.column(manifold.equations.levels),
                "printed": Matrix.column(manifold.equations.printed),
                "defining": Matrix.column(manifold.equations.defining),
            }
        ),
        written=Written(
            Program.of({term.name: term.matrix(normal, noise, drift) for term in terms_of(optimizer, response)}),
            Program.of(
                _guard(frame, [*noise.stated.columns.entries, *further])
                | ({} if stable is None else {"stability": stable.matrix})
            ),
            Program.of(_blocks(normal, noise)),
        ),
        in_matrices=None,
        normal_space=_normal_space(normal),
        stable=None if stable is None else Program.of({"positive": Matrix.column(stable.positive)}),
        minor=None if frame.minor is None else Program.of({"minor": frame.minor}),
        distinct=distinct,
        frame_origin=frame.origin,
        proportion=drift.normal_noise.proportion,
        isotropy=drift.normal_noise.isotropy,
        square=drift.normal_noise.square,
        structure=drift.normal_noise.words,
        optimizer=optimizer,
        response=response,
    )


def _discriminant(e: Sequence[Node]) -> Node:
    """Π_{i<j} (λ_i − λ_j)² of two or three curvatures."""
    if len(e) == 2:
        return e[0] * e[0] - 4 * e[1]
    a, b, c = e
    return a * a * b * b - 4 * b * b * b - 4 * a * a * a * c + 18 * a * b * c - 27 * c * c


def _distinct(normal: NodeGeometry, response: Response) -> Program | None:
    by_polynomials = response.kernel is None or response.kernel.by_polynomials
    by_polynomials = by_polynomials and not isinstance(response, LeadingResponse)
    if by_polynomials or normal.frame.manifold.codimension == 1:
        return None
    manifold = normal.frame.manifold
    hessian = manifold.restrict(manifold.landscape.hessian)
    difference = _discriminant(elementary_symmetric(hessian, manifold.codimension))
    if manifold.proved_zero([difference])[0]:
        raise BadInput(
            f"curvatures of Γ are equal on all of it, where {response.words} is not written out. {shorter(response)}"
        )
    return Program.of({"distinct": Matrix.column([difference])})


def _guard(frame: NormalFrame, smooth: Sequence[Node]) -> dict[str, Matrix]:
    """What is looked at, at a point; beside the loss, `smooth` has to have derivatives there."""
    manifold = frame.manifold
    landscape, vanishing = manifold.landscape, manifold.equations.vanishing
    return {
        "gradient": landscape.gradient,
        "hessian": landscape.hessian,
        "conditions": Matrix.column(node for node, _ in manifold.problem.condition_nodes(landscape.graph)),
        "equations": Matrix.column(vanishing),
        "slopes": Matrix.of(jacobian(vanishing, landscape.variables)),
        "kinks": Matrix.column(_kinks([landscape.loss, *smooth])),
        **({} if frame.raw is None else {"frame": frame.raw}),
    }


def _blocks(normal: NodeGeometry, noise: NoiseOnManifold) -> dict[str, Matrix]:
    manifold = normal.frame.manifold
    samples = {} if noise.samples is None else {"samples": noise.samples}
    hessian = manifold.restrict(manifold.landscape.hessian)
    return {"noise_factor": noise.stated.factor, "hessian": hessian, **samples}


def _of_same_zeros(matrix: SymbolicMatrix, problem: Problem) -> Iterator[Expression]:
    """Functions that vanish where a determinant does, for real x: with complete squares, and its distinct factors but the positive ones."""
    if matrix.rows > LARGEST_WRITTEN or sum(map(operations, matrix)) > FACTORED:
        return
    determinant = sp.expand(matrix.det(method="berkowitz"))
    yield with_complete_squares(determinant)  # (λ_1 − λ_2)² = 0 says most as a sum of squares
    if determinant != 0 and determinant.is_polynomial(*determinant.free_symbols):
        real = _as_real(problem)
        factors = [factor for factor, _ in sp.factor_list(determinant)[1]]
        yield sp.Mul(*(with_complete_squares(f) for f in factors if f.xreplace(real).is_positive is not True))


def _as_real(problem: Problem) -> dict[Any, Any]:
    """The parameters as real, and where the domain says so as positive."""
    positive = {c.gts for c in problem.domain if isinstance(c, sp.StrictGreaterThan | sp.StrictLessThan) and c.lts == 0}
    return {
        s: sp.Symbol(s.name, positive=True) if s in positive else sp.Symbol(s.name, real=True)
        for s in problem.parameters
        if s.is_real is None
    }


def _independent(expressions: Sequence[Expression], problem: Problem) -> list[Expression]:
    """Numbers that are all positive exactly where these are: without factors that are positive for all real x of the domain, or by those
    before."""
    real = _as_real(problem)
    known: set[Expression] = set()
    found: list[Expression] = []
    for expression in expressions:
        factored: Any = sp.factor(sp.together(expression)) if operations(expression) <= FACTORED else expression
        factors = sp.Mul.make_args(factored)
        left = [f for f in factors if f.as_base_exp()[0] not in known and f.xreplace(real).is_positive is not True]
        # What is never negative has to differ from 0 by itself.
        alone = [f for f in left if f.xreplace(real).is_nonnegative]
        for condition in (*alone, sp.Mul(*(f for f in left if f not in alone))):
            if condition != 1:
                found.append(condition)
                known.add(condition)
    return found


def _positive(expression: Expression, parameters: Sequence[sp.Symbol]) -> sp.Basic:
    """expression > 0, as "what depends on x < a number" where a positive number stands in it."""
    letters = [s for s in parameters if expression.has(s)] or list(expression.free_symbols)
    constant, rest = expression.as_independent(*letters, as_Add=True)
    content, primitive = sp.factor_terms(-rest).as_coeff_Mul()
    if not constant.is_positive or not content.is_positive:
        return sp.StrictGreaterThan(expression, 0)
    return sp.StrictLessThan(primitive, constant / content)


def _normal_space(normal: NodeGeometry) -> NormalSpace:
    if isinstance(normal, FramelessGeometry):
        return Frameless(Program.of({"symmetric": Matrix.column(normal.symmetric)}))
    manifold, raw = normal.frame.manifold, normal.frame.raw
    assert raw is not None
    frame, known = Program.of({"frame": raw}), manifold.equations
    if known.curvature is None:
        return Framed(frame)
    return ComposedFrame(frame, Program.of({"curvature": manifold.restrict(known.curvature)}), known.rigid)


def _kinks(roots: Sequence[Node]) -> list[Node]:
    """Every expression at whose zeros something is not smooth, |a ± b|/(|a| + |b|) for a sum (a pole shows by itself)."""
    size = lambda node: node.graph.call("Abs", node)  # noqa: E731
    found = dict.fromkeys(zero for node, zero in kinks(roots) if node.op != "div")
    return [
        size(zero) / (size(zero.args[0]) + size(zero.args[1])) if zero.op in ("add", "sub") else size(zero)
        for zero in found
    ]
