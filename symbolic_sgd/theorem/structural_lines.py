"""The lines of a derivation in vectors: by f_i where L = Σ h_i(f_i), else the theorem's own; and their comparison with the program."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import sympy as sp

from symbolic_sgd.algebra.arithmetic import PreciseNumber
from symbolic_sgd.algebra.differentiate import gradient
from symbolic_sgd.algebra.graph import Graph, Node
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.algebra.solvers import SOLVERS
from symbolic_sgd.algebra.translation import Expression, from_sympy
from symbolic_sgd.algebra.vector_expressions import (
    IDENTITY,
    SUPERSCRIPTS,
    Name,
    Product,
    VectorExpression,
    apply,
)
from symbolic_sgd.manifold.precise import HIGH, LOW, PrecisePoint
from symbolic_sgd.regular_point import is_rounding
from symbolic_sgd.theorem.composed import ComposedFormulas, composed_formulas, slow_fields
from symbolic_sgd.theorem.derivation import Derivation
from symbolic_sgd.theorem.response import LeadingResponse, ReshuffledResponse
from symbolic_sgd.theorem.structural import (
    ACROSS,
    BEND,
    COMPENSATION,
    COVARIANCE,
    CURVATURE,
    CURVATURES,
    DUAL,
    FRAME,
    GRAM,
    HALF,
    HESSIAN,
    KERNEL,
    LEVEL,
    MIXED,
    NOISE,
    NORMAL,
    PROJECTION,
    PROPORTION,
    PSEUDO_INVERSE,
    RANK,
    REGULARIZER,
    SAMPLES,
    SIGMA,
    SLOPES,
    SLOW,
    SQUARE,
    STATIONARY,
    TANGENT,
    TANGENT_COVARIANCE,
    TANGENT_FACTOR,
    THIRD,
    VARIANCE,
    WEIGHT,
    ZERO,
    Line,
    StructuralFormulas,
    ThirdDerivative,
    needed,
    own_drifts,
    totalled,
    used,
)
from symbolic_sgd.theorem.structural_epochs import of_epochs
from symbolic_sgd.theorem.structural_metric import of_metric

QUARTER = Fraction(1, 4)

SAME = mp.mpf("1e-50")
"""What an entry of a term may differ, beside the largest."""

POINTS = 2
"""Points of the derivation, its last, at which the formulas are compared with the program."""


def structural_formulas(derivation: Derivation) -> StructuralFormulas:
    """The formulas of a derivation: by f_i where they agree with the program at its points, else the theorem's own lines."""
    if derivation.optimizer.in_metric:
        return of_metric(derivation)
    if isinstance(derivation.response, LeadingResponse):
        return _of_sharpness(derivation)
    if isinstance(derivation.response, ReshuffledResponse):
        return of_epochs(derivation, derivation.response)
    if not derivation.response.in_parameters:
        return _of_map(derivation)
    composed = composed_formulas(derivation, next(iter(SOLVERS.values())))
    found = None if composed is None else _composed(derivation, composed)
    return found if found is not None and agrees(derivation, found) else _general(derivation)


def agrees(derivation: Derivation, formulas: StructuralFormulas) -> bool:
    """Whether every term is the program's at points of the derivation, to 50 digits."""
    terms = {str(line.term): line.name.name for line in formulas.lines if line.term and line.value is not ZERO}
    program = derivation.program.on(Graph())
    return all(
        _same(PrecisePoint(point), formulas, {name: program[term].entries for term, name in terms.items()})
        for point in derivation.points[-POINTS:]
    )


def _same(point: PrecisePoint, formulas: StructuralFormulas, program: Mapping[str, Sequence[Node]]) -> bool:
    """Whether what differs is rounding, or nothing beside the largest entry of its term."""
    low, high = (_differences(point, digits, formulas, program) for digits in (LOW, HIGH))
    return all(
        is_rounding(a, b) or abs(b) <= size * SAME
        for name, size in high.sizes.items()
        for a, b in zip(low.entries[name], high.entries[name], strict=True)
    )


@dataclass(frozen=True)
class _Differences:
    sizes: Mapping[str, PreciseNumber]
    entries: Mapping[str, list[PreciseNumber]]


