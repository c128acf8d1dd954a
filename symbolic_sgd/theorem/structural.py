"""The limiting SDE in the vectors and matrices of a person: n = ∇f, A = ∇²f, and everything else a line in them.

For L = Σ h_i(f_i) with f_i = 0 on Γ these are the formulas of theorem/composed.py, with F = (∇f_1 … ∇f_M), G = FᵀF,
U = FG⁻¹, K = diag(h_i″(0)), A_i = ∇²f_i; one f needs no matrices beside n and A. For other losses they are the theorem's
own lines in H = ∇²L and its third derivative.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.arithmetic import PRECISE, PreciseMatrix, PreciseNumber
from symbolic_sgd.algebra.differentiate import gradient
from symbolic_sgd.algebra.graph import Graph, Node
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.algebra.solvers import SOLVERS
from symbolic_sgd.algebra.translation import Expression, SymbolicMatrix, from_sympy
from symbolic_sgd.algebra.vector_expressions import (
    IDENTITY,
    Name,
    Product,
    VectorExpression,
    apply,
)
from symbolic_sgd.manifold.precise import HIGH, LOW, PrecisePoint
from symbolic_sgd.regular_point import is_rounding
from symbolic_sgd.theorem.composed import ComposedFormulas, composed_formulas
from symbolic_sgd.theorem.derivation import DRIFT_TERMS, Derivation

HALF, QUARTER = Fraction(1, 2), Fraction(1, 4)

SAME = mp.mpf("1e-50")
"""What an entry of a term may differ, beside the largest."""

POINTS = 2
"""Points of the derivation, its last, at which the formulas are compared with the program."""

ZERO = Product(Fraction(0))

NORMAL, SQUARE = Name("n", "n"), Name("N", "N", number=True)
FRAME, GRAM, DUAL = Name("F", "F"), Name("G", "G"), Name("U", "U")
BEND = Name("A", "A")
CURVATURE, CURVATURES, SLOPES = Name("k", "k", number=True), Name("K", "K"), Name("∇k", r"\nabla k")
SIGMA, COVARIANCE = Name("σ", r"\sigma"), Name("Σ", r"\Sigma")
TANGENT = Name("∂Φ", r"\partial\Phi")
TANGENT_COVARIANCE = Name("Σ_∥", r"\Sigma_{\parallel}")
HESSIAN, PSEUDO_INVERSE, STATIONARY = Name("H", "H"), Name("H†", r"H^{\dagger}"), Name("S", "S")
THIRD = Name("∂²(∇L)", r"\partial^2(\nabla L)")
PROPORTION, VARIANCE = Name("c", "c", number=True), Name("s²", "s^{2}", number=True)
NOISE = Name("σ_∥", r"\sigma_{\parallel}")
COMPENSATION, MIXED, ACROSS = (
    Name("b_∥", r"b_{\parallel}"),
    Name("b_⊥∥", r"b_{\perp\parallel}"),
    Name("b_⊥", r"b_{\perp}"),
)
DRIFT, REGULARIZER = Name("b", "b"), Name("R", "R", number=True)


@dataclass(frozen=True)
class Line:
    """One equation: a name and what it stands for.

    Args:
        name: the left side.
        value: the right side, in the names of earlier lines.
        term: which term of the theorem it is, if one.
    """

    name: Name
    value: VectorExpression
    term: str | None = None


@dataclass(frozen=True)
class StructuralFormulas:
    """The limiting SDE in vectors.

    Args:
        parameters: x_1 … x_D.
        entries: the program of the vectors and matrices that all else is made of, on Γ, by name.
        third: the program of ∂²(∇L)[B] in the parameters and in symbols B_ij, where a line holds it.
        bends: how many matrices A_1 … A_M stand one below the other in the entries of A; 0 where A is one matrix.
        lines: the equations, in an order in which they can be computed.
    """

    parameters: tuple[sp.Symbol, ...]
    entries: Program
    third: "ThirdDerivative | None"
    bends: int
    lines: tuple[Line, ...]

    @property
    def definitions(self) -> dict[str, VectorExpression | SymbolicMatrix]:
        """What the names stand for: first those that are given entry by entry, then those in terms of them."""
        given = {name: self.entries.expand(name) for name in self.entries.names}
        return given | {line.name.name: line.value for line in self.lines if line.term is None}

    @property
    def terms(self) -> dict[str, VectorExpression]:
        """The terms of the theorem by name."""
        return {line.term: line.value for line in self.lines if line.term is not None}

    def at(self, point: Mapping[sp.Symbol, Any]) -> dict[str, Any]:
        """Every name at a point of Γ, in float64: numbers and arrays.

        Args:
            point: parameters and constants to numbers.
        """
        with mp.workdps(HIGH):
            values = self.evaluate({s: mp.mpf(a) for s, a in point.items()})
            return {line.name.name: _float(values[line.name.name]) for line in self.lines}

    def evaluate(self, point: Mapping[sp.Symbol, PreciseNumber]) -> dict[str, Any]:
        """Every name at a point, in mpmath's numbers at the working precision."""
        d = len(self.parameters)
        values: dict[str, Any] = {IDENTITY.name: mp.eye(d)}
        for output, entries in zip(self.entries.outputs, self.entries.run(PRECISE, point).values(), strict=True):
            matrix = _matrix(entries, output.shape[1])
            values[output.name] = matrix[0, 0] if output.name in SCALARS else matrix
        if self.bends:
            stacked = values[BEND.name]
            values[BEND.name] = tuple(stacked[i * d : (i + 1) * d, :] for i in range(self.bends))
        if self.third is not None:
            values[THIRD.name] = self.third.at(point)
        for line in self.lines:
            values[line.name.name] = line.value.at(values)
        return values

    def subs(self, values: Mapping[sp.Symbol, Any]) -> "StructuralFormulas":
        """With values, or expressions, for constants or parameters in the entries."""
        graph = Graph()
        known = {graph.symbol(s): from_sympy(sp.sympify(a), graph) for s, a in values.items()}
        entries = {name: matrix.replace(known) for name, matrix in self.entries.on(graph).items()}
        return replace(self, entries=Program.of(entries))

    def __str__(self) -> str:
        return "\n".join(f"{line.name} = {line.value}" for line in self.lines)

    def latex(self) -> str:
        """The lines, aligned, for amsmath."""
        lines = [f"{line.name.latex()} &= {line.value.latex()}" for line in self.lines]
        return "\\begin{align*}\n" + " \\\\\n".join(lines) + "\n\\end{align*}"

    def _repr_latex_(self) -> str:
        return self.latex()


