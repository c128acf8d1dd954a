"""Shampoo: steps of matrices of parameters, scaled by inverse powers of the matrices that they remember of GGᵀ and GᵀG."""

from collections.abc import Iterator, Sequence
from dataclasses import InitVar, dataclass
from itertools import combinations_with_replacement
from typing import Any, ClassVar

import sympy as sp

from symbolic_sgd.algebra.operations import operations
from symbolic_sgd.algebra.translation import Expression, SymbolicMatrix
from symbolic_sgd.errors import BadInput, Undecided
from symbolic_sgd.optimizers.optimizer import stated_number
from symbolic_sgd.optimizers.second_moments import SlowSecondMoments
from symbolic_sgd.problems.symbols import check_no_twins

LARGEST_INVERSE = 3
"""Rows of a matrix whose inverse is written out."""

FACTORED = 200
"""Operations of a determinant that is factored."""


@dataclass(frozen=True)
class Side:
    """One matrix of second moments: V = Σ_k G_k G_kᵀ over the columns G_k of a matrix of parameters, or of its transpose.

    Args:
        names: of V_11, V_12, … V_rr, row by row, i ≤ j.
        lines: for each of the r rows the numbers of its parameters.
    """

    names: tuple[str, ...]
    lines: tuple[tuple[int, ...], ...]

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """(i, j) of V_ij, in the order of the names."""
        return list(combinations_with_replacement(range(len(self.lines)), 2))

    @property
    def sums(self) -> tuple[tuple[tuple[int, int], ...], ...]:
        """V_ij = Σ_k B over the pairs of parameters (i, k), (j, k)."""
        return tuple(tuple(zip(self.lines[i], self.lines[j], strict=True)) for i, j in self.pairs)


