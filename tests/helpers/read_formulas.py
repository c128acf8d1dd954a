"""Printed formulas, read back as a person would: the trees of `symbolic_sgd.tensors.notation` as NumPy arrays."""

import itertools

import numpy as np
import sympy as sp

from symbolic_sgd.tensors.entrywise import X
from symbolic_sgd.tensors.notation import IDENTITY, ONES, Function, Hadamard, Name, Product, Total, Transposed, Wrapped


class Reader:
    """What the letters of a formula stand for.

    Args:
        arrays: by name; labels are their first axes.
        sizes: how many values each label has.
        numbers: of the symbols in coefficients.
    """

    def __init__(self, arrays, sizes, numbers):
        self.arrays, self.sizes, self.numbers = arrays, sizes, numbers

    def value(self, node, at):
        """The value of a formula at labels that are given."""
        if isinstance(node, Name):
            return self._name(node, at)
        if isinstance(node, Transposed):
            return self.value(node.inner, at).T
        if isinstance(node, Product):
            found = self.value(node.factors[0], at)
            for factor in node.factors[1:]:
                right = self.value(factor, at)
                found = found.sum(axis=1, keepdims=True) if _is_ones(right) else found @ right
            return found
        if isinstance(node, Hadamard):
            found = 1.0
            for factor in node.factors:
                found = found * self.value(factor, at)
            return found
        if isinstance(node, Wrapped):
            return self._wrapped(node, at)
        if isinstance(node, Function):
            function = sp.lambdify([X], node.function.value.subs(self.numbers), "numpy")
            return function(self.value(node.inner, at))
        assert isinstance(node, Total)
        return self._total(node, at)

    def _total(self, node, at):
        found = 0.0
        for coefficient, labels, scalars, matrix in node.terms:
            for places in itertools.product(*(range(self._size(label)) for label in labels)):
                inside = {**at, **dict(zip(labels, places, strict=True))}
                term = float(sp.sympify(coefficient).subs(self.numbers))
                for scalar in scalars:
                    term = term * self.value(scalar, inside)
                found = found + (term if matrix is None else term * self.value(matrix, inside))
        return found

    def _size(self, label):
        return self.sizes[label.rstrip("′")] if label.rstrip("′") in self.sizes else self.sizes["i"]

    def _name(self, node, at):
        if node == ONES:
            return _Ones()
        if node == IDENTITY:
            return 1.0
        if node.name == "δ":
            return float(at[node.subscripts[0]] == at[node.subscripts[1]])
        if node.name == "e":
            raise AssertionError("a unit vector has no size of its own: read G or R instead")
        array = self.arrays[node.name]
        if node.subscripts[:1] == (":",):
            return _column(array[:, at[node.subscripts[1]]])
        return _column(array[tuple(at[s] for s in node.subscripts)])

    def _wrapped(self, node, at):
        parts = [self.value(p, at) for p in node.parts]
        if node.kind == "norm":
            return (parts[0] ** 2).sum()
        if node.kind == "inner":
            if _is_ones(parts[0]):
                return np.sum(parts[1])
            return (parts[0] * parts[1]).sum()
        if node.kind == "tr":
            return np.trace(parts[0])
        (inner,) = parts
        return np.diag(inner[:, 0]) if inner.shape[1] == 1 else _column(np.diag(inner))


class _Ones:
    """𝟏, of the size that its neighbours need."""

    def __mul__(self, other):
        return other

    __rmul__ = __mul__


def _is_ones(value):
    return isinstance(value, _Ones)


def _column(value):
    """A vector as a column."""
    return value[:, None] if np.ndim(value) == 1 else value