SCALARS = {name.name for name in (CURVATURE, PROPORTION, VARIANCE)}


@dataclass(frozen=True)
class ThirdDerivative:
    """∂²(∇L)[B] as a program in x and in B.

    Args:
        program: of `third`, D×1.
        symbols: B_ij, row by row.
    """

    program: Program
    symbols: tuple[sp.Symbol, ...]

    @staticmethod
    def of(derivation: Derivation) -> "ThirdDerivative":
        landscape = derivation.problem.landscape()
        d = range(landscape.dimension)
        symbols = [[sp.Dummy("B") for _ in d] for _ in d]
        b = Matrix.of([landscape.graph.symbol(s) for s in row] for row in symbols)
        program = Program.of({"third": landscape.third_derivative(b)})
        return ThirdDerivative(program, tuple(s for row in symbols for s in row))

    def at(self, point: Mapping[sp.Symbol, PreciseNumber]) -> Callable[[PreciseMatrix], PreciseMatrix]:
        """B ↦ ∂²(∇L)[B] at a point."""

        def third(b: PreciseMatrix) -> PreciseMatrix:
            given = dict(zip(self.symbols, [b[i, j] for i in range(b.rows) for j in range(b.cols)], strict=True))
            return _matrix(self.program.run(PRECISE, {**point, **given})["third"], 1)

        return third


def structural_formulas(derivation: Derivation) -> StructuralFormulas | None:
    """The formulas of a derivation; None where they do not agree with the program at its points, or need what has no formula."""
    composed = composed_formulas(derivation, next(iter(SOLVERS.values())))
    found = _general(derivation) if composed is None else _composed(derivation, composed)
    return found if _agrees(derivation, found) else None


def _agrees(derivation: Derivation, formulas: StructuralFormulas) -> bool:
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


def _matrix(entries: Iterable[PreciseNumber], columns: int) -> PreciseMatrix:
    flat = list(entries)
    return mp.matrix([flat[i : i + columns] for i in range(0, len(flat), columns)])


def _float(value: Any) -> Any:
    if isinstance(value, mp.matrix):
        return np.array([[float(value[i, j]) for j in range(value.cols)] for i in range(value.rows)])
    return float(value)


# --- the lines --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Parts:
    """The ways in which one kind of loss writes what the theorem needs of it.

    Args:
        start: the lines that define its letters, ∂Φ and H† among them.
        hessian: H.
        half_projection: I − ∂Φ, as it is shortest.
        compensation: Σ_∥ ↦ −½H†T[Σ_∥].
        mixed: b_⊥∥ from Σ.
        normal: S ↦ −½∂ΦT[S] for any S across Γ.
        label: −(1/4)∂Φ∇tr H.
        isotropic: −(1/4)∂Φ∇ln|H|₊.
        trace, logarithm: tr H and ln|H|₊.
        solution: 𝓛_H⁻¹(Σ_⊥).
    """

    start: tuple[Line, ...]
    across: VectorExpression
    compensation: Callable[[VectorExpression], VectorExpression]
    mixed: VectorExpression
    normal: VectorExpression
    label: VectorExpression
    isotropic: VectorExpression
    trace: VectorExpression
    logarithm: VectorExpression
    solution: VectorExpression


