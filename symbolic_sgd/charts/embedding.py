"""A parametrisation x = ψ(θ) of a part of Γ, and the test that it is one."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.arithmetic import PRECISE, RELATIONS, PreciseNumber, Valuation
from symbolic_sgd.algebra.differentiate import jacobian
from symbolic_sgd.algebra.graph import Graph, Node
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.precision import determinant, mp
from symbolic_sgd.algebra.program import Program, evaluate
from symbolic_sgd.algebra.translation import Expression, from_sympy
from symbolic_sgd.errors import BadInput, ComplexValue, ManifoldMismatch, NoManifold, NotSmooth, Undecided
from symbolic_sgd.manifold.precise import HIGH, POINT, PrecisePoint, positive_semidefinite_rank
from symbolic_sgd.problems.symbols import with_signs
from symbolic_sgd.theorem.derivation import Derivation

SEED = 7031
"""The values of θ that are drawn are the same in every run."""

NEWTON_STEPS = 40

DRAWS = 80
"""Values of θ that are drawn at most."""

CHECKED = 12
"""Values of θ, where ψ is real and the domain's conditions hold, at which ψ is tested."""

INDEPENDENT = 1e-20
"""det ψ'ᵀψ' smaller than this, with columns of length 1, counts as zero."""


@dataclass(frozen=True)
class Embedding:
    """ψ: coordinates θ (n = D − M of them) → Γ, tested at `points`.

    Args:
        derivation: of the SDE on Γ.
        coordinates: θ.
        expressions: ψ(θ), one entry a parameter.
        selected: J, where θ = x_J are parameters themselves (a graph chart); else None.
        points: values of θ and of the constants at which ψ was tested.
        words: how it was come by.
    """

    derivation: Derivation
    coordinates: tuple[sp.Symbol, ...]
    expressions: tuple[Expression, ...]
    selected: tuple[int, ...] | None
    points: tuple[Mapping[sp.Symbol, PreciseNumber], ...] = field(default=(), hash=False)
    words: str = ""

    @property
    def symbols(self) -> tuple[sp.Symbol, ...]:
        """θ, then the constants."""
        return (*self.coordinates, *self.derivation.problem.constants)

    def on(self, graph: Graph) -> dict[Node, Node]:
        """The replacement x → ψ(θ) on a graph."""
        pairs = zip(self.derivation.problem.parameters, self.expressions, strict=True)
        return {graph.symbol(x): from_sympy(e, graph) for x, e in pairs}

    def compose(self, program: Program, graph: Graph) -> dict[str, Matrix]:
        """The outputs of a program of functions on R^D as functions of θ."""
        replacement = self.on(graph)
        return {name: matrix.replace(replacement) for name, matrix in program.on(graph).items()}

    def jacobian(self, graph: Graph) -> Matrix:
        """ψ'(θ), D×n."""
        values = list(self.on(graph).values())
        return Matrix.of(jacobian(values, [graph.symbol(t) for t in self.coordinates]))

    @cached_property
    def requirements(self) -> "Requirements":
        """What has to hold at ψ(θ)."""
        return Requirements(self)

    def ambient(self, assignment: Mapping[sp.Symbol, Any]) -> tuple[Any, ...]:
        """ψ at one assignment, at mpmath's working precision."""
        graph = Graph()
        nodes = [from_sympy(e, graph) for e in self.expressions]
        return tuple(PrecisePoint(assignment).high(nodes))