def _differences(
    point: PrecisePoint, digits: int, formulas: StructuralFormulas, program: Mapping[str, Sequence[Node]]
) -> _Differences:
    with mp.workdps(digits):
        values = formulas.evaluate({s: mp.mpf(a) for s, a in point.assignment.items()})
        true = {name: point.low(nodes) if digits == LOW else point.high(nodes) for name, nodes in program.items()}
        differences = {name: [a - b for a, b in zip(values[name], true[name], strict=True)] for name in true}
    return _Differences({name: max(map(abs, entries)) for name, entries in true.items()}, differences)


# --- the lines --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Parts:
    """The ways in which one kind of loss writes what the theorem needs of it.

    Args:
        start: the lines that define its letters, ∂Φ and H† among them.
        across: I − ∂Φ, as it is shortest.
        compensation: Σ_∥ ↦ −½H†T[Σ_∥].
        mixed: b_⊥∥ from Σ.
        mixed_by: h ↦ b_⊥∥ from h(H)Σ, for the function h of another optimizer.
        normal: b_⊥ from Σ, with S written out where that is short.
        pushed: b_⊥ from S.
        label: −(1/4)∂Φ∇tr H.
        isotropic: −(1/4)∂Φ∇ln|H|₊.
        trace, logarithm: tr H and ln|H|₊.
        solution: 𝓛_H⁻¹(Σ_⊥).
    """

    start: tuple[Line, ...]
    across: VectorExpression
    compensation: Callable[[VectorExpression], VectorExpression]
    mixed: VectorExpression
    mixed_by: Callable[[Callable[[VectorExpression], VectorExpression]], VectorExpression]
    normal: VectorExpression
    pushed: VectorExpression
    label: VectorExpression
    isotropic: VectorExpression
    trace: VectorExpression
    logarithm: VectorExpression
    solution: VectorExpression


@dataclass(frozen=True)
class _NoiseScalars:
    """c with Σ_⊥ = cH and s² with Σ_⊥ = s²(I − ∂Φ), or None; and the entries of their names, where they are no rationals."""

    proportion: VectorExpression | None
    isotropy: VectorExpression | None
    entries: Mapping[str, Matrix]

    @staticmethod
    def of(derivation: Derivation, graph: Graph) -> "_NoiseScalars":
        """Those of a derivation."""
        both = {PROPORTION: derivation.proportion, VARIANCE: derivation.isotropy}
        stated = {name: e for name, e in both.items() if e is not None}
        written = {name: _written_scalar(name, e) for name, e in stated.items()}
        named = {
            name.name: Matrix.column([from_sympy(stated[kind], graph)])
            for kind, name in written.items()
            if isinstance(name, Name)
        }
        return _NoiseScalars(written.get(PROPORTION), written.get(VARIANCE), named)


def _written_scalar(name: Name, value: Expression) -> Name | Product:
    """A rational or a power of a constant as it is, anything else by name."""
    if value.is_Rational:
        return Product(Fraction(int(value.p), int(value.q)))
    base, exponent = value.as_base_exp()
    if base.is_Symbol and exponent.is_Integer and exponent > 0:
        power = "" if exponent == 1 else str(exponent).translate(SUPERSCRIPTS)
        return Name(base.name + power, sp.latex(value), number=True)
    return name


