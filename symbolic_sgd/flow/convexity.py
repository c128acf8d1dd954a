"""Whether the flow along an orbit is known to end at the zero of the equations of Γ on it, whatever the start."""

import numpy as np

from symbolic_sgd.algebra.differentiate import jacobian
from symbolic_sgd.algebra.graph import kinks
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.program import Program, evaluate
from symbolic_sgd.algebra.translation import from_sympy
from symbolic_sgd.flow.dual_coordinates import DualCoordinates
from symbolic_sgd.flow.first_integrals import IntegralSearch, without_moduli
from symbolic_sgd.flow.forms import constant_hessian
from symbolic_sgd.flow.links import Linear
from symbolic_sgd.flow.loss_functions import JUMPS
from symbolic_sgd.manifold.manifold import Manifold
from symbolic_sgd.problems.symbols import implied_conditions

PROBES = 8
"""Random points at which the structure that makes the flow convex is tested."""

SAME = 1e-9
"""Relative size of a difference that counts as rounding."""


def ends_at_the_zero(manifold: Manifold, search: IntegralSearch, dual: DualCoordinates) -> bool:
    """Whether Φ(x) is the one zero of g on the orbit of x, wherever there is one.

    Let L = ½ Σ k_i g_i² with constant k_i > 0 and ∂gᵀ = (∂h)⁻¹Zᵀ C with a constant C. In ν = C⁻¹λ the equations g are the
    gradient of a strictly convex function along each orbit, and the flow is ν̇ = −diag(k) g: it comes closer to the zero
    for all time, unless it reaches the end of the orbit before, or what the loss is defined on. On a curve (M = 1) it
    goes straight to the zero. A quadratic loss ends its flow there always.
    """
    if not _stays_smooth(manifold, dual):
        return False
    if constant_hessian(manifold.problem) is not None:
        return True
    return (manifold.codimension == 1 or all(link.proper for link in dual.links)) and _is_convex(manifold, search, dual)


def _stays_smooth(manifold: Manifold, dual: DualCoordinates) -> bool:
    """Whether an orbit cannot leave the part of space where the loss is smooth, and stated."""
    problem = manifold.problem
    jumps = any(node.op in JUMPS for node, _ in kinks([manifold.landscape.loss]))
    # Every link but the linear one keeps the sign of its form.
    signs = dual.forms.are_parameters and not any(isinstance(link, Linear) for link in dual.links)
    return not jumps and (signs or not implied_conditions(problem.parameters))


def _is_convex(manifold: Manifold, search: IntegralSearch, dual: DualCoordinates) -> bool:
    """Whether C and k are the same at random points."""
    known, landscape = manifold.equations, manifold.landscape
    if not known.squares or known.curvature is None or dual.directions.free_symbols:
        return False
    linked = [from_sympy(without_moduli(e), landscape.graph) for e in dual.linked()]
    outputs = {
        "links": Matrix.of(jacobian(linked, landscape.variables)),
        "levels": Matrix.of(jacobian(known.levels, landscape.variables)),
        "curvatures": Matrix.column(known.curvature.diagonal_entries),
    }
    d, rows = landscape.dimension, search.random_points(PROBES)
    rows[:, d:] = rows[0, d:]
    seen = evaluate(Program.of(outputs), manifold.problem.symbols, rows)
    fine = np.isfinite(seen["links"]).all(axis=1) & np.isfinite(seen["levels"]).all(axis=1)
    slopes = seen["levels"].reshape(len(rows), -1, d)[fine].transpose(0, 2, 1)
    z = np.array(dual.directions.tolist(), dtype=float).T
    with np.errstate(all="ignore"):
        orbits = np.linalg.solve(seen["links"].reshape(-1, d, d)[fine], np.broadcast_to(z, (fine.sum(), *z.shape)))
    c = np.linalg.pinv(orbits) @ slopes
    k = seen["curvatures"][fine]
    spanned = np.abs(orbits @ c - slopes).max() <= SAME * np.abs(slopes).max()
    constant = np.abs(c - c[0]).max() <= SAME * np.abs(c).max() and np.abs(k - k[0]).max() <= SAME * np.abs(k).max()
    return bool(len(c) >= PROBES and spanned and constant and (k > 0).all())
