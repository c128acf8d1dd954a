"""The law by which SGD draws its noise: finitely many steps and their probabilities."""

from dataclasses import dataclass
from fractions import Fraction

import mpmath
import numpy as np

from symbolic_sgd.algebra.arithmetic import PRECISE, Valuation
from symbolic_sgd.algebra.graph import Node
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.errors import ComplexValue
from symbolic_sgd.problems.noise import NoiseColumns
from symbolic_sgd.problems.problem import Problem

PROBES = 3


@dataclass(frozen=True)
class NoiseLaw:
    """SGD is x − η(∇L(x) + s_k(x)), with s_k drawn with probability p_k; Σ p_k s_k = 0 and Σ p_k s_k s_kᵀ = Σ.

    Args:
        program: its output `steps` is D×K, one column s_k for each outcome.
        probabilities: p_1 … p_K.
        symmetric: whether s and −s are equally likely, so that odd powers of η vanish in every mean.
    """

    program: Program
    probabilities: tuple[Fraction, ...]
    symmetric: bool


def noise_law(problem: Problem) -> NoiseLaw:
    """The law of a problem's noise (see `NoiseColumns` for the convention of a bare σ)."""
    landscape = problem.landscape()
    stated = problem.noise.columns(problem, landscape)
    if stated.drawn:
        return NoiseLaw(Program.of({"steps": stated.columns}), stated.weights, symmetric=False)
    count = stated.columns.shape[1]
    steps = stated.columns.map(lambda s: s.graph.power(s.graph.constant(count), s.graph.constant(Fraction(1, 2))) * s)
    if _sums_to_zero(problem, stated):
        return NoiseLaw(Program.of({"steps": steps}), (Fraction(1, count),) * count, symmetric=False)
    both = Matrix(tuple(row + tuple(-s for s in row) for row in steps.rows))
    return NoiseLaw(Program.of({"steps": both}), (Fraction(1, 2 * count),) * (2 * count), symmetric=True)


def _sums_to_zero(problem: Problem, stated: NoiseColumns) -> bool:
    """Whether Σ_ξ σ_ξ = 0 identically in x, decided at random points to 50 digits."""
    sums = [_total(row) for row in stated.columns.rows]
    if all(s.is_zero for s in sums):
        return True
    rng = np.random.default_rng(1)
    decided = 0
    with mpmath.workdps(55):
        for _ in range(20 * PROBES):
            point = {
                s: mpmath.mpf(float(abs(a) if s.is_nonnegative else a))
                for s, a in zip(problem.symbols, rng.standard_normal(len(problem.symbols)), strict=True)
            }
            try:
                values = Valuation(PRECISE, point)([*sums, *stated.columns.entries])
            except (ComplexValue, ZeroDivisionError):
                continue
            size = max(map(abs, values[len(sums) :]))
            if max(map(abs, values[: len(sums)])) > size * mpmath.mpf("1e-40"):
                return False
            decided += 1
            if decided == PROBES:
                return True
    return False


def _total(row: tuple[Node, ...]) -> Node:
    total = row[0]
    for entry in row[1:]:
        total = total + entry
    return total