@dataclass(frozen=True)
class Shampoo(SlowSecondMoments):
    """W⁺ = W − η L^{-p} G R^{-p}, L⁺ = L + cη²(GGᵀ − ε²L), R⁺ = R + cη²(GᵀG − ε²R) for each matrix W of parameters, G = ∇L + noise.

    With one side, W⁺ = W − η L^{-p} G. The slow variables are the parameters and the entries L_ij and R_ij, i ≤ j, of the symmetric
    matrices: S(L, R) = L^{-p} ⊗ R^{-p}, or L^{-p} ⊗ I. With e they are (L + eI)^{-p}. All numbers are the scaled ones, as of `RMSprop`:
    the true second moments are ε²L.

    With one side and label noise both descend `sde.joint_potential`, and where L has settled, `sde.quasi_static_regularizer`. With two
    sides S is no V*(∇ω), and the drift of the settled L and R has a curl in general.

    Roots are written in closed form, without eigenvalues and smooth where these meet: of L with two rows for p = n/2ᵏ,
    L^{1/2} = (L + √(det L) I)/√(tr L + 2√(det L)), with one row for every p, and up to three rows where p is a whole number.

    Args:
        matrices: W, a Matrix of parameters, or a list of such, in which every parameter stands once.
        second_moment_rate: c, of 1 − β₂ = cη²ε².
        sides: 2, or 1 for the left one alone.
        exponent: p; ½ for one side and ¼ for two where nothing is said.
        stabilizer: e, added to the eigenvalues of L and R.
        weight_decay: w, outside of the scaling.
        learning_rate: η; None where it tends to 0.
        beta2: refused, with the reason: second moments have to be slow.

    Raises:
        BadInput: a number that makes no sense; something that is no matrix of symbols; a power that is not written out.

    >>> a, b, c, d = sp.symbols("a b c d")
    >>> Shampoo(sp.Matrix([[a, b], [c, d]]), second_moment_rate=1).exponent
    1/4

    Source: Gupta, Koren and Singer, Shampoo: Preconditioned Stochastic Tensor Optimization, ICML 2018.
    """

    label: ClassVar[str] = "Shampoo"
    stabilized: ClassVar[str] = "the eigenvalues of L and R"

    matrices: Any
    second_moment_rate: Any
    sides: Any = 2
    exponent: Any = None
    stabilizer: Any = 0
    weight_decay: Any = 0
    learning_rate: Any = None
    beta2: InitVar[Any] = None

    def __post_init__(self, beta2: Any) -> None:
        own = object.__setattr__
        own(self, "matrices", _stated_matrices(self.matrices))
        sides = stated_number(self.sides, "sides")
        if sides not in (1, 2):
            raise BadInput(f"sides is {self.sides}; it is 1, for L^(-p) G, or 2, for L^(-p) G R^(-p)")
        own(self, "sides", sides)
        if self.exponent is None:
            own(self, "exponent", sp.Rational(1, 2 * int(sides)))
        self._check_numbers(beta2)
        for side in self._sides(self._listed):
            _check_power(len(side.lines), self.exponent)

    # --- what is remembered -------------------------------------------------------------------

    @property
    def _listed(self) -> tuple[sp.Symbol, ...]:
        """All parameters in the order of the matrices."""
        return tuple(s for matrix in self.matrices for s in matrix.flat())

    def _sides(self, parameters: Sequence[sp.Symbol]) -> list[Side]:
        """L and R of each matrix in turn."""
        number, several, found = {s: k for k, s in enumerate(parameters)}, len(self.matrices) > 1, []
        for k, matrix in enumerate(self.matrices, start=1):
            for letter, read in (("L", matrix), ("R", matrix.T))[: int(self.sides)]:
                lines = tuple(tuple(number[s] for s in read.row(i)) for i in range(read.rows))
                names = tuple(
                    f"{letter}{k if several else ''}_{i}{j}"
                    for i, j in combinations_with_replacement(range(1, read.rows + 1), 2)
                )
                found.append(Side(names, lines))
        return found

    def _held(
        self, parameters: Sequence[sp.Symbol], moments: Sequence[Expression]
    ) -> Iterator[tuple[Side, SymbolicMatrix]]:
        """L or R of every side, made of its entries."""
        given = iter(moments)
        for side in self._sides(parameters):
            entry = {pair: next(given) for pair in side.pairs}
            rows = range(len(side.lines))
            yield side, sp.ImmutableDenseMatrix([[entry[min(i, j), max(i, j)] for j in rows] for i in rows])

    @property
    def moments_written(self) -> tuple[str, str]:
        if self.sides == 1:
            return "Tr₂ B, which is GGᵀ for B = ggᵀ", r"\mathrm{Tr}_2 B \text{ (the mean of } GG^{\top}\text{)}"
        return (
            "Tr₂ B and Tr₁ B, which are GGᵀ and GᵀG for B = ggᵀ",
            r"(\mathrm{Tr}_2 B, \mathrm{Tr}_1 B) \text{ (the means of } GG^{\top} \text{ and } G^{\top}G\text{)}",
        )

    def moment_names(self, parameters: Sequence[sp.Symbol]) -> list[str]:
        return [name for side in self._sides(parameters) for name in side.names]

    def moment_sums(self, parameters: Sequence[sp.Symbol]) -> tuple[tuple[tuple[int, int], ...], ...]:
        return tuple(pairs for side in self._sides(parameters) for pairs in side.sums)

    def unit_moments(self, parameters: Sequence[sp.Symbol]) -> list[int]:
        return [int(i == j) for side in self._sides(parameters) for i, j in side.pairs]

    def positive_moments(self, moments: Sequence[sp.Symbol]) -> list[Expression]:
        """The leading minors."""
        return [
            matrix[:k, :k].det() for _, matrix in self._held(self._listed, moments) for k in range(1, matrix.rows + 1)
        ]

    def scaling(self, parameters: Sequence[sp.Symbol], moments: Sequence[Expression]) -> SymbolicMatrix:
        powers = [
            (side, matrix_power(self._stabilized(held), -self.exponent))
            for side, held in self._held(parameters, moments)
        ]
        scale = sp.zeros(len(parameters), len(parameters))
        for k in range(0, len(powers), int(self.sides)):
            rows, left = powers[k]
            columns = range(len(rows.lines[0]))
            right = powers[k + 1][1] if self.sides == 2 else sp.eye(len(columns))
            for i, line in enumerate(rows.lines):
                for j, other in enumerate(rows.lines):
                    for a in columns:
                        for b in columns:
                            scale[line[a], other[b]] = left[i, j] * right[a, b]
        return sp.ImmutableDenseMatrix(scale)

    def primitive(self, moments: Sequence[Expression]) -> Expression:
        if self.sides == 2:
            raise Undecided(
                "S = L^(-p) ⊗ R^(-p) is no V*(∇ω) of a function ω of (L, R), of which two-sided Shampoo would have a joint potential; "
                "where L and R have settled its drift has a curl in general. One-sided Shampoo, sides=1, has one"
            )
        p, total = self.exponent, sp.S.Zero
        for _, held in self._held(self._listed, moments):
            shifted = self._stabilized(held)
            total += sp.log(shifted.det()) if p == 1 else trace_of_power(shifted, 1 - p) / (1 - p)
        return total

    def paired(self, moments: Sequence[Expression]) -> Expression:
        shifted = [self._stabilized(matrix) for _, matrix in self._held(self._listed, moments)]
        p, e = self.exponent, self.stabilizer
        return sp.Add(*[trace_of_power(m, 1 - p) - (e * trace_of_power(m, -p) if e != 0 else 0) for m in shifted])

    def _stabilized(self, matrix: SymbolicMatrix) -> SymbolicMatrix:
        return matrix if self.stabilizer == 0 else matrix + self.stabilizer * sp.eye(matrix.rows)

    def _count(self, parameters: tuple[sp.Symbol, ...]) -> int | None:
        d = len(self._listed)
        advice = "give matrices in which every parameter stands once"
        for s in self._listed:
            if s not in parameters:
                raise BadInput(f"matrices: {s} is no parameter of the problem; {advice}")
        names = [s.name for s in parameters[d:]]
        if names and set(parameters[:d]) == set(self._listed) and names == self.moment_names(parameters[:d]):
            return d
        for s in parameters:
            if s not in self._listed:
                raise BadInput(f"matrices: the parameter {s} stands in none of them; {advice}")
        return None

    # --- words --------------------------------------------------------------------------------

    def _learning(self, scale: str) -> str:
        left = rf"L_{{k+1}} = L_k + c\,\eta^2\,(g_k g_k^{{\top}} - {scale}L_k)"
        right = rf", \quad R_{{k+1}} = R_k + c\,\eta^2\,(g_k^{{\top}} g_k - {scale}R_k)"
        return left + (right if self.sides == 2 else "")

    def _scaled(self, step: str) -> str:
        written = lambda letter: (  # noqa: E731
            rf"{letter}_{{k+1}}^{{-p}}" if self.stabilizer == 0 else rf"({letter}_{{k+1}} + e)^{{-p}}"
        )
        return rf"{written('L')}\,{step}" + (rf"\,{written('R')}" if self.sides == 2 else "")

    @property
    def stated_equation(self) -> str:
        matrices = r", \; ".join(map(sp.latex, self.matrices))
        return rf"{super().stated_equation}, \quad x = {matrices}"


