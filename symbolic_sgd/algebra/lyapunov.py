"""The Lyapunov equation BZ + ZBᵀ = Y: in closed form for small matrices, and by elimination for all; and its kin, den(B)[Z] = num(B)[Y]."""

from collections.abc import Mapping, Sequence
from fractions import Fraction

from symbolic_sgd.algebra.graph import Graph, Node
from symbolic_sgd.algebra.matrices import Matrix, dot
from symbolic_sgd.algebra.solvers import Solver, by_cramers_rule, by_elimination

CLOSED_FORM = 3
"""The largest M for the closed form: beyond it the coefficients lose too many digits in float64."""


def elementary_symmetric(matrix: Matrix, count: int) -> tuple[Node, ...]:
    """e_1 … e_count of the eigenvalues of a matrix: the sums of its principal minors of each order (count ≤ 3)."""
    n = range(matrix.shape[0])
    orders = (
        [matrix[i, i] for i in n],
        [_minor(matrix, (i, j)) for i in n for j in n if i < j],
        [_minor(matrix, (i, j, k)) for i in n for j in n for k in n if i < j < k],
    )
    return tuple(matrix[0, 0].graph.total(minors) for minors in orders[:count])


def _minor(a: Matrix, rows: tuple[int, ...]) -> Node:
    if len(rows) == 2:
        i, j = rows
        return a[i, i] * a[j, j] - a[i, j] * a[j, i]
    i, j, k = rows
    return (
        a[i, i] * (a[j, j] * a[k, k] - a[j, k] * a[k, j])
        - a[i, j] * (a[j, i] * a[k, k] - a[j, k] * a[k, i])
        + a[i, k] * (a[j, i] * a[k, j] - a[j, j] * a[k, i])
    )


def closed_form(b: Matrix, e: Sequence[Node], y: Matrix) -> Matrix:
    """Z = Σ_{i,j<M} c_ij B^i Y (Bᵀ)^j, the solution of BZ + ZBᵀ = Y where B has M nonzero eigenvalues, all positive.

    c solves Cc + cCᵀ = e₀e₀ᵀ for C, the multiplication by t modulo t^M − e₁t^{M−1} + e₂t^{M−2} − …; its denominators,
    2e_M times a Hurwitz determinant, are positive wherever the M eigenvalues are. B may be larger than M×M and singular:
    then Y has to lie in its range on both sides.

    Args:
        b: B.
        e: e_1 … e_M, the elementary symmetric functions of the nonzero eigenvalues of B, M ≤ 3.
        y: Y.

    >>> import sympy as sp
    >>> from symbolic_sgd.algebra.graph import Graph
    >>> graph = Graph(); b, y = (graph.symbol(s) for s in sp.symbols("b y"))
    >>> closed_form(Matrix.of([[b]]), [b], Matrix.of([[y]]))[0, 0] is y / (2 * b)
    True
    """
    if len(e) == 1:
        return y.map(lambda entry: entry / (2 * e[0]))
    left = b @ y
    around = left @ b.T
    if len(e) == 2:
        e1, e2 = e
        inner = y.scaled(e1 * e1 + e2) - (left + left.T).scaled(e1) + around
        return inner.map(lambda entry: entry / (2 * e1 * e2))
    e1, e2, e3 = e
    hurwitz = e1 * e2 - e3
    twice = b @ left
    beside = b @ around
    inner = (
        y.scaled(e1 * e1 * e3 + e2 * hurwitz)
        - (left + left.T).scaled(e1 * e1 * e2)
        + (twice + twice.T).scaled(hurwitz)
        + around.scaled(e1 * e1 * e1 + e3)
        - (beside + beside.T).scaled(e1 * e1)
        + (beside @ b.T).scaled(e1)
    )
    return inner.map(lambda entry: entry / (2 * e3 * hurwitz))


def rational_form(
    b: Matrix,
    e: Sequence[Node],
    y: Matrix,
    numerator: Mapping[tuple[int, int], Node],
    denominator: Mapping[tuple[int, int], Node],
) -> Matrix:
    """Z with Σ den_ij BⁱZ(Bᵀ)ʲ = Σ num_ij BⁱY(Bᵀ)ʲ, as Σ_{i,j<M} c_ij BⁱY(Bᵀ)ʲ.

    In the eigenvectors of B, Z_ab = (num/den)(λ_a, λ_b) Y_ab. The c_ij solve den(C, C)[c] = num(C, C)[e₀e₀ᵀ], where aⁱbʲ acts as
    c ↦ Cⁱc(Cᵀ)ʲ with C as in `closed_form`, which is this for 1/(a + b) with the system solved.

    Args:
        b, e, y: as for `closed_form`.
        numerator, denominator: symmetric polynomials {(i, j): coefficient of aⁱbʲ}.
    """
    m, graph = len(e), b[0, 0].graph
    companion = _companion(e)
    pairs = [(i, j) for i in range(m) for j in range(i, m)]
    units = [_unit(graph, m, pair) for pair in pairs]
    images = [_acted(companion, denominator, unit) for unit in units]
    system = Matrix.of([image[i, j] for image in images] for i, j in pairs)
    right = _acted(companion, numerator, _unit(graph, m, (0, 0)))
    solution = by_cramers_rule(system, Matrix.column(right[i, j] for i, j in pairs))
    powers = [y]
    for _ in range(m - 1):
        powers.append(b @ powers[-1])
    total = y.map(lambda entry: 0 * entry)
    for (i, j), c in zip(pairs, solution.numerators.entries, strict=True):
        term = powers[j]
        for _ in range(i):
            term = term @ b.T
        total = total + (term if i == j else term + term.T).scaled(c)
    return solution.over(total)


