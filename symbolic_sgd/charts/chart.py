"""The limiting SDE in the coordinates θ of a parametrisation x = ψ(θ) of Γ."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import sympy as sp

from symbolic_sgd.algebra.arithmetic import PreciseNumber
from symbolic_sgd.algebra.differentiate import contracted_hessian
from symbolic_sgd.algebra.graph import Graph, Node, is_analytic, reachable
from symbolic_sgd.algebra.matrices import Matrix, PositiveDefinite
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.algebra.reading import reading_cost
from symbolic_sgd.algebra.translation import Expression, SymbolicMatrix, from_sympy
from symbolic_sgd.charts.embedding import Embedding
from symbolic_sgd.errors import ExpressionTooLarge, SymbolicSGDError
from symbolic_sgd.manifold.precise import PrecisePoint
from symbolic_sgd.theorem.rational_forms import shortest_forms
from symbolic_sgd.theorem.sums_as_letters import in_sums, linear_sums

Assignment = Mapping[sp.Symbol, PreciseNumber]
"""A value for every coordinate and constant."""

WRITTEN = 20_000
"""Operations past which a coefficient is not written out."""


@dataclass(frozen=True)
class Chart:
    """dθ = b_θ dt + σ_θ dW.

    Args:
        embedding: ψ.
        program: `embedding` ψ (D×1), `drift` b_θ (n×1), `diffusion` σ_θ (n×Ξ), `covariance` Σ_θ = σ_θσ_θᵀ (n×n) and
            `metric` ψ'ᵀψ' (n×n), as functions of θ.
        bounds: the open interval of a one-dimensional θ; None where it was not found, or n > 1, or on a closed curve.
        stated: whether the user said so: then only this interval is meant.
        period: ψ(θ + period) = ψ(θ) on a closed curve; else None.
        sampled: whether singularities in a stated range were looked for on a grid only.
    """

    embedding: Embedding
    program: Program
    bounds: tuple[Expression, Expression] | None = None
    stated: bool = False
    period: Expression | None = None
    sampled: bool = False

    @property
    def dimension(self) -> int:
        """n = D − M."""
        return len(self.embedding.coordinates)

    @property
    def points(self) -> tuple[Assignment, ...]:
        """The values of θ (and of the constants) at which ψ was tested."""
        return self.embedding.points

    def written(self, name: str) -> sp.ImmutableDenseMatrix:
        """An output of the program as expressions, in the sums of coordinates that ψ is written in."""
        matrix = written(self.program, name, self.points)
        entries, graph = in_sums(list(matrix.flat()), self.sums), Graph()
        if entries == list(matrix.flat()):
            return matrix
        gaps = [from_sympy(a, graph) - from_sympy(b, graph) for a, b in zip(matrix.flat(), entries, strict=True)]
        return sp.ImmutableDenseMatrix(*matrix.shape, entries) if vanish(gaps, self.points) else matrix

    @property
    def sums(self) -> tuple[Expression, ...]:
        """The sums of coordinates that stand in ψ."""
        return tuple(linear_sums(self.embedding.expressions, self.embedding.coordinates))


def coefficients(embedding: Embedding) -> Program:
    """σ_θ = ψ'⁺ P σ and b_θ = ψ'⁺(b − ½ψ''[Σ_θ]), with ψ'⁺ = (ψ'ᵀψ')⁻¹ψ'ᵀ.

    By Itô's formula dψ(θ) = ψ' dθ + ½ψ''[Σ_θ] dt has to be b dt + Pσ dW. In a graph chart the rows J of ψ' are the
    identity and those of ψ'' are 0, so that the rows J of this equation are dθ itself: no correction is left.
    """
    graph = Graph()
    terms = embedding.compose(embedding.derivation.program.select("tangent_noise", "drift"), graph)
    noise, drift = terms["tangent_noise"], terms["drift"]
    tangent = embedding.jacobian(graph)
    metric = tangent.T @ tangent
    if embedding.selected is not None:
        diffusion, own_drift = (Matrix(tuple(m.rows[j] for j in embedding.selected)) for m in (noise, drift))
        covariance = diffusion @ diffusion.T
    else:
        inverse = PositiveDefinite.factor(metric)
        diffusion = inverse.solve(tangent.T @ noise)
        covariance = diffusion @ diffusion.T
        variables = [graph.symbol(t) for t in embedding.coordinates]
        values = embedding.on(graph).values()
        bend = Matrix.column([contracted_hessian(value, variables, covariance.rows) for value in values])
        own_drift = inverse.solve(tangent.T @ (drift - Fraction(1, 2) * bend))
    return Program.of(
        {
            "embedding": Matrix.column(list(embedding.on(graph).values())),
            "drift": own_drift,
            "diffusion": diffusion,
            "covariance": covariance,
            "metric": metric,
        }
    )


def written(program: Program, name: str, points: Sequence[Assignment]) -> sp.ImmutableDenseMatrix:
    """An output as expressions: in lowest terms where that is within reach and shorter, checked at the points.

    Raises:
        ExpressionTooLarge: neither form is within the budget.
    """
    part = program.select(name)
    (output,) = part.outputs
    try:
        plain = part.expand(name, budget=WRITTEN)
    except ExpressionTooLarge:
        plain = None
    reduced = _reduced(part, name, output.shape, points)
    if plain is None and reduced is None:
        raise ExpressionTooLarge(
            f"{name} holds {part.expanded_size(name):.3g} operations when written out in the chart (budget {WRITTEN:,}): use its "
            "program (named intermediate results), or its lambdify() for numbers"
        )
    forms = [form for form in (reduced, plain) if form is not None]
    if len(forms) == 1:
        return forms[0]
    entries = [min(pair, key=reading_cost) for pair in zip(*(form.flat() for form in forms), strict=True)]
    return sp.ImmutableDenseMatrix(*output.shape, entries)


def tidied(expression: Expression, points: Sequence[Assignment]) -> Expression:
    """The shorter of an expression and its reduced fraction, and 0 for an analytic one that vanishes at every point to 50
    digits (√θ² is |θ|, too); one with unknown functions is returned as it is."""
    try:
        node = from_sympy(expression, Graph())
        if is_analytic([node]) and not any(n.op == "sqrt" for n in reachable([node])) and vanish([node], points):
            return sp.S.Zero
        return written(Program.of({"value": Matrix.column([node])}), "value", points)[0, 0]
    except (SymbolicSGDError, ZeroDivisionError):
        return expression


def _reduced(part: Program, name: str, shape: tuple[int, int], points: Sequence[Assignment]) -> SymbolicMatrix | None:
    """The shortest rational forms, if each of them agrees with the program at every point to 50 digits."""
    graph = Graph()
    original = part.on(graph)[name].entries
    try:
        forms = shortest_forms(original)
    except (ExpressionTooLarge, ZeroDivisionError):
        return None
    gaps = [a - from_sympy(form, graph) for a, form in zip(original, forms, strict=True)]
    return sp.ImmutableDenseMatrix(*shape, forms) if vanish(gaps, points) else None


def derivative(expression: Expression, *symbols: sp.Symbol) -> Expression:
    """∂f, with every symbol real: else SymPy takes |θ| for a function of a complex variable."""
    real = {s: sp.Dummy(s.name, real=True, positive=s.is_positive) for s in expression.free_symbols}
    found = sp.diff(expression.xreplace(real), *(real.get(s, s) for s in symbols))
    # What is not smooth in |θ| at 0 is no part of the chart.
    return found.replace(sp.DiracDelta, lambda *_: sp.S.Zero).xreplace({stand_in: s for s, stand_in in real.items()})


def fresh_symbol(*expressions: Expression) -> sp.Symbol:
    """A variable of integration whose name stands in none of the expressions."""
    taken = {s.name for e in expressions for s in e.free_symbols}
    return sp.Symbol(next(name for name in ("y", "z", "y_0", *(f"y_{k}" for k in range(1, 1000))) if name not in taken))


def vanish(nodes: Sequence[Node], points: Sequence[Assignment]) -> bool:
    """Whether functions of θ are zero at every point."""
    return all(all(PrecisePoint(point).zeros(nodes)) for point in points)
