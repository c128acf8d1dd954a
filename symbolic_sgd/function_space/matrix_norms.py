"""Sums of powers of singular values, as SymPy expressions of the matrix: what R̂ of matrix models is written with."""

from collections.abc import Mapping
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.precision import mp


class SchattenSum(sp.Function):
    r"""Σ_k σ_k(N)^p over the singular values of N = M, or of N = C^½MB^½: the nuclear norm ‖N‖_* for p = 1.

    Args (positional, as SymPy's):
        M: an explicit matrix of expressions, or a `MatrixSymbol` of any size.
        p: a positive number.
        C, B: symmetric positive semidefinite matrices of numbers, or symbols of such matrices (optional).

    For numbers, `.n(digits)` computes it; `.doit()` writes it out where N has one row or column, is diagonal, or is 2×2 and p = 1.

    >>> a, b = sp.symbols("a b", real=True)
    >>> SchattenSum(sp.ImmutableMatrix([[a, 0], [0, b]]), 1).doit()
    Abs(a) + Abs(b)
    >>> SchattenSum(sp.ImmutableMatrix([[2, 1], [0, 1]]), 1).n(20)
    3.1622776601683793320
    """

    nargs = (2, 4)
    is_commutative = True

    @classmethod
    def eval(cls, *args: Any) -> Any:
        """Mutable matrices become immutable ones; diagonal weights are multiplied in; a 1×1 matrix is a modulus."""
        matrix, power, *weights = args
        given = (matrix, *weights)
        if any(isinstance(m, sp.MatrixBase) and not isinstance(m, sp.ImmutableDenseMatrix) for m in given):
            fixed, *others = (sp.ImmutableDenseMatrix(m) if isinstance(m, sp.MatrixBase) else m for m in given)
            return cls(fixed, power, *others)
        if isinstance(matrix, sp.MatrixBase) and any(isinstance(w, sp.Identity) for w in weights):
            return cls(matrix, power, *(w.as_explicit() if isinstance(w, sp.Identity) else w for w in weights))
        if not all(isinstance(m, sp.MatrixBase) for m in given):
            return cls(matrix, power) if weights and all(isinstance(w, sp.Identity) for w in weights) else None
        if weights and all(w.is_diagonal() for w in weights):
            c, b = (w.applyfunc(sp.sqrt) for w in weights)
            return cls(c * matrix * b, power)
        if matrix.shape == (1, 1):
            scale = sp.S.One if not weights else sp.sqrt(weights[0][0, 0] * weights[1][0, 0])
            return (scale * sp.Abs(matrix[0, 0])) ** power
        return None

    @property
    def matrix(self) -> Any:
        """M, the matrix."""
        return self.args[0]

    @property
    def _matrices(self) -> tuple[Any, ...]:
        return (self.args[0], *self.args[2:])

    @property
    def power(self) -> Any:
        """p, the power."""
        return self.args[1]

    @property
    def weights(self) -> tuple[Any, Any]:
        """C and B."""
        rows, cols = self.matrix.shape
        own = self.args[2:] or (sp.eye(rows), sp.eye(cols))
        return own[0], own[1]

    def doit(self, **hints: Any) -> Any:
        """Without singular values, where they have short formulas."""
        if not all(isinstance(m, sp.MatrixBase) for m in (self.matrix, *self.args[2:])):
            return self
        matrix, p, (c, b) = self.matrix, self.power, self.weights
        if matrix.is_diagonal() and len(self.args) == 2:
            return sp.Add(*[sp.Abs(matrix[k, k]) ** p for k in range(min(matrix.shape))])
        if 1 in matrix.shape or (matrix.shape == (2, 2) and p == 1):
            square = sp.expand((matrix.T * c * matrix * b).trace())
            across = 2 * sp.sqrt(c.det() * b.det()) * sp.Abs(matrix.det()) if 1 not in matrix.shape else 0
            return sp.sqrt(square + across) ** p
        return self

    def _eval_evalf(self, prec: int) -> Any:
        if self.matrix.free_symbols:
            return None
        digits = int(prec / 3.3219) + 5
        with mp.workdps(digits):
            matrix, *weights = map(matrix_of_numbers, self._matrices)
            if weights:
                left, right = (square_roots(w)[0] for w in weights)
                matrix = left * matrix * right
            power = number_at(self.power)
            total = sum((s**power for s in singular_values(matrix)), mp.mpf(0))
            return sp.Float(mp.nstr(total, digits), dps=digits)._eval_evalf(prec)

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        matrix, *weights = map(printer._print, self._matrices)
        around = [
            "" if isinstance(w, sp.Identity) else rf"{{{text}}}^{{1/2}}"
            for w, text in zip(self.args[2:], weights, strict=True)
        ]
        inner = matrix if not weights else rf"{around[0]} {matrix} {around[1]}".strip()
        body = (
            rf"\left\lVert {inner} \right\rVert_*"
            if self.power == 1
            else rf"\sum_k \sigma_k\left({inner}\right)^{{{printer._print(self.power)}}}"
        )
        return body if exp is None else rf"{{\left({body}\right)}}^{{{exp}}}"

    def _sympystr(self, printer: Any) -> str:
        matrix, *weights = (
            str(m.tolist()) if isinstance(m, sp.MatrixBase) else printer._print(m) for m in self._matrices
        )
        around = [
            "" if isinstance(w, sp.Identity) else f"{text}^½" for w, text in zip(self.args[2:], weights, strict=True)
        ]
        inner = matrix if not weights else f"{around[0]} {matrix} {around[1]}".strip()
        return f"‖{inner}‖_*" if self.power == 1 else f"Σσ({inner})^({printer._print(self.power)})"


