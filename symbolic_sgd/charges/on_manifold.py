"""What is proved to vanish on Γ."""

from collections.abc import Sequence

from symbolic_sgd.algebra.graph import Node
from symbolic_sgd.algebra.identities import zero_functions
from symbolic_sgd.algebra.varieties import zero_on
from symbolic_sgd.errors import ComplexValue, NotSmooth
from symbolic_sgd.manifold.precise import PrecisePoint
from symbolic_sgd.theorem.derivation import Derivation


def proved_zero(derivation: Derivation, nodes: Sequence[Node]) -> list[bool]:
    """Which nodes of a graph are proved to vanish on Γ, identically or by its equations; False says nothing."""
    proved = zero_functions(nodes)
    rest = [i for i, zero in enumerate(proved) if not zero]
    for point in map(PrecisePoint, derivation.points):  # most of what does not vanish is seen not to
        rest = [i for i in rest if _may_vanish(point, nodes[i])]
    if rest:
        equations = derivation.equations.on(nodes[0].graph)["defining"].entries
        found = zero_on(equations, [nodes[i] for i in rest], derivation.codimension)
        for i, zero in zip(rest, found, strict=True):
            proved[i] = zero
    return proved


def _may_vanish(point: PrecisePoint, node: Node) -> bool:
    try:
        return point.zeros([node])[0]
    except (ComplexValue, NotSmooth):
        return True