def _lines(derivation: Derivation, parts: _Parts, noise: _NoiseScalars) -> tuple[Line, ...]:
    """All equations, from what the kind of loss and the structure of the noise make of them."""
    zero = derivation.zeros
    c, s = noise.proportion, noise.isotropy
    regularizer: VectorExpression | None = None
    mixed, response = parts.mixed, derivation.response
    if not response.is_lyapunov:
        kind, operator = ("by_samples", SAMPLES) if response.kernel is None else ("by_pairs", KERNEL)
        stationary = apply(kind, HESSIAN, RANK, operator, parts.across @ COVARIANCE @ parts.across)
        normal = parts.pushed
        if response.mixed != 1:
            mixed = parts.mixed_by(lambda right: apply("function", HESSIAN, RANK, KERNEL, right))
    elif c is not None:
        stationary, normal, regularizer = HALF * (c @ parts.across), c @ parts.label, QUARTER * (c @ parts.trace)
    elif s is not None:
        stationary, normal, regularizer = (
            HALF * (s @ PSEUDO_INVERSE),
            s @ parts.isotropic,
            QUARTER * (s @ parts.logarithm),
        )
    else:
        stationary, normal = parts.solution, parts.normal
    along, moving = TANGENT @ COVARIANCE @ TANGENT, TANGENT @ SIGMA
    if derivation.optimizer.tangent_factor != 1:
        along, moving = TANGENT_FACTOR @ along, apply("root", TANGENT_FACTOR) @ moving
    lines = [*parts.start, Line(COVARIANCE, SIGMA @ SIGMA.T), Line(TANGENT_COVARIANCE, along)]
    values = {
        "lyapunov_solution": (STATIONARY, stationary),
        "tangent_noise": (NOISE, moving),
        "tangent_noise_compensation": (COMPENSATION, parts.compensation(TANGENT_COVARIANCE)),
        "mixed_regularization": (MIXED, mixed),
        "normal_regularization": (ACROSS, normal),
        **own_drifts(derivation),
    }
    lines = list(totalled(lines, values, zero))
    if regularizer is not None and "mixed_regularization" in zero and "normal_regularization" not in zero:
        lines.append(Line(REGULARIZER, regularizer))
    return needed(lines)


# --- one f ------------------------------------------------------------------------------------


def _composed(derivation: Derivation, formulas: ComposedFormulas) -> StructuralFormulas:
    graph = formulas.variables[0].graph
    contents, m = formulas.contents, len(formulas.levels)
    noise = _NoiseScalars.of(derivation, graph)
    # The formulas may be those of f_i/c_i; what is printed for Γ are the f_i.
    frame = Matrix.of([c * a for c, a in zip(contents, row, strict=True)] for row in formulas.normal.rows)
    bends = [bend.scaled(c) for c, bend in zip(contents, formulas.bends, strict=True)]
    known = Matrix.of(
        [k / (c * d) for k, d in zip(row, contents, strict=True)]
        for row, c in zip(formulas.curvature.rows, contents, strict=True)
    )
    entries = {LEVEL.name: Matrix.column(formulas.levels), SIGMA.name: formulas.noise, **noise.entries}
    entries |= _of_optimizer(formulas.samples, formulas.tangent_factor, formulas.slow)
    slopes = [gradient(k, formulas.variables) for k in known.diagonal_entries]
    bent = not formulas.rigid and any(not slope.is_zero for row in slopes for slope in row)
    if bent:
        entries[SLOPES.name] = Matrix.of(slopes).T
    curvature = _curvature(known, entries, alone=m == 1 or not bent)
    if m == 1:
        entries |= {NORMAL.name: frame, BEND.name: bends[0]}
        parts, hessian = _one_level(curvature, bent), curvature @ NORMAL @ NORMAL.T
    else:
        stacked = Matrix(tuple(row for bend in bends for row in bend.rows))
        entries |= {FRAME.name: frame, BEND.name: stacked}
        parts, hessian = _many_levels(curvature, bent), _weighted(curvature, FRAME) @ FRAME.T
    lines = _lines(derivation, parts, noise)
    return StructuralFormulas(
        parameters=derivation.problem.parameters,
        rank=derivation.codimension,
        entries=used(entries, lines),
        third=None,
        bends=m if m > 1 else 0,
        lines=lines,
        response=derivation.response,
        hessian=hessian,
        mean=derivation.optimizer.mean_potential,
    )


def _of_optimizer(samples: Matrix | None, tangent_factor: Node, slow: Mapping[str, Matrix]) -> dict[str, Matrix]:
    """What an optimizer brings: a_1 … a_n, τ, g."""
    brought = {SAMPLES.name: samples, TANGENT_FACTOR.name: Matrix.column([tangent_factor])}
    brought |= {SLOW[term][1].name: field for term, field in slow.items()}
    return {name: matrix for name, matrix in brought.items() if matrix is not None}


