"""Stationary densities in several coordinates where the probability flux vanishes: ∇ ln p = a⁻¹(2b − div a)."""

from collections.abc import Iterator
from contextlib import suppress

import sympy as sp

from symbolic_sgd.algebra.differentiate import gradient, jacobian
from symbolic_sgd.algebra.graph import Graph, Node
from symbolic_sgd.algebra.matrices import Matrix, PositiveDefinite
from symbolic_sgd.algebra.operations import operations
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.algebra.translation import Expression, from_sympy
from symbolic_sgd.charts.chart import Chart, derivative, tidied, vanish, written
from symbolic_sgd.charts.one_dimension import NOISELESS
from symbolic_sgd.charts.volume import volume_factors
from symbolic_sgd.errors import ExpressionTooLarge, NoClosedForm, NoStationaryDensity, SymbolicSGDError
from symbolic_sgd.rational.antiderivative import antiderivative


def zero_flux_density(chart: Chart) -> Expression:
    """p with b p − ½ div(a p) = 0, up to a constant factor; whether it is normalisable is not asked.

    For isotropic noise √det(ψ'ᵀψ') |∇²L|₊^{−½} is tried first; every p is checked by its gradient at the chart's points.

    Raises:
        NoStationaryDensity: the flux of every density is different from zero (or the noise is singular along Γ).
        NoClosedForm: ln p was not integrated in closed form.
    """
    graph = Graph()
    coefficients = chart.program.select("drift", "covariance").on(graph)
    variables = [graph.symbol(t) for t in chart.embedding.coordinates]
    covariance = coefficients["covariance"]
    if vanish(covariance.entries, chart.points):
        raise NoStationaryDensity(NOISELESS)
    factored = _factored(covariance, chart)
    if factored is None:
        raise NoStationaryDensity(
            "the noise along Γ does not reach every direction of Γ (its covariance in the chart is singular): a zero-flux density "
            "is not determined by it"
        )
    flux = Matrix.column(
        2 * b - _divergence(row, variables)
        for b, row in zip(coefficients["drift"].entries, coefficients["covariance"].rows, strict=True)
    )
    slope = factored.solve(flux)
    curl = [x - y for x, y in _pairs(jacobian(slope.entries, variables))]
    if not vanish(curl, chart.points):
        raise NoStationaryDensity(
            "no density has zero flux: a⁻¹(2b − div a) is no gradient, probability circulates in the stationary state. "
            "It is not known in closed form; simulate the SDE for it"
        )
    for candidate in _candidates(chart, slope, graph):
        if _fits(chart, candidate, slope, variables, graph):
            return candidate
    raise NoClosedForm(
        "a zero-flux density exists locally (a⁻¹(2b − div a) is closed), but its logarithm was not integrated in closed form"
    )


def _factored(covariance: Matrix, chart: Chart) -> PositiveDefinite | None:
    """None where the covariance is singular."""
    try:
        factored = PositiveDefinite.factor(covariance)
    except ZeroDivisionError:
        return None
    for pivot in factored.pivots:
        if vanish([pivot], chart.points):
            return None
    return factored


def _divergence(row: tuple[Node, ...], variables: list[Node]) -> Node:
    slopes = (gradient(entry, [variable])[0] for entry, variable in zip(row, variables, strict=True))
    return row[0].graph.total(slopes)


def _pairs(rows: list[list[Node]]) -> Iterator[tuple[Node, Node]]:
    return ((rows[i][j], rows[j][i]) for i in range(len(rows)) for j in range(i))


def _candidates(chart: Chart, slope: Matrix, graph: Graph) -> Iterator[Expression]:
    with suppress(SymbolicSGDError, ZeroDivisionError):
        yield _volume_density(chart)
    try:
        integrated = _integrated(chart, Program.of({"slope": slope}))
    except (SymbolicSGDError, ZeroDivisionError):
        return
    if integrated is not None:
        yield sp.exp(integrated)


def _volume_density(chart: Chart) -> Expression:
    """√det(ψ'ᵀψ') |∇²L|₊^{−½}."""
    graph = Graph()
    curved, plain = volume_factors(chart.embedding, graph)
    metric = PositiveDefinite.factor(chart.program.select("metric").on(graph)["metric"]).pivots
    ratio = graph.constant(1)
    for factor in (*metric, *plain):
        ratio = ratio * factor
    for factor in curved:
        ratio = ratio / factor
    square = written(Program.of({"square": Matrix.column([ratio])}), "square", chart.points)[0, 0]
    return _root(square)


def _root(square: Expression) -> Expression:
    """√ of a product, with |q| for √q²."""
    root = sp.S.One
    for factor in sp.Mul.make_args(sp.factor(square) if operations(square) < 100 else square):
        base, exponent = factor.as_base_exp()
        half, odd = divmod(exponent, 2) if exponent.is_Integer else (sp.S.Zero, exponent)
        root *= (base if half % 2 == 0 or base.is_positive else sp.Abs(base)) ** half * sp.sqrt(base**odd)
    return root


def _integrated(chart: Chart, program: Program) -> Expression | None:
    """ln p, coordinate by coordinate: integrate by θ_1, then what is left by θ_2, and so on."""
    try:
        rest = list(written(program, "slope", chart.points).flat())
    except ExpressionTooLarge:
        return None
    total = sp.S.Zero
    for k, variable in enumerate(chart.embedding.coordinates):
        part = antiderivative(rest[k], variable)
        if part is None:
            return None
        part = part.replace(sp.log, lambda q: sp.log(sp.Abs(q)))
        total += part
        rest = [
            tidied(r - derivative(part, t), chart.points)
            for r, t in zip(rest, chart.embedding.coordinates, strict=True)
        ]
    return total


def _fits(chart: Chart, density: Expression, slope: Matrix, variables: list[Node], graph: Graph) -> bool:
    try:
        logarithm = from_sympy(density, graph)
        gaps = [d - logarithm * s for d, s in zip(gradient(logarithm, variables), slope.entries, strict=True)]
        return vanish(gaps, chart.points)
    except (SymbolicSGDError, ZeroDivisionError):
        return False