def _lines(derivation: Derivation, parts: _Parts, entries: dict[str, Matrix], graph: Graph) -> tuple[Line, ...]:
    """All equations, from what the kind of loss and the structure of the noise make of them."""
    zero = _zero_terms(derivation)
    c = _scalar(derivation.proportion, PROPORTION, entries, graph)
    s = _scalar(derivation.isotropy, VARIANCE, entries, graph)
    regularizer: VectorExpression | None = None
    if c is not None:
        stationary, normal, regularizer = HALF * (c @ parts.across), c @ parts.label, QUARTER * (c @ parts.trace)
    elif s is not None:
        stationary, normal, regularizer = (
            HALF * (s @ PSEUDO_INVERSE),
            s @ parts.isotropic,
            QUARTER * (s @ parts.logarithm),
        )
    else:
        stationary, normal = parts.solution, parts.normal
    general = [
        n
        for n, shown in ((MIXED, "mixed_regularization"), (COMPENSATION, "tangent_noise_compensation"))
        if shown not in zero
    ]
    uses_covariance = bool(general) or (c is None and s is None)
    lines = [*parts.start]
    if uses_covariance:
        lines.append(Line(COVARIANCE, SIGMA @ SIGMA.T))
    if COMPENSATION in general:
        lines.append(Line(TANGENT_COVARIANCE, TANGENT @ COVARIANCE @ TANGENT))
    values = {
        "lyapunov_solution": (STATIONARY, stationary),
        "tangent_noise": (NOISE, TANGENT @ SIGMA),
        "tangent_noise_compensation": (COMPENSATION, parts.compensation(TANGENT_COVARIANCE)),
        "mixed_regularization": (MIXED, parts.mixed),
        "normal_regularization": (ACROSS, normal),
    }
    lines.extend(Line(name, ZERO if term in zero else value, term) for term, (name, value) in values.items())
    shown = [values[term][0] for term in DRIFT_TERMS if term not in zero]
    total: VectorExpression = ZERO if not shown else shown[0]
    for name in shown[1:]:
        total = total + name
    lines.append(Line(DRIFT, total, "drift"))
    if regularizer is not None and "normal_regularization" not in zero:
        lines.append(Line(REGULARIZER, regularizer))
    return _needed(lines)


def _needed(lines: Sequence[Line]) -> tuple[Line, ...]:
    """The lines that are terms, or that a later one needs."""
    kept: list[Line] = []
    needed: set[str] = set()
    for line in reversed(lines):
        if line.term is not None or line.name is REGULARIZER or line.name.name in needed:
            kept.append(line)
            needed |= line.value.names
    return tuple(reversed(kept))


def _zero_terms(derivation: Derivation) -> frozenset[str]:
    program = derivation.program
    zero = [i.op == "constant" and i.value == 0 for i in program.instructions]
    return frozenset(o.name for o in program.outputs if all(zero[r] for r in o.registers))


def _scalar(
    expression: Expression | None, name: Name, entries: dict[str, Matrix], graph: Graph
) -> VectorExpression | None:
    """A rational as it is, anything else by name."""
    if expression is None:
        return None
    if expression.is_Rational:
        return Product(Fraction(int(expression.p), int(expression.q)))
    entries[name.name] = Matrix.column([from_sympy(expression, graph)])
    return name


# --- one f ------------------------------------------------------------------------------------


def _composed(derivation: Derivation, formulas: ComposedFormulas) -> StructuralFormulas:
    graph = formulas.variables[0].graph
    entries = {"σ": formulas.noise}
    m = len(formulas.levels)
    slopes = [gradient(k, formulas.variables) for k in formulas.curvatures]
    bent = any(not slope.is_zero for row in slopes for slope in row)
    curvature = _curvature(formulas, entries, alone=m == 1 or not bent)
    if bent:
        entries[SLOPES.name] = Matrix.of(slopes).T
    if m == 1:
        entries |= {NORMAL.name: formulas.normal, BEND.name: formulas.bends[0]}
        parts = _one_level(curvature, bent)
    else:
        stacked = Matrix(tuple(row for bend in formulas.bends for row in bend.rows))
        entries |= {FRAME.name: formulas.normal, BEND.name: stacked}
        parts = _many_levels(curvature, bent)
    lines = _lines(derivation, parts, entries, graph)
    return StructuralFormulas(
        parameters=derivation.problem.parameters,
        entries=Program.of(entries),
        third=None,
        bends=m if m > 1 else 0,
        lines=lines,
    )


