"""The problem as the derivation reads it: the same functions, written so that what they depend on shows."""

from dataclasses import replace

from symbolic_sgd.manifold.shifts import in_fewest
from symbolic_sgd.manifold.squares import sum_of_squares
from symbolic_sgd.problems.problem import Problem


def rewritten(problem: Problem) -> Problem:
    """Each expression in as few inner polynomials as it depends on; a polynomial loss as a sum of squares, if it is one.

    >>> import sympy as sp
    >>> from symbolic_sgd import IsotropicNoise
    >>> u, v = sp.symbols("u v")
    >>> rewritten(Problem(loss=u**2*v**2/2 - u*v, parameters=(u, v), noise=IsotropicNoise())).loss
    (u*v - 1)**2/2 - 1/2
    """
    trained = set(problem.parameters)
    shorter = problem.map(lambda e: in_fewest(e, trained))
    if shorter.residuals:
        return shorter
    return replace(shorter, loss=sum_of_squares(shorter.loss, problem.parameters))
