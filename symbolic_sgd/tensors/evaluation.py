"""Forms as arrays."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import sympy as sp

from symbolic_sgd.tensors.contraction import Products, contracted
from symbolic_sgd.tensors.entrywise import Entrywise, X
from symbolic_sgd.tensors.forms import DELTA, Applied, Core, Form, Head, Index, Tensor, Weights
from symbolic_sgd.tensors.sparse_products import is_sparse


@dataclass(frozen=True)
class Arrays:
    """Values of tensors, of sizes and of constants.

    Args:
        tensors: an array for each tensor, by its name.
        numbers: the value of each symbol of sizes and coefficients.
        module: numpy, jax.numpy or torch, whose arrays they are.
        printer: the name by which SymPy knows it.

    >>> import numpy as np
    >>> n = sp.Symbol("n")
    >>> a, u = Index("a", n), Tensor("u", (n,))
    >>> float(Arrays({"u": np.array([1.0, 2.0])}, {n: 2}, np).value((u.entry(a) * u.entry(a)).summed(a)))
    5.0
    """

    tensors: Mapping[str, Any]
    numbers: Mapping[Any, Any]
    module: Any
    printer: Any = ("scipy", "numpy")
    _applied: dict[Applied, tuple[list[Any], Any]] = field(default_factory=dict, compare=False, repr=False)
    _products: Products = field(default_factory=dict, compare=False, repr=False)

    def value(self, form: Form) -> Any:
        """An array with an axis for each free index."""
        total = None
        for core in form.cores:
            term = self._term(core)
            total = term if total is None else total + term
        return self._ones(tuple(int(self.number(i.size)) for i in form.free)) * 0 if total is None else total

    def number(self, expression: Any) -> float:
        """The value of a size or a coefficient."""
        return _float(expression) if expression.is_Number else float(_number(expression, tuple(self.numbers.items())))

    def function(self, function: Entrywise) -> Any:
        """φ^{(k)} on arrays."""
        return callable_of(function, self.printer, tuple(self.numbers.items()))

    def _term(self, core: Core) -> Any:
        """What terms have in common, times the sum of what they have on one index."""
        operands = [
            (self._factor(head, at), places) for (head, at), places in zip(core.factors, core.places, strict=False)
        ]
        on = core.weights.on
        if on is not None:
            operands.append((self._weight(core.weights, (on,)), core.places[len(core.factors)]))
        if core.missing or not operands:
            operands.append((self._ones(tuple(int(self.number(i.size)) for i in core.missing)), core.places[-1]))
        found = contracted(operands, core.wanted, self.module, self._products)
        if on is not None:
            return found
        coefficient = core.weights.terms[0][1]
        formed = len(operands) > 1  # else it is an operand, which nobody may come to write into
        return found if formed and coefficient == 1 else found * self.number(coefficient)

    def _weight(self, weights: Weights, on: tuple[Index, ...]) -> Any:
        total = None
        for heads, coefficient in weights.terms:
            term = self.number(coefficient)
            for head in heads:
                term = self._factor(head, on) * term
            total = term if total is None else total + term
        return total

    def _factor(self, head: Head, at: tuple[Index, ...]) -> Any:
        if isinstance(head, Tensor):
            return self.tensors[head.name]
        if head is DELTA:
            return self._ones(()) * self.module.eye(int(self.number(at[0].size)), dtype=self._ones(()).dtype)
        assert isinstance(head, Applied)
        depends = [self.tensors[name] for name in head.inner.names]
        made_of, found = self._applied.get(head, (None, None))
        if made_of is None or any(a is not b for a, b in zip(made_of, depends, strict=True)):
            found = self._of_entries(head)
            self._applied[head] = depends, found
        return found

    def _of_entries(self, head: Applied) -> Any:
        """φ of every entry."""
        matrix = self.stays_sparse(head)
        if matrix is not None:
            return matrix
        inside = self.value(head.inner)
        if head.is_sum:
            return inside
        found = self.function(head.function)(inside)
        return found if hasattr(found, "shape") else self._ones(tuple(inside.shape)) * found

    def stays_sparse(self, head: Applied) -> Any:
        """φ of a sparse matrix where φ(0) = 0, else None."""
        if len(head.inner.terms) != 1:
            return None
        ((factors, coefficient),) = head.inner.terms.items()
        alone = len(factors) == 1 and coefficient == 1 and set(factors[0].at) == set(head.inner.free)
        if not alone or not isinstance(factors[0].head, Tensor) or not is_sparse(self.tensors[factors[0].head.name]):
            return None
        matrix = self.tensors[factors[0].head.name]
        if factors[0].at != head.inner.free:
            matrix = matrix.T.tocsr()
        values = self.function(head.function)(np.append(matrix.data, 0.0))
        if not np.shape(values) or values[-1] != 0:
            return None
        return type(matrix)((values[:-1], matrix.indices, matrix.indptr), shape=matrix.shape)

    def _ones(self, shape: tuple[int, ...]) -> Any:
        like = next(iter(self.tensors.values()), None)
        return self.module.ones(shape, dtype=None if like is None else like.dtype)


@dataclass(frozen=True)
class ExactArrays(Arrays):
    """The same on arrays of SymPy expressions."""

    def number(self, expression: Any) -> Any:
        return expression.xreplace({s: sp.sympify(v) for s, v in self.numbers.items()})

    def function(self, function: Entrywise) -> Any:
        value = self.number(function.value)
        return lambda array: _each(lambda e: value.xreplace({X: e}), array)


def _each(function: Any, array: Any) -> np.ndarray:
    found = np.empty(np.shape(array), dtype=object)
    for place in np.ndindex(found.shape):
        found[place] = function(np.asarray(array, dtype=object)[place])
    return found


@lru_cache(maxsize=4096)
def _float(number: Any) -> float:
    return float(number)


@lru_cache(maxsize=4096)
def _number(expression: Any, values: tuple[tuple[Any, Any], ...]) -> Any:
    return sp.N(expression.xreplace({s: sp.sympify(v) for s, v in values}), 20)


@lru_cache(maxsize=512)
def callable_of(function: Entrywise, printer: Any, values: tuple[tuple[Any, Any], ...] = ()) -> Any:
    """φ^{(k)} on arrays."""
    expression = function.value.xreplace({s: sp.sympify(v) for s, v in values})
    return sp.lambdify([X], expression, list(printer) if isinstance(printer, tuple) else printer, cse=True)