def _curvature(formulas: ComposedFormulas, entries: dict[str, Matrix], *, alone: bool) -> VectorExpression:
    """k where all k_i are the same and it may stand alone, a number if it is one, else K."""
    first, *others = formulas.curvatures
    if alone and all(k is first for k in others):
        if first.op == "constant":
            return Product(Fraction(first.value))
        entries[CURVATURE.name] = Matrix.column([first])
        return CURVATURE
    entries[CURVATURES.name] = Matrix.diagonal(first.graph, formulas.curvatures)
    return CURVATURES


def _one_level(k: VectorExpression, bent: bool) -> _Parts:
    """In n = ∇f, A = ∇²f, N = |n|²."""
    outer, pushed = NORMAL @ NORMAL.T, TANGENT @ BEND @ NORMAL
    across = apply("number", NORMAL.T @ COVARIANCE @ NORMAL)
    normal = -HALF * (across @ pushed / (SQUARE @ SQUARE))
    label, isotropic = -HALF * (k @ pushed), -HALF * (pushed / SQUARE)
    if bent:
        slope = TANGENT @ SLOPES
        normal = normal - QUARTER * (across @ slope / (k @ SQUARE))
        label, isotropic = label - QUARTER * (SQUARE @ slope), isotropic - QUARTER * (slope / k)
    return _Parts(
        start=(
            Line(SQUARE, apply("number", NORMAL.T @ NORMAL)),
            Line(TANGENT, IDENTITY - outer / SQUARE, "tangent_projection"),
            Line(PSEUDO_INVERSE, outer / (k @ SQUARE @ SQUARE), "hessian_pinv"),
        ),
        across=outer / SQUARE,
        compensation=lambda covariance: -HALF * (apply("trace", BEND @ covariance) @ NORMAL / SQUARE),
        mixed=-(TANGENT @ BEND @ TANGENT @ COVARIANCE @ NORMAL / SQUARE),
        normal=normal,
        label=label,
        isotropic=isotropic,
        trace=k @ SQUARE,
        logarithm=apply("logarithm", k @ SQUARE),
        solution=HALF * (across @ outer / (k @ SQUARE @ SQUARE @ SQUARE)),
    )


def _many_levels(k: VectorExpression, bent: bool) -> _Parts:
    """In F = (∇f_1 … ∇f_M), G = FᵀF, U = FG⁻¹, A_i = ∇²f_i."""
    bend = lambda w: apply("bent", BEND, w)  # noqa: E731
    weighted = lambda w: k @ w if k.scalar else w @ k  # noqa: E731
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
        normal=normal,
        label=label,
        isotropic=isotropic,
        trace=apply("trace", weighted(GRAM)),
        logarithm=apply("logarithm", apply("determinant", weighted(GRAM))),
        solution=apply("lyapunov", HESSIAN, DUAL @ FRAME.T @ COVARIANCE @ FRAME @ DUAL.T),
    )


def _general(derivation: Derivation) -> StructuralFormulas:
    """The theorem's own lines, in H and T."""
    graph = Graph()
    blocks = derivation.blocks.on(graph)
    entries = {"σ": blocks["noise_factor"], HESSIAN.name: blocks["hessian"]}
    third = lambda b: apply("third", THIRD, b)  # noqa: E731
    across = IDENTITY - TANGENT
    parts = _Parts(
        start=(
            Line(PSEUDO_INVERSE, apply("pseudo_inverse", HESSIAN), "hessian_pinv"),
            Line(TANGENT, IDENTITY - HESSIAN @ PSEUDO_INVERSE, "tangent_projection"),
        ),
        across=HESSIAN @ PSEUDO_INVERSE,
        compensation=lambda covariance: -HALF * (PSEUDO_INVERSE @ third(covariance)),
        mixed=-(TANGENT @ third(PSEUDO_INVERSE @ COVARIANCE @ TANGENT)),
        normal=-HALF * (TANGENT @ third(STATIONARY)),
        label=-QUARTER * (TANGENT @ third(IDENTITY)),
        isotropic=-QUARTER * (TANGENT @ third(PSEUDO_INVERSE)),
        trace=apply("trace", HESSIAN),
        logarithm=apply("logarithm", apply("product", HESSIAN)),
        solution=apply("lyapunov", HESSIAN, across @ COVARIANCE @ across),
    )
    return StructuralFormulas(
        parameters=derivation.problem.parameters,
        entries=Program.of(entries),
        third=ThirdDerivative.of(derivation),
        bends=0,
        lines=_lines(derivation, parts, entries, graph),
    )