class NotANumber(Exception):
    """An expression is infinite, undefined or not real."""


def number_at(expression: Any, values: Mapping[sp.Symbol, Any] | None = None) -> Any:
    """The real number that an expression is where its symbols are numbers of `mp`, at the precision of `mp`.

    Raises:
        NotANumber: it is none.
    """
    digits = mp.dps + 10
    at = {s: sp.Float(mp.nstr(mp.mpf(v), digits), digits) for s, v in (values or {}).items()}
    value = sp.N(sp.sympify(expression).xreplace(at), digits)
    if not (value.is_real and value.is_finite):
        raise NotANumber(expression)
    return mp.mpf(str(value))


def matrix_of_numbers(matrix: Any) -> Any:
    """A matrix of SymPy numbers."""
    return mp.matrix([[number_at(e) for e in row] for row in matrix.tolist()])


def square_roots(matrix: Any) -> tuple[Any, Any]:
    """C^½ and its pseudo-inverse, for C symmetric and positive semidefinite."""
    values, vectors = mp.eigsy(matrix)
    tiny = max(abs(v) for v in values) * mp.mpf(10) ** (-mp.dps // 2)
    roots = [mp.sqrt(v) if v > tiny else mp.mpf(0) for v in values]
    half = vectors * mp.diag(roots) * vectors.T
    return half, vectors * mp.diag([1 / r if r else r for r in roots]) * vectors.T


def weighted(beta: Any, p: Any, c: Any, b: Any) -> Any:
    """Σσ(C^½ β B^½)^p, with a common factor of C and B before it."""
    (left, c), (right, b) = _primitive(c), _primitive(b)
    return sp.sqrt(left * right) ** p * SchattenSum(beta, p, c, b)


def _primitive(c: Any) -> tuple[Any, Any]:
    """(a, C/a) with whole entries that have no common factor."""
    entries = [e for e in c if e != 0]
    if not all(e.is_Rational for e in entries):
        return sp.S.One, c
    common = sp.gcd_list(entries)
    return common, sp.ImmutableDenseMatrix(c / common)


def singular_values(matrix: Any) -> list[Any]:
    """Those of a real matrix, the largest first."""
    if matrix.rows < matrix.cols:
        matrix = matrix.T
    return list(mp.svd_r(matrix, compute_uv=False))


def nuclear_norm(matrix: Any) -> Any:
    """‖M‖_*."""
    return SchattenSum(sp.ImmutableDenseMatrix(matrix), sp.S.One)
