"""The law by which SGD draws its noise: finitely many steps and their probabilities."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.arithmetic import PRECISE, Valuation
from symbolic_sgd.algebra.graph import Node
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.algebra.translation import from_sympy
from symbolic_sgd.errors import BadInput, BadShape, ComplexValue
from symbolic_sgd.problems.noise import NoiseColumns
from symbolic_sgd.problems.problem import Problem, exact_probabilities
from symbolic_sgd.problems.symbols import check_expression, with_signs

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
    steps = stated.factor.map(lambda s: s.graph.power(s.graph.constant(count), s.graph.constant(Fraction(1, 2))) * s)
    if sums_to_zero(problem, stated):
        return NoiseLaw(Program.of({"steps": steps}), (Fraction(1, count),) * count, symmetric=False)
    both = Matrix(tuple(row + tuple(-s for s in row) for row in steps.rows))
    return NoiseLaw(Program.of({"steps": both}), (Fraction(1, 2 * count),) * (2 * count), symmetric=True)


def sums_to_zero(problem: Problem, stated: NoiseColumns) -> bool:
    """Whether Σ_ξ σ_ξ = 0 identically in x, decided at random points to 50 digits."""
    factor = stated.factor
    return _vanish(problem, [row[0].graph.total(row) for row in factor.rows], factor.entries)


def _vanish(problem: Problem, sums: Sequence[Node], terms: Sequence[Node]) -> bool:
    """Whether the sums vanish identically in x beside the terms they are made of, at random points to 50 digits."""
    if all(s.is_zero for s in sums):
        return True
    rng = np.random.default_rng(1)
    decided = 0
    with mp.workdps(55):
        for _ in range(20 * PROBES):
            drawn = with_signs(problem.symbols, rng.standard_normal(len(problem.symbols)))
            point = {s: mp.mpf(float(a)) for s, a in zip(problem.symbols, drawn, strict=True)}
            try:
                values = Valuation(PRECISE, point)([*sums, *terms])
            except (ComplexValue, ZeroDivisionError):
                continue
            size = max(map(abs, values[len(sums) :]))
            if max(map(abs, values[: len(sums)])) > size * mp.mpf("1e-40"):
                return False
            decided += 1
            if decided == PROBES:
                return True
    return False


def check_law(problem: Problem, steps: Any, probabilities: Sequence[Any]) -> NoiseLaw:
    """A law stated by hand: steps s_1 … s_K (the columns of a D×K Matrix), drawn with probabilities p.

    Raises:
        BadShape: the steps are no D×K Matrix, or there are not K probabilities.
        BadInput: the probabilities are not positive rationals with sum 1; the mean Σ p_k s_k is not zero; the covariance
            Σ p_k s_k s_kᵀ is not the Σ of the problem (decided at random points to 50 digits).
    """
    if not isinstance(steps, sp.MatrixBase) or steps.shape[0] != problem.dimension or steps.shape[1] == 0:
        raise BadShape(f"the steps of the law have to be a {problem.dimension}×K SymPy Matrix, one column an outcome")
    weights = exact_probabilities(probabilities, steps.shape[1])
    landscape = problem.landscape()
    entries = [
        from_sympy(check_expression(e, problem.symbols, where=f"law: steps[{i}]"), landscape.graph)
        for i, e in enumerate(steps.flat())
    ]
    matrix = Matrix.of(entries[i : i + steps.shape[1]] for i in range(0, len(entries), steps.shape[1]))
    weighted = Matrix.of([w * s for w, s in zip(weights, row, strict=True)] for row in matrix.rows)
    mean = [landscape.graph.total(row) for row in weighted.rows]
    stated = problem.noise.columns(problem, landscape)
    apart = (weighted @ matrix.T) - (stated.weighted @ stated.columns.T)
    if not _vanish(problem, mean, matrix.entries):
        raise BadInput("the noise law has a mean that is not zero: Σ p_k s_k has to vanish for every x")
    if not _vanish(problem, apart.entries, stated.weighted.entries):
        raise BadInput(
            "the noise law has another covariance than the problem states: Σ p_k s_k s_kᵀ has to be Σ = σσᵀ; change the steps "
            "or the probabilities, or state the problem with this noise"
        )
    return NoiseLaw(Program.of({"steps": matrix}), weights, symmetric=False)
