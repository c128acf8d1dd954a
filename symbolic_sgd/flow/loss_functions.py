"""The loss as plain functions of arrays, as the simulators take it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.arithmetic import PRECISE, PreciseMatrix, PreciseNumber
from symbolic_sgd.algebra.graph import kinks
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.algebra.program import Program, evaluate
from symbolic_sgd.algebra.translation import from_sympy
from symbolic_sgd.flow.numerics.state import PreciseLoss, SmoothLoss
from symbolic_sgd.problems.landscape import Landscape
from symbolic_sgd.problems.problem import Problem
from symbolic_sgd.problems.symbols import implied_conditions

JUMPS = ("Abs", "sign")
"""Operations that are finite on both sides of where a derivative of theirs jumps."""


@dataclass(frozen=True)
class _Output:
    """One output of a program as a function of rows of numbers, one column a symbol."""

    program: Program
    symbols: tuple[sp.Symbol, ...]
    shape: tuple[int, ...]

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        (values,) = evaluate(self.program, self.symbols, rows).values()
        return values.reshape(len(rows), *self.shape)


@dataclass(frozen=True)
class _Precise:
    """∇L, ∇²L and T[C] to many digits, at a row of numbers."""

    gradient: Program
    hessian: Program
    third: Program
    symbols: tuple[sp.Symbol, ...]
    directions: tuple[tuple[sp.Symbol, ...], ...]

    def functions(self) -> PreciseLoss:
        return PreciseLoss(self._gradient, self._hessian, self._third)

    def _gradient(self, row: Sequence[PreciseNumber]) -> list[PreciseNumber]:
        (entries,) = self.gradient.run(PRECISE, self._known(row)).values()
        return entries

    def _hessian(self, row: Sequence[PreciseNumber]) -> PreciseMatrix:
        (entries,) = self.hessian.run(PRECISE, self._known(row)).values()
        d = len(self.directions)
        return mp.matrix([entries[i * d : (i + 1) * d] for i in range(d)])

    def _third(self, row: Sequence[PreciseNumber], direction: Sequence[Sequence[PreciseNumber]]) -> list[PreciseNumber]:
        d = range(len(self.directions))
        entries = {self.directions[i][j]: direction[i][j] for i in d for j in d if i <= j}
        (values,) = self.third.run(PRECISE, self._known(row) | entries).values()
        return values

    def _known(self, row: Sequence[PreciseNumber]) -> dict[sp.Symbol, PreciseNumber]:
        return dict(zip(self.symbols, row, strict=True))


@dataclass(frozen=True)
class _Contraction:
    """T[C] at rows of points, for symmetric C."""

    output: _Output
    dimension: int

    def __call__(self, rows: np.ndarray, directions: np.ndarray) -> np.ndarray:
        upper = np.triu_indices(self.dimension)
        return self.output(np.concatenate([rows, directions[:, *upper]], axis=1))


def smooth_loss(problem: Problem, landscape: Landscape) -> SmoothLoss:
    """∇L, ∇²L and T[C] of a problem on float64 rows (the parameters, then the constants)."""
    upper = symmetric_symbols(problem.dimension)
    directions = Matrix.of([landscape.graph.symbol(s) for s in row] for row in upper)
    return loss_functions(
        Program.of({"gradient": landscape.gradient}),
        Program.of({"hessian": landscape.hessian}),
        Program.of({"third": landscape.third_derivative(directions)}),
        problem.symbols,
        upper,
        _margins(problem, landscape),
    )


def _margins(problem: Problem, landscape: Landscape) -> Program | None:
    """What must keep its sign along the flow: the arguments of |·| and sign, and what the symbols were declared to be."""
    graph = landscape.graph
    conditions: list[Any] = implied_conditions(problem.parameters)
    stated = [from_sympy(c.lhs, graph) - from_sympy(c.rhs, graph) for c in conditions]
    jumps = [zero for node, zero in kinks([landscape.loss]) if node.op in JUMPS]
    margins = list(dict.fromkeys([*stated, *jumps]))
    return Program.of({"margins": Matrix.column(margins)}) if margins else None


def symmetric_symbols(dimension: int) -> list[list[sp.Symbol]]:
    """The entries of a symmetric matrix C."""
    upper = {(i, j): sp.Dummy(f"C_{i}_{j}") for i in range(dimension) for j in range(i, dimension)}
    return [[upper[min(i, j), max(i, j)] for j in range(dimension)] for i in range(dimension)]


def loss_functions(
    gradient: Program,
    hessian: Program,
    third: Program,
    symbols: Sequence[sp.Symbol],
    directions: Sequence[Sequence[sp.Symbol]],
    margins: Program | None = None,
) -> SmoothLoss:
    """Programs of ∇L, ∇²L, T[C] (which reads the symbols of C) and the margins as plain functions."""
    d = len(directions)
    entries = [directions[i][j] for i in range(d) for j in range(i, d)]
    return SmoothLoss(
        dimension=d,
        gradient=_Output(gradient, tuple(symbols), (d,)),
        hessian=_Output(hessian, tuple(symbols), (d, d)),
        third=_Contraction(_Output(third, (*symbols, *entries), (d,)), d),
        margins=None if margins is None else _Output(margins, tuple(symbols), (len(margins.outputs[0].registers),)),
        precise=_Precise(gradient, hessian, third, tuple(symbols), tuple(map(tuple, directions))).functions(),
    )