def matrix_power(matrix: SymbolicMatrix, exponent: Expression) -> SymbolicMatrix:
    """Vᵠ of a symmetric positive definite V: of one row; of two rows for q = n/2ᵏ; of any number of rows for a whole q.

    A root of two rows is V^{1/2} = (V + √(det V) I)/√(tr V + 2√(det V)), by Cayley and Hamilton.

    >>> matrix_power(sp.ImmutableDenseMatrix([[5, 4], [4, 5]]), sp.Rational(-1, 2))
    Matrix([
    [ 2/3, -1/3],
    [-1/3,  2/3]])
    """
    if matrix.rows == 1:
        return sp.ImmutableDenseMatrix([[matrix[0, 0] ** exponent]])
    if matrix.rows != 2:
        return sp.ImmutableDenseMatrix(matrix**exponent)
    root, trace, determinant = _base(matrix, exponent)
    weight, constant = sp.S.Zero, sp.S.One  # Xⁿ = weight·X + constant·I, and X² = tr X·X − det X·I
    for _ in range(abs(exponent.p)):
        weight, constant = trace * weight + constant, -determinant * weight
    return sp.ImmutableDenseMatrix(weight * root + constant * sp.eye(2))


def trace_of_power(matrix: SymbolicMatrix, exponent: Expression) -> Expression:
    """tr Vᵠ, as `matrix_power`; of two rows by Newton's recursion in the trace and the determinant of the root.

    >>> a, b, c = sp.symbols("a b c")
    >>> trace_of_power(sp.ImmutableDenseMatrix([[a, b], [b, c]]), sp.Rational(1, 2))
    sqrt(a + c + 2*sqrt(a*c - b**2))
    """
    if matrix.rows != 2:
        return matrix_power(matrix, exponent).trace()
    _, trace, determinant = _base(matrix, exponent)
    last, power = sp.Integer(2), trace
    for _ in range(abs(exponent.p)):
        last, power = power, trace * power - determinant * last
    return last


