"""Linear algebra over ℚ, and over ℚ(constants): null spaces in echelon form, and parts of a space of matrices."""

from collections.abc import Iterable, Sequence
from typing import Any

import sympy as sp
from sympy.polys.matrices import DomainMatrix

from symbolic_sgd.algebra.translation import Expression, SymbolicMatrix


def field_of(constants: Iterable[sp.Symbol]) -> Any:
    """ℚ, or the rational functions of some symbols."""
    symbols = sorted(constants, key=str)
    return sp.QQ.frac_field(*symbols) if symbols else sp.QQ


def null_space(rows: Sequence[dict[int, Any]], width: int, field: Any) -> list[list[Expression]]:
    """A basis of the vectors that are orthogonal to sparse rows over a field, in echelon form, each without common factors.

    Args:
        rows: index → element of the field.
        width: of a row.
        field: SymPy's.
    """
    entries = {i: row for i, row in enumerate({k: c for k, c in row.items() if c} for row in rows) if row}
    if not entries:
        return [[sp.Integer(i == k) for k in range(width)] for i in range(width)]
    return _written(DomainMatrix(entries, (len(rows), width), field).nullspace().rref()[0])


def _written(matrix: Any) -> list[list[Expression]]:
    """The rows of a matrix over a field, each without common factors."""
    return [primitive(list(row)) for row in matrix.to_Matrix().tolist()]


def primitive(vector: Sequence[Expression]) -> list[Expression]:
    """The multiple of a vector of rational functions by polynomials without a common factor, the first of which leads with a plus.

    >>> a = sp.Symbol("a")
    >>> primitive([sp.S.Zero, -1/a, sp.Rational(3, 2)])
    [0, 2, -3*a]
    """
    fractions = {k: sp.fraction(sp.cancel(e)) for k, e in enumerate(vector) if e != 0}
    if not fractions:
        return list(vector)
    below = sp.lcm_list([b for _, b in fractions.values()])
    whole = {k: sp.cancel(above * below / b) for k, (above, b) in fractions.items()}
    common = sp.gcd_list(list(whole.values())) * (1 if _leads_with_plus(whole[min(whole)]) else -1)
    return [sp.expand(sp.cancel(whole[k] / common)) if k in whole else sp.S.Zero for k in range(len(vector))]


def _leads_with_plus(polynomial: Expression) -> bool:
    symbols = sorted(polynomial.free_symbols, key=str)
    return bool((sp.Poly(polynomial, *symbols).LC() if symbols else polynomial) > 0)


def symmetric_part(matrices: Sequence[SymbolicMatrix], sign: int = 1) -> list[SymbolicMatrix]:
    """A basis of the combinations of some square matrices with Xᵀ = X, or of those with Xᵀ = −X for sign=−1.

    >>> [x.tolist() for x in symmetric_part([sp.Matrix([[0, 1], [0, 0]]), sp.Matrix([[0, 0], [1, 0]])])]
    [[[0, 1], [1, 0]]]
    """
    chosen = _null_combinations([list(matrix.T - sign * matrix) for matrix in matrices])
    used = ([(c, x) for c, x in zip(row, matrices, strict=True) if c != 0] for row in chosen)
    return spanned([sum((c * x for c, x in pairs), 0 * matrices[0]) for pairs in used])


def spanned(matrices: Sequence[SymbolicMatrix]) -> list[SymbolicMatrix]:
    """The basis of the span of some matrices in echelon form, each without common factors."""
    if not matrices:
        return []
    vectors = [list(matrix) for matrix in matrices]
    field = _field_of(vectors)
    entries = {i: {k: field.from_sympy(e) for k, e in enumerate(v) if e != 0} for i, v in enumerate(vectors)}
    shape = len(vectors), len(vectors[0])
    reduced, pivots = DomainMatrix({i: row for i, row in entries.items() if row}, shape, field).rref()
    rows = _written(reduced)[: len(pivots)]
    return [sp.ImmutableDenseMatrix(*matrices[0].shape, row) for row in rows]


def independent(vectors: Sequence[Sequence[Expression]]) -> list[int]:
    """The indices of the first vectors that are independent of those before them."""
    if not vectors:
        return []
    field = _field_of(vectors)
    rows = _columns(vectors, field)
    pivots = DomainMatrix(dict(enumerate(rows)), (len(rows), len(vectors)), field).rref()[1] if rows else ()
    return list(pivots)


def in_order(matrices: Sequence[SymbolicMatrix]) -> tuple[SymbolicMatrix, ...]:
    """A basis of the span of some matrices: the symmetric ones, then the skew ones, then others.

    >>> [x.tolist() for x in in_order([sp.Matrix([[1, 1], [0, 0]]), sp.Matrix([[0, 1], [-1, 0]])])]
    [[[2, 1], [1, 0]], [[0, 1], [-1, 0]]]
    """
    ordered = [*symmetric_part(matrices), *symmetric_part(matrices, -1), *matrices]
    return tuple(ordered[k] for k in independent([list(x) for x in ordered]))


def _null_combinations(vectors: Sequence[Sequence[Expression]]) -> list[list[Expression]]:
    """A basis of the c with Σ_k c_k v_k = 0."""
    if not vectors:
        return []
    field = _field_of(vectors)
    return null_space(_columns(vectors, field), len(vectors), field)


def _field_of(vectors: Sequence[Sequence[Expression]]) -> Any:
    return field_of(set[sp.Symbol]().union(*(e.free_symbols for v in vectors for e in v if e != 0)))


def _columns(vectors: Sequence[Sequence[Expression]], field: Any) -> list[dict[int, Any]]:
    """The sparse rows of the matrix whose columns are some vectors, those that are not zero."""
    rows: dict[int, dict[int, Any]] = {}
    for k, vector in enumerate(vectors):
        for i, e in enumerate(vector):
            if e != 0:
                rows.setdefault(i, {})[k] = field.from_sympy(e)
    return [rows[i] for i in sorted(rows)]
