"""F = W_L ⋯ W_1: nuclear norms and their kin, by the inequality ‖XY‖_* ≤ ‖X‖ ‖Y‖ of Frobenius norms and by weighted means."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.algebra.translation import SymbolicMatrix
from symbolic_sgd.function_space.closed_form import Attainment, ClosedForm, NoPointHere
from symbolic_sgd.function_space.fibre import Fibres
from symbolic_sgd.function_space.layers import SignedSquares, factors, signed_squares
from symbolic_sgd.function_space.matrix_norms import matrix_of_numbers, square_roots, weighted
from symbolic_sgd.function_space.one_constraint import quadratic_form
from symbolic_sgd.function_space.statements import (
    BALANCED_CHAIN,
    BALANCED_PAIR,
    BALANCED_SQUARES,
    SINGULAR,
    of_chain,
    of_pair,
    of_squares,
)

Matrix: Any = sp.ImmutableDenseMatrix


def by_factorisation(fibres: Fibres) -> ClosedForm | None:
    """R̂ for a product of matrices, and for Σ s_k w_k w_kᵀ."""
    if fibres.matrix is None or fibres.signs:
        return None
    squares = signed_squares(fibres.matrix, fibres.parameters)
    if squares is not None:
        return _of_squares(fibres, squares)
    chain = factors(fibres.matrix, fibres.parameters)
    if chain is None or {p for factor in chain for p in factor} != set(fibres.parameters):
        return None
    return _of_pair(fibres, *chain) if len(chain) == 2 else _of_chain(fibres, chain)


# --- two factors ----------------------------------------------------------------------------------


def norm_power(expression: Any, vector: Sequence[sp.Symbol]) -> tuple[SymbolicMatrix, Any] | None:
    """(C, q) with expression = (xᵀCx)^{q/2}, C positive definite."""
    coefficient, rest = sp.sympify(expression).as_independent(*vector, as_Add=False)
    base, power = rest.as_base_exp() if rest.is_Pow and not rest.exp.is_Integer else (rest, sp.S.One)
    form = quadratic_form(sp.expand(base), tuple(vector))
    if form is None or not (coefficient.is_Rational and coefficient > 0 and power.is_Rational and power > 0):
        return None
    form = Matrix(form * coefficient ** (1 / power))
    return (form, 2 * power) if form.is_positive_semidefinite and any(form) else None


def _of_pair(fibres: Fibres, left: SymbolicMatrix, right: SymbolicMatrix) -> ClosedForm | None:
    """R = Σ_k (u_kᵀCu_k)^{q/2} + (v_kᵀBv_k)^{q/2} for the columns of U and V, q ≤ 2."""
    rank = left.cols
    whole = sp.expand(fibres.total)
    forms: list[tuple[SymbolicMatrix, Any] | None] = []
    rebuilt = sp.S.Zero
    for k in range(rank):
        for vector in (list(left[:, k]), list(right[k, :])):
            own = sp.Add(*[t for t in sp.Add.make_args(whole) if t.free_symbols <= set(vector)])
            forms.append(norm_power(own, vector))
            rebuilt += own
    if any(form != forms[i % 2] for i, form in enumerate(forms)) or forms[0] is None or forms[1] is None:
        return None
    (c, q), (b, other) = forms[0], forms[1]
    if other != q or q > 2 or sp.expand(rebuilt - whole) != 0:
        return None
    beta = fibres.matrix_of_symbols
    assert beta is not None
    p = q / 2
    expression = 2 * weighted(beta, p, c, b)
    bound = of_pair(_plain(c), _plain(b), q)
    balanced = (
        BALANCED_PAIR
        if p == 1
        else "U = C^{-½}PΣ^½, V = B^{-½}QΣ^½ for the singular value decomposition PΣQᵀ of C^½βB^½"
    )
    reach = "" if rank >= min(beta.shape) else f" (β of rank at most {rank}, which F cannot exceed)"
    return ClosedForm(
        fibres.outside(expression),
        "pair of matrices",
        bound,
        _Pair(fibres, left, right, c, b) if _regular(c, b) else None,
        Attainment("attained", f"attained where {balanced}{reach}") if _regular(c, b) else SINGULAR,
    )


def _regular(*metrics: SymbolicMatrix) -> bool:
    return all(metric.is_positive_definite for metric in metrics)


def _plain(matrix: SymbolicMatrix) -> str:
    """A metric in words: a multiple of I, a diagonal, or its rows."""
    if matrix.is_diagonal():
        diagonal = list(matrix.diagonal())
        if len(set(diagonal)) == 1:
            return "I" if diagonal[0] == 1 else f"{diagonal[0]}·I"
        return f"diag({', '.join(map(str, diagonal))})"
    return str(matrix.tolist())


def _beta(fibres: Fibres, values: Mapping[sp.Symbol, Any]) -> Any:
    assert fibres.shape is not None
    rows, cols = fibres.shape
    matrix = mp.matrix(rows, cols)
    for k, b in enumerate(fibres.symbols):
        matrix[k // cols, k % cols] = values[b]
    return matrix


def _decomposed(matrix: Any, rank: int) -> tuple[Any, list[Any], Any]:
    """P, σ, Q with PΣQᵀ, `rank` columns, zeros where there are no more singular values."""
    turned = matrix.rows < matrix.cols
    u, s, v = mp.svd_r(matrix.T if turned else matrix)
    left, right = (v.T, u) if turned else (u, v.T)
    n = len(s)

    def padded(m: Any) -> Any:
        out = mp.matrix(m.rows, rank)
        for i in range(m.rows):
            for k in range(min(rank, n)):
                out[i, k] = m[i, k]
        return out

    return padded(left), [s[k] if k < n else mp.mpf(0) for k in range(rank)], padded(right)


def _named(factor: SymbolicMatrix, values: Any) -> dict[sp.Symbol, Any]:
    return {factor[i, j]: values[i, j] for i in range(factor.rows) for j in range(factor.cols)}


@dataclass(frozen=True)
class _Pair:
    fibres: Fibres
    left: SymbolicMatrix
    right: SymbolicMatrix
    c: SymbolicMatrix
    b: SymbolicMatrix

    def __call__(self, beta: Mapping[sp.Symbol, Any]) -> dict[sp.Symbol, Any]:
        c_half, c_inverse = square_roots(matrix_of_numbers(self.c))
        b_half, b_inverse = square_roots(matrix_of_numbers(self.b))
        p, s, q = _decomposed(c_half * _beta(self.fibres, beta) * b_half, self.left.cols)
        root = mp.diag([mp.sqrt(a) for a in s])
        u, v = c_inverse * p * root, b_inverse * q * root
        return _named(self.left, u) | _named(self.right, v.T)


# --- more factors ---------------------------------------------------------------------------------


def _of_chain(fibres: Fibres, chain: tuple[SymbolicMatrix, ...]) -> ClosedForm | None:
    """R = Σ_l ‖C^½ W_L ⋯ W_{l+1}‖² ‖W_{l−1} ⋯ W_1 B^½‖²."""
    metrics = _metrics(fibres.total, chain)
    if metrics is None:
        return None
    c, b = metrics
    n = len(chain)
    total = sp.Add(*[_length(c, chain[:k], None) * _length(None, chain[k + 1 :], b) for k in range(n)])
    if sp.expand(total - fibres.total) != 0:
        return None
    beta = fibres.matrix_of_symbols
    assert beta is not None
    traces = sp.nsimplify(c.trace() * b.trace())
    power = 2 - sp.Rational(2, n)
    expression = n * traces ** sp.Rational(1, n) * weighted(beta, sp.S.One, c, b) ** power
    return ClosedForm(
        fibres.outside(expression),
        "chain of matrices",
        of_chain(n, _plain(c), _plain(b)),
        _Chain(fibres, chain, c, b) if _regular(c, b) else None,
        SINGULAR if not _regular(c, b) else Attainment("attained", f"attained where {BALANCED_CHAIN}"),
    )


def _length(c: SymbolicMatrix | None, chain: Sequence[SymbolicMatrix], b: SymbolicMatrix | None) -> Any:
    """‖C^½ Π W‖² or ‖Π W B^½‖²; of no factors tr C or tr B."""
    if not chain:
        return (c if c is not None else b).trace()  # pyright: ignore[reportOptionalMemberAccess]
    product = reduce(lambda x, y: x * y, chain)
    return (product.T * c * product).trace() if c is not None else (product * b * product.T).trace()


def _metrics(total: Any, chain: tuple[SymbolicMatrix, ...]) -> tuple[SymbolicMatrix, SymbolicMatrix] | None:
    """C and B, read off the terms without W_1 and without W_L, where the factors between have one entry that is 1."""
    between = {e: sp.Integer(int(i == 0)) for factor in chain[1:-1] for i, e in enumerate(factor)}
    last, first = chain[0], chain[-1]
    without_first = total.xreplace(dict.fromkeys(first, sp.S.Zero) | between | dict.fromkeys(last[:, 1:], sp.S.Zero))
    without_last = total.xreplace(dict.fromkeys(last, sp.S.Zero) | between | dict.fromkeys(first[1:, :], sp.S.Zero))
    p = quadratic_form(sp.expand(without_first), tuple(last[:, 0]))
    q = quadratic_form(sp.expand(without_last), tuple(first[0, :]))
    if (
        p is None
        or q is None
        or p.trace() != q.trace()
        or not (p.is_positive_semidefinite and q.is_positive_semidefinite and p.trace() > 0)
    ):
        return None
    # C tr B and B tr C: only tr C tr B counts.
    return Matrix(p / p.trace()), Matrix(q)


@dataclass(frozen=True)
class _Chain:
    fibres: Fibres
    chain: tuple[SymbolicMatrix, ...]
    c: SymbolicMatrix
    b: SymbolicMatrix

    def __call__(self, beta: Mapping[sp.Symbol, Any]) -> dict[sp.Symbol, Any]:
        c, b = matrix_of_numbers(self.c), matrix_of_numbers(self.b)
        c_half, c_inverse = square_roots(c)
        b_half, b_inverse = square_roots(b)
        n = len(self.chain)
        rank = min(factor.cols for factor in self.chain[:-1])
        p, s, q = _decomposed(c_half * _beta(self.fibres, beta) * b_half, rank)
        size = sum(s, mp.mpf(0))
        if size == 0:
            return {e: mp.mpf(0) for factor in self.chain for e in factor}
        trace = lambda m: sum((m[i, i] for i in range(m.rows)), mp.mpf(0))  # noqa: E731
        lengths = [size * trace(b) if k == n - 1 else trace(c) * size if k == 0 else size**2 for k in range(n)]
        mean = mp.mpf(1)
        for a in lengths:
            mean *= a ** (mp.mpf(1) / n)
        root = mp.diag([mp.sqrt(a) for a in s])
        point: dict[sp.Symbol, Any] = {}
        for k, factor in enumerate(self.chain):
            values = mp.matrix(factor.rows, factor.cols)
            own = c_inverse * p * root if k == 0 else root * q.T * b_inverse if k == n - 1 else mp.eye(rank)
            scale = mp.sqrt(lengths[k] / mean)
            for i in range(own.rows):
                for j in range(own.cols):
                    values[i, j] = scale * own[i, j]
            point |= _named(factor, values)
        return point


# --- squares --------------------------------------------------------------------------------------


def _of_squares(fibres: Fibres, squares: SignedSquares) -> ClosedForm | None:
    """R = Σ_k w_kᵀQw_k."""
    forms = [
        quadratic_form(
            sp.Add(*[t for t in sp.Add.make_args(sp.expand(fibres.total)) if t.free_symbols <= set(row)]), row
        )
        for row in squares.rows
    ]
    q = forms[0]
    if q is None or any(form != q for form in forms) or not q.is_positive_semidefinite or not any(q):
        return None
    total = sp.Add(*[(sp.Matrix([row]) * q * sp.Matrix(row))[0, 0] for row in squares.rows])
    if sp.expand(total - fibres.total) != 0:
        return None
    beta = fibres.matrix_of_symbols
    assert beta is not None
    symmetric = Matrix(beta.rows, beta.rows, lambda i, j: beta[min(i, j), max(i, j)])
    q = Matrix(q)
    return ClosedForm(
        fibres.outside(weighted(symmetric, sp.S.One, q, q)),
        "signed squares",
        of_squares(_plain(q)),
        _Squares(fibres, squares, q) if _regular(q) else None,
        SINGULAR if not _regular(q) else Attainment("attained", f"attained where {BALANCED_SQUARES}"),
    )


@dataclass(frozen=True)
class _Squares:
    fibres: Fibres
    squares: SignedSquares
    q: SymbolicMatrix

    def __call__(self, beta: Mapping[sp.Symbol, Any]) -> dict[sp.Symbol, Any]:
        half, inverse = square_roots(matrix_of_numbers(self.q))
        values, vectors = mp.eigsy(half * _beta(self.fibres, beta) * half)
        tiny = max(abs(v) for v in values) * mp.mpf(10) ** (-mp.dps // 2)
        point: dict[sp.Symbol, Any] = {p: mp.mpf(0) for row in self.squares.rows for p in row}
        free = list(zip(self.squares.rows, self.squares.signs, strict=True))
        for k, value in enumerate(values):
            if abs(value) <= tiny:
                continue
            place = next((i for i, (_, sign) in enumerate(free) if sign * value > 0), None)
            if place is None:
                raise NoPointHere
            row, _ = free.pop(place)
            vector = inverse * vectors[:, k] * mp.sqrt(abs(value))
            point.update({p: vector[i] for i, p in enumerate(row)})
        return point
