"""The shortest way to write a term of the limiting SDE.

On Γ a formula is defined only up to multiples of the equations of Γ, and no single form is the shortest for all losses.
So several are made: rational forms, cancelled and reduced by the equations of Γ, and the formulas for composed losses and for orbits.
Each is compared with the straight-line program at points of Γ to 40 digits, and the one that is least to read is
kept. None of them has a pole that the program has not.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from weakref import WeakKeyDictionary

import sympy as sp

from symbolic_sgd.algebra.graph import Graph, Node
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.operations import operations
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.algebra.program import EXPANSION_BUDGET, Program
from symbolic_sgd.algebra.reading import reading_cost
from symbolic_sgd.algebra.solvers import SOLVERS
from symbolic_sgd.algebra.translation import Expression, SymbolicMatrix, bracketed_operation, from_sympy
from symbolic_sgd.errors import ComplexValue, ExpressionTooLarge, NotSmooth
from symbolic_sgd.manifold.precise import HIGH, PrecisePoint
from symbolic_sgd.theorem.composed import composed_formulas, shortest_hessian
from symbolic_sgd.theorem.derivation import Derivation
from symbolic_sgd.theorem.matrix_stages import MatrixStages
from symbolic_sgd.theorem.orbit_formulas import orbit_programs, vanishing
from symbolic_sgd.theorem.proportional import multiples_on_manifold
from symbolic_sgd.theorem.rational_forms import AS_DERIVED, FORMS, REDUCED, on_manifold
from symbolic_sgd.theorem.terms import CURVED, IMPOSED, THEOREM

COUNTED = 20_000
"""Operations, written out, up to which the program's own form takes part in the comparison."""

LARGEST_WRITTEN = 250_000
"""Operations, written out, up to which a formula with shared parts is an expression: `str` of it takes two seconds."""

READ = 1500
"""What is read in full; of what is longer, the parts that recur are read once."""

WRITTEN_OUT = "the program written out"

AGREED = 40
"""Digits to which a form agrees with the program."""


@dataclass(frozen=True)
class Written:
    """A matrix as expressions.

    Args:
        matrix: the expressions.
        road: in words, in which form.
        operations: with common subexpressions counted once (`sympy.cse`).
        cost: how much there is to read, once in full and once with what recurs counted once (so a vector has one denominator), times the
            weight of the form.
    """

    matrix: SymbolicMatrix
    road: str
    operations: int
    cost: Fraction


def written(derivation: Derivation, name: str) -> Written:
    """A term of the limiting SDE in the form that is least to read.

    Raises:
        ExpressionTooLarge: neither a rational form nor the program, written out, is within its budget.
    """
    known = _WRITTEN.setdefault(derivation, {})
    if name not in known:
        known[name] = _written(derivation, name)
    return known[name]


_WRITTEN: WeakKeyDictionary[Derivation, dict[str, Written]] = WeakKeyDictionary()


def _written(derivation: Derivation, name: str) -> Written:
    if derivation.in_matrices is not None:
        return _by_matrices(derivation.in_matrices, name)
    part = derivation.program.select(name)
    if not part.operations:
        return _Form(part.expand(name), "constants").measured()
    if name in vanishing(derivation):
        return _Form(sp.ImmutableDenseMatrix.zeros(*part.outputs[0].shape), "constants").measured()
    return _shortest(derivation, part, name, _candidates(derivation, part, name))


def written_on_manifold(derivation: Derivation, part: Program) -> Written:
    """The one output of a program of functions on Γ in the form that is least to read.

    Raises:
        ExpressionTooLarge: neither a rational form nor the program, written out, is within its budget.
    """
    (name,) = part.names
    return _shortest(derivation, part, name, _rational_forms(derivation, part, name))


