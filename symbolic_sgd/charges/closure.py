"""Drifts as linear functions of the charges on Γ, and the basis of charges in which they are diagonal where their rates are rational."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.graph import Graph, Node
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.algebra.translation import Expression, SymbolicMatrix, from_sympy
from symbolic_sgd.charges.on_manifold import proved_zero
from symbolic_sgd.errors import ExpressionTooLarge
from symbolic_sgd.rational.division import Terms
from symbolic_sgd.rational.fractions import run_exactly
from symbolic_sgd.rational.linear_algebra import field_of, null_space
from symbolic_sgd.theorem.derivation import Derivation
from symbolic_sgd.theorem.rational_forms import rules_of

LARGEST = 200_000
"""Operations of the drifts, written out, up to which they are compared with the charges."""


@dataclass(frozen=True)
class LinearDrift:
    """drift of I_k = Σ_j matrix_kj I_j + constants_k on Γ, for charges I = change·(the ones given).

    Args:
        change: of the basis, K'×K, with entries without parameters.
        matrix: K'×K'.
        constants: K'×1.
    """

    change: SymbolicMatrix
    matrix: SymbolicMatrix
    constants: SymbolicMatrix


def linear_drift(
    derivation: Derivation, charges: Sequence[Expression], drifts: Sequence[Program]
) -> LinearDrift | None:
    """The largest space of charges whose drifts are linear functions of them on Γ, proved there; None if there is none.

    Args:
        derivation: of the SDE on Γ.
        charges: I_1 … I_K.
        drifts: programs of their `drift`.
    """
    rows, meanings = _solutions(derivation, charges, drifts)
    kept = list(rows)
    while any(c != 0 and j not in kept for k in kept for j, c in enumerate(rows[k][:-1])):
        kept = [k for k in kept if all(c == 0 or j in kept for j, c in enumerate(rows[k][:-1]))]
    if not kept:
        return None
    matrix = sp.Matrix([[rows[k][j] for j in kept] for k in kept])
    constants = sp.Matrix([rows[k][-1] for k in kept])
    basis = _diagonal_basis(matrix)
    chosen = sp.Matrix(len(kept), len(charges), lambda place, k: int(kept[place] == k))
    written = lambda m: m.applyfunc(lambda e: sp.factor(sp.cancel(e)).xreplace(meanings))  # noqa: E731
    return LinearDrift(written(basis * chosen), written(basis * matrix * basis.inv()), written(basis * constants))


def _solutions(
    derivation: Derivation, charges: Sequence[Expression], drifts: Sequence[Program]
) -> tuple[dict[int, list[Expression]], dict[sp.Symbol, Expression]]:
    """For each drift that is one, its coefficients by the charges, and its constant, in letters; what the letters mean."""
    if sum(drift.expanded_size("drift") for drift in drifts) > LARGEST:
        return {}, {}
    graph = Graph()
    values = [from_sympy(charge, graph) for charge in charges]
    rates = [drift.on(graph)["drift"][0, 0] for drift in drifts]
    equations = derivation.equations.on(graph)["defining"].entries
    try:
        columns, meanings = _columns(derivation, rates, values, equations)
    except (ExpressionTooLarge, ZeroDivisionError):
        return {}, {}
    field = field_of(meanings)
    combined = {k: _combination(rate, columns[len(rates) :], field) for k, rate in enumerate(columns[: len(rates)])}
    found = {k: row for k, row in combined.items() if row is not None}
    written = {k: [e.xreplace(meanings) for e in row] for k, row in found.items()}
    proved = _proved(derivation, rates, values, written)
    return {k: row for k, row in found.items() if proved[k]}, meanings


def _columns(
    derivation: Derivation, rates: Sequence[Node], values: Sequence[Node], equations: Sequence[Node]
) -> tuple[list[Any], dict[sp.Symbol, Expression]]:
    """Drifts, charges and 1 over one denominator, reduced by the equations of Γ: polynomials in the parameters and in functions,
    with coefficients in letters for the constants; and what the letters mean.

    Raises:
        ExpressionTooLarge, ZeroDivisionError: as exact arithmetic does.
    """
    one = rates[0].graph.constant(1)
    run = run_exactly(Program.of({"values": Matrix.column([*rates, *values, one]), "Γ": Matrix.column(equations)}))
    ring = run.field.ring
    below = ring.constant(1)
    for ratio in run.outputs["values"]:
        below = ring.quotient(below * ratio.denominator, ring.gcd(below, ratio.denominator))
    constants = set(derivation.problem.constants)
    letters = [sp.Symbol(f"c{k}") for k in range(len(run.field.meanings))]
    moving = [meaning not in constants for meaning in run.field.meanings]
    fixed = [s for s, moves in zip(letters, moving, strict=True) if not moves]
    over_fixed = sp.ring([s for s, moves in zip(letters, moving, strict=True) if moves], field_of(fixed), "grevlex")[0]
    polynomial = lambda terms: _over_fixed(terms, letters, moving, over_fixed)  # noqa: E731
    everywhere = [polynomial(rule) for rule in rules_of(run.field, run.relations)]
    on_manifold = [polynomial(rule) for rule in rules_of(run.field, [e.numerator for e in run.outputs["Γ"]])]
    columns = []
    for ratio in run.outputs["values"]:
        ring.budget.multiplied(ratio.numerator, below)
        whole = polynomial(run.field.terms(ratio.numerator * ring.quotient(below, ratio.denominator)))
        columns.append(whole.rem(everywhere).rem([*on_manifold, *everywhere]))
    return columns, {s: run.field.meanings[letters.index(s)] for s in fixed}


def _over_fixed(terms: Terms, letters: Sequence[sp.Symbol], moving: Sequence[bool], ring: Any) -> Any:
    """A polynomial in all letters as one in those that move, whose coefficients hold the others."""
    found: dict[tuple[int, ...], Any] = {}
    for exponents, c in terms.items():
        place = tuple(e for e, moves in zip(exponents, moving, strict=True) if moves)
        powers = (s**e for s, e, moves in zip(letters, exponents, moving, strict=True) if e and not moves)
        constant = ring.domain.from_sympy(sp.Rational(c.numerator, c.denominator) * sp.Mul(*powers))
        found[place] = found.get(place, ring.domain.zero) + constant
    return ring.from_dict({place: c for place, c in found.items() if c})


def _combination(rate: Any, columns: Sequence[Any], field: Any) -> list[Expression] | None:
    """c with rate = Σ_j c_j column_j."""
    unknown = [*columns, rate]
    monomials = sorted(set[tuple[int, ...]]().union(*unknown))
    rows = [{k: c for k, column in enumerate(unknown) if (c := column.get(m))} for m in monomials]
    for vector in null_space([row for row in rows if row], len(unknown), field):
        if vector[-1] != 0:
            return [sp.cancel(-e / vector[-1]) for e in vector[:-1]]
    return None


def _proved(
    derivation: Derivation,
    rates: Sequence[Node],
    values: Sequence[Node],
    found: dict[int, list[Expression]],
) -> dict[int, bool]:
    """Which of the combinations are proved on Γ."""
    graph = rates[0].graph
    gaps = []
    for k, row in found.items():
        *linear, constant = (from_sympy(sp.sympify(e), graph) for e in row)
        gaps.append(rates[k] - graph.total([*(c * v for c, v in zip(linear, values, strict=True)), constant]))
    return dict(zip(found, proved_zero(derivation, gaps), strict=True))


def _diagonal_basis(matrix: SymbolicMatrix) -> SymbolicMatrix:
    """Rows that span invariant spaces of a matrix acting from the right: left eigenvectors where the eigenvalues are rational."""
    if matrix.is_diagonal():
        return sp.eye(matrix.rows)
    letter = sp.Dummy("x")
    characteristic = sp.numer(sp.together(matrix.charpoly("x").as_expr(letter)))
    factors = sp.Poly(characteristic, letter).factor_list()[1]
    rows: list[Any] = []
    for factor, multiplicity in sorted(factors, key=lambda f: (f[0].degree(), str(f[0].all_coeffs()))):
        at = _polynomial_of(matrix, factor)
        for power in range(1, multiplicity + 1):
            rows = _extended_rows(rows, _left_null(at**power))
    return sp.Matrix.vstack(*sorted(rows, key=lambda row: next(k for k, e in enumerate(row) if e != 0)))


def _polynomial_of(matrix: SymbolicMatrix, polynomial: Any) -> sp.Matrix:
    total = sp.zeros(matrix.rows)
    for coefficient in polynomial.all_coeffs():
        total = total * matrix + coefficient * sp.eye(matrix.rows)
    return total


def _left_null(matrix: SymbolicMatrix) -> list[Any]:
    field = field_of(matrix.free_symbols)
    rows = [
        {k: field.from_sympy(e) for k, e in enumerate(matrix.col(j)) if sp.cancel(e) != 0} for j in range(matrix.cols)
    ]
    return [sp.Matrix([vector]) for vector in null_space([row for row in rows if row], matrix.rows, field)]


def _extended_rows(rows: list[Any], further: Sequence[Any]) -> list[Any]:
    found = list(rows)
    for row in further:
        if sp.Matrix.vstack(*found, row).rank() > len(found):
            found.append(row)
    return found