def _companion(e: Sequence[Node]) -> Matrix:
    """Multiplication by t modulo t^M − e₁t^{M−1} + e₂t^{M−2} − …, in the basis 1, t, …"""
    m, graph = len(e), e[0].graph
    last = [e[m - 1 - i] if (m - 1 - i) % 2 == 0 else -e[m - 1 - i] for i in range(m)]
    return Matrix.of([last[i] if j == m - 1 else graph.constant(int(i == j + 1)) for j in range(m)] for i in range(m))


def _unit(graph: Graph, m: int, pair: tuple[int, int]) -> Matrix:
    return Matrix.of([graph.constant(int((i, j) in (pair, pair[::-1]))) for j in range(m)] for i in range(m))


def _acted(c: Matrix, polynomial: Mapping[tuple[int, int], Node], unit: Matrix) -> Matrix:
    total = unit.map(lambda entry: 0 * entry)
    for (i, j), coefficient in polynomial.items():
        term = unit
        for _ in range(i):
            term = c @ term
        for _ in range(j):
            term = term @ c.T
        total = total + term.scaled(coefficient)
    return total


def rational_function(
    b: Matrix, e: Sequence[Node], right: Matrix, numerator: Sequence[Node], denominator: Sequence[Node]
) -> Matrix:
    """den(B)⁻¹ num(B) right as Σ_{i<M} c_i Bⁱ right, where B has M ≤ 3 nonzero eigenvalues and right lies in its range.

    Args:
        b, e: as for `closed_form`.
        numerator, denominator: coefficients of 1, t, t², …
    """
    m, graph = len(e), b[0, 0].graph
    companion = _companion(e)
    unit = Matrix.column(graph.constant(int(i == 0)) for i in range(m))
    images, power = [_polynomial(companion, denominator, unit)], companion
    for k in range(1, m):
        images.append(_polynomial(companion, denominator, power @ unit))
        power = companion @ power if k + 1 < m else power
    system = Matrix.of(zip(*(image.entries for image in images), strict=True))
    solution = by_cramers_rule(system, _polynomial(companion, numerator, unit))
    *lower, last = solution.numerators.entries
    result = right.scaled(last)
    for c in reversed(lower):  # Horner's rule
        result = right.scaled(c) + b @ result
    return solution.over(result)


def _polynomial(a: Matrix, coefficients: Sequence[Node], right: Matrix) -> Matrix:
    """Σ c_i Aⁱ right."""
    *lower, last = coefficients
    result = right.scaled(last)
    for c in reversed(lower):
        result = right.scaled(c) + a @ result
    return result


PairTerm = tuple[Node | Fraction | None, Matrix, Matrix]
"""(c, P, Q) with symmetric P and Q: the map Z ↦ c(PZQ + QZP), c = 1 where it is None."""


def solve_pairs(terms: Sequence[PairTerm], right: Matrix, solve: Solver = by_elimination) -> Matrix:
    """The symmetric Z with Σ c(PZQ + QZP) = V, for a map that is positive definite in the trace inner product.

    On the packed entries z_ab (a ≤ b) the map is a symmetric and positive definite matrix, so that its pivots are positive:
    ½⟨E_ab, PE_cdQ + QE_cdP⟩ = Σ P_qr Q_sp over the orderings (p, q) of (a, b) and (r, s) of (c, d).

    Args:
        terms: of the map.
        right: V, M×M and symmetric.
        solve: how the system of the packed entries is solved.
    """
    packed, system = pair_system(terms, right.shape[0])
    right_side = Matrix.column(Fraction(1, 2) * right[a, b] if a == b else right[a, b] for a, b in packed)
    solution = dict(zip(packed, solve(system, right_side).value.entries, strict=True))
    n = range(right.shape[0])
    return Matrix.of([solution[min(i, j), max(i, j)] for j in n] for i in n)


def pair_system(terms: Sequence[PairTerm], n: int) -> tuple[list[tuple[int, int]], Matrix]:
    """The packed entries (a, b), a ≤ b, and the matrix of Z ↦ Σ c(PZQ + QZP) in them: it is positive definite where the map is."""
    packed = [(a, b) for a in range(n) for b in range(a, n)]
    orderings = {pair: dict.fromkeys([pair, pair[::-1]]) for pair in packed}
    graph = terms[0][1][0, 0].graph

    def entry(left: tuple[int, int], right: tuple[int, int]) -> Node:
        total = graph.constant(0)
        for c, x, y in terms:
            found = [(x[q, r], y[s, p]) for p, q in orderings[left] for r, s in orderings[right]]
            found = [(a, b) for a, b in found if not b.is_zero]
            part = dot([a for a, _ in found], [b for _, b in found]) if found else graph.constant(0)
            total = total + (part if c is None else c * part)
        return total

    return packed, Matrix.of([entry(left, right) for right in packed] for left in packed)


def solve_lyapunov(w: Matrix, g: tuple[Node, ...], v: Matrix) -> Matrix:
    """The symmetric Z with W Z G + G Z W = V, for W > 0, G = diag(g) > 0 and V symmetric: with positive pivots.

    >>> import sympy as sp
    >>> from symbolic_sgd.algebra.graph import Graph
    >>> graph = Graph(); a, v = (graph.symbol(s) for s in sp.symbols("a v"))
    >>> solve_lyapunov(Matrix.of([[a]]), (graph.constant(1),), Matrix.of([[v]]))[0, 0] is v / (2 * a)
    True
    """
    n = len(g)
    if not any(entry.op == "constant" for entry in w.entries):  # else elimination may find most of it at once
        g[0].graph.expect((n * (n + 1) / 2) ** 3 / 3, f"the Lyapunov equation of {n} normal directions")
    return solve_pairs([(None, w, Matrix.diagonal(g[0].graph, g))], v)
