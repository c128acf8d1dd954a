"""SymPy's matrix expressions, and its sums of indexed quantities, as forms.

SymPy's own derivatives of matrix expressions are not used: they are 0 for a sum of two traces and wrong for many others.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

import sympy as sp
from sympy.matrices.expressions.applyfunc import ElementwiseApplyFunction
from sympy.matrices.expressions.diagonal import DiagMatrix, DiagonalMatrix, DiagonalOf
from sympy.matrices.expressions.dotproduct import DotProduct
from sympy.matrices.expressions.hadamard import HadamardPower, HadamardProduct
from sympy.matrices.expressions.matexpr import MatrixElement
from sympy.matrices.expressions.special import OneMatrix, ZeroMatrix

from symbolic_sgd.errors import BadInput, BadShape, BadSymbol, InexactNumber, NotSmooth, UnsupportedExpression
from symbolic_sgd.tensors.entrywise import Entrywise, X
from symbolic_sgd.tensors.forms import Form, Index, Tensor, added, applied, delta
from symbolic_sgd.tensors.products import bracketed, product

KINKED = (sp.Abs, sp.sign, sp.Max, sp.Min, sp.Heaviside, sp.Piecewise, sp.floor, sp.ceiling)
"""Functions with kinks."""

LARGEST_POWER = 12
"""Of an integer power that is multiplied out."""

LARGEST_POWER_OF_SUMS = 3
"""Of a power of what is summed over an index, which has one index more for each factor: beyond it the power stays a function."""

Side = Index | None
"""The row or the column of a matrix; None where it has one."""


@dataclass(frozen=True)
class Reader:
    """What the symbols of a model stand for.

    Args:
        tensors: {MatrixSymbol, Symbol or IndexedBase: its tensor}.
        labels: the indices of a sample, which every tensor with labels has first where they are not written.
        constants: further symbols, and those of sizes.
        indices: {the Symbol of an index: it}, inside of sums over indexed quantities.
        multiply: how products of sums are written.

    Raises:
        UnsupportedExpression: a node that the calculus does not have, by its name.
        BadInput: and its subclasses, naming what is wrong and what to change.

    >>> n = sp.Symbol("n", integer=True, positive=True)
    >>> u = sp.MatrixSymbol("u", n, 1)
    >>> reader = Reader({u: Tensor("u", (n,))})
    >>> reader.scalar(sp.Trace(u.T * u)) == reader.scalar(sp.Trace(u * u.T))
    True
    """

    tensors: Mapping[Any, Tensor]
    labels: tuple[Index, ...] = ()
    constants: frozenset[sp.Symbol] = frozenset()
    indices: Mapping[Any, Index] = field(default_factory=dict)
    multiply: Callable[[Sequence[Form]], Form] = product
    _counter: Any = field(default_factory=count, repr=False, compare=False)

    # --- scalars ----------------------------------------------------------------------------

    def scalar(self, expression: Any) -> Form:
        """A form without rows and columns."""
        e = expression
        if getattr(e, "is_Matrix", False):
            return self._one_by_one(e)
        for kinds, read in self._scalars:
            if isinstance(e, kinds):
                return read(e)
        if isinstance(e, KINKED):
            raise NotSmooth(
                f"{e} has a kink. In one cell a ReLU is its slopes: give them as data, s∘(Wx) for max(Wx, 0)"
            )
        if isinstance(e, sp.Function) and len(e.args) == 1:
            return applied(Entrywise(e.func(X)), self.scalar(e.args[0]))
        raise _unsupported(e)

    @property
    def _scalars(self) -> tuple[tuple[Any, Callable[[Any], Form]], ...]:
        return (
            (sp.Float, _refuse_float),
            ((sp.Number, sp.NumberSymbol), Form.constant),
            (sp.Symbol, self._symbol),
            (sp.Add, lambda e: added([self.scalar(a) for a in e.args])),
            (sp.Mul, lambda e: self.multiply([self.scalar(a) for a in e.args])),
            (sp.Pow, self._scalar_power),
            (sp.exp, lambda e: applied(Entrywise(sp.exp(X)), self.scalar(e.args[0]))),
            (sp.Trace, lambda e: self._trace(e.arg)),
            (DotProduct, lambda e: self._dot(*e.args)),
            (MatrixElement, self._element),
            (sp.Sum, self._sum),
            (sp.Indexed, self._indexed),
            (sp.KroneckerDelta, lambda e: delta(self._index(e.args[0]), self._index(e.args[1]))),
        )

    def _symbol(self, symbol: sp.Symbol) -> Form:
        if symbol in self.tensors:
            return self._entry(self.tensors[symbol], ())
        if symbol in self.constants:
            return Form.constant(symbol)
        if symbol in self.indices:
            raise UnsupportedExpression(f"the index {symbol} stands as a number: put what depends on it into the data")
        raise BadSymbol(f"{symbol} was not declared: name it in parameters=, data= or constants=")

    def _scalar_power(self, e: Any) -> Form:
        """b^e, which is exp(e ln b) where e depends on parameters or data."""
        if e.exp.is_number or (isinstance(e.exp, sp.Expr) and e.exp.free_symbols <= self.constants):
            return self._power(self.scalar(e.base), e.exp)
        logarithm = applied(Entrywise(sp.log(X)), self.scalar(e.base))
        return applied(Entrywise(sp.exp(X)), self.scalar(e.exp) * logarithm)

    def _power(self, base: Form, exponent: Any) -> Form:
        if not exponent.is_number and not exponent.free_symbols <= self.constants:
            raise UnsupportedExpression(f"the exponent {exponent} is no constant")
        if exponent.atoms(sp.Float):
            raise _inexact(exponent)
        if exponent.is_Integer and 0 <= exponent <= _largest_power(base):
            return self.multiply([base] * int(exponent)) if exponent else Form.constant(1)
        return applied(Entrywise(X**exponent), base)

    def _trace(self, matrix: Any) -> Form:
        k = self._side(matrix.shape[0])
        return self._over(self.matrix(matrix, k, k), k)

    def _dot(self, left: Any, right: Any) -> Form:
        k = self._side(max(left.shape, key=lambda s: s != 1))
        place = lambda v: self.matrix(v, *((k, None) if v.shape[1] == 1 else (None, k)))  # noqa: E731 (row or column)
        return self._over(place(left) * place(right), k)

    def _one_by_one(self, matrix: Any) -> Form:
        if matrix.shape != (1, 1):
            raise BadShape(f"{matrix} has the shape {matrix.shape} where a number is wanted")
        return self.matrix(matrix, None, None)

    def _element(self, element: Any) -> Form:
        parent, *at = element.args
        return self.matrix(parent, *(self._at(i, size) for i, size in zip(at, parent.shape, strict=True)))

    def _at(self, index: Any, size: Any) -> Side:
        if size == 1 and index == 0:
            return None
        return self._index(index)

    def _index(self, index: Any) -> Index:
        if index in self.indices:
            return self.indices[index]
        known = f"is none of {', '.join(sorted(map(str, self.indices)))}" if self.indices else "is not summed over"
        raise UnsupportedExpression(f"the index {index} {known}: pick entries by data, such as unit vectors")

    def _sum(self, e: Any) -> Form:
        (index, first, last), *more = e.limits
        start = _start(e.function, index)
        if first != start:
            raise BadInput(
                f"{index} runs over {first} … {last} in a sum, where its first value is {start}: sum over the whole range, and leave "
                "entries out by data that are 0 there"
            )
        k = self._fresh(last - first + 1)
        inside = replace(self, indices={**self.indices, index: k})
        return inside.scalar(sp.Sum(e.function, *more) if more else e.function).summed(k)

    def _indexed(self, e: Any) -> Form:
        tensor = self.tensors.get(e.base)
        if tensor is None:
            raise BadSymbol(f"{e.base} was not declared: name it in parameters= or data=")
        at = tuple(self._index(i) for i in e.indices)
        own = len(tensor.shape) - len(self.labels[: tensor.labels])
        if len(at) != own:
            raise BadShape(f"{e} has {len(at)} indices; {e.base} was declared with {own}")
        for index, letter, size in zip(at, e.indices, tensor.shape[len(tensor.shape) - own :], strict=True):
            if not _equal(index.size, size):
                raise BadShape(
                    f"{letter} runs over 1 … {index.size} in {e}, where {e.base} was declared with the size {size}"
                )
        return self._entry(tensor, at)

    # --- matrices ---------------------------------------------------------------------------

    def matrix(self, expression: Any, row: Side, column: Side) -> Form:
        """The entry of a matrix at a row and a column."""
        e = expression
        if e.shape == (1, 1) and (row is not None or column is not None):
            raise BadShape(f"{e} is 1×1")
        for side, size in zip((row, column), e.shape, strict=True):
            if not _equal(1 if side is None else side.size, size):
                wanted = "×".join(str(1 if k is None else k.size) for k in (row, column))
                raise BadShape(f"{e} is {e.shape[0]}×{e.shape[1]} where {wanted} is wanted")
        for kinds, read in self._matrices:
            if isinstance(e, kinds):
                return read(e, row, column)
        raise _unsupported(e)

    @property
    def _matrices(self) -> tuple[tuple[Any, Callable[[Any, Side, Side], Form]], ...]:
        return (
            (sp.MatrixSymbol, self._matrix_symbol),
            (sp.MatAdd, self._sum_of_matrices),
            (sp.MatMul, lambda e, a, b: self._chain(e.args, a, b)),
            ((sp.Transpose, sp.Adjoint), lambda e, a, b: self.matrix(e.arg, b, a)),
            (
                sp.Inverse,
                _refused("the inverse of a matrix", "name it as data where it does not depend on parameters; "),
            ),
            (sp.MatPow, self._matrix_power),
            (HadamardProduct, lambda e, a, b: self.multiply([self.matrix(m, a, b) for m in e.args])),
            (HadamardPower, lambda e, a, b: self._power(self.matrix(e.base, a, b), e.exp)),
            (ElementwiseApplyFunction, self._entrywise),
            (sp.Identity, lambda _, a, b: Form.constant(1) if a is None or b is None else delta(a, b)),
            (OneMatrix, lambda _, a, b: Form.of([i for i in (a, b) if i], [(sp.S.One, (), ())])),
            (ZeroMatrix, lambda _, a, b: Form.of([i for i in (a, b) if i], [])),
            ((DiagMatrix, DiagonalMatrix), self._diagonal_matrix),
            (DiagonalOf, lambda e, a, _: self.matrix(e.arg, a, a)),
        )

    def _matrix_symbol(self, symbol: Any, row: Side, column: Side) -> Form:
        if symbol not in self.tensors:
            raise BadSymbol(f"the matrix {symbol} was not declared: name it in parameters= or data=")
        return self._entry(self.tensors[symbol], tuple(i for i in (row, column) if i is not None))

    def _sum_of_matrices(self, e: Any, row: Side, column: Side) -> Form:
        """What a function is applied to elsewhere in the sum stays one term, as x in x + Wφ(x), which SymPy has flattened."""
        terms = set(e.args)
        inner = [f.expr for f in e.atoms(ElementwiseApplyFunction) if isinstance(f.expr, sp.MatAdd)]
        within = max((m for m in inner if set(m.args) < terms), key=lambda m: (len(m.args), str(m)), default=None)
        if within is None:
            return added([self.matrix(m, row, column) for m in e.args])
        rest = [self.matrix(m, row, column) for m in e.args if m not in within.args]
        return added([bracketed(self.matrix(within, row, column)), *rest])

    def _chain(self, factors: Any, row: Side, column: Side) -> Form:
        matrices = [m for m in factors if getattr(m, "is_Matrix", False)]
        joints = [self._side(m.shape[1]) for m in matrices[:-1]]
        sides = [row, *joints, column]
        scalars = [self.scalar(f) for f in factors if not getattr(f, "is_Matrix", False)]
        found = self.multiply(
            [*scalars, *(self.matrix(m, a, b) for m, a, b in zip(matrices, sides, sides[1:], strict=False))]
        )
        return found.summed(*(k for k in joints if k is not None))

    def _matrix_power(self, power: Any, row: Side, column: Side) -> Form:
        if not (power.exp.is_Integer and 0 < power.exp <= LARGEST_POWER):
            raise _unsupported(power, f"the power {power.exp} of a matrix")
        return self._chain([power.base] * int(power.exp), row, column)

    def _entrywise(self, e: Any, row: Side, column: Side) -> Form:
        inner = self.matrix(e.expr, row, column)
        (variable,) = e.function.variables
        body = sp.sympify(e.function(X)) if variable != X else e.function.expr
        if body.atoms(*KINKED):
            raise NotSmooth(
                f"{e} has a kink. In one cell a ReLU is its slopes: give them as data, s∘(Wx) for max(Wx, 0)"
            )
        if body.atoms(sp.Float):
            raise _inexact(body)
        unknown = body.free_symbols - {X} - self.constants
        if unknown:
            raise BadSymbol(f"{min(map(str, unknown))} in {e} was not declared: name it in constants=")
        if not body.is_polynomial(X):
            factor, rest = body.as_independent(X, as_Add=False)
            return applied(Entrywise(rest), inner).scaled(factor)
        polynomial = sp.Poly(body, X)
        if polynomial.degree() > _largest_power(inner):
            return applied(Entrywise(body), inner)
        return added([_broadcast(self.multiply([inner] * k).scaled(c), inner) for (k,), c in polynomial.terms()])

    def _diagonal_matrix(self, e: Any, row: Side, column: Side) -> Form:
        inner = e.args[0]
        if row is None or column is None:
            return self._one_by_one(inner)
        if inner.shape[1] == 1:
            return delta(row, column) * self.matrix(inner, row, None)
        if inner.shape[0] == 1:
            return delta(row, column) * self.matrix(inner, None, row)
        return delta(row, column) * self.matrix(inner, row, row)

    # --- indices ----------------------------------------------------------------------------

    def _entry(self, tensor: Tensor, at: tuple[Index, ...]) -> Form:
        return tensor.entry(*self.labels[: tensor.labels], *at)

    def _side(self, size: Any) -> Side:
        return None if size == 1 else self._fresh(size)

    def _fresh(self, size: Any) -> Index:
        return Index(f"?{next(self._counter)}", size)

    @staticmethod
    def _over(form: Form, index: Side) -> Form:
        return form if index is None else form.summed(index)


def _start(summand: Any, index: Any) -> int:
    """The first value of an index: 0 of the entries of a MatrixSymbol, as SymPy counts them, else 1."""
    of_matrices, others = (
        any(index in e.args for e in summand.atoms(*kinds))
        for kinds in ((MatrixElement,), (sp.Indexed, sp.KroneckerDelta))
    )
    if of_matrices and others:
        raise UnsupportedExpression(
            f"the index {index} stands in entries of a MatrixSymbol, which SymPy counts from 0, and in others, counted from 1: use "
            "IndexedBase for both"
        )
    return 0 if of_matrices else 1


def _equal(size: Any, other: Any) -> bool:
    """Whether two sizes are the same, whatever their symbols are."""
    return size == other or sp.expand(sp.sympify(size) - other) == 0


def _largest_power(base: Form) -> int:
    sums = any(not set(at) <= set(base.free) for factors in base.terms for _, at in factors)
    return LARGEST_POWER_OF_SUMS if sums else LARGEST_POWER


def _broadcast(form: Form, like: Form) -> Form:
    """A constant term of an entrywise polynomial stands at every entry."""
    return Form.of(like.free, ((c, f, ()) for f, c in form.terms.items()))


def _unsupported(node: Any, words: str = "", advice: str = "") -> UnsupportedExpression:
    return UnsupportedExpression(
        f"{words or type(node).__name__} in {node}: {advice}the calculus has products, sums, transposes, traces, integer powers, entrywise "
        "products and functions, diagonal matrices, identities and matrices of ones, and functions of scalars"
    )


def _refused(words: str, advice: str) -> Callable[[Any, Side, Side], Form]:
    def refuse(node: Any, row: Side, column: Side) -> Form:
        raise _unsupported(node, words, advice)

    return refuse


def _inexact(expression: Any) -> InexactNumber:
    return InexactNumber(f"{expression} holds a floating-point number; write it exactly")


def _refuse_float(number: Any) -> Form:
    raise _inexact(number)
