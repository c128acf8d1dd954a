"""The limit of the gradient flow as a pipeline: a problem in, the most explicit Φ that can be had out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symbolic_sgd.algebra.graph import Node
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.algebra.translation import Expression
from symbolic_sgd.errors import ExpressionTooLarge
from symbolic_sgd.flow.ansatz import ansatz, families
from symbolic_sgd.flow.convexity import ends_at_the_zero
from symbolic_sgd.flow.dual_coordinates import find_dual_coordinates
from symbolic_sgd.flow.explicit import ExplicitLimit, find_explicit
from symbolic_sgd.flow.first_integrals import FirstIntegral, IntegralSearch, independent_on
from symbolic_sgd.flow.forms import principal_forms
from symbolic_sgd.flow.implicit import ImplicitLimit, implicit_limit
from symbolic_sgd.flow.loss_functions import smooth_loss
from symbolic_sgd.flow.numerics.state import SmoothLoss
from symbolic_sgd.flow.referee import observe, on_zero_set
from symbolic_sgd.manifold.manifold import Manifold, find_manifold
from symbolic_sgd.problems.problem import Problem
from symbolic_sgd.theorem.normal_frame import normal_frame

SEED = 1993
"""The search is the same in every run."""


@dataclass(frozen=True)
class FlowLimit:
    """What is known of Φ.

    Args:
        problem: what was stated.
        codimension: M.
        dimension: D − M, the number of independent first integrals that determine Φ.
        found: how many first integrals were found, dependent ones included.
        integrals: independent ones, at most D − M.
        families: the kinds of terms among which they were sought.
        form: the closed form, or None.
        system: {g(Φ) = 0, I(Φ) = I(x)} where there are integrals enough; it sharpens numbers, also of an explicit Φ.
        loss: ∇L, ∇²L and T[C] as plain functions, for the numerical flow.
        starts: how many starts of the numerical flow a closed form was held against.
        elsewhere: from how many of them the flow ends on another part of Γ than {g = 0}.
    """

    problem: Problem
    codimension: int
    dimension: int
    found: int
    integrals: tuple[FirstIntegral, ...]
    families: tuple[str, ...]
    form: ExplicitLimit | ImplicitLimit | None
    system: ImplicitLimit | None
    loss: SmoothLoss
    starts: int
    elsewhere: int

    def __repr__(self) -> str:
        form = "no closed form" if self.form is None else type(self.form).__name__
        return f"FlowLimit({form}, {len(self.integrals)} of {self.dimension} first integrals)"


def find_limit(problem: Problem, further_integrals: Any = ()) -> FlowLimit:
    """Φ of a problem.

    Args:
        problem: what was stated.
        further_integrals: first integrals that the user knows.

    Raises:
        NoManifold: the loss has no manifold of minimizers that the theorem speaks of.
        BadInput: a further integral is not conserved.
    """
    # Γ first: its dimension is the number of first integrals that are needed.
    manifold = find_manifold(problem, inside_cell=False)
    # What is conserved, the user's own first.
    search = IntegralSearch(problem, manifold.landscape, np.random.default_rng(SEED))
    terms = ansatz(problem, linear_forms(problem))
    found = [*search.stated(further_integrals), *search.find(terms)]
    integrals = independent_on(manifold, found)
    # The flow itself, against which every claim is held.
    loss = smooth_loss(problem, manifold.landscape)
    referee = observe(manifold, loss, search, np.random.default_rng(SEED))
    # Orbits on which Φ is M equations in M unknowns.
    dual = find_dual_coordinates(manifold, search)
    certain = dual is not None and ends_at_the_zero(manifold, search, dual)
    known = integrals if len(integrals) == manifold.dimension or dual is None else list(dual.integrals)
    # A formula if there is one; a system where there are integrals enough; else only numbers.
    equations = _equations(manifold)
    stated = _written(equations)
    enough = stated is not None and len(known) == manifold.dimension
    system = implicit_limit(manifold, equations, known, dual, certain) if enough else None
    explicit = find_explicit(manifold, stated, dual, certain, known, referee) if stated is not None else None
    return FlowLimit(
        problem=problem,
        codimension=manifold.codimension,
        dimension=manifold.dimension,
        found=len(found) if known is integrals else len(found) + len(known),
        integrals=tuple(known),
        families=families(terms),
        form=explicit or system,
        system=system,
        loss=loss,
        starts=len(referee.rows),
        elsewhere=int((~on_zero_set(manifold, equations, referee)).sum()),
    )


def linear_forms(problem: Problem) -> list[Expression]:
    """The parameters, and the linear forms that the loss suggests."""
    principal = principal_forms(problem)
    return list(dict.fromkeys([*problem.parameters, *(principal.expressions if principal else ())]))


def _equations(manifold: Manifold) -> tuple[Node, ...]:
    """g: M equations of Γ with independent gradients there."""
    return normal_frame(manifold).equations


def _written(equations: Sequence[Node]) -> list[Expression] | None:
    try:
        return list(Program.of({"equations": Matrix.column(equations)}).expand("equations").flat())
    except ExpressionTooLarge:
        return None
