"""The theorem for any noisy map z⁺ = G(z, εξ) + ε²g(z) whose fixed points are Γ: its drift and diffusion, by G's derivatives.

In the coordinates z = (x, m) with m = 0 on Γ, and W the normal frame of Γ beside the directions of m: A = I − ∂G vanishes on
ker Wᵀ = T Γ, so that WᵀA = EWᵀ with E = WᵀAŴ, ŴᵀW = I. Then, with D = AŴE⁻¹,

    P = I − DWᵀ,   A^# = DE⁻¹Wᵀ,   C = DXDᵀ,   X − (I − E)X(I − E)ᵀ = WᵀΣW,

and nothing is divided by but det E and the Schur–Cohn matrix of E, which is positive definite exactly where G contracts across Γ.

Source: twice the derivative of Φ∘G = Φ on Γ, for the limit Φ of the noiseless iteration: Φ″[v, w] = A^#G″[v, w] for tangent v, w;
Φ″[v, w] = PG″[v, A^#w] for w in the range of A; Φ″[C − BCBᵀ] = PG″[C] for C there. The drift is ½Φ″[Σ] + ½PG_ξξ[V] + Pg.
"""

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import accumulate
from operator import mul
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.differentiate import contracted_hessian, jacobian
from symbolic_sgd.algebra.graph import Node, kinks
from symbolic_sgd.algebra.matrices import Matrix, PositiveDefinite
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.algebra.stein import SteinOperator
from symbolic_sgd.algebra.translation import from_sympy, nodes_of
from symbolic_sgd.errors import BadInput, NotSmooth, Undecided, Unstable
from symbolic_sgd.manifold.cell import within_cell
from symbolic_sgd.optimizers.iterated_map import IteratedMap
from symbolic_sgd.problems.noise import KnownCovariance, NoiseColumns
from symbolic_sgd.theorem.drift import DriftTerms
from symbolic_sgd.theorem.geometry import FramedGeometry
from symbolic_sgd.theorem.noise_on_manifold import NoiseOnManifold
from symbolic_sgd.theorem.rational_forms import cancelled
from symbolic_sgd.theorem.stability import Stability
from symbolic_sgd.theorem.structure import NormalNoise

HALF = Fraction(1, 2)

WORDS = (
    "S is by the Stein equation of the map across Γ; mixed and normal regularization are split in the state of the map, where a memory "
    "along Γ is normal, too. The noise is the map's own ξ, and not what the problem states as noise"
)
"""What is said of the noise."""


@dataclass(frozen=True)
class MapLimit:
    """What the map contributes to a derivation."""

    noise: NoiseOnManifold
    drift: DriftTerms
    stability: Stability
    update: Matrix
    """G at rest, which has to be smooth there."""


def map_limit(normal: FramedGeometry, optimizer: IteratedMap) -> MapLimit:
    """The terms of the limit of an iterated map on Γ.

    Args:
        normal: the geometry of Γ, with a frame.
        optimizer: the map.

    Raises:
        BadInput: points of Γ are no fixed points of the map.
        Undecided: that they are could not be proved.
        Unstable: it contracts less than all directions across Γ.
    """
    local = _Local(normal, optimizer)
    local.check_smooth()
    local.check_fixed_points()
    local.check_contraction()
    return MapLimit(local.noise, local.drift, Stability(local.stein.criterion, local.minors), local.at_rest)


