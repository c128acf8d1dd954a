"""Step 3: the two inverses of the theorem, H† and the inverse of the Lyapunov operator, in the normal frame."""

from dataclasses import dataclass
from fractions import Fraction

from symbolic_sgd.algebra.graph import Node
from symbolic_sgd.algebra.matrices import Matrix, PositiveDefinite, dot
from symbolic_sgd.derive.normal_frame import NormalFrame


@dataclass(frozen=True)
class NormalHessian:
    """H seen in the normal frame: W = NᵀHN, M×M, positive definite on Γ.

    Args:
        frame: N with NᵀN = diag(d).
        weights: W.
        factor: its factorisation.
    """

    frame: NormalFrame
    weights: Matrix
    factor: PositiveDefinite

    def pseudo_inverse(self, right: Matrix) -> Matrix:
        """H† right, with H† = N W⁻¹ Nᵀ."""
        columns = self.frame.columns
        return columns @ self.factor.solve(columns.T @ right)

    def lyapunov_inverse(self, factor: Matrix) -> Matrix:
        """S = 𝓛_H⁻¹(Σ_⊥), the solution of HS + SH = QΣQ with S = QSQ, for Σ = σσᵀ.

        S = N Z Nᵀ, where Z is the solution of W Z G + G Z W = NᵀΣN with G = NᵀN = diag(d).

        Args:
            factor: σ, D×Ξ, on Γ.
        """
        normal = self.frame.columns.T @ factor
        z = solve_lyapunov(self.weights, self.frame.lengths, normal @ normal.T)
        return self.frame.columns @ z @ self.frame.columns.T


def normal_hessian(frame: NormalFrame) -> NormalHessian:
    """W = NᵀHN on Γ, factored."""
    manifold = frame.manifold
    hessian = manifold.restrict(manifold.landscape.hessian)
    product = frame.columns.T @ (hessian @ frame.columns)
    m = range(manifold.codimension)
    weights = Matrix.of([product[min(i, j), max(i, j)] for j in m] for i in m)
    return NormalHessian(frame, weights, PositiveDefinite.factor(weights))


def solve_lyapunov(w: Matrix, g: tuple[Node, ...], v: Matrix) -> Matrix:
    """The symmetric Z with W Z G + G Z W = V, for W > 0, G = diag(g) > 0 and V symmetric.

    On the packed entries z_ab (a ≤ b) the operator is symmetric and positive definite in the trace inner product, so
    that its pivots are positive wherever W and G are: ½⟨E_ab, W E_cd G + G E_cd W⟩ = Σ W_qr G_sp over the orderings
    (p, q) of (a, b) and (r, s) of (c, d).

    >>> import sympy as sp
    >>> from symbolic_sgd.algebra.graph import Graph
    >>> graph = Graph(); a, v = (graph.symbol(s) for s in sp.symbols("a v"))
    >>> solve_lyapunov(Matrix.of([[a]]), (graph.constant(1),), Matrix.of([[v]]))[0, 0] is v / (2 * a)
    True
    """
    n = len(g)
    packed = [(a, b) for a in range(n) for b in range(a, n)]
    orderings = {pair: dict.fromkeys([pair, pair[::-1]]) for pair in packed}

    def entry(left: tuple[int, int], right: tuple[int, int]) -> Node:
        terms = [(w[q, r], g[p]) for p, q in orderings[left] for r, s in orderings[right] if s == p]
        return dot([a for a, _ in terms], [b for _, b in terms]) if terms else 0 * g[0]

    system = Matrix.of([entry(left, right) for right in packed] for left in packed)
    right_side = Matrix.column(Fraction(1, 2) * v[a, b] if a == b else v[a, b] for a, b in packed)
    solution = dict(zip(packed, PositiveDefinite.factor(system).solve(right_side).entries, strict=True))
    return Matrix.of([solution[min(i, j), max(i, j)] for j in range(n)] for i in range(n))