class Requirements:
    """∇L = 0, ∇²L ≥ 0 of rank M, the conditions of the domain, and independent columns of ψ', all as functions of θ."""

    def __init__(self, embedding: Embedding):
        derivation = embedding.derivation
        graph = Graph()
        names = ("gradient", "hessian", "conditions", "equations")
        composed = embedding.compose(derivation.guard.select(*names), graph)
        self.embedding, self.codimension = embedding, derivation.codimension
        self.ambient = list(embedding.on(graph).values())
        self.hessian = composed["hessian"]
        self.conditions = composed["conditions"].entries
        self.relations = [relation for _, relation in derivation.problem.condition_nodes(Graph())]
        self.vanishing = {
            "∇L": composed["gradient"].entries,
            "the equations of Γ": composed["equations"].entries,
        }
        self.tangent = embedding.jacobian(graph)
        self.metric = self.tangent.T @ self.tangent

    def admissible(self, point: PrecisePoint) -> bool:
        """Whether ψ is real and smooth here, and the domain's conditions hold."""
        try:
            values = [*point.low(self.ambient), *point.low(self.tangent.entries)]
            conditions = point.low(self.conditions)
        except (NotSmooth, ComplexValue, OverflowError, ValueError):
            return False
        if not all(mp.isfinite(v) for v in values) or max(map(abs, values)) > 1e12:
            return False
        return all(RELATIONS[r](float(c), 0.0) for c, r in zip(conditions, self.relations, strict=True))

    def check(self, point: PrecisePoint) -> None:
        """ψ(θ) is a regular point of Γ, and ψ' has rank n.

        Raises:
            ManifoldMismatch: it is not, and why.
        """
        where = point.describe(self.embedding.symbols)
        for name, nodes in self.vanishing.items():
            if not all(point.zeros(nodes)):
                size = max(abs(v) for v in point.low(nodes))
                raise ManifoldMismatch(
                    f"embedding= does not lie on Γ: at {where}, {name} should be zero and is {mp.nstr(size, 3)} in size; "
                    "correct it, or say with interval= or near= (or the assumptions of its symbols) which θ are meant"
                )
        self._check_hessian(point, where)
        self._check_rank(point, where)

    def _check_hessian(self, point: PrecisePoint, where: str) -> None:
        try:
            rank = positive_semidefinite_rank(point.matrix(self.hessian), lambda: where).rank
        except (NoManifold, Undecided) as error:
            raise ManifoldMismatch(
                f"embedding= leaves the minimizers: {error}; say with interval= or near= (or the assumptions of its symbols) "
                "which θ are meant"
            ) from error
        if rank != self.codimension:
            raise ManifoldMismatch(
                f"embedding= meets a point where the theorem does not apply: at {where} the Hessian has rank {rank} instead of "
                f"{self.codimension}; say with interval= or near= which θ are meant"
            )

    def _check_rank(self, point: PrecisePoint, where: str) -> None:
        with mp.workdps(HIGH):
            gram = point.matrix(self.metric)
            lengths = [gram[i, i] for i in range(gram.rows)]
            if all(lengths) and determinant(gram) / mp.fprod(lengths) > INDEPENDENT:
                return
        raise ManifoldMismatch(
            f"embedding= is singular: at {where} its derivative has a rank below {gram.rows}, so that "
            f"{', '.join(map(str, self.embedding.coordinates))} are no coordinates there"
        )


def draws(
    embedding: Embedding, near: Mapping[sp.Symbol, float], bounds: tuple[float, float] | None
) -> Iterator[dict[sp.Symbol, PreciseNumber]]:
    """Values of θ: inside the bounds, `near` and around it, or as the symbols' assumptions say; constants as at the points of Γ."""
    rng = np.random.default_rng(SEED)
    derivation = embedding.derivation
    for k in range(DRAWS):
        known = derivation.points[k % len(derivation.points)]
        values = {s: known[s] for s in derivation.problem.constants}
        for symbol in embedding.coordinates:
            first = bounds is None and k == 0 and symbol in near
            values[symbol] = mp.mpf(near[symbol] if first else _draw(symbol, near, bounds, rng))
        yield {s: values[s] for s in embedding.symbols}


def reached(embedding: Embedding) -> dict[sp.Symbol, float] | None:
    """θ where ψ(θ) is the point of Γ next to the problem's `near`, by Newton's method from many starts; None if there is none."""
    problem = embedding.derivation.problem
    near = {} if problem.near is None else problem.near
    target = min(
        embedding.derivation.points, key=lambda p: max(abs(p[x] - near.get(x, p[x])) for x in problem.parameters)
    )
    return _nearest(embedding, np.array([float(target[x]) for x in problem.parameters]), target)


