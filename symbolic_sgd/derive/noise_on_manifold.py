"""Step 4: the noise on Γ, split into its tangent and normal parts."""

from dataclasses import dataclass

from symbolic_sgd.algebra.differentiate import jacobian
from symbolic_sgd.algebra.graph import Node, kinks
from symbolic_sgd.algebra.matrices import Matrix, dot
from symbolic_sgd.derive.inverses import NormalHessian
from symbolic_sgd.derive.manifold import Manifold
from symbolic_sgd.errors import NotSmooth
from symbolic_sgd.problems.noise import NoiseColumns

SINGULAR = {"div": "it divides by zero", "pow": "it takes a fractional power of zero"}


@dataclass(frozen=True)
class NoiseOnManifold:
    """The noise on Γ and the blocks of Σ = σσᵀ, in the coordinates A of the normal space where they are normal.

    Args:
        stated: σ on Γ, D×Ξ, as columns and weights.
        tangent: Pσ, likewise.
        tangent_covariance: Σ_∥ = PΣP, D×D.
        cross: AΣP, the coordinates of Σ_⊥∥.
        normal_covariance: AΣAᵀ, the coordinates of Σ_⊥.
        assumed: quantities that were found to vanish on Γ and are left out of every formula, squared and relative to
            their natural size; where one of them does not vanish, the formulas do not apply.
    """

    stated: NoiseColumns
    tangent: NoiseColumns
    tangent_covariance: Matrix
    cross: Matrix
    normal_covariance: Matrix
    assumed: tuple[Node, ...]


def noise_on_manifold(hessian: NormalHessian) -> NoiseOnManifold:
    """The blocks of Σ, without what vanishes on Γ."""
    manifold = hessian.frame.manifold
    stated = manifold.problem.noise.columns(manifold.problem, manifold.landscape)
    _check_finite(manifold, stated.columns)
    stated = stated.map(manifold.restrict)
    if all(all(point.zeros(stated.columns.entries)) for point in manifold.points):
        return _silent(hessian, stated)
    normal = stated.map(hessian.coordinates)
    size, normal_size = squared_norm(stated.columns), squared_norm(normal.columns)
    along, gone = without_zeros(manifold, hessian.tangent_part(stated.columns), size)
    tangent = stated.map(lambda _: along)
    cross, gone_across = without_zeros(manifold, normal.weighted @ along.T, normal_size * size)
    within, gone_within = without_zeros(manifold, normal.weighted @ normal.columns.T, normal_size * normal_size)
    # Where Σ has no block across, PΣ = PΣP; for isotropic noise that makes Σ_∥ = s²P at no cost.
    across = any(not entry.is_zero for entry in cross.entries)
    parallel = tangent.weighted @ (along if across else stated.columns).T
    return NoiseOnManifold(stated, tangent, parallel, cross, within, (*gone, *gone_across, *gone_within))


def _silent(hessian: NormalHessian, stated: NoiseColumns) -> NoiseOnManifold:
    """Noise that vanishes on Γ: what is left out is (σ/∂σ)², the squared distance from where it does, beside 1 + |x|²."""
    variables = hessian.frame.manifold.landscape.variables
    zero = stated.map(lambda columns: columns.map(lambda entry: 0 * entry))
    normal, tangent = hessian.coordinates(zero.columns), zero.columns
    size, slope = (squared_norm(m) for m in (stated.columns, Matrix.of(jacobian(stated.columns.entries, variables))))
    extent = 1 + squared_norm(Matrix.column(variables))
    assumed = () if size.is_zero else (size / (slope * extent),)
    return NoiseOnManifold(zero, zero, tangent @ tangent.T, normal @ tangent.T, normal @ normal.T, assumed)


def _check_finite(manifold: Manifold, columns: Matrix) -> None:
    for point in manifold.points:
        singular = [node for node, zero in kinks(columns.entries) if zero.op != "constant" and point.zeros([zero])[0]]
        if singular:
            operation = SINGULAR.get(singular[0].op, f"{singular[0].op} is singular")
            raise NotSmooth(
                f"the noise is not smooth on Γ, at {point.describe(manifold.problem.symbols)}: {operation} there; "
                "state a noise that is smooth on Γ, or exclude the points with domain=[…]"
            )


def squared_norm(matrix: Matrix) -> Node:
    """The sum of the squares of the entries."""
    return dot(matrix.entries, matrix.entries)


def without_zeros(manifold: Manifold, matrix: Matrix, size: Node) -> tuple[Matrix, tuple[Node, ...]]:
    """The matrix with the entries that vanish on Γ made zero; and what was left out, as Σ(entry²)/size, if anything."""
    zero = manifold.landscape.graph.constant(0)
    flags = manifold.vanishes(matrix.entries, size)
    dropped = [e for e, z in zip(matrix.entries, flags, strict=True) if z and not e.is_zero]
    kept = matrix.with_entries([zero if z else e for e, z in zip(matrix.entries, flags, strict=True)])
    return kept, (dot(dropped, dropped) / size,) if dropped else ()