def _base(matrix: SymbolicMatrix, exponent: Expression) -> tuple[SymbolicMatrix, Expression, Expression]:
    """X with Xⁿ = Vᵠ for ‖q‖ = n/2ᵏ, two rows, with its trace and its determinant: V^{1/2ᵏ}, or the inverse of that where q < 0."""
    determinant = matrix.det()
    trace, determinant = matrix.trace(), sp.factor(determinant) if operations(determinant) < FACTORED else determinant
    for _ in range(int(exponent.q).bit_length() - 1):
        area = sp.sqrt(determinant)
        length = sp.sqrt(trace + 2 * area)
        matrix, trace, determinant = (matrix + area * sp.eye(2)) / length, length, area
    if exponent.p < 0:
        return matrix.adjugate() / determinant, trace / determinant, 1 / determinant
    return matrix, trace, determinant


def _stated_matrices(value: Any) -> tuple[SymbolicMatrix, ...]:
    """One matrix of symbols or several, in which no symbol stands twice."""
    listed = [value] if isinstance(value, sp.MatrixBase) else value
    if not isinstance(listed, (list, tuple)) or not listed or not all(isinstance(m, sp.MatrixBase) for m in listed):
        raise BadInput(f"matrices is {value!r}; give a SymPy Matrix of the parameters, or a list of such")
    entries = [e for matrix in listed for e in matrix.flat()]
    for e in entries:
        if not isinstance(e, sp.Symbol):
            raise BadInput(f"matrices hold {e}; give matrices of parameters, each a symbol")
        if entries.count(e) > 1:
            raise BadInput(f"matrices hold {e} twice; every parameter stands in them once")
    check_no_twins(entries)
    if not all(matrix.rows and matrix.cols for matrix in listed):
        raise BadInput("matrices: one of them has no entries; leave it out")
    return tuple(sp.ImmutableDenseMatrix(matrix) for matrix in listed)


def _check_power(rows: int, exponent: Expression) -> None:
    """Refuse powers that are not written out."""
    if rows == 1 or (rows <= LARGEST_INVERSE and exponent.is_Integer):
        return
    if rows > 2:
        raise BadInput(
            f"a matrix of second moments has {rows} rows, and its power -{exponent} is written out for two rows at most (a whole power for "
            f"{LARGEST_INVERSE}): more make it hold the roots of a polynomial of degree {rows}. Divide the parameters into smaller "
            "matrices, take one side of fewer rows, or state the step as an IteratedMap whose state is the root itself"
        )
    if not exponent.is_Rational or int(exponent.q) & (int(exponent.q) - 1):
        raise BadInput(
            f"exponent is {exponent}; powers of matrices of two rows are written out where it is n/2ᵏ, such as 1/2, 1/4 or 1: they are "
            "made of square roots, and other powers hold the difference of the eigenvalues in a denominator"
        )
