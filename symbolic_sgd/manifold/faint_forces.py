"""Forces below all digits: a valley on the way to infinity looks like a manifold of minimizers where e^{−10⁶} stands.

Let c(a(x)) be a call in L whose slope c′ is below rounding, though it is not 0. Without what it contributes, L has a manifold
of minimizers Γ₀ with tangent vectors v; with it, the force along Γ₀ is, up to its square,

    v·∇L = Σ_c (∂L/∂c) c′(a) v·∇a .

Where the sum does not vanish, no digits would show it, and yet there is no minimizer, unless what is of second order undoes
it, as in v²/2 − v e^{−a} + e^{−2a}/2. That is seen with the calls c(s a), s so small that they are above rounding.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction

import sympy as sp

from symbolic_sgd.algebra.arithmetic import PRECISE, PreciseNumber, Valuation
from symbolic_sgd.algebra.differentiate import gradient, partial_derivatives
from symbolic_sgd.algebra.graph import Node, reachable, rebuild, replace_nodes
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.algebra.varieties import RATIONAL
from symbolic_sgd.errors import ComplexValue, NoManifold
from symbolic_sgd.manifold.precise import HIGH, LOW, HessianRank, PrecisePoint, sharpen_far_apart
from symbolic_sgd.problems.landscape import Landscape
from symbolic_sgd.regular_point import kernel_columns

FAINT = mp.mpf(10) ** -LOW
"""A slope below this is not seen beside a loss of order one."""

RELATIVE = mp.mpf("1e-30")
"""Part of a sum, or of a vector, below which it counts as zero."""

SEEN = mp.mpf("1e-30")
"""The slope that calls have when they are made to be seen."""

REACH = 1e-2
"""How far, relative to 1 + |x|, a minimizer is then looked for."""

SHIFT = mp.mpf("1e-50")
"""How far, beside the point's size, it is moved to see whether a factor is more than its rounding."""

Vector = list[PreciseNumber]


def faint_force(landscape: Landscape, point: PrecisePoint, rank: HessianRank) -> bool:
    """Whether a force below all digits pushes along the manifold that seems to be there.

    Args:
        landscape: L.
        point: where ∇L vanishes to all digits.
        rank: of H there.
    """
    faint = faint_calls(landscape, point)
    if not faint:
        return False
    symbols = {call: landscape.graph.symbol(sp.Dummy(call.op)) for call in faint}
    (loss,) = replace_nodes([landscape.loss], symbols)
    adjoints = gradient(loss, list(symbols.values()))
    with mp.workdps(HIGH):
        here, beside = (_values(landscape, symbols, point, shift) for shift in (mp.mpf(0), SHIFT))
        try:
            forces = [
                (here([adjoint])[0], call)
                for call, adjoint in zip(faint, adjoints, strict=True)
                if abs(here([adjoint])[0] - beside([adjoint])[0]) < abs(here([adjoint])[0]) / 2
            ]
            basis = kernel_columns(point.matrix(landscape.hessian), rank.rank)
            pushed = any(_pushes(landscape, point, forces, list(basis[:, k])) for k in range(basis.cols))
        except (ComplexValue, ZeroDivisionError):
            return False
    return pushed and not _remains(landscape, point, faint, rank)


def faint_calls(landscape: Landscape, point: PrecisePoint) -> list[Node]:
    """The calls in L whose slopes are below all digits, and not 0."""
    calls = [node for node in reachable([landscape.loss]) if node.args and node.op not in (*RATIONAL, "pow")]
    return [call for call in calls if _is_faint(call, point)]


def _is_faint(call: Node, point: PrecisePoint) -> bool:
    slopes = _slopes(call)
    moves = not all(point.zeros(slopes))
    return moves and max(map(abs, point.high(slopes))) < FAINT


def _slopes(call: Node) -> list[Node]:
    """∂c/∂a for each operand that varies."""
    pairs = zip(call.args, partial_derivatives(call), strict=True)
    return [call.graph.lift(slope) for operand, slope in pairs if operand.op != "constant"]


def _values(landscape: Landscape, symbols: Mapping[Node, Node], point: PrecisePoint, shift: PreciseNumber) -> Valuation:
    """Numbers at the point moved by a part of its size; the faint calls keep their values."""
    parameters = [node.value for node in landscape.variables]
    size = max((abs(point.assignment[s]) for s in parameters), default=mp.mpf(0)) or mp.mpf(1)
    moved = {s: point.assignment[s] + (i + 1) * shift * size for i, s in enumerate(parameters)}
    calls = {new.value: point.high([call])[0] for call, new in symbols.items()}
    return Valuation(PRECISE, {**point.assignment, **moved, **calls})


def _pushes(landscape: Landscape, point: PrecisePoint, forces: list[tuple[PreciseNumber, Node]], along: Vector) -> bool:
    """Whether the sum of the forces in a direction is more than the rounding of its parts."""
    parts = []
    for weight, call in forces:
        varying = [operand for operand in call.args if operand.op != "constant"]
        for operand, steepness in zip(varying, point.high(_slopes(call)), strict=True):
            direction = point.high(gradient(operand, landscape.variables))
            products = [a * b for a, b in zip(direction, along, strict=True)]
            if abs(mp.fsum(products)) > RELATIVE * mp.fsum(map(abs, products)):
                parts.append(weight * steepness * mp.fsum(products))
    return abs(mp.fsum(parts)) > RELATIVE * mp.fsum(map(abs, parts))


def _remains(landscape: Landscape, point: PrecisePoint, faint: Sequence[Node], rank: HessianRank) -> bool:
    """Whether there is a minimizer with as many normal directions where the faint calls are seen."""
    part = Fraction(1)
    while True:
        part /= 2
        loss, calls = _scaled(landscape.loss, faint, part)
        if max(map(abs, point.high([slope for call in calls for slope in _slopes(call)]))) > SEEN:
            break
    seen = Landscape.of(loss, [node.value for node in landscape.variables])
    try:
        return sharpen_far_apart(seen, point.assignment, reach=REACH, most=rank.rank) is not None
    except NoManifold:
        return False


def _scaled(loss: Node, faint: Sequence[Node], part: Fraction) -> tuple[Node, list[Node]]:
    """The loss with c(s a) for c(a), and these calls."""
    new: dict[Node, Node] = {}
    for node in reachable([loss]):
        factor = part if node in faint else 1
        new[node] = rebuild(node, tuple(factor * new[a] for a in node.args))
    return new[loss], [new[call] for call in faint]