def _shortest(derivation: Derivation, part: Program, name: str, candidates: "Iterable[_Form]") -> Written:
    as_it_is = [_Form(part.expand(name), WRITTEN_OUT)] if part.expanded_size(name) <= COUNTED else []
    forms = [*as_it_is, *candidates]
    best: tuple[Fraction, int, Written] | None = None
    sizes: dict[tuple[Expression, ...], _Sizes] = {}  # forms often come out alike
    # What cannot be the shortest is not measured; of forms of equal cost the last is kept.
    for at_least, later, form in sorted(
        ((f.at_least, -k, f) for k, f in enumerate(forms)), key=lambda ranked: ranked[:2]
    ):
        if best is not None and at_least > best[0]:
            break
        found = form.measured(sizes)
        if best is None or (found.cost, later) < best[:2]:
            proved = form.road == WRITTEN_OUT or (best is not None and found.matrix == best[2].matrix)
            best = (found.cost, later, found) if proved or _agrees(derivation, part, found.matrix) else best
    return best[2] if best else _Form(part.expand(name, budget=EXPANSION_BUDGET), WRITTEN_OUT).measured()


def _by_matrices(stages: MatrixStages, name: str) -> Written:
    if name not in stages.zeros:
        raise ExpressionTooLarge(
            f"{name} is computed by matrices (D = {stages.problem.dimension}, M = {stages.codimension}), and too large to be written "
            "out: use sde.lambdify() for numbers, sde.structure for the formula in matrices, or sde.program, which is then derived entry "
            "by entry"
        )
    columns = stages.noise.program.outputs[0].shape[1] if name == "tangent_noise" else 1
    return Written(sp.ImmutableDenseMatrix.zeros(stages.problem.dimension, columns), "constants", 0, Fraction(0))


def shortest_program(derivation: Derivation, name: str) -> Program:
    """The program of a term with the fewest operations, for what is too large to be written out.

    Outputs beside the term are parts of it that have names in the theory.
    """
    part = derivation.program.select(name)
    shorter = [p for _, p in formula_programs(derivation, name) if p.operations < part.operations]
    return min((p for p in shorter if _same(derivation, part, p, name)), key=lambda p: p.operations, default=part)


def agreeing_programs(derivation: Derivation, name: str) -> Iterator[tuple[str, Program]]:
    """A term by the formulas for composed losses and for orbits, and as it is written, each the program of that one output, and in words.

    Each agrees with the program as derived at the derivation's points of Γ to 40 digits.
    """
    part = derivation.program.select(name)
    for road, program in formula_programs(derivation, name):
        if _same(derivation, part, program, name):
            yield road, program.select(name)
    with suppress(ExpressionTooLarge):
        form = written(derivation, name)
        graph = Graph()
        yield (
            form.road,
            Program.of({name: Matrix.of([from_sympy(e, graph) for e in row] for row in form.matrix.tolist())}),
        )


def hessian_on_manifold(derivation: Derivation) -> SymbolicMatrix | None:
    """∇²L on Γ, as FKFᵀ or as it stands, whichever is less to compute; None where that is too large."""
    program = Program.of({"hessian": shortest_hessian(derivation, Graph())})
    return program.expand("hessian") if program.expanded_size("hessian") <= COUNTED else None


def shared_operations(expressions: Sequence[Expression]) -> int:
    """The operations of some expressions, with common subexpressions counted once."""
    return sum(operations(e) for e in _shared(expressions))


def _shared(expressions: Sequence[Expression]) -> list[Expression]:
    named, rest = sp.cse(list(expressions), order="none")
    return [*(value for _, value in named), *rest]


_Sizes = tuple[int, int]
"""Operations, and what there is to read, with what recurs counted once."""


@dataclass(frozen=True)
class _Form:
    """A matrix as expressions, not measured yet.

    Args:
        matrix: the expressions.
        road: in words, in which form.
        weight: of the form.
    """

    matrix: SymbolicMatrix
    road: str
    weight: Fraction = AS_DERIVED

    @property
    def at_least(self) -> Fraction:
        """What its cost is not below, found without looking for what recurs, which takes most of the time."""
        return self.weight * self._in_full

    def measured(self, known: dict[tuple[Expression, ...], _Sizes] | None = None) -> Written:
        """With its size, which may be known of the same expressions."""
        known = {} if known is None else known
        entries = tuple(self.matrix.flat())
        if entries not in known:
            parts = _shared(entries)
            known[entries] = sum(operations(e) for e in parts), sum(map(reading_cost, parts))
        count, shared = known[entries]
        whole = self._in_full if count <= READ else READ
        return Written(self.matrix, self.road, count, self.weight * (shared + whole))

    @property
    def _in_full(self) -> int:
        return min(READ, sum(map(reading_cost, self.matrix.flat())))