class _Local:
    """The map beside Γ, as nodes of the derivation's graph."""

    def __init__(self, normal: FramedGeometry, optimizer: IteratedMap):
        self.optimizer, self.manifold = optimizer, normal.frame.manifold
        problem, graph = self.manifold.problem, self.manifold.landscape.graph
        self.graph, self.frame = graph, normal.orthogonal
        own = tuple(sp.Dummy(f"m{k}") for k in range(len(optimizer.state) - problem.dimension))
        self.memory = [graph.symbol(s) for s in own]
        self.draws = [graph.symbol(s) for s in optimizer.noise]
        self.z = [*self.manifold.landscape.variables, *self.memory]
        weight = sp.Dummy("w")
        self.weight = graph.symbol(weight)
        update = optimizer.centred(problem, own, weight)
        if self.manifold.cell:
            at_rest: dict[Any, Any] = dict.fromkeys([*own, *optimizer.noise, weight], mp.mpf(0))
            update = within_cell(update, self.manifold.points[0], at_rest, problem.conditions)
        self.update = [from_sympy(g, graph) for g in update]
        self.d, self.n = problem.dimension, len(self.z)

    @cached_property
    def _still(self) -> dict[Node, Node]:
        """m = 0, ξ = 0 and no slow drift."""
        return dict.fromkeys([*self.memory, *self.draws, self.weight], self.graph.constant(0))

    def _on_manifold(self, matrix: Matrix) -> Matrix:
        """At rest, and x ∈ Γ."""
        return self.manifold.restrict(matrix.replace(self._still))

    @property
    def at_rest(self) -> Matrix:
        """G without memory and noise, N×1, as it stands."""
        return Matrix.column(self.update).replace(self._still)

    def check_smooth(self) -> None:
        """Refuse what has no two derivatives where it rests on Γ, such as the sign of a noisy gradient."""
        try:
            found = kinks(self.update)
            zeros = Matrix.column([zero for _, zero in found]).replace(self._still).entries if found else ()
        except ZeroDivisionError as error:
            raise NotSmooth("the map divides by zero where it rests: state an update that is smooth there") from error
        for (node, _), zero in zip(found, zeros, strict=True):
            if zero.is_zero or any(point.zeros([zero])[0] for point in self.manifold.points):
                raise NotSmooth(
                    f"the map is not smooth where it rests on Γ without noise: {node.op} has no derivatives there, and the theorem asks "
                    "for two; state an update that is smooth in the state and in the noise"
                )

    def check_fixed_points(self) -> None:
        at_rest = self._on_manifold(Matrix.column(self.update)).entries
        moved = [a - b for a, b in zip(at_rest, self.z[: self.d], strict=False)] + list(at_rest[self.d :])
        proved = self.manifold.proved_zero(moved)
        names = [*self.manifold.problem.parameters, *self.optimizer.memory(self.manifold.problem)]
        for node, zero, name in zip(moved, proved, names, strict=True):
            if zero:
                continue
            for point in self.manifold.points:
                if not point.zeros([node])[0]:
                    where = point.describe(self.manifold.problem.symbols)
                    raise BadInput(
                        f"the map moves {name} at a point of Γ, {where}, though there is no noise: the minimizers of the loss have to "
                        "be its fixed points; check update= and embedding="
                    )
            raise Undecided(
                f"that the map leaves {name} where it is on all of Γ was not proved, though it does at the points of Γ looked at"
            )

    def check_contraction(self) -> None:
        """Refuse a map that keeps more than Γ: I − ∂G is then singular across Γ, and nothing below can be computed."""
        determinant = self.stein.coefficients[-1]
        if determinant.is_zero or all(point.zeros([determinant])[0] for point in self.manifold.points):
            raise Unstable(
                f"{self.optimizer.label} leaves Γ: beside the points of Γ it has further directions in which nothing leads back, such as a "
                "memory that never fades; let it fade, or make it part of the parameters"
            )
        try:
            kept = any(all(point.zeros([minor])[0] for point in self.manifold.points) for minor in self.minors)
        except ZeroDivisionError:
            kept = True
        if kept:
            raise Unstable(
                f"{self.optimizer.label} contracts not all that is across Γ: an eigenvalue of its linear part there has the absolute value "
                "1 at all points looked at, such as that of a memory that changes its sign at every step; let it fade"
            )

    @cached_property
    def slopes(self) -> Matrix:
        """∂G and G_ξ, N×(N + q), anywhere."""
        return Matrix.of(jacobian(self.update, [*self.z, *self.draws]))

    @cached_property
    def a(self) -> Matrix:
        """A = I − ∂G on Γ."""
        b = self._on_manifold(self.slopes.columns(range(self.n)))
        return self.manifold.without_zeros(Matrix.identity(self.graph, self.n) - b)

    @cached_property
    def driven(self) -> Matrix:
        """G_ξ V^{1/2} on Γ, N×q."""
        slopes = self._on_manifold(self.slopes.columns(range(self.n, self.n + len(self.draws))))
        return self.manifold.without_zeros(slopes @ self.root)

    @cached_property
    def root(self) -> Matrix:
        """V^{1/2}."""
        return nodes_of(self.optimizer.factor, self.graph)

    def _bordered(self, frame: Matrix) -> Matrix:
        """The frame of the normal space of Γ, and the directions of m."""
        zero, one = self.graph.constant(0), self.graph.constant(1)
        extra = self.n - self.d
        above = [[*row, *[zero] * extra] for row in frame.rows]
        below = [[*[zero] * frame.shape[1], *(one if i == j else zero for j in range(extra))] for i in range(extra)]
        return Matrix.of([*above, *below])

    @cached_property
    def w(self) -> Matrix:
        """W, N×r."""
        return self._bordered(self.frame.columns)

    @cached_property
    def leaned(self) -> Matrix:
        """AŴ, N×r."""
        return self._short(self.a @ self._bordered(self.frame.dual))

    @cached_property
    def stein(self) -> SteinOperator:
        return SteinOperator(self._short(self.w.T @ self.leaned), self._short)

    @cached_property
    def minors(self) -> tuple[Node, ...]:
        """The leading minors of the Schur–Cohn matrix, all positive exactly where it is positive definite."""
        pivots = PositiveDefinite.factor(self.stein.criterion).pivots
        return tuple(cancelled(list(accumulate(pivots, mul))))

    @cached_property
    def dual(self) -> Matrix:
        """D with Q = I − P = DWᵀ."""
        return self._short(self.leaned @ self.stein.inverse)

    def tangent(self, right: Matrix) -> Matrix:
        """P right."""
        return right - self.dual @ (self.w.T @ right)

    def group_inverse(self, right: Matrix) -> Matrix:
        """A^# right."""
        return self.dual @ (self.stein.inverse @ (self.w.T @ right))

    def _short(self, matrix: Matrix) -> Matrix:
        """By cancelled quotients, where these are short: what is computed further is made of them."""
        return matrix.with_entries(cancelled(matrix.entries))

    def second(self, b: Matrix) -> Matrix:
        """G″[B] for a symmetric B, on Γ, N×1."""
        return self._contracted(self.z, b)

    def _contracted(self, variables: list[Node], b: Matrix) -> Matrix:
        return self._on_manifold(Matrix.column(contracted_hessian(g, variables, b.rows) for g in self.update))

    def _parameters(self, matrix: Matrix) -> Matrix:
        """The rows of x, without what is proved to vanish on Γ."""
        return self.manifold.without_zeros(Matrix(matrix.rows[: self.d]))

    @cached_property
    def along(self) -> Matrix:
        """P G_ξ V^{1/2}, N×q."""
        return self._short(self.manifold.without_zeros(self.tangent(self.driven)))

    @cached_property
    def noise(self) -> NoiseOnManifold:
        across = self.w.T @ self.driven
        weights = (Fraction(1),) * self.driven.shape[1]
        tangent = self._parameters(self.along)
        return NoiseOnManifold(
            stated=NoiseColumns(Matrix(self.driven.rows[: self.d]), weights, drawn=False),
            known=KnownCovariance(),
            tangent=NoiseColumns(tangent, weights, drawn=False),
            tangent_covariance=tangent @ tangent.T,
            cross=across @ self.along.T,
            normal_covariance=across @ across.T,
            samples=None,
        )

    @cached_property
    def stationary(self) -> Matrix:
        """C, N×N."""
        return self._short(self.dual @ self.stein.solution(self.noise.normal_covariance) @ self.dual.T)

    @cached_property
    def drift(self) -> DriftTerms:
        compensation = self.group_inverse(self.second(self.along @ self.along.T)).scaled(HALF)
        across = self.driven - self.along
        crossed = self.group_inverse(across) @ self.along.T
        mixed = self.tangent(self.second((crossed + crossed.T).scaled(HALF)))
        normal = self.tangent(self.second(self.stationary)).scaled(HALF)
        solution = self._parameters(Matrix(tuple(row[: self.d] for row in self.stationary.rows)))
        slow = self._on_manifold(Matrix.of(jacobian(self.update, [self.weight])))
        curved = None
        if self.optimizer.curves_noise:
            variance = self.root @ self.root.T
            curved = self._parameters(self.tangent(self._contracted(self.draws, variance)).scaled(HALF))
        return DriftTerms(
            self._parameters(compensation),
            self._parameters(mixed),
            self._parameters(normal),
            NormalNoise(solution, solution, None, None, WORDS),
            imposed=self._parameters(self.tangent(slow)) if self.optimizer.has_slow_field else None,
            curved=curved,
        )
