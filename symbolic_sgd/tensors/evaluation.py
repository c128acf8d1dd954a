"""Forms as arrays."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import sympy as sp

from symbolic_sgd.tensors.contraction import Products, contracted
from symbolic_sgd.tensors.entrywise import Entrywise, X
from symbolic_sgd.tensors.forms import DELTA, Applied, Form, Head, Index, Tensor


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
    _applied: dict[Applied, Any] = field(default_factory=dict, compare=False, repr=False)
    _products: Products = field(default_factory=dict, compare=False, repr=False)

    def value(self, form: Form) -> Any:
        """An array with an axis for each free index."""
        shape = tuple(int(self.number(i.size)) for i in form.free)
        total = None
        for factors, coefficient in form.terms.items():
            term = self._term(factors, form.free) * self.number(coefficient)
            total = term if total is None else total + term
        return self._ones(shape) * 0 if total is None else total

    def number(self, expression: Any) -> float:
        """The value of a size or a coefficient."""
        return float(expression) if expression.is_Number else float(_number(expression, tuple(self.numbers.items())))

    def function(self, function: Entrywise) -> Any:
        """φ^{(k)} on arrays."""
        return callable_of(function, self.printer, tuple(self.numbers.items()))

    def _term(self, factors: Any, free: tuple[Index, ...]) -> Any:
        places = {i: k for k, i in enumerate(dict.fromkeys((*free, *(i for f in factors for i in f.at))))}
        operands = [(self._factor(head, at), tuple(places[i] for i in at)) for head, at in factors]
        present = {i for f in factors for i in f.at}
        missing = [i for i in free if i not in present]
        if missing or not operands:
            shape = tuple(int(self.number(i.size)) for i in missing)
            operands.append((self._ones(shape), tuple(places[i] for i in missing)))
        return contracted(operands, tuple(places[i] for i in free), self.module, self._products)

    def _factor(self, head: Head, at: tuple[Index, ...]) -> Any:
        if isinstance(head, Tensor):
            return self.tensors[head.name]
        if head is DELTA:
            return self._ones(()) * self.module.eye(int(self.number(at[0].size)), dtype=self._ones(()).dtype)
        assert isinstance(head, Applied)
        if head not in self._applied:
            self._applied[head] = self.function(head.function)(self.value(head.inner))
        return self._applied[head]

    def _ones(self, shape: tuple[int, ...]) -> Any:
        like = next(iter(self.tensors.values()))
        return self.module.ones(shape, dtype=like.dtype)


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
def _number(expression: Any, values: tuple[tuple[Any, Any], ...]) -> Any:
    return sp.N(expression.xreplace({s: sp.sympify(v) for s, v in values}), 20)


@lru_cache(maxsize=512)
def callable_of(function: Entrywise, printer: Any, values: tuple[tuple[Any, Any], ...] = ()) -> Any:
    """φ^{(k)} on arrays."""
    expression = function.value.xreplace({s: sp.sympify(v) for s, v in values})
    return sp.lambdify([X], expression, list(printer) if isinstance(printer, tuple) else printer, cse=True)
