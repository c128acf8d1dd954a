"""A compiled test that accepts most points of Γ at once, so that only the others need the full examination.

It refuses nothing and can only be stricter than `guard.check_points`: what it accepts would pass there. With N the M
columns of H at some pivots, A the M×M block of H there, G = NᵀN, and B the other rows of H at the pivots:

- H = N A⁻¹ Nᵀ + S, where S is the Schur complement of A. If A is positive definite, then by Weyl's theorem the D−M
  smallest eigenvalues of H are within |S| of 0, and the others at least 1/τ − |S|, with τ = tr G⁻¹A.
- H†∇L = N G⁻¹ A G⁻¹ Nᵀ∇L where S = 0.
- I − N G⁻¹ Nᵀ is the projection on the other eigenvectors, up to 2τ|S|.
- Columns f_i are independent, the smallest singular value of (f_i/|f_i|) being at least Σ_i (|f_i|² (FᵀF)⁻¹_ii)^{−1/2}.

Where L = ½fᵀKf + a constant with a constant K, which ∇L = FKf proves (F = (∇f_1 … ∇f_M), G = FᵀF), all of this is known of M×M matrices:

- H = FKFᵀ + E with E = Σ_i (Kf)_i ∇²f_i. By Weyl's theorem the D−M smallest eigenvalues of H are within |E| of 0, and the others at
  least 1/τ − |E|, with τ = tr G⁻¹K⁻¹, and at most tr KG + |E|.
- H†∇L = FG⁻¹f where E = 0, and |FG⁻¹f|² = fᵀG⁻¹f, which is at least (f_i/|∇f_i|)² for every i.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction

import numpy as np

from symbolic_sgd.algebra.differentiate import jacobian
from symbolic_sgd.algebra.graph import Graph, Node, reachable
from symbolic_sgd.algebra.identities import zero_functions
from symbolic_sgd.algebra.matrices import Matrix, PositiveDefinite, dot
from symbolic_sgd.algebra.program import Program, evaluate
from symbolic_sgd.algebra.shared_sums import with_shared_sums
from symbolic_sgd.numeric.guard import (
    INDEPENDENT,
    KINK,
    ON_MANIFOLD,
    ROUNDING,
    SETTLED,
    is_delicate,
    least_curvature,
)
from symbolic_sgd.theorem.derivation import Derivation
from symbolic_sgd.theorem.normal_space import ComposedFrame, Framed

LARGEST = 30_000
"""D²M above which the test would cost more than it saves."""

CONDITIONED = 10**5
"""τ tr H above this is left to the full examination."""

PIVOT, SQUARED = Fraction(1, 10**9), Fraction(1, 10**12)
"""A pivot of A, or of G, below this share of its trace may be rounding, and tells nothing of τ."""

FINITE = 10**100
"""So is |H| above this, in any unit of the loss."""


def doubt_program(derivation: Derivation) -> Program | None:
    """The program of one number `doubt` ≥ 0, at most 1 where nothing speaks against the point; None if it is too large.

    It is a sum of terms of which each is at most 1 where one condition holds, with room to spare; NaN counts as doubt.
    """
    if is_delicate(derivation):
        return None
    graph = Graph()
    guard = derivation.guard.on(graph)
    parameters = [graph.symbol(s) for s in derivation.problem.parameters]
    extent = 1 + _squares(graph, parameters)  # 1 + |x|² ≤ (1 + |x|)²
    known = _by_levels(derivation, guard, parameters, extent)
    own = _by_hessian(derivation, guard, extent) if known is None else known
    if own is None:
        return None
    terms = [
        extent / FINITE**2,  # an infinite parameter need not show in H
        *own,
        *_satisfied(derivation, guard["conditions"].entries),
        *(_ratio(graph.constant(_exact(2 * KINK)), kink) for kink in guard["kinks"].entries),
        *(() if derivation.stable is None else _stable_doubts(guard["stability"])),
    ]
    return with_shared_sums(Program.of({"doubt": Matrix.column([graph.total(terms)])}))


def _by_hessian(derivation: Derivation, guard: Mapping[str, Matrix], extent: Node) -> list[Node] | None:
    """That x is on Γ, H of rank M, and the frame one of its range, by M columns of H; None where D is too large."""
    d, rank = derivation.problem.dimension, derivation.codimension
    pivots = _pivots(derivation) if d * d * rank <= LARGEST else None
    if pivots is None:
        return None
    normal = _Normal(guard["hessian"], pivots)
    return [
        *normal.doubts(_most_conditioned(derivation)),
        _squares(extent.graph, normal.newton(guard["gradient"]).entries) / (extent * _square(SETTLED)),
        *_on_equations(guard["equations"], guard["slopes"], extent),
        *(_frame_doubts(guard["frame"], normal) if isinstance(derivation.normal_space, Framed) else ()),
    ]


def _most_conditioned(derivation: Derivation) -> Fraction:
    return _exact(min(CONDITIONED, 1 / least_curvature(derivation)))


def _by_levels(
    derivation: Derivation, guard: Mapping[str, Matrix], parameters: Sequence[Node], extent: Node
) -> list[Node] | None:
    """The same for L = ½fᵀKf with a constant K; None where L is not proved to be that, or Γ is not f = 0."""
    space, graph = derivation.normal_space, extent.graph
    if not isinstance(space, ComposedFrame):
        return None
    known = space.curvature.on(graph)["curvature"]
    curvature = PositiveDefinite.factor(known)
    levels = derivation.equations.on(graph)["levels"]
    varying = {node for node in reachable(known.entries) if node in parameters}
    if varying or set(guard["equations"].entries) != set(levels.entries):
        return None
    slopes = Matrix.of(jacobian(levels.entries, parameters))  # M×D
    pushes = known @ levels
    if not all(zero_functions((guard["gradient"] - slopes.T @ pushes).entries)):
        return None
    gram_matrix = _gram(slopes.T)
    gram = PositiveDefinite.factor(gram_matrix)
    bends = [bend for row in slopes.rows for entry in jacobian(row, parameters) for bend in entry]
    error = _squares(graph, pushes.entries) * _squares(graph, bends)  # |E|² by Cauchy and Schwarz
    diagonal = gram.inverse_diagonal()
    tau, trace = _steepness(known, curvature, gram, diagonal), (known @ gram_matrix).trace
    return [
        *_rounded(curvature, known, PIVOT),
        *_apart(gram, gram_matrix, SQUARED),
        _ratio(tau * trace, graph.constant(_most_conditioned(derivation))),
        error * 2 * tau * tau / _square(ROUNDING),
        _ratio(trace, graph.constant(FINITE)),
        gram.inverse_form(levels.entries) / (extent * _square(SETTLED)),
        *_independent(known, gram_matrix, diagonal),
    ]


def _steepness(known: Matrix, curvature: PositiveDefinite, gram: PositiveDefinite, diagonal: Sequence[Node]) -> Node:
    """τ = tr G⁻¹K⁻¹."""
    rank = range(len(diagonal))
    if all(known[i, j].is_zero for i in rank for j in rank if i != j):
        return known[0, 0].graph.total(d / known[i, i] for i, d in enumerate(diagonal))
    return curvature.solve(gram.solve(Matrix.identity(known[0, 0].graph, len(diagonal)))).trace


def _independent(known: Matrix, gram_matrix: Matrix, diagonal: Sequence[Node]) -> list[Node]:
    """Whether the columns f_i are independent, where Σ_i |f_i|² (G⁻¹)_ii ≤ tr G tr G⁻¹ ≤ cond(K) τ tr KG does not say so already."""
    graph, allowed = diagonal[0].graph, _exact(0.01 / INDEPENDENT**2)
    if all(a.op == "constant" for a in known.entries):
        values = np.array([float(a.value) for a in known.entries]).reshape(known.shape)
        if np.linalg.cond(values) * CONDITIONED < allowed:
            return []
    return [_ratio(graph.total(gram_matrix[i, i] * d for i, d in enumerate(diagonal)), graph.constant(allowed))]


class _Normal:
    """H near Γ as N A⁻¹ Nᵀ + S."""

    def __init__(self, hessian: Matrix, pivots: Sequence[int]):
        others = [i for i in range(hessian.shape[0]) if i not in pivots]
        self.graph = hessian[0, 0].graph
        self.hessian = hessian
        self.columns = hessian.columns(pivots)
        block = Matrix.of(self.columns.rows[i] for i in pivots)
        self.gram_matrix = _gram(self.columns)
        self.gram = PositiveDefinite.factor(self.gram_matrix)
        self.block = PositiveDefinite.factor(block)
        self.pivot_block = block
        rest = Matrix.of(self.columns.rows[i] for i in others).T  # M×(D−M)
        solved = self.block.solve(rest)
        self.schur = [
            hessian[i, j] - dot([row[k] for row in rest.rows], [row[m] for row in solved.rows])
            for k, i in enumerate(others)
            for m, j in enumerate(others)
            if m >= k
        ]

    def doubts(self, conditioned: Fraction) -> list[Node]:
        """Whether A is safely positive definite, H not too large, and S nothing but rounding."""
        graph, inverse = self.graph, self.gram.solve(self.pivot_block)
        tau = inverse.trace
        return [
            *_rounded(self.block, self.pivot_block, PIVOT),
            *_apart(self.gram, self.gram_matrix, SQUARED),
            _ratio(tau * self.hessian.trace, graph.constant(conditioned)),
            _squares(graph, self.schur) * 2 * tau * tau / _square(ROUNDING),
            _squares(graph, self.hessian.entries) / FINITE**2,
        ]

    def project(self, vectors: Matrix) -> Matrix:
        """N G⁻¹ Nᵀ applied to columns."""
        return self.columns @ self.gram.solve(self.columns.T @ vectors)

    def newton(self, gradient: Matrix) -> Matrix:
        """N G⁻¹ A G⁻¹ Nᵀ∇L."""
        return self.columns @ self.gram.solve(self.pivot_block @ self.gram.solve(self.columns.T @ gradient))


def _frame_doubts(frame: Matrix, normal: _Normal) -> list[Node]:
    """Whether the columns of the frame are independent, and normal to Γ."""
    graph, count = normal.graph, frame.shape[1]
    gram = _gram(frame)
    factor = PositiveDefinite.factor(gram)
    inverse = factor.solve(Matrix.identity(graph, count))
    weakest = graph.total(gram[i, i] * inverse[i, i] for i in range(count))
    along = (frame - normal.project(frame)).T
    return [
        *(_negative(p) for p in factor.pivots),
        _ratio(weakest, graph.constant(_exact(0.01 / INDEPENDENT**2))),
        *(_squares(graph, row) / (gram[i, i] * _square(ROUNDING)) for i, row in enumerate(along.rows)),
    ]


def _stable_doubts(matrix: Matrix) -> list[Node]:
    """Whether the matrix of the optimizer's stability is safely positive definite."""
    return _rounded(PositiveDefinite.factor(matrix), matrix, PIVOT)


