"""Φ in closed form: {g(Φ) = 0, I(Φ) = I(x)} solved, on the branch that the flow takes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import sympy as sp

from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.operations import operations
from symbolic_sgd.algebra.program import Program, evaluate
from symbolic_sgd.algebra.translation import Expression, SymbolicMatrix, from_sympy
from symbolic_sgd.flow.affine_equations import straightened
from symbolic_sgd.flow.derivatives import DerivativesOfLimit, explicit_derivatives
from symbolic_sgd.flow.dual_coordinates import DualCoordinates, counted
from symbolic_sgd.flow.first_integrals import FirstIntegral
from symbolic_sgd.flow.referee import Referee
from symbolic_sgd.manifold.manifold import Manifold
from symbolic_sgd.rational.closed_form import candidates, contracted

MOST_CANDIDATES = 16
"""Branches that are held against the flow."""


@dataclass(frozen=True)
class ExplicitLimit:
    """Φ(x) as expressions in x.

    Args:
        expressions: Φ_1 … Φ_D.
        value: their program.
        derivatives: ∂Φ and ∂²Φ[B].
        certain: whether Φ is known to be this wherever it is finite; else the flow has to be asked which branch it takes.
        road: how it was found, in words.
    """

    expressions: SymbolicMatrix
    value: Program
    derivatives: DerivativesOfLimit
    certain: bool
    road: str


def find_explicit(
    manifold: Manifold,
    equations: Sequence[Expression],
    dual: DualCoordinates | None,
    certain: bool,
    integrals: Sequence[FirstIntegral],
    referee: Referee,
) -> ExplicitLimit | None:
    """The first closed form that the flow agrees with at every start of the referee, if any.

    Args:
        manifold: Γ.
        equations: g, M expressions that vanish on Γ.
        dual: dual coordinates, if there are any.
        certain: whether the zero of g on an orbit is known to be where the flow ends.
        integrals: D − M independent first integrals.
        referee: the flow.
    """
    symbols = manifold.problem.symbols
    for (image, road), _ in zip(_images(manifold, equations, dual, integrals), range(MOST_CANDIDATES), strict=False):
        graph = manifold.landscape.graph
        try:
            value = Program.of({"limit": Matrix.column(from_sympy(e, graph) for e in image)})
        except (ValueError, ZeroDivisionError):  # a branch that is nowhere real, or nowhere finite
            continue
        if referee.accepts(lambda rows, value=value: evaluate(value, symbols, rows)["limit"]):
            proved = certain and dual is not None and dual.unbounded and road is not ELIMINATED
            return ExplicitLimit(image, value, explicit_derivatives(manifold, tuple(image)), proved, road)
    return None


ELIMINATED = "the system {g(Φ) = 0, I(Φ) = I(x)} solves in closed form, one unknown after the other"


def _images(
    manifold: Manifold,
    equations: Sequence[Expression],
    dual: DualCoordinates | None,
    integrals: Sequence[FirstIntegral],
) -> Iterator[tuple[SymbolicMatrix, str]]:
    if dual is not None:
        yield from _on_orbits(manifold, equations, dual)
    if len(integrals) == manifold.dimension:
        yield from _by_elimination(manifold, equations, integrals)


def _on_orbits(
    manifold: Manifold, equations: Sequence[Expression], dual: DualCoordinates
) -> Iterator[tuple[SymbolicMatrix, str]]:
    """Solve for the M shifts λ along the orbit; for logarithms, for their exponentials E = e^λ > 0."""
    parameters, m = manifold.problem.parameters, range(manifold.codimension)
    point = {s: sp.Float(str(a), 30) for s, a in manifold.points[0].assignment.items()}
    straight = [straightened(e, parameters, point) for e in equations]
    unknowns = [
        sp.Dummy(f"E{i}" if dual.logarithmic else f"l{i}", real=True, positive=dual.logarithmic or None) for i in m
    ]
    shifts = [sp.log(e) for e in unknowns] if dual.logarithmic else unknowns
    forms = [sp.Dummy(f"f{j}", real=True) for j in range(len(parameters))]
    position = dual.position(forms, shifts)
    system = [sp.expand(e.xreplace(dict(zip(parameters, position, strict=True)))) for e in straight]
    back = dict(zip(forms, dual.forms.expressions, strict=True))
    solve = "solves" if len(system) == 1 else "solve"
    road = (
        f"the {counted(len(system), 'equation')} of Γ on the orbits of the flow (in {dual.kinds} coordinates) "
        f"{solve} in closed form for the {counted(len(unknowns), 'shift')} along them"
    )
    for solution in candidates(system, unknowns):
        image = dual.position(forms, [shift.xreplace(solution) for shift in shifts])
        written = [contracted(e.xreplace(back)) for e in image]
        yield sp.ImmutableDenseMatrix([min(e, sp.expand(e), key=operations) for e in written]), road


def _by_elimination(
    manifold: Manifold, equations: Sequence[Expression], integrals: Sequence[FirstIntegral]
) -> Iterator[tuple[SymbolicMatrix, str]]:
    parameters = manifold.problem.parameters
    unknowns = [sp.Dummy(f"Y{s.name}", real=True) for s in parameters]
    renamed = dict(zip(parameters, unknowns, strict=True))
    conserved = [i.expression.xreplace(renamed) - i.expression for i in integrals]
    for solution in candidates([*(e.xreplace(renamed) for e in equations), *conserved], unknowns):
        image: list[Expression] = [solution[t] for t in unknowns]
        for _ in unknowns:  # a root may hold unknowns that were solved for before it
            image = [e.xreplace(solution) for e in image]
        yield sp.ImmutableDenseMatrix([contracted(e) for e in image]), ELIMINATED