def _curvature(known: Matrix, entries: dict[str, Matrix], *, alone: bool) -> VectorExpression:
    """k where K = kI and it may stand alone, a number if it is one, else K."""
    first, *others = known.diagonal_entries
    if alone and known.is_diagonal and all(k is first for k in others):
        if first.op == "constant":
            return Product(Fraction(first.value))
        entries[CURVATURE.name] = Matrix.column([first])
        return CURVATURE
    entries[CURVATURES.name] = known
    return CURVATURES


def _one_level(k: VectorExpression, bent: bool) -> _Parts:
    """In n = ∇f, A = ∇²f, N = |n|²."""
    outer, pushed = NORMAL @ NORMAL.T, TANGENT @ BEND @ NORMAL
    across = apply("number", NORMAL.T @ COVARIANCE @ NORMAL)
    normal = -HALF * (across @ pushed / (SQUARE @ SQUARE))
    by_solution = -(k @ (TANGENT @ BEND @ STATIONARY @ NORMAL))
    label, isotropic = -HALF * (k @ pushed), -HALF * (pushed / SQUARE)
    if bent:
        slope = TANGENT @ SLOPES
        normal = normal - QUARTER * (across @ slope / (k @ SQUARE))
        by_solution = by_solution - HALF * (apply("number", NORMAL.T @ STATIONARY @ NORMAL) @ slope)
        label, isotropic = label - QUARTER * (SQUARE @ slope), isotropic - QUARTER * (slope / k)
    return _Parts(
        start=(
            Line(SQUARE, apply("number", NORMAL.T @ NORMAL)),
            Line(TANGENT, IDENTITY - outer / SQUARE, "tangent_projection"),
            Line(PSEUDO_INVERSE, outer / (k @ SQUARE @ SQUARE), "hessian_pinv"),
            Line(HESSIAN, k @ outer),
        ),
        across=outer / SQUARE,
        compensation=lambda covariance: -HALF * (apply("trace", BEND @ covariance) @ NORMAL / SQUARE),
        mixed=-(TANGENT @ BEND @ TANGENT @ COVARIANCE @ NORMAL / SQUARE),
        mixed_by=lambda h: -(TANGENT @ BEND @ TANGENT @ COVARIANCE @ h(NORMAL) / SQUARE),
        normal=normal,
        pushed=by_solution,
        label=label,
        isotropic=isotropic,
        trace=k @ SQUARE,
        logarithm=apply("logarithm", k @ SQUARE),
        solution=HALF * (across @ outer / (k @ SQUARE @ SQUARE @ SQUARE)),
    )


def _many_levels(k: VectorExpression, bent: bool) -> _Parts:
    """In F = (∇f_1 … ∇f_M), G = FᵀF, U = FG⁻¹, A_i = ∇²f_i."""
    bend = lambda w: apply("bent", BEND, w)  # noqa: E731
    weighted = lambda w: _weighted(k, w)  # noqa: E731
    pushed = TANGENT @ bend(STATIONARY @ weighted(FRAME))
    normal, label, isotropic = -pushed, -HALF * (TANGENT @ bend(weighted(FRAME))), -HALF * (TANGENT @ bend(DUAL))
    if bent:
        slope = lambda b: TANGENT @ SLOPES @ apply("diagonal", b)  # noqa: E731
        normal = normal - HALF * slope(FRAME.T @ STATIONARY @ FRAME)
        label = label - QUARTER * slope(GRAM)
        isotropic = isotropic - QUARTER * slope(apply("inverse", k))
    pseudo_inverse = DUAL @ DUAL.T / k if k.scalar else DUAL @ apply("inverse", k) @ DUAL.T
    return _Parts(
        start=(
            Line(GRAM, FRAME.T @ FRAME),
            Line(DUAL, FRAME @ apply("inverse", GRAM)),
            Line(TANGENT, IDENTITY - DUAL @ FRAME.T, "tangent_projection"),
            Line(PSEUDO_INVERSE, pseudo_inverse, "hessian_pinv"),
            Line(HESSIAN, weighted(FRAME) @ FRAME.T),
        ),
        across=DUAL @ FRAME.T,
        compensation=lambda covariance: -HALF * (DUAL @ apply("traces", BEND, covariance)),
        mixed=-(TANGENT @ bend(TANGENT @ COVARIANCE @ DUAL)),
        mixed_by=lambda h: -(TANGENT @ bend(TANGENT @ COVARIANCE @ h(DUAL))),
        normal=normal,
        pushed=normal,
        label=label,
        isotropic=isotropic,
        trace=apply("trace", weighted(GRAM)),
        logarithm=apply("logarithm", apply("determinant", weighted(GRAM))),
        solution=apply("lyapunov", HESSIAN, RANK, DUAL @ FRAME.T @ COVARIANCE @ FRAME @ DUAL.T),
    )


