"""Small dense matrices of nodes, and the pole-free linear algebra the derivation needs."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from symbolic_sgd.algebra.graph import Exact, Graph, Node, replace_nodes


@dataclass(frozen=True)
class Matrix:
    """An immutable matrix of nodes, by rows; vectors are matrices of one column."""

    rows: tuple[tuple[Node, ...], ...]

    @staticmethod
    def of(rows: Iterable[Iterable[Node]]) -> "Matrix":
        return Matrix(tuple(tuple(row) for row in rows))

    @staticmethod
    def column(entries: Iterable[Node]) -> "Matrix":
        return Matrix(tuple((entry,) for entry in entries))

    @staticmethod
    def diagonal(graph: Graph, entries: Sequence[Node | Exact]) -> "Matrix":
        n = range(len(entries))
        return Matrix.of([graph.lift(entries[i] if i == j else 0) for j in n] for i in n)

    @staticmethod
    def block_diagonal(graph: Graph, blocks: Sequence["Matrix"]) -> "Matrix":
        size, zero, rows, start = sum(b.shape[0] for b in blocks), graph.constant(0), list[list[Node]](), 0
        for block in blocks:
            after = size - start - block.shape[1]
            rows.extend([[zero] * start + list(row) + [zero] * after for row in block.rows])
            start += block.shape[1]
        return Matrix.of(rows)

    @staticmethod
    def identity(graph: Graph, size: int) -> "Matrix":
        return Matrix.diagonal(graph, [1] * size)

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.rows), len(self.rows[0]) if self.rows else 0

    @property
    def T(self) -> "Matrix":
        return Matrix(tuple(zip(*self.rows, strict=True)))

    @property
    def entries(self) -> tuple[Node, ...]:
        """All entries, row by row."""
        return tuple(entry for row in self.rows for entry in row)

    @property
    def diagonal_entries(self) -> tuple[Node, ...]:
        return tuple(row[i] for i, row in enumerate(self.rows))

    @property
    def is_diagonal(self) -> bool:
        """Whether all else is the constant 0."""
        return all(entry.is_zero for i, row in enumerate(self.rows) for j, entry in enumerate(row) if i != j)

    @property
    def trace(self) -> Node:
        """The sum of the diagonal of a matrix that is not empty."""
        return self.rows[0][0].graph.total(self.diagonal_entries)

    def __getitem__(self, ij: tuple[int, int]) -> Node:
        return self.rows[ij[0]][ij[1]]

    def columns(self, indices: Iterable[int]) -> "Matrix":
        """The submatrix of the given columns, in the given order."""
        chosen = tuple(indices)
        return Matrix(tuple(tuple(row[j] for j in chosen) for row in self.rows))

    def map(self, f: Callable[[Node], Node]) -> "Matrix":
        return Matrix(tuple(tuple(f(entry) for entry in row) for row in self.rows))

    def with_entries(self, entries: Sequence[Node]) -> "Matrix":
        """A matrix of this shape with other entries, row by row."""
        width = self.shape[1]
        return Matrix(tuple(tuple(entries[i * width : (i + 1) * width]) for i in range(self.shape[0])))

    def replace(self, replacement: dict[Node, Node]) -> "Matrix":
        """Every occurrence of a key of `replacement`, at any depth, becomes its value."""
        return self.with_entries(replace_nodes(self.entries, replacement))

    def __add__(self, other: "Matrix") -> "Matrix":
        return self._zip(other, lambda a, b: a + b)

    def __sub__(self, other: "Matrix") -> "Matrix":
        return self._zip(other, lambda a, b: a - b)

    def __neg__(self) -> "Matrix":
        return self.map(lambda a: -a)

    def __rmul__(self, factor: Exact) -> "Matrix":
        return self.scaled(factor)

    def scaled(self, factor: Node | Exact) -> "Matrix":
        return self.map(lambda a: factor * a)

    def __matmul__(self, other: "Matrix") -> "Matrix":
        columns = tuple(zip(*other.rows, strict=True))
        return Matrix(tuple(tuple(dot(row, column) for column in columns) for row in self.rows))

    def _zip(self, other: "Matrix", f: Callable[[Node, Node], Node]) -> "Matrix":
        pairs = zip(self.rows, other.rows, strict=True)
        return Matrix(tuple(tuple(f(a, b) for a, b in zip(r, s, strict=True)) for r, s in pairs))


def dot(a: Sequence[Node], b: Sequence[Node]) -> Node:
    """Σ_i a_i b_i, without the terms that are zero."""
    total = None
    for x, y in zip(a, b, strict=True):
        if not (x.is_zero or y.is_zero):
            total = x * y if total is None else total + x * y
    return a[0].graph.constant(0) if total is None else total


@dataclass(frozen=True)
class Orthogonal:
    """F = N U with NᵀN = diag(d) and U unit upper triangular: Gram–Schmidt without square roots.

    The squared lengths d_k are the only denominators, and Π d_k = det FᵀF, so that there are no poles where F has full
    rank. Projections are taken off one at a time: the rounding error then grows with the condition number of F, not
    with its square (Björck 1967).

    In the inner product of a metric S it is NᵀSN = diag(d), and N and SN are no longer the same.

    Args:
        columns: SN, D×M: N itself without a metric.
        lengths: d, M.
        triangle: U, M×M.
        normals: N, D×M.
    """

    columns: Matrix
    lengths: tuple[Node, ...]
    triangle: Matrix
    normals: Matrix

    @staticmethod
    def factor(frame: Matrix, metric: Matrix | None = None) -> "Orthogonal":
        graph, m = frame[0, 0].graph, frame.shape[1]
        remaining = [list(column) for column in frame.T.rows]
        raised: list[Sequence[Node]] = []
        lengths: list[Node] = []
        triangle = [[graph.constant(int(i == j)) for j in range(m)] for i in range(m)]
        for k, column in enumerate(remaining):
            raised.append(column if metric is None else (metric @ Matrix.column(column)).entries)
            lengths.append(dot(column, raised[k]))
            for j in range(k + 1, m):
                triangle[k][j] = overlap = dot(raised[k], remaining[j]) / lengths[k]
                remaining[j] = [x - overlap * c for x, c in zip(remaining[j], column, strict=True)]
        return Orthogonal(Matrix.of(raised).T, tuple(lengths), Matrix.of(triangle), Matrix.of(remaining).T)

    @property
    def dual(self) -> Matrix:
        """N̂ = SN diag(d)⁻¹, so that N̂ᵀN = I."""
        return self._over_lengths(self.columns)

    @property
    def rows(self) -> Matrix:
        """diag(d)⁻¹Nᵀ: the coordinates c of SNc; N̂ᵀ without a metric."""
        return self._over_lengths(self.normals).T

    def _over_lengths(self, columns: Matrix) -> Matrix:
        return Matrix.of([x / d for x, d in zip(row, self.lengths, strict=True)] for row in columns.rows)

    def least_norm(self, right: Matrix) -> Matrix:
        """The shortest W with FᵀW = right: W = N̂ Z, where UᵀZ = right by forward substitution."""
        z: list[list[Node]] = []
        for i, row in enumerate(right.rows):
            above = [self.triangle[k, i] for k in range(i)]
            z.append([b - dot(above, [r[j] for r in z]) if i else b for j, b in enumerate(row)])
        return self.dual @ Matrix.of(z)


@dataclass(frozen=True)
class PositiveDefinite:
    """A = L diag(p) Lᵀ for a symmetric positive definite A; the pivots p are positive wherever A is."""

    lower: tuple[tuple[Node, ...], ...]
    pivots: tuple[Node, ...]

    @staticmethod
    def factor(a: Matrix) -> "PositiveDefinite":
        lower: list[list[Node]] = []
        scaled: list[list[Node]] = []  # row i of L diag(p)
        pivots: list[Node] = []
        for i in range(a.shape[0]):
            work: list[Node] = []
            for j in range(i):
                work.append(a[i, j] - dot(work, lower[j]) if j else a[i, j])
            row = [w / p for w, p in zip(work, pivots, strict=True)]
            pivots.append(a[i, i] - dot(work, row) if i else a[i, i])
            lower.append(row)
            scaled.append(work)
        return PositiveDefinite(tuple(tuple(row) for row in lower), tuple(pivots))

    def solve(self, right: Matrix) -> Matrix:
        """A⁻¹ right."""
        return Matrix.of(self._solve_column(column) for column in right.T.rows).T

    def inverse_form(self, column: Sequence[Node]) -> Node:
        """vᵀA⁻¹v = Σ y²/p with Ly = v."""
        y = self._forward(column)
        return y[0].graph.total(a * a / p for a, p in zip(y, self.pivots, strict=True))

    def inverse_diagonal(self) -> list[Node]:
        """The diagonal of A⁻¹."""
        unit = Matrix.identity(self.pivots[0].graph, len(self.pivots))
        return [self.inverse_form(row) for row in unit.rows]

    def _forward(self, column: Sequence[Node]) -> list[Node]:
        y: list[Node] = []
        for i, b in enumerate(column):
            y.append(b - dot(self.lower[i], y) if i else b)
        return y

    def _solve_column(self, column: Sequence[Node]) -> list[Node]:
        y = self._forward(column)
        x = [entry / pivot for entry, pivot in zip(y, self.pivots, strict=True)]
        for i in reversed(range(len(x))):
            below = range(i + 1, len(x))
            if below:
                x[i] = x[i] - dot([self.lower[k][i] for k in below], [x[k] for k in below])
        return x
