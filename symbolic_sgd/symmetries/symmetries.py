"""The linear symmetries e^{tX} of the functions that a loss is composed of: ∇f_iᵀXx ≡ 0 for each of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.combinations import rank_of, vanishing_combinations
from symbolic_sgd.algebra.differentiate import gradient
from symbolic_sgd.algebra.graph import Graph, Node
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.algebra.translation import Expression, SymbolicMatrix, from_sympy
from symbolic_sgd.errors import BadInput, ProblemTooLarge
from symbolic_sgd.manifold.inner_functions import inner_functions
from symbolic_sgd.printing.blocks import aligned, one_output
from symbolic_sgd.printing.displays import expression_latex, matrix_latex
from symbolic_sgd.problems.noise import SamplingNoise
from symbolic_sgd.rational.linear_algebra import in_order, symmetric_part
from symbolic_sgd.rational.linear_symmetries import symmetries_of_polynomials
from symbolic_sgd.theorem.canonical import written_on_manifold
from symbolic_sgd.theorem.derivation import Derivation

MOST_UNKNOWNS = 400
"""Entries of X up to which they are found by values in a prime field (seconds)."""

SHOWN = 8
"""Rows of a generator up to which it is printed."""


@dataclass(frozen=True, repr=False)
class Symmetries:
    """The Lie algebra 𝔤 of the matrices X with ∇f_i(x)ᵀXx ≡ 0: f_i(e^{tX}x) = f_i(x) for every i, t and x.

    A symmetric X gives the charge ½xᵀXx (`LimitingSDE.charges`); a skew one is an isometry, which leaves tr ∇²L as it is on Γ.
    With constants in the problem they are those for general values of the constants.

    Args:
        derivation: of the SDE on Γ.
        functions: f_i: residuals, or sample losses, or what the loss is a function of; else L itself.
        generators: a basis of 𝔤, D×D each: the symmetric ones, then the skew ones, then further ones.
        symmetric: a basis of those with Xᵀ = X.
        skew: a basis of those with Xᵀ = −X.
        complete: whether this is proved to be all of 𝔤; else it is what was found and proved.

    >>> import sympy as sp
    >>> from symbolic_sgd import LabelNoise, Problem, derive_limiting_sde
    >>> u, v = sp.symbols("u v")
    >>> sde = derive_limiting_sde(Problem.least_squares([u*v - 1], parameters=(u, v), noise=LabelNoise(1)))
    >>> sde.symmetries.generators
    (Matrix([
    [1,  0],
    [0, -1]]),)
    """

    derivation: Derivation
    functions: tuple[Expression, ...]
    generators: tuple[SymbolicMatrix, ...]
    symmetric: tuple[SymbolicMatrix, ...]
    skew: tuple[SymbolicMatrix, ...]
    complete: bool

    @property
    def parameters(self) -> tuple[sp.Symbol, ...]:
        """x_1 … x_D."""
        return self.derivation.problem.parameters

    @property
    def closed_under_transpose(self) -> bool:
        """Whether Xᵀ is in the span of the generators with X: then every critical point of tr ∇²L on an orbit has its least value there.

        Source: convexity of t ↦ Σ‖∇f_i‖² along e^{tX} for symmetric X (Kempf and Ness 1979).
        """
        return len(self.generators) == len(self.symmetric) + len(self.skew)

    @cached_property
    def balancedness(self) -> tuple[Expression, ...]:
        """tr(X∇²L) on Γ for every symmetric X; all of them vanish where tr ∇²L is critical along the orbit.

        Raises:
            ExpressionTooLarge: one of them does not expand within the size budget.
        """
        graph = Graph()
        hessian = self.derivation.blocks.on(graph)["hessian"]
        traces = [_pairing(hessian, x, graph) for x in self.symmetric]
        found = (written_on_manifold(self.derivation, Program.of({"tr(X∇²L)": Matrix.column([t])})) for t in traces)
        return tuple(form.matrix[0, 0] for form in found)

    def orbit_dimension(self, point: Mapping[sp.Symbol, Any] | None = None) -> int:
        """The rank of the vectors Xx: the dimension of the orbit through a point; None for the largest one, at general points.

        Args:
            point: symbol → integer or fraction, for every parameter and every constant that the generators hold.

        Raises:
            BadInput: a symbol without a rational number.
        """
        moved = [list(x * sp.Matrix(self.parameters)) for x in self.generators]
        if not moved:
            return 0
        if point is None:
            graph = Graph()
            return rank_of([[from_sympy(sp.sympify(e), graph) for e in row] for row in moved])
        rows = sp.Matrix(moved)
        return int(rows.xreplace(self._rational(point, rows.free_symbols | set(self.parameters))).rank())

    def _rational(self, point: Mapping[sp.Symbol, Any], symbols: set[Any]) -> dict[sp.Symbol, sp.Rational]:
        if not isinstance(point, Mapping):
            raise BadInput(f"the point is a {type(point).__name__}; give a dict from symbols to fractions")
        values = {}
        for s in sorted(symbols, key=str):
            value = None if s not in point or isinstance(point[s], (bool, float)) else sp.sympify(point[s])
            if not isinstance(value, sp.Rational):
                raise BadInput(
                    f"the point has {'no value' if s not in point else repr(point[s])} for {s}; the rank is computed exactly: give an "
                    "integer or a fraction, such as Rational(1, 2)"
                )
            values[s] = value
        return values

    def __str__(self) -> str:
        n = len(self.generators)
        if not n:
            return "There is no linear symmetry" if self.complete else "No linear symmetry was found"
        size = f"is {n}-dimensional" if self.complete else f"has at least {n} dimension{'' if n == 1 else 's'}"
        closed = "closed under transpose" if self.closed_under_transpose else "not closed under transpose"
        parts = f"{len(self.symmetric)} symmetric and {len(self.skew)} skew generators"
        return f"The algebra of linear symmetries {size}, {closed}, with {parts}"

    def __repr__(self) -> str:
        return f"Symmetries({self})"

    def _repr_latex_(self) -> str:
        lines = [
            rf"&\nabla f_i(x)^{{\top}} X x = 0 \text{{ for all }} i,\quad x = ({', '.join(map(expression_latex, self.parameters))})"
        ]
        if len(self.parameters) <= SHOWN:
            lines += [f"X_{{{k}}} &= {matrix_latex(x)}" for k, x in enumerate(self.generators, start=1)]
        else:
            lines.append(rf"&\text{{{len(self.generators)} generators}}")
        return one_output([aligned(lines)])


def find_symmetries(derivation: Derivation) -> Symmetries:
    """The linear symmetries of a problem's residuals, sample losses, or inner functions; of the loss where it is no composition.

    Raises:
        ProblemTooLarge: X has too many entries.
    """
    parameters = derivation.problem.parameters
    functions = invariant_functions(derivation)
    exact = symmetries_of_polynomials(functions, parameters)
    found, complete = (exact, True) if exact is not None else _by_values(functions, parameters)
    symmetric, skew = symmetric_part(found), symmetric_part(found, -1)
    return Symmetries(derivation, functions, in_order(found), tuple(symmetric), tuple(skew), complete)


def invariant_functions(derivation: Derivation) -> tuple[Expression, ...]:
    """Functions of which the loss is one: residuals, or the losses of samples, or inner functions; else the loss."""
    problem = derivation.problem
    if problem.residuals:
        return problem.residuals
    if isinstance(problem.noise, SamplingNoise):
        return problem.noise.losses
    inner = next(inner_functions(problem, derivation.codimension), None)
    return (problem.loss,) if inner is None else inner.functions


def _by_values(functions: Sequence[Expression], parameters: Sequence[sp.Symbol]) -> tuple[list[SymbolicMatrix], bool]:
    d = len(parameters)
    if d * d > MOST_UNKNOWNS:
        raise ProblemTooLarge(
            f"linear symmetries of functions that are no short polynomials are sought among matrices of at most {MOST_UNKNOWNS} entries, "
            f"and with {d} parameters they have {d * d}: state fewer parameters"
        )
    graph = Graph()
    nodes, variables = [from_sympy(f, graph) for f in functions], [graph.symbol(s) for s in parameters]
    slopes = [gradient(node, variables) for node in nodes]
    rates = [[slope[a] * variables[b] for slope in slopes] for a in range(d) for b in range(d)]
    found = vanishing_combinations(rates)
    matrices = [
        sp.ImmutableDenseMatrix(d, d, [sp.Rational(c.numerator, c.denominator) for c in row]) for row in found.basis
    ]
    return matrices, found.complete


def _pairing(hessian: Matrix, x: SymbolicMatrix, graph: Graph) -> Node:
    """tr(XH)."""
    entries = [(i, j) for i in range(x.rows) for j in range(x.cols) if x[i, j] != 0]
    return graph.total(from_sympy(x[i, j], graph) * hessian[j, i] for i, j in entries)