def _agrees(derivation: Derivation, part: Program, matrix: SymbolicMatrix) -> bool:
    graph = Graph()
    form = [from_sympy(e, graph) for e in matrix.flat()]
    (reference,) = part.on(graph).values()
    return all(_agrees_at(PrecisePoint(p), form, reference.entries) for p in derivation.points)


def _same(derivation: Derivation, part: Program, program: Program, name: str) -> bool:
    graph = Graph()
    ours, theirs = program.on(graph)[name].entries, part.on(graph)[name].entries
    return all(_agrees_at(PrecisePoint(p), ours, theirs) for p in derivation.points)


def _agrees_at(point: PrecisePoint, form: Sequence[Node], reference: Sequence[Node]) -> bool:
    with mp.workdps(HIGH):
        try:
            ours, theirs = point.high(form), point.high(reference)
        except (NotSmooth, ComplexValue):
            return False
        size = max(map(abs, theirs), default=mp.mpf(0)) * mp.mpf(10) ** -AGREED
        return all(abs(a - b) <= size for a, b in zip(ours, theirs, strict=True))


# --- the candidates -------------------------------------------------------------------------


def _candidates(derivation: Derivation, part: Program, name: str) -> Iterator[_Form]:
    programs = [part, *(program.select(name) for _, program in orbit_programs(derivation, name))]
    rational = [form for program in programs for form in _rational_forms(derivation, program, name)]
    yield from rational or _with_fewer_parameters(derivation, part, name)
    for road, program in formula_programs(derivation, name):
        if program.expanded_size(name) <= LARGEST_WRITTEN:
            yield _Form(program.expand(name, budget=LARGEST_WRITTEN, operation=bracketed_operation), road)


def _with_fewer_parameters(derivation: Derivation, part: Program, name: str) -> Iterator[_Form]:
    """The rational forms once parameters that are multiples of others on Γ are written so."""
    multiples = multiples_on_manifold(derivation)
    if not multiples:
        return
    graph = Graph()
    known = {graph.symbol(y): from_sympy(e, graph) for y, e in multiples.items()}
    shorter = Program.of({name: part.on(graph)[name].replace(known)})
    said = ", ".join(f"{y} = {e}" for y, e in multiples.items())
    for form in _rational_forms(derivation, shorter, name, multiples):
        yield replace(form, road=f"{form.road}, with {said}", weight=max(form.weight, REDUCED))


def _rational_forms(
    derivation: Derivation, part: Program, name: str, known: Mapping[sp.Symbol, Expression] | None = None
) -> Iterator[_Form]:
    """Every rational form that stays within the budget, the least rewritten first.

    Args:
        derivation: of the term.
        part: the program of the term.
        name: of the term.
        known: parameters as functions of others, in the equations too.
    """
    graph = Graph()
    values = {graph.symbol(y): from_sympy(e, graph) for y, e in (known or {}).items()}
    equations = derivation.equations.on(graph)["defining"].replace(values).entries
    try:
        writer, ratios = on_manifold(part.on(graph)[name].entries, equations)
    except (ExpressionTooLarge, ZeroDivisionError):
        return
    (output,) = part.outputs
    for road, weight, form in FORMS:
        with suppress(ExpressionTooLarge):
            yield _Form(sp.ImmutableDenseMatrix(*output.shape, form(writer, ratios)), road, weight)


def formula_programs(derivation: Derivation, name: str) -> Iterator[tuple[str, Program]]:
    """A term by every formula that has a name for its parts, and in words which."""
    yield from composed_programs(derivation, name)
    yield from orbit_programs(derivation, name)


def composed_programs(derivation: Derivation, name: str) -> Iterator[tuple[str, Program]]:
    """A term by the formulas for Σ h_i(f_i), one program for each way to solve with the Gram matrix."""
    derived = name in (*THEOREM, IMPOSED.name, CURVED.name) and name not in derivation.restated
    for words, solve in SOLVERS.items() if derived else ():
        formulas = composed_formulas(derivation, solve)
        if formulas is None:
            return
        try:
            loss = "L = h(f_1, …, f_M)" if formulas.rigid else "L = Σ h_i(f_i)"
            yield f"a formula in F = (∇f_i), with {loss}, and (FᵀF)⁻¹ by {words}", formulas.program(name)
        except (ExpressionTooLarge, ZeroDivisionError):
            continue