def _on_equations(equations: Matrix, slopes: Matrix, extent: Node) -> list[Node]:
    return [
        _square_node(g) / (extent * _squares(extent.graph, row) * _square(ON_MANIFOLD / 2))
        for g, row in zip(equations.entries, slopes.rows, strict=True)
    ]


def _satisfied(derivation: Derivation, values: Sequence[Node]) -> list[Node]:
    """0 where an inequality holds strictly, at least 2 elsewhere."""
    doubts: list[Node] = []
    for condition, value in zip(derivation.problem.conditions, values, strict=True):
        sign = value.graph.call("sign", value)
        direction = {">": sign, ">=": sign, "<": -sign, "<=": -sign}.get(condition.rel_op, sign * sign)
        doubts.append(2 - 2 * direction)
    return doubts


def _negative(pivot: Node) -> Node:
    """0 for a positive pivot, at least 2 for any other."""
    return 2 - 2 * pivot.graph.call("sign", pivot)


def _rounded(factor: PositiveDefinite, matrix: Matrix, share: Fraction) -> list[Node]:
    """Whether every pivot is positive, and too large to be rounding."""
    return [*map(_negative, factor.pivots), *_apart(factor, matrix, share)]


def _apart(factor: PositiveDefinite, matrix: Matrix, share: Fraction) -> list[Node]:
    """Whether every pivot is too large to be rounding; the pivots of a Gram matrix are negative by rounding alone."""
    size = matrix.trace * share
    return [_ratio(size, p) for p in factor.pivots]