def _weighted(k: VectorExpression, w: VectorExpression) -> VectorExpression:
    """WK, where K may be a number."""
    return k @ w if k.scalar else w @ k


def _of_map(derivation: Derivation) -> StructuralFormulas:
    """∂Φ and ∇²L† alone: the other terms are made of derivatives of the map, in its state."""
    blocks = derivation.blocks.on(Graph())
    return StructuralFormulas(
        parameters=derivation.problem.parameters,
        rank=derivation.codimension,
        entries=used({HESSIAN.name: blocks["hessian"]}, PROJECTION),
        third=ThirdDerivative.of(derivation),
        bends=0,
        lines=PROJECTION,
        response=derivation.response,
    )


def _of_sharpness(derivation: Derivation) -> StructuralFormulas:
    """S along the steepest axis, and what it makes."""
    blocks = derivation.blocks.on(Graph())
    values: dict[str, tuple[Name, VectorExpression]] = {
        "lyapunov_solution": (STATIONARY, apply("leading", WEIGHT, HESSIAN)),
        "tangent_noise": (NOISE, ZERO),
        "tangent_noise_compensation": (COMPENSATION, ZERO),
        "mixed_regularization": (MIXED, ZERO),
        "normal_regularization": (ACROSS, -HALF * (TANGENT @ apply("third", THIRD, STATIONARY))),
    }
    lines = totalled(PROJECTION, values, derivation.zeros)
    return StructuralFormulas(
        parameters=derivation.problem.parameters,
        rank=derivation.codimension,
        entries=used({HESSIAN.name: blocks["hessian"], SIGMA.name: blocks["noise_factor"]}, lines),
        third=ThirdDerivative.of(derivation),
        bends=0,
        lines=lines,
        response=derivation.response,
    )


def _general(derivation: Derivation) -> StructuralFormulas:
    """The theorem's own lines, in H and T."""
    graph = Graph()
    blocks = derivation.blocks.on(graph)
    noise = _NoiseScalars.of(derivation, graph)
    entries = {SIGMA.name: blocks["noise_factor"], HESSIAN.name: blocks["hessian"], **noise.entries}
    entries |= _of_optimizer(
        blocks.get("samples"),
        from_sympy(derivation.optimizer.tangent_factor, graph),
        slow_fields(derivation, graph),
    )
    third = lambda b: apply("third", THIRD, b)  # noqa: E731
    across = IDENTITY - TANGENT
    parts = _Parts(
        start=PROJECTION,
        across=HESSIAN @ PSEUDO_INVERSE,
        compensation=lambda covariance: -HALF * (PSEUDO_INVERSE @ third(covariance)),
        mixed=-(TANGENT @ third(PSEUDO_INVERSE @ COVARIANCE @ TANGENT)),
        mixed_by=lambda h: -(TANGENT @ third(PSEUDO_INVERSE @ h(COVARIANCE @ TANGENT))),
        normal=-HALF * (TANGENT @ third(STATIONARY)),
        pushed=-HALF * (TANGENT @ third(STATIONARY)),
        label=-QUARTER * (TANGENT @ third(IDENTITY)),
        isotropic=-QUARTER * (TANGENT @ third(PSEUDO_INVERSE)),
        trace=apply("trace", HESSIAN),
        logarithm=apply("logarithm", apply("product", HESSIAN, RANK)),
        solution=apply("lyapunov", HESSIAN, RANK, across @ COVARIANCE @ across),
    )
    lines = _lines(derivation, parts, noise)
    return StructuralFormulas(
        parameters=derivation.problem.parameters,
        rank=derivation.codimension,
        entries=used(entries, lines),
        third=ThirdDerivative.of(derivation),
        bends=0,
        lines=lines,
        response=derivation.response,
        mean=derivation.optimizer.mean_potential,
    )
