"""Step 3: the two inverses of the theorem, H† and the inverse of the Lyapunov operator, in the normal frame."""

from dataclasses import dataclass
from fractions import Fraction

from symbolic_sgd.algebra.graph import Node
from symbolic_sgd.algebra.matrices import Matrix, PositiveDefinite, dot
from symbolic_sgd.derive.normal_frame import NormalFrame


@dataclass(frozen=True)
class NormalHessian:
    """H seen in the normal frame: H = N C Nᵀ on Γ, with C (M×M) positive definite.

    Args:
        frame: N with NᵀN = diag(d), and N̂ = N diag(d)⁻¹.
        core: C = N̂ᵀHN̂.
        factor: its factorisation.
    """

    frame: NormalFrame
    core: Matrix
    factor: PositiveDefinite

    def pseudo_inverse(self, right: Matrix) -> Matrix:
        """H† right, with H† = N̂ C⁻¹ N̂ᵀ."""
        dual = self.frame.dual
        return dual @ self.factor.solve(dual.T @ right)

    def lyapunov_inverse(self, covariance: Matrix) -> Matrix:
        """S = 𝓛_H⁻¹(Σ_⊥), the solution of HS + SH = Σ_⊥ with S = QSQ, for Σ_⊥ = N Y Nᵀ.

        S = N̂ X N̂ᵀ, where X is the solution of C X G + G X C = Y with G = N̂ᵀN̂ = diag(d)⁻¹.

        Args:
            covariance: Y = N̂ᵀΣN̂, M×M.
        """
        inverse_lengths = tuple(1 / d for d in self.frame.orthogonal.lengths)
        return self.frame.dual @ solve_lyapunov(self.core, inverse_lengths, covariance) @ self.frame.dual.T


def normal_hessian(frame: NormalFrame) -> NormalHessian:
    """C on Γ, factored: U diag(k) Uᵀ where H = Σ k_i f_i f_iᵀ is known for the raw frame F = N U, else N̂ᵀHN̂."""
    manifold = frame.manifold
    curvatures = manifold.equations.curvatures
    if curvatures is not None:
        triangle = frame.orthogonal.triangle
        weights = manifold.restrict(Matrix.column(curvatures)).entries
        core = triangle @ Matrix.diagonal(manifold.landscape.graph, weights) @ triangle.T
    else:
        hessian = manifold.restrict(manifold.landscape.hessian)
        core = frame.dual.T @ (hessian @ frame.dual)
    m = range(manifold.codimension)
    symmetric = Matrix.of([core[min(i, j), max(i, j)] for j in m] for i in m)
    return NormalHessian(frame, symmetric, PositiveDefinite.factor(symmetric))


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
