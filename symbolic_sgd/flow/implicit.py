"""Φ as the solution of a system, {g(Φ) = 0, I(Φ) = I(x)}: exact, though no formula says which solution it is."""

from collections.abc import Sequence
from dataclasses import dataclass

import sympy as sp

from symbolic_sgd.algebra.differentiate import jacobian
from symbolic_sgd.algebra.graph import Node
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.algebra.translation import Expression, from_sympy
from symbolic_sgd.flow.derivatives import DerivativesOfLimit, implicit_derivatives
from symbolic_sgd.flow.dual_coordinates import DualCoordinates, counted
from symbolic_sgd.flow.first_integrals import FirstIntegral
from symbolic_sgd.flow.newton import System
from symbolic_sgd.manifold.manifold import Manifold
from symbolic_sgd.problems.problem import Problem


@dataclass(frozen=True)
class ImplicitLimit:
    """Φ(x) as the solution y of D equations.

    Args:
        images: the symbols of y.
        equations: g(y) (M of them), then I(y) − I(x).
        system: the same as numbers, with the derivative by y.
        orbit: where the solution is unique: the M equations g(y(λ)) = 0 in the shifts λ along the orbit, and y(λ).
        derivatives: ∂Φ and ∂²Φ[B] in (x, y).
        road: how it is solved, in words.
    """

    images: tuple[sp.Symbol, ...]
    equations: tuple[Expression, ...]
    system: System
    orbit: "Orbit | None"
    derivatives: DerivativesOfLimit
    road: str


@dataclass(frozen=True)
class Orbit:
    """g(y(λ)) = 0 for λ ∈ R^M, and the program of y(λ)."""

    system: System
    position: Program


def implicit_limit(
    manifold: Manifold,
    equations: Sequence[Node],
    integrals: Sequence[FirstIntegral],
    dual: DualCoordinates | None,
    certain: bool,
) -> ImplicitLimit:
    """The system of D equations, D − M of them by independent first integrals.

    Args:
        manifold: Γ.
        equations: g, M nodes that vanish on Γ.
        integrals: I.
        dual: dual coordinates, if there are any.
        certain: whether the zero of g on an orbit is known to be where the flow ends.
    """
    images = image_symbols(manifold.problem)
    landscape = manifold.landscape
    graph = landscape.graph
    at_image = dict(zip(landscape.variables, (graph.symbol(s) for s in images), strict=True))
    renamed = dict(zip(manifold.problem.parameters, images, strict=True))
    conserved = [i.expression.xreplace(renamed) - i.expression for i in integrals]
    on_manifold = Matrix.column(equations).replace(at_image)
    # I(y) and I(x) each by itself: what cancels in I(x) must not be lost beside I(y).
    kept = [from_sympy(i.expression.xreplace(renamed), graph) - from_sympy(i.expression, graph) for i in integrals]
    nodes = [*on_manifold.entries, *kept]
    stated = Program.of({"equations": on_manifold}).expand("equations").flat()
    # Where forms are sums of parameters, what is small in them is lost by ∂Φ B ∂Φᵀ, which the logarithms would divide by.
    coordinates = dual if dual is not None and dual.forms.are_parameters else None
    orbit = _orbit(manifold, equations, dual) if dual is not None and certain else None
    return ImplicitLimit(
        images,
        (*stated, *conserved),
        _system(nodes, images),
        orbit,
        implicit_derivatives(manifold, equations, [i.expression for i in integrals], coordinates, images),
        _road(manifold, dual, orbit),
    )


def _system(nodes: Sequence[Node], unknowns: Sequence[sp.Symbol], reach: Sequence[Node] = ()) -> System:
    slope = Matrix.of(jacobian(nodes, [nodes[0].graph.symbol(s) for s in unknowns]))
    outputs = {"residual": Matrix.column(nodes), "slope": slope, "reach": Matrix.column(reach)}
    return System(tuple(unknowns), Program.of(outputs))


def _orbit(manifold: Manifold, equations: Sequence[Node], dual: DualCoordinates) -> Orbit:
    graph, variables = manifold.landscape.graph, manifold.landscape.variables
    shifts = [sp.Dummy(f"lambda{i}", real=True) for i in range(manifold.codimension)]
    position = [from_sympy(e, graph) for e in dual.position(dual.forms.expressions, shifts)]
    nodes = Matrix.column(equations).replace(dict(zip(variables, position, strict=True))).entries
    reach = [from_sympy(e, graph) for e in dual.reach(dual.forms.expressions, shifts)]
    return Orbit(_system(nodes, shifts, reach), Program.of({"position": Matrix.column(position)}))


def image_symbols(problem: Problem) -> tuple[sp.Symbol, ...]:
    """Names for the entries of Φ(x), with the assumptions of the parameters."""
    taken = {s.name for s in problem.symbols}
    prefix = "Phi_"
    while any(f"{prefix}{s.name}" in taken for s in problem.parameters):
        prefix += "_"
    return tuple(sp.Symbol(prefix + s.name, **s._assumptions_orig) for s in problem.parameters)


def _road(manifold: Manifold, dual: DualCoordinates | None, orbit: Orbit | None) -> str:
    m, d = manifold.codimension, manifold.problem.dimension
    if orbit is not None and dual is not None:
        return (
            f"for numbers, the {counted(m, 'equation')} of Γ in the {counted(m, 'shift')} along the orbit of the flow (in {dual.kinds} "
            f"coordinates), the gradient of a convex function, {'is' if m == 1 else 'are'} solved by damped Newton steps"
        )
    return f"for numbers, the flow says which solution of the {d} equations in the {d} entries of Φ it is, and Newton steps make it exact"
