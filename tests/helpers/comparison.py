"""The engine against the literal transcription of the theorem, at given points of Γ."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

import mpmath
import numpy as np
from theorem_literal import literal_terms
from working_precision import working_digits

from symbolic_sgd import Problem, derive_limiting_sde
from symbolic_sgd.algebra.arithmetic import PRECISE, Valuation
from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.precision import handed_out, is_precise
from symbolic_sgd.algebra.translation import from_sympy
from symbolic_sgd.errors import ExpressionTooLarge
from symbolic_sgd.theorem.terms import TERMS

NAMES = tuple(term.name for term in TERMS)
DRIFTS = ("tangent_noise_compensation", "mixed_regularization", "normal_regularization", "drift")


@dataclass(frozen=True)
class Disagreement:
    """Largest error of any term at any point, relative to the term (for drift terms: to the largest of them)."""

    precise: float
    float64: float


def compare(problem: Problem, sigma, points, written: Sequence[str] = NAMES) -> Disagreement:
    """Every term of the theorem, from the engine's program at 50 digits and from its float64 callables.

    Args:
        problem: what is derived.
        sigma: its noise, for the literal theorem.
        points: points of Γ.
        written: the terms whose formulas, as users see them, are compared as well; to write them out takes the longest.
    """
    sde = derive_limiting_sde(problem)
    f = sde.lambdify()
    precise, float64 = [mpmath.mpf(0)], [0.0]
    for given in points:
        point = [handed_out(a) if is_precise(a) else a for a in given]
        literal = literal_terms(problem.loss, problem.parameters, sigma, point)
        with working_digits(55):
            assignment = dict(zip(problem.parameters, map(mpmath.mpf, point), strict=True))
            engine = sde.program.run(PRECISE, assignment)
            formulas = written_out(sde, assignment, written)
        x = np.array([float(a) for a in point])
        for term in TERMS:
            truth = list(getattr(literal, term.name))
            size = max(max(abs(a) for name in scales(term.name) for a in getattr(literal, name)), mpmath.mpf("1e-30"))
            with working_digits(55):
                for values in (engine[term.name], formulas.get(term.name, truth)):
                    precise.append(max(abs(a - b) for a, b in zip(values, truth, strict=True)) / size)
            numbers = f.term(term.name, x).ravel()
            float64.append(float(max(abs(float(a) - float(b)) for a, b in zip(numbers, truth, strict=True)) / size))
    return Disagreement(float(max(precise)), max(float64))


def written_out(sde, assignment, names: Sequence[str]) -> dict[str, list]:
    """The values of the formulas that users see, for those terms that are small enough to be written out."""
    values = {}
    for name in names:
        with contextlib.suppress(ExpressionTooLarge):
            graph = Graph()
            nodes = [from_sympy(entry, graph) for entry in getattr(sde, name)]
            values[name] = Valuation(PRECISE, assignment)(nodes)
    return values


def scales(name: str) -> tuple[str, ...]:
    """The terms whose largest entry an error is measured by."""
    return DRIFTS if name in DRIFTS else (name,)
