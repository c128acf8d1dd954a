"""The limit in charges as coordinates of Γ: x = ψ(q) solves {Γ, I(x) = q}, and dq = drift dt + diffusion dW."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.arithmetic import PreciseNumber
from symbolic_sgd.algebra.differentiate import gradient
from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.operations import operations
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.algebra.translation import Expression, from_sympy
from symbolic_sgd.charges.charge import Charge
from symbolic_sgd.charts.chart import Chart, vanish
from symbolic_sgd.charts.embedding import Embedding, tested
from symbolic_sgd.charts.interval import with_range
from symbolic_sgd.errors import (
    BadInput,
    BadSymbol,
    ComplexValue,
    ExpressionTooLarge,
    NoCharges,
    NoClosedForm,
    NotSmooth,
    SymbolicSGDError,
)
from symbolic_sgd.flow.first_integrals import INDEPENDENT, without_moduli
from symbolic_sgd.manifold.precise import HIGH, PrecisePoint
from symbolic_sgd.manifold.walk import wander
from symbolic_sgd.problems.symbols import check_no_twins, check_symbols
from symbolic_sgd.rational.elimination import eliminations
from symbolic_sgd.theorem.derivation import Derivation

BRANCHES = 32
"""Solutions of {Γ, I = q} that are looked at."""

FRESH = 6
"""Random points of Γ, beside those of the derivation, at which a solution is tested."""

SEED = 4099

LARGEST_EQUATIONS = 2000
"""Operations of the equations of Γ up to which they are solved."""

AGREED = 40
"""Digits to which a solution has to lead back to a point of Γ."""

Point = Mapping[sp.Symbol, PreciseNumber]


def chart_of_charges(derivation: Derivation, charges: Sequence[Charge], coordinates: Any = None) -> Chart:
    """The SDE over n = D − M charges.

    Args:
        derivation: of the SDE on Γ.
        charges: all that were found; the first n whose gradients are independent along Γ are the coordinates.
        coordinates: symbols for them; None for q, or q_1 … q_n.

    Raises:
        NoCharges: there are fewer than n.
        NoClosedForm: {Γ, I(x) = q} was not solved for x.
        BadInput: another number of symbols.
    """
    n = derivation.problem.dimension - derivation.codimension
    chosen = independent_charges(derivation, charges, n)
    if len(chosen) < n:
        raise NoCharges(
            f"Γ has dimension {n}, and of independent charges {len(chosen)} {'was' if len(chosen) == 1 else 'were'} found: "
            f"{n - len(chosen)} {'is' if n - len(chosen) == 1 else 'are'} missing. sde.charges has those that there are; sde.in_chart(…) "
            "takes other coordinates"
        )
    symbols = _symbols(derivation, coordinates, n)
    embedding = _solved(derivation, chosen, symbols)
    return with_range(Chart(embedding, _coefficients(embedding, chosen)), None, None)


def independent_charges(derivation: Derivation, charges: Sequence[Charge], most: int) -> list[Charge]:
    """The first charges whose gradients, which are tangent to Γ there, are independent at a point of Γ."""
    graph = Graph()
    variables = [graph.symbol(s) for s in derivation.problem.parameters]
    slopes = [gradient(from_sympy(without_moduli(c.expression), graph), variables) for c in charges]
    best: list[Charge] = []
    for point in map(PrecisePoint, derivation.points):
        found: list[Charge] = []
        rows = np.empty((0, len(variables)))
        for charge, slope in zip(charges, slopes, strict=True):
            row = _unit(point, slope)
            if len(found) < most and row is not None:
                extended = np.vstack([rows, row])
                if np.linalg.svd(extended, compute_uv=False)[-1] > INDEPENDENT:
                    found, rows = [*found, charge], extended
        best = max(best, found, key=len)
    return best


def _unit(point: PrecisePoint, slope: Sequence[Any]) -> np.ndarray | None:
    try:
        values = np.array([float(v) for v in point.high(slope)])
    except (ComplexValue, NotSmooth, OverflowError):
        return None
    length = np.linalg.norm(values)
    return values / length if length > 0 and np.isfinite(length) else None


def _symbols(derivation: Derivation, coordinates: Any, n: int) -> tuple[sp.Symbol, ...]:
    known = derivation.problem.symbols
    if coordinates is None:
        taken = {s.name for s in known}
        letter = next(
            name for name in ("q", "p", "r", *(f"q{k}" for k in range(100))) if not {name, f"{name}_1"} & taken
        )
        return tuple(sp.Symbol(letter if n == 1 else f"{letter}_{k}", real=True) for k in range(1, n + 1))
    chosen = check_symbols(coordinates, where="coordinates")
    if len(chosen) != n:
        raise BadInput(f"Γ has dimension {n}, but coordinates names {len(chosen)} symbols: name {n}")
    for s in chosen:
        if s in known:
            raise BadSymbol(f"coordinates: {s} is a symbol of the problem; a charge needs a new one")
    check_no_twins([*chosen, *known])
    return chosen


def _solved(derivation: Derivation, chosen: Sequence[Charge], symbols: tuple[sp.Symbol, ...]) -> Embedding:
    """ψ on the branch that holds most of the points of Γ, tested."""
    rng = np.random.default_rng(SEED)
    points = [*derivation.points, *wander(derivation.problem, derivation.codimension, derivation.points, rng, FRESH)]
    placed = [(p, q) for p in points if (q := _charged(chosen, symbols, derivation, p)) is not None]
    ranked = []
    for expressions in islice(_solutions(derivation, chosen, symbols), BRANCHES):
        candidate = Embedding(derivation, symbols, expressions, None)
        covered = [q for p, q in placed if _leads_to(candidate, q, p)]
        if covered:
            moduli = sum(len(e.atoms(sp.Abs, sp.sign)) for e in expressions)
            share = round(2 * len(covered) / len(placed))  # coarse: branches that are alike are told by their form
            size = sum(operations(e) for e in expressions)
            ranked.append((-share, moduli, size, str(expressions), candidate, covered))
    for *_, candidate, covered in sorted(ranked, key=lambda row: row[:4]):
        try:
            found = replace(candidate, points=tested(candidate, iter([*covered, *_beside(symbols, covered)])))
        except SymbolicSGDError:
            continue
        if _inverts(found, chosen):
            names = ", ".join(f"{s} = {c.expression}" for s, c in zip(symbols, chosen, strict=True))
            words = f"Γ is parametrised by the charges {names}; it holds {len(covered)} of the {len(points)} points of Γ looked at"
            return replace(found, words=words)
    raise NoClosedForm(
        f"the equations of Γ and {', '.join(str(c.expression) for c in chosen)} = q were not solved for the parameters in closed form: "
        "sde.charges has the SDE of each charge, and sde.in_chart(…) takes other coordinates"
    )


def _solutions(
    derivation: Derivation, chosen: Sequence[Charge], symbols: Sequence[sp.Symbol]
) -> Iterator[tuple[Expression, ...]]:
    try:
        equations = list(derivation.equations.expand("equations", budget=LARGEST_EQUATIONS).flat())
    except ExpressionTooLarge:
        return
    levels = [c.expression - s for c, s in zip(chosen, symbols, strict=True)]
    system = [sp.numer(sp.together(e)) for e in (*equations, *levels)]
    parameters = derivation.problem.parameters
    for solution in eliminations(system, parameters):
        yield tuple(solution[x] for x in parameters)


def _charged(
    chosen: Sequence[Charge], symbols: Sequence[sp.Symbol], derivation: Derivation, point: Point
) -> dict[sp.Symbol, PreciseNumber] | None:
    """q at a point of Γ, with its constants."""
    graph = Graph()
    try:
        values = PrecisePoint(point).high([from_sympy(c.expression, graph) for c in chosen])
    except (ComplexValue, NotSmooth):
        return None
    return dict(zip(symbols, values, strict=True)) | {s: point[s] for s in derivation.problem.constants}


def _leads_to(embedding: Embedding, charged: Point, point: Point) -> bool:
    parameters = embedding.derivation.problem.parameters
    try:
        values = embedding.ambient(charged)
    except (NotSmooth, ComplexValue, OverflowError, ZeroDivisionError):
        return False
    with mp.workdps(HIGH):
        extent = 1 + max(abs(point[x]) for x in parameters)
        return all(abs(v - point[x]) < extent * mp.mpf(10) ** -AGREED for v, x in zip(values, parameters, strict=True))


def _beside(symbols: Sequence[sp.Symbol], charged: Sequence[Point]) -> Iterator[Point]:
    rng = np.random.default_rng(SEED)
    with mp.workdps(HIGH):
        for point in charged:
            yield {s: a * mp.mpf(float(1 + 0.05 * rng.uniform(-1, 1))) if s in symbols else a for s, a in point.items()}


def _inverts(embedding: Embedding, chosen: Sequence[Charge]) -> bool:
    """Whether I(ψ(q)) = q at every point tested."""
    graph = Graph()
    replacement = embedding.on(graph)
    values = Matrix.column([from_sympy(c.expression, graph) for c in chosen]).replace(replacement).entries
    gaps = [v - graph.symbol(s) for v, s in zip(values, embedding.coordinates, strict=True)]
    try:
        return vanish(gaps, embedding.points)
    except (NotSmooth, ComplexValue):
        return False


def _coefficients(embedding: Embedding, chosen: Sequence[Charge]) -> Program:
    """Drift and diffusion of the charges at ψ(q); a drift that is a linear function of these charges as that."""
    graph = Graph()
    names = {c.expression: s for c, s in zip(chosen, embedding.coordinates, strict=True)}
    composed = [embedding.compose(c.program, graph) for c in chosen]
    known = [c.law.drift_in(names, c.expression) for c in chosen]
    drift = [
        terms["drift"][0, 0] if law is None else from_sympy(law, graph)
        for terms, law in zip(composed, known, strict=True)
    ]
    diffusion = Matrix(tuple(terms["diffusion"].rows[0] for terms in composed))
    if all(c.law.still for c in chosen):
        diffusion = diffusion.map(lambda entry: graph.constant(0))
    tangent = embedding.jacobian(graph)
    return Program.of(
        {
            "embedding": Matrix.column(list(embedding.on(graph).values())),
            "drift": Matrix.column(drift),
            "diffusion": diffusion,
            "covariance": diffusion @ diffusion.T,
            "metric": tangent.T @ tangent,
        }
    )
