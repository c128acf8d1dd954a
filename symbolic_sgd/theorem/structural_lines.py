"""The lines of a derivation in vectors, by what is known of it: generators of an orbit, f_i with L = Σ h_i(f_i), or ∇²L alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from symbolic_sgd.algebra.arithmetic import PreciseNumber
from symbolic_sgd.algebra.differentiate import gradient
from symbolic_sgd.algebra.graph import Graph, Node
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.algebra.solvers import SOLVERS
from symbolic_sgd.algebra.translation import from_sympy
from symbolic_sgd.algebra.vector_expressions import (
    IDENTITY,
    Name,
    Product,
    VectorExpression,
    apply,
)
from symbolic_sgd.manifold.precise import HIGH, LOW, PrecisePoint
from symbolic_sgd.regular_point import is_rounding
from symbolic_sgd.theorem.composed import ComposedFormulas, composed_formulas, slow_fields
from symbolic_sgd.theorem.derivation import Derivation
from symbolic_sgd.theorem.orbit_formulas import orbit_formulas
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
    LEVEL,
    MIXED,
    NOISE,
    NORMAL,
    PROJECTION,
    PSEUDO_INVERSE,
    RANK,
    SIGMA,
    SLOPES,
    SQUARE,
    STATIONARY,
    TANGENT,
    THIRD,
    WEIGHT,
    ZERO,
    Line,
    StructuralFormulas,
    ThirdDerivative,
    totalled,
    used,
)
from symbolic_sgd.theorem.structural_epochs import of_epochs
from symbolic_sgd.theorem.structural_metric import of_metric
from symbolic_sgd.theorem.structural_orbit import of_orbit
from symbolic_sgd.theorem.structural_parts import QUARTER, NoiseScalars, Parts, lines_of, of_optimizer

SAME = mp.mpf("1e-50")
"""What an entry of a term may differ, beside the largest."""

POINTS = 2
"""Points of the derivation, its last, at which the formulas are compared with the program."""


def structural_formulas(derivation: Derivation) -> StructuralFormulas:
    """By generators or by f_i, where these agree with the program at points of the derivation; else the theorem's own lines."""
    if derivation.optimizer.in_metric:
        return of_metric(derivation)
    if isinstance(derivation.response, LeadingResponse):
        return _of_sharpness(derivation)
    if isinstance(derivation.response, ReshuffledResponse):
        return of_epochs(derivation, derivation.response)
    if not derivation.response.in_parameters:
        return _of_map(derivation)
    solve = next(iter(SOLVERS.values()))
    orbit, composed = orbit_formulas(derivation, solve), composed_formulas(derivation, solve)
    kinds = (
        None if orbit is None else of_orbit(derivation, orbit),
        None if composed is None else _composed(derivation, composed),
    )
    agreeing = (found for found in kinds if found is not None and agrees(derivation, found))
    return next(agreeing, None) or _general(derivation)


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


# --- one f ------------------------------------------------------------------------------------


def _composed(derivation: Derivation, formulas: ComposedFormulas) -> StructuralFormulas:
    graph = formulas.variables[0].graph
    contents, m = formulas.contents, len(formulas.levels)
    noise = NoiseScalars.of(derivation, graph)
    # The formulas may be those of f_i/c_i; what is printed for Γ are the f_i.
    frame = Matrix.of([c * a for c, a in zip(contents, row, strict=True)] for row in formulas.normal.rows)
    bends = [bend.scaled(c) for c, bend in zip(contents, formulas.bends, strict=True)]
    known = Matrix.of(
        [k / (c * d) for k, d in zip(row, contents, strict=True)]
        for row, c in zip(formulas.curvature.rows, contents, strict=True)
    )
    entries = {LEVEL.name: Matrix.column(formulas.levels), SIGMA.name: formulas.noise, **noise.entries}
    entries |= of_optimizer(formulas.samples, formulas.tangent_factor, formulas.slow)
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
    lines = lines_of(derivation, parts, noise)
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


def _one_level(k: VectorExpression, bent: bool) -> Parts:
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
    return Parts(
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


def _many_levels(k: VectorExpression, bent: bool) -> Parts:
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
    return Parts(
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
    noise = NoiseScalars.of(derivation, graph)
    entries = {SIGMA.name: blocks["noise_factor"], HESSIAN.name: blocks["hessian"], **noise.entries}
    entries |= of_optimizer(
        blocks.get("samples"),
        from_sympy(derivation.optimizer.tangent_factor, graph),
        slow_fields(derivation, graph),
    )
    third = lambda b: apply("third", THIRD, b)  # noqa: E731
    across = IDENTITY - TANGENT
    parts = Parts(
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
    lines = lines_of(derivation, parts, noise)
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
