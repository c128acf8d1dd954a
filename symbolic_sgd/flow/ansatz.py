"""The functions among whose linear combinations first integrals are sought.

Adding a kind of integral means adding a row to `FAMILIES`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations_with_replacement

import sympy as sp

from symbolic_sgd.algebra.translation import Expression
from symbolic_sgd.flow.links import Linear, Link, Logarithm, exponential_links, power_links
from symbolic_sgd.problems.problem import Problem

QUARTIC_DIMENSION = 3
"""Monomials of degree 3 and 4 are tried up to this many parameters."""

LARGEST_FACTORS = 2
"""Coefficients are sought among the monomials of the problem's constants up to this degree."""

LARGEST_ANSATZ = 400
"""Families are added while the ansatz has at most so many terms (some seconds)."""


@dataclass(frozen=True)
class Term:
    """One function of an ansatz.

    Args:
        expression: in the user's symbols, without the factor.
        family: the row of `FAMILIES` it comes from.
        factor: a monomial of the problem's constants that multiplies it.
    """

    expression: Expression
    family: str
    factor: Expression = sp.S.One


LinearForms = Sequence[Expression]
"""Linear forms in the parameters: the parameters themselves, and those that the loss suggests."""


def _linear(problem: Problem, forms: LinearForms) -> Iterator[Expression]:
    return (Linear().of(x) for x in problem.parameters)


def _quadratic(problem: Problem, forms: LinearForms) -> Iterator[Expression]:
    return _monomials(problem, 2)


def _quartic(problem: Problem, forms: LinearForms) -> Iterator[Expression]:
    if problem.dimension <= QUARTIC_DIMENSION:
        yield from _monomials(problem, 3)
        yield from _monomials(problem, 4)


def _monomials(problem: Problem, degree: int) -> Iterator[Expression]:
    return (sp.Mul(*factors) for factors in combinations_with_replacement(problem.parameters, degree))


def _logarithms(problem: Problem, forms: LinearForms) -> Iterator[Expression]:
    return (Logarithm().of(form) for form in forms)


def _powers(problem: Problem, forms: LinearForms) -> Iterator[Expression]:
    return (link.of(x) for x in problem.parameters for link in power_links(problem, x))


def _exponentials(problem: Problem, forms: LinearForms) -> Iterator[Expression]:
    return (link.of(x) for x in problem.parameters for link in exponential_links(problem, x))


FAMILIES: dict[str, Callable[[Problem, LinearForms], Iterator[Expression]]] = {
    "linear": _linear,
    "quadratic": _quadratic,
    "logarithm": _logarithms,
    "power": _powers,
    "exponential": _exponentials,
    "quartic": _quartic,
}
"""Kinds of terms, in the order in which they are preferred."""


def ansatz(problem: Problem, forms: LinearForms) -> list[Term]:
    """Terms of every family that there is room for, each also multiplied by monomials of the constants.

    Where there is no room for all of them, fewer factors come before fewer families.
    """
    of_family = {
        name: [Term(expression, name) for expression in dict.fromkeys(family(problem, forms))]
        for name, family in FAMILIES.items()
    }
    total = sum(map(len, of_family.values()))
    choices = [constant_factors(problem, degree) for degree in reversed(range(LARGEST_FACTORS + 1))]
    factors = next((chosen for chosen in choices if len(chosen) * total <= LARGEST_ANSATZ), choices[-1])
    terms: list[Term] = []
    for more in of_family.values():
        if len(factors) * (len(terms) + len(more)) <= LARGEST_ANSATZ:
            terms.extend(more)
    return [replace(term, factor=factor) for factor in factors for term in terms]


def families(terms: Sequence[Term]) -> tuple[str, ...]:
    """The kinds of terms that an ansatz holds."""
    return tuple(dict.fromkeys(term.family for term in terms))


def linked_terms(problem: Problem, links: Sequence[Link], forms: LinearForms) -> list[Term]:
    """The terms h_j(ℓ_j), one a form, each also multiplied by monomials of the constants."""
    terms = [Term(link.of(form), "dual") for link, form in zip(links, forms, strict=True)]
    factors = constant_factors(problem, LARGEST_FACTORS)
    return [replace(term, factor=factor) for factor in factors for term in terms]


def constant_factors(problem: Problem, degree: int) -> list[Expression]:
    """The monomials of the constants up to a degree."""
    return [
        sp.Mul(*chosen) for k in range(degree + 1) for chosen in combinations_with_replacement(problem.constants, k)
    ]
