"""What reshuffled samples add to the drift: a sample is met where those before it in its epoch have led.

With x_t − x = −ε√n η Σ_{u<t} B^{t−1−u}σ_{a_u}, B = I − η∇²L, and E[∂σ_a v σ_b] = −E[∂σ_a v σ_a]/(n − 1) for different places of an
epoch, whose σ sum to zero, one step adds −∂Φ Σ_a ∂σ_a w(∇²L)σ_a per unit of time, w(λ) = Σ_{m≤n−2} (n − 1 − m)(1 − ηλ)ᵐ/(n(n − 1)).
As η → 0, w = ½.
"""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from symbolic_sgd.algebra.differentiate import gradient, pull_back
from symbolic_sgd.algebra.graph import Graph, Node
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.algebra.translation import from_sympy
from symbolic_sgd.problems.problem import Problem
from symbolic_sgd.theorem.drift import DriftTerms
from symbolic_sgd.theorem.geometry import NodeGeometry
from symbolic_sgd.theorem.noise_on_manifold import NoiseOnManifold
from symbolic_sgd.theorem.response import ReshuffledResponse


def with_reshuffling(
    drift: DriftTerms, normal: NodeGeometry, noise: NoiseOnManifold, response: ReshuffledResponse
) -> DriftTerms:
    """The drift with −∂Φ Σ_a ∂σ_a w(∇²L)σ_a."""
    manifold = normal.frame.manifold
    beside = manifold.problem.noise.columns(manifold.problem, manifold.landscape)
    # The columns s_a, with their equal weights: no roots.
    led = _led(manifold.restrict(manifold.landscape.hessian), noise.stated.columns, response)
    along = _of_gradients if response.of_losses else slopes_along
    moved = along(beside.columns, led.scaled(led[0, 0].graph.constant(beside.weights[0])), manifold.landscape.variables)
    moved = manifold.restrict(moved)
    return replace(drift, curved=manifold.without_zeros(-normal.tangent_part(moved)))


def _led(hessian: Matrix, columns: Matrix, response: ReshuffledResponse) -> Matrix:
    """w(H) applied to columns: Σ_{j≤n−2} Σ_{m≤j} Bᵐ/(n(n − 1)), by products with B alone."""
    n = response.samples
    if response.rate is None:
        return columns.scaled(columns[0, 0].graph.constant(Fraction(1, 2)))
    eta = from_sympy(response.rate, columns[0, 0].graph)
    power = partial = total = columns
    for _ in range(n - 2):
        power = power - (hessian @ power).scaled(eta)
        partial = partial + power
        total = total + partial
    return total.scaled(columns[0, 0].graph.constant(Fraction(1, n * (n - 1))))


def slopes_along(columns: Matrix, directions: Matrix, variables: Sequence[Node]) -> Matrix:
    """Σ_a ∂c_a v_a for columns c_a and directions v_a, D×n each, which are held constant."""
    total = Matrix.column([variables[0].graph.constant(0)] * len(variables))
    for column, direction in zip(columns.T.rows, directions.T.rows, strict=True):
        total = total + Matrix.of(gradient(entry, variables) for entry in column) @ Matrix.column(direction)
    return total


def _of_gradients(columns: Matrix, directions: Matrix, variables: Sequence[Node]) -> Matrix:
    """The same where the columns are gradients: ∂c_a is symmetric, and one sweep does for each."""
    total = Matrix.column([variables[0].graph.constant(0)] * len(variables))
    for column, direction in zip(columns.T.rows, directions.T.rows, strict=True):
        total = total + Matrix.column(pull_back(column, direction, variables))
    return total


def slope_of_trace(problem: Problem, graph: Graph) -> Matrix:
    """∇tr Σ, D×1, on a graph in which the problem's symbols stand for themselves."""
    landscape = problem.landscape()
    noise = problem.noise.columns(problem, landscape)
    squares = (w * a * a for row in noise.columns.rows for w, a in zip(noise.weights, row, strict=True))
    slope = gradient(landscape.graph.total(squares), landscape.variables)
    return Program.of({"slope": Matrix.column(slope)}).on(graph)["slope"]