def preimage(embedding: Embedding, place: Sequence[PreciseNumber]) -> dict[sp.Symbol, PreciseNumber] | None:
    """A θ with ψ(θ) = x to 100 digits, from Newton's method in float64 and then with its slopes; None if none is found."""
    found = _nearest(embedding, np.array([float(a) for a in place]), embedding.derivation.points[0])
    if found is None:
        return None
    graph = Graph()
    values, slopes = list(embedding.on(graph).values()), embedding.jacobian(graph)
    with mp.workdps(POINT):
        theta = {t: mp.mpf(a) for t, a in found.items()}
        slope = Valuation(PRECISE, theta)(slopes.entries)
        width = len(theta)
        rows = np.array([[float(a) for a in slope[k : k + width]] for k in range(0, len(slope), width)])
        inverse = np.linalg.pinv(rows)
        for _ in range(NEWTON_STEPS):
            gap = [a - b for a, b in zip(Valuation(PRECISE, theta)(values), place, strict=True)]
            step = [mp.fdot(zip(row, gap, strict=True)) for row in inverse.tolist()]
            theta = {t: a - e for (t, a), e in zip(theta.items(), step, strict=True)}
            if max(map(abs, step)) < mp.mpf(10) ** (7 - POINT) * (1 + max(map(abs, theta.values()))):
                small = max(map(abs, gap)) < mp.mpf(10) ** -HIGH * (1 + max(map(abs, place)))
                return theta if small else None
    return None


def _nearest(
    embedding: Embedding, place: np.ndarray, target: Mapping[sp.Symbol, PreciseNumber]
) -> dict[sp.Symbol, float] | None:
    """θ with ψ(θ) = x in float64, the smallest that is found, at the constants of a point."""
    problem, graph, n = embedding.derivation.problem, Graph(), len(embedding.coordinates)
    program = Program.of(
        {"value": Matrix.column(list(embedding.on(graph).values())), "slope": embedding.jacobian(graph)}
    )
    rows = np.array([[float(a[t]) for t in embedding.coordinates] for a in draws(embedding, {}, None)])
    constants = np.tile([float(target[c]) for c in problem.constants], (len(rows), 1))
    for _ in range(NEWTON_STEPS):
        seen = evaluate(program, embedding.symbols, np.hstack([rows, constants[: len(rows)]]))
        finite = np.isfinite(seen["value"]).all(axis=1) & np.isfinite(seen["slope"]).all(axis=1)
        rows, gap, slope = rows[finite], seen["value"][finite] - place, seen["slope"][finite].reshape(-1, len(place), n)
        close = np.abs(gap).max(axis=1, initial=0) < 1e-9 * (1 + np.abs(place).max())
        if close.any():
            found = min(rows[close], key=lambda row: np.abs(row).max())
            return dict(zip(embedding.coordinates, map(float, found), strict=True))
        longest = 1 + np.abs(rows)
        rows = rows - np.clip(np.einsum("snd,sd->sn", np.linalg.pinv(slope), gap), -longest, longest)
    return None


def _draw(
    symbol: sp.Symbol, near: Mapping[sp.Symbol, float], bounds: tuple[float, float] | None, rng: np.random.Generator
) -> float:
    if bounds is not None:
        low, high = bounds
        if np.isfinite(low) and np.isfinite(high):
            return float(rng.uniform(low, high))
        step = float(np.exp(rng.normal()))
        return low + step if np.isfinite(low) else high - step if np.isfinite(high) else float(2 * rng.normal())
    if symbol in near:
        return near[symbol] + 0.2 * (1 + abs(near[symbol])) * float(rng.uniform(-1, 1))
    return float(with_signs((symbol,), 2 * rng.normal(size=1))[0])


def tested(
    embedding: Embedding, candidates: Iterator[Mapping[sp.Symbol, PreciseNumber]], *, name: str = "embedding="
) -> tuple[Mapping[sp.Symbol, PreciseNumber], ...]:
    """The first candidates where ψ is real and the domain's conditions hold; at each of them ψ passes every test.

    Raises:
        ManifoldMismatch: it fails at one.
        BadInput: there are none.
    """
    requirements = embedding.requirements
    passed = []
    for assignment in candidates:
        point = PrecisePoint(assignment)
        if requirements.admissible(point):
            requirements.check(point)
            passed.append(assignment)
        if len(passed) == CHECKED:
            break
    if not passed:
        raise BadInput(
            f"{name} is not real, or violates the problem's domain, at every value tried of "
            f"{', '.join(map(str, embedding.coordinates))}: name values with near={{…}} or interval="
        )
    return tuple(passed)


def unchecked(derivation: Derivation, coordinates: Sequence[sp.Symbol], expressions: Sequence[Expression]) -> Embedding:
    """An embedding that nobody has tested yet."""
    return Embedding(derivation, tuple(coordinates), tuple(expressions), None)