def _ratio(a: Node, b: Node) -> Node:
    return _square_node(a / b)


def _square_node(a: Node) -> Node:
    return a * a


def _square(value: float) -> Fraction:
    return _exact(value) ** 2


def _exact(value: float) -> Fraction:
    return Fraction(repr(float(value)))


def _squares(graph: Graph, entries: Sequence[Node]) -> Node:
    return graph.total(e * e for e in entries)


def _gram(columns: Matrix) -> Matrix:
    rows = columns.T.rows
    return Matrix.of([dot(a, b) for b in rows] for a in rows)


def _pivots(derivation: Derivation) -> list[int] | None:
    """The pivots whose smallest Schur pivot, beside the trace, is largest at the worst of the known points of Γ."""
    d, symbols = derivation.problem.dimension, derivation.problem.symbols
    points = np.array([[float(point[s]) for s in symbols] for point in derivation.points])
    hessians = evaluate(derivation.guard.select("hessian"), symbols, points)["hessian"].reshape(-1, d, d)
    if not np.isfinite(hessians).all():
        return None
    choices = {choice for h in hessians if len(choice := _greedy(h, derivation.codimension)) == derivation.codimension}
    if not choices:
        return None  # to float64, H has a smaller rank: only many digits can tell
    return list(max(choices, key=lambda choice: min(_worst(h, choice) for h in hessians)))


def _greedy(hessian: np.ndarray, rank: int) -> tuple[int, ...]:
    """The largest pivots in turn, as many as are positive."""
    rest, chosen = hessian.copy(), []
    for _ in range(rank):
        k = int(np.argmax(np.diag(rest)))
        if not rest[k, k] > 0:
            break
        chosen.append(k)
        rest = rest - np.outer(rest[:, k], rest[k]) / rest[k, k]
        rest[k, :] = rest[:, k] = 0
    return tuple(sorted(chosen))


def _worst(hessian: np.ndarray, choice: Sequence[int]) -> float:
    return float(np.linalg.eigvalsh(hessian[np.ix_(choice, choice)])[0] / np.trace(hessian))
