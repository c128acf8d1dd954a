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
    entries = {i: {k: c for k, c in row.items() if c} for i, row in enumerate(rows)}
    matrix = DomainMatrix({i: row for i, row in entries.items() if row}, (len(rows), width), field)
    basis = matrix.nullspace().rref()[0].to_Matrix() if len(rows) else sp.eye(width)
    return [primitive(list(basis.row(i))) for i in range(basis.rows)]


def primitive(vector: Sequence[Expression]) -> list[Expression]:
    """The multiple of a vector of rational functions by polynomials without a common factor, the first of which leads with a plus.

    >>> a = sp.Symbol("a")
    >>> primitive([sp.S.Zero, -1/a, sp.Rational(3, 2)])
    [0, 2, -3*a]
    """
    fractions = [sp.fraction(sp.cancel(e)) for e in vector]
    below = sp.lcm_list([b for _, b in fractions]) if fractions else sp.S.One
    whole = [sp.cancel(above * below / b) for above, b in fractions]
    first = next((e for e in whole if e != 0), None)
    if first is None:
        return whole
    common = sp.gcd_list(whole) * (1 if _leads_with_plus(first) else -1)
    return [sp.expand(sp.cancel(e / common)) for e in whole]


def _leads_with_plus(polynomial: Expression) -> bool:
    symbols = sorted(polynomial.free_symbols, key=str)
    return bool((sp.Poly(polynomial, *symbols).LC() if symbols else polynomial) > 0)


def symmetric_part(matrices: Sequence[SymbolicMatrix], sign: int = 1) -> list[SymbolicMatrix]:
    """A basis of the combinations of some square matrices with Xᵀ = X, or of those with Xᵀ = −X for sign=−1.

    >>> [x.tolist() for x in symmetric_part([sp.Matrix([[0, 1], [0, 0]]), sp.Matrix([[0, 0], [1, 0]])])]
    [[[0, 1], [1, 0]]]
    """
    gaps = [matrix.T - sign * matrix for matrix in matrices]
    chosen = _null_combinations([list(gap) for gap in gaps])
    return spanned([sum((c * x for c, x in zip(row, matrices, strict=True)), 0 * matrices[0]) for row in chosen])


def spanned(matrices: Sequence[SymbolicMatrix]) -> list[SymbolicMatrix]:
    """The basis of the span of some matrices in echelon form, each without common factors."""
    if not matrices:
        return []
    shape, field = matrices[0].shape, field_of(set[sp.Symbol]().union(*(x.free_symbols for x in matrices)))
    reduced, pivots = DomainMatrix.from_list_sympy(len(matrices), shape[0] * shape[1], [list(x) for x in matrices]).convert_to(field).rref()
    rows = reduced.to_Matrix()
    return [sp.ImmutableDenseMatrix(*shape, primitive(list(rows.row(i)))) for i in range(len(pivots))]


def _null_combinations(vectors: Sequence[Sequence[Expression]]) -> list[list[Expression]]:
    """A basis of the c with Σ_k c_k v_k = 0."""
    if not vectors:
        return []
    field = field_of(set[sp.Symbol]().union(*(e.free_symbols for v in vectors for e in v)))
    rows = [{k: field.from_sympy(e) for k, e in enumerate(entries) if e != 0} for entries in zip(*vectors, strict=True)]
    return null_space([row for row in rows if row], len(vectors), field)
