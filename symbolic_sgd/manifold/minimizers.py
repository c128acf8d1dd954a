"""The search for minimizers: points of Γ by descent from many starts, and the reasons why there are none."""

from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any

import numpy as np

from symbolic_sgd.algebra.arithmetic import RELATIONS
from symbolic_sgd.algebra.differentiate import jacobian
from symbolic_sgd.algebra.graph import Node, kinks
from symbolic_sgd.algebra.identities import zero_functions
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.algebra.program import Program, evaluate
from symbolic_sgd.effort import Progress
from symbolic_sgd.errors import (
    ConstantLoss,
    DegenerateMinimum,
    IsolatedMinimum,
    ManifoldMismatch,
    NoManifold,
    NoMinimum,
    NotSmooth,
    RankNotConstant,
    SaddlePoint,
    Undecided,
)
from symbolic_sgd.manifold.faint_forces import faint_calls, faint_force
from symbolic_sgd.manifold.precise import (
    HessianRank,
    PrecisePoint,
    descend_precisely,
    positive_semidefinite_rank,
    sharpen,
    sharpen_far_apart,
)
from symbolic_sgd.manifold.search import (
    FARTHEST,
    FURTHER,
    MODERATE,
    FloatLandscape,
    Slope,
    descend,
    starts,
    starts_at_all_scales,
)
from symbolic_sgd.manifold.walk import steps_along
from symbolic_sgd.problems.landscape import Landscape
from symbolic_sgd.problems.problem import Problem

SEED = 20220
"""The search is the same in every run."""

BASES = 3
"""Minimizers, from different starts, that are sharpened."""

FAR, ITERATIONS, TRIED = 100.0, 100, 6
"""Where they are looked for, after how many steps of descent, and how many candidates are tried."""

LOWER = 1e-6
"""How much lower, relative to 1 + |L|, a minimizer has to be for Γ to be sought there."""

OFF = 1e-5
"""How far from the equations, relative to 1 + |x|, a point is off them."""

REACH = 1e-2
"""How far, relative to 1 + |x|, the exact minimizer may be from where descent ended."""


Found = tuple[PrecisePoint, HessianRank]
"""A point of Γ, and the rank of H there."""


class MinimizerSearch:
    """The points of Γ, and the reasons why there are none.

    With equations g of the user, points come from descending ½|g|² (`target`), and are then tested on L itself.
    """

    def __init__(self, problem: Problem, landscape: Landscape, equations: Sequence[Node], progress: Progress):
        self.progress = progress
        self.problem = problem
        self.landscape = landscape
        self.equations = tuple(equations)
        self.target = landscape
        if equations:
            self.target = Landscape.of(_half_square(equations), problem.parameters)
        self.floats = FloatLandscape(self.target, problem)
        self.rng = np.random.default_rng(SEED)

    # --- what is found ----------------------------------------------------------------------

    def first_point(self) -> PrecisePoint:
        """The first minimizer that is found, for the cell to be known."""
        return self._bases(1)[0][1]

    def manifold_points(self) -> list[Found]:
        return self._points_from(self._bases(BASES))

    def _points_from(self, bases: list[tuple[float, PrecisePoint, HessianRank]]) -> list[Found]:
        level = self._one_component(bases)
        self.progress("walking along Γ")
        return [*level, *self._walks(level)]

    def lower(self, known: PrecisePoint) -> list[Found]:
        """Points of a manifold of minimizers below a known one, as `manifold_points`; [] if none is found from starts at all
        scales, if near= names a part of Γ, or if the levels are those of different constants."""
        if self.problem.near is not None or self.problem.constants:
            return []
        ends, slope = self._low_ends
        height = self._level(known)
        below = ends[slope.admissible & (slope.loss < height - LOWER * (1 + abs(height)))]
        if not len(below):
            return []
        with suppress(NoManifold, Undecided):
            bases, _ = self._minimizers(below, BASES)
            bases = [base for base in bases if base[0] < height - LOWER * (1 + abs(height))]
            return self._points_from(bases) if bases else []
        return []

    def off(self, equations: Sequence[Node], known: Found) -> Found | None:
        """A minimizer as low as a known one, and of the same rank, on which equations of Γ do not vanish; None if none is
        found from starts at all scales, or near= names a part of Γ."""
        if self.problem.near is not None:
            return None
        point, rank = known
        ends, slope = self._low_ends
        height = self.floats(point.floats(self.problem.symbols)[None, :]).loss[0]
        fine = slope.admissible & (slope.loss <= height + 1e-9 * (1 + abs(height))) & self._misses(equations, ends)
        candidates = sorted(ends[fine], key=lambda x: float(np.abs(x).max()))
        for x in candidates[:TRIED]:
            with suppress(NoManifold, Undecided):
                found = self._sharpen(x)
                if found is not None and not all(found.zeros(equations)):
                    examined = self._examine(found)
                    if examined.rank == rank.rank:
                        return found, examined
        return None

    @cached_property
    def _low_ends(self) -> tuple[np.ndarray, Slope]:
        begin = starts_at_all_scales(self.problem, self.floats, self.rng)
        ends = descend(self.floats, begin, cautious=False, iterations=ITERATIONS) if len(begin) else begin
        ends = ends[np.abs(ends).max(axis=1, initial=0) < FAR]
        return ends, self.floats(ends)

    def _misses(self, equations: Sequence[Node], points: np.ndarray) -> np.ndarray:
        """At which points an equation is farther from zero than descent leaves it."""
        slopes = jacobian(equations, self.landscape.variables)
        program = Program.of({"equations": Matrix.column(equations), "slopes": Matrix.of(slopes)})
        values = evaluate(program, self.problem.symbols, points)
        steep = np.linalg.norm(values["slopes"].reshape(len(points), len(equations), self.landscape.dimension), axis=2)
        size = 1 + np.abs(points).max(axis=1, initial=0)
        return np.any(np.abs(values["equations"]) > OFF * size[:, None] * steep, axis=1)

    def _bases(self, count: int) -> list[tuple[float, PrecisePoint, HessianRank]]:
        self._check_not_constant()
        self.progress("looking for minimizers by descent from many starts")
        begin = starts(self.problem, self.floats, self.rng)
        try:
            return self._bases_from(begin, count)
        except NoManifold:
            if self.problem.near is not None:
                raise
            further = starts_at_all_scales(self.problem, self.floats, self.rng, scales=(*MODERATE, *FURTHER), most=6)
            with suppress(NoManifold):
                if len(further):
                    return self._bases_from(further, count)
            raise

    def _bases_from(self, begin: np.ndarray, count: int) -> list[tuple[float, PrecisePoint, HessianRank]]:
        ends = descend(self.floats, begin, cautious=self.problem.near is not None)
        self.progress("minimizers to 120 digits")
        bases, refusals = self._minimizers(ends, count)
        if not bases:
            # Where curvatures are farther apart than float64 has digits, it loses its way.
            bases, more = self._minimizers(self._descend_precisely(ends), count)
            refusals.extend(more)
        if not bases:
            raise refusals[0] if refusals else self._why_none(begin, ends, self.floats(ends))
        return bases

    def _minimizers(
        self, ends: np.ndarray, count: int
    ) -> tuple[list[tuple[float, PrecisePoint, HessianRank]], list[NoManifold]]:
        """Levels, minimizers and ranks there, from where descents ended; and why other stationary points are none."""
        bases: list[tuple[float, PrecisePoint, HessianRank]] = []
        refusals: list[NoManifold] = []
        for x in self._settled(ends):
            point = self._sharpen(x)
            if point is None or not self._is_inside(point):
                continue
            try:
                bases.append((self._level(point), point, self._examine(point)))
            except NoManifold as refusal:
                refusals.append(refusal)
            if len(bases) == count or len(refusals) > BASES:
                break
        return bases, refusals

    def _settled(self, ends: np.ndarray) -> np.ndarray:
        """The ends that are no way to infinity, the lowest first."""
        slope = self.floats(ends)
        settled = np.flatnonzero(slope.admissible & (np.abs(ends).max(axis=1, initial=0) < FARTHEST / 10))
        return ends[self._by_draw(ends, sorted(settled, key=lambda i: slope.loss[i]))]

    def _descend_precisely(self, ends: np.ndarray) -> np.ndarray:
        symbols = self.problem.symbols
        admissible = lambda x: bool(self.floats(np.array([[float(x[s]) for s in symbols]])).admissible[0])  # noqa: E731
        lowest = [dict(zip(symbols, x, strict=True)) for x in self._settled(ends)[:BASES]]
        found = [descend_precisely(self.target, x, admissible) for x in lowest]
        return np.array([[float(x[s]) for s in symbols] for x in found]) if found else ends[:0]

    def _is_inside(self, point: PrecisePoint) -> bool:
        """Whether a point is in the domain; what is zero to its digits is neither positive nor negative."""
        conditions = self.problem.condition_nodes(self.landscape.graph)
        nodes = [node for node, _ in conditions]
        signs = [0 if zero else mp.sign(a) for zero, a in zip(point.zeros(nodes), point.low(nodes), strict=True)]
        return all(RELATIONS[relation](sign, 0) for sign, (_, relation) in zip(signs, conditions, strict=True))

    def _level(self, point: PrecisePoint) -> float:
        return float(point.low([self.target.loss])[0])

    def _check_not_constant(self) -> None:
        if all(zero_functions(self.landscape.gradient.entries)):
            raise ConstantLoss("the loss does not depend on the parameters: its gradient is zero everywhere")

    def _by_draw(self, ends: np.ndarray, order: Sequence[Any]) -> list[Any]:
        """The same order, but taking turns between the values drawn for the constants, so that all of them are seen."""
        seen: dict[bytes, int] = {}
        turn = {}
        for i in order:
            draw = ends[i, self.landscape.dimension :].tobytes()
            turn[i] = seen[draw] = seen.get(draw, -1) + 1
        return sorted(order, key=lambda i: turn[i])

    def _sharpen(self, x: np.ndarray) -> PrecisePoint | None:
        assignment = dict(zip(self.problem.symbols, map(float, x), strict=True))
        curvature = np.abs(np.linalg.eigvalsh(self._hessian(x)))
        guesses = dict.fromkeys(int((curvature > t * curvature.max()).sum()) for t in (1e-11, 1e-8, 1e-5, 1e-3))
        for rank in guesses:
            point = sharpen(self.target, assignment, rank, self._hessian, reach=REACH) if rank else None
            if point is not None:
                return point
        try:  # curvatures may be farther apart than float64 has digits
            return sharpen_far_apart(self.target, assignment, reach=REACH)
        except NoManifold:
            return None

    def _hessian(self, x: np.ndarray) -> np.ndarray:
        return self.floats(x[None, :]).hessian[0]

    def _examine(self, point: PrecisePoint) -> HessianRank:
        """The rank of H at a stationary point, if it is a minimizer on a manifold of minimizers."""
        describe = lambda: point.describe(self.problem.symbols)  # noqa: E731
        if self.equations:
            self._check_equations(point)
        rank = positive_semidefinite_rank(point.matrix(self.landscape.hessian), describe)
        if self.equations and rank.rank < len(self.equations):
            self._check_count(point, rank.rank)
            raise DegenerateMinimum(
                f"at {describe()} the Hessian has rank {rank.rank}, below the {len(self.equations)} independent equations "
                "in manifold=: the minimum is degenerate there (flatter than quadratic across Γ) and the theorem does not apply"
            )
        if rank.rank == self.landscape.dimension:
            raise IsolatedMinimum(
                f"the minimum at {describe()} is isolated (rank H = D = {rank.rank}): SGD stays at this point in the limit, "
                "and there is no SDE to derive; near= can name a part of the zero-loss set that is a manifold"
            )
        if faint_force(self.landscape, point, rank):
            raise NoMinimum(
                f"at {describe()} the gradient is below all digits, but not zero: a function that has nearly reached its limit there "
                "still pushes along the valley, and no minimizer was found near it; name another part of Γ with near={…}"
            )
        return rank

    def _check_count(self, point: PrecisePoint, rank: int) -> None:
        """Raise where the minimizers of L itself form a larger manifold than the equations do."""
        floats = FloatLandscape(self.landscape, self.problem)
        if rank and any(True for _ in steps_along(self.landscape, floats, self.problem, point, rank, self.rng)):
            raise ManifoldMismatch(
                f"manifold= states {len(self.equations)} equations, but at {point.describe(self.problem.symbols)} the Hessian has "
                f"rank {rank}, and the minimizers form a manifold of that codimension: give {rank} equations that hold on all of Γ"
            )

    def _check_equations(self, point: PrecisePoint) -> None:
        where = point.describe(self.problem.symbols)
        if not all(point.zeros(self.equations)):
            raise ManifoldMismatch(
                f"manifold= has no common zero near {where}: the equations contradict each other there"
            )
        target_rank = positive_semidefinite_rank(point.matrix(self.target.hessian), lambda: where)
        if target_rank.rank < len(self.equations):
            raise ManifoldMismatch(
                f"manifold= states {len(self.equations)} equations, but their gradients have rank {target_rank.rank} at {where}: "
                "give M independent equations whose gradients are independent on Γ"
            )
        if not all(point.zeros(self.landscape.gradient.entries)):
            slope = mp.norm(list(point.low(self.landscape.gradient.entries)))
            raise ManifoldMismatch(
                f"manifold= is not Γ: at {where} its equations hold, but |∇L| is {mp.nstr(slope, 3)}; "
                "correct the equations, or leave manifold= out"
            )

    def _one_component(
        self, bases: list[tuple[float, PrecisePoint, HessianRank]]
    ) -> list[tuple[PrecisePoint, HessianRank]]:
        lowest = min(loss for loss, _, _ in bases)
        level = [(p, r) for loss, p, r in bases if self.problem.constants or loss <= lowest + 1e-9 * (1 + abs(lowest))]
        ranks = {r.rank: p for p, r in level}
        if len(ranks) > 1:
            places = "; ".join(f"rank {k} at {p.describe(self.problem.symbols)}" for k, p in sorted(ranks.items()))
            raise RankNotConstant(
                f"the Hessian's rank differs between the minimizers found ({places}): they are manifolds of different "
                "codimension, or the constants decide it; say which is meant with near=, domain=, or assumptions on the constants"
            )
        return level

    def _walks(self, level: list[tuple[PrecisePoint, HessianRank]]) -> list[tuple[PrecisePoint, HessianRank]]:
        """Generic points of Γ; that a step along the kernel of H can be completed to one shows dim Γ = D − M."""
        walked = []
        last = level[: max(2, 4 - len(level))][-1][0]
        for point, rank in level[: max(2, 4 - len(level))]:
            reached = self._walk(point, rank.rank)
            if reached is None and not walked and point is last:
                raise DegenerateMinimum(
                    f"at the minimizer {point.describe(self.problem.symbols)} the Hessian has rank {rank.rank}, but the zero set of the "
                    f"gradient is not a manifold of codimension {rank.rank} there: the minimum is degenerate (flatter than quadratic "
                    "in some direction across Γ), or the rank is not constant near the point; the theorem does not apply, "
                    "or near= has to name a regular point"
                )
            walked.extend([] if reached is None else [reached])
        if len(level) + len(walked) < 4:
            again = self._walk(walked[-1][0], walked[-1][1].rank)
            walked.extend([again] if again is not None else [])
        return walked

    def _walk(self, point: PrecisePoint, rank: int) -> tuple[PrecisePoint, HessianRank] | None:
        for reached in steps_along(self.target, self.floats, self.problem, point, rank, self.rng):
            try:
                examined = self._examine(reached)
            except NoManifold:
                continue
            if examined.rank == rank:
                return reached, examined
        return None

    # --- why nothing is found ---------------------------------------------------------------

    def _why_none(self, begin: np.ndarray, ends: np.ndarray, slope: Slope) -> NoManifold:
        finite = slope.admissible & (np.abs(ends).max(axis=1) < 5 * (1 + np.abs(begin).max(axis=1)))
        kinked = finite & (slope.kink < 1e-3)
        if kinked.any():
            operation = kinks([self.target.loss])[0][0].op
            return not_smooth(operation, self._shown(ends[np.argmax(kinked)]))
        size = np.abs(slope.hessian).max(axis=(1, 2)) * (1 + np.abs(ends).max(axis=1))
        flat = finite & (np.linalg.norm(slope.gradient, axis=1) <= 1e-5 * (1 + size))
        flat &= [bool(f) and self._is_lowest(x) for f, x in zip(flat, ends, strict=True)]
        if flat.any() and not self.equations:
            where = ends[np.argmax(flat)]
            if faint_calls(
                self.landscape, PrecisePoint(dict(zip(self.problem.symbols, map(mp.mpf, where), strict=True)))
            ):
                return NoMinimum(
                    f"descent ends near {self._shown(where)}, where a function in the loss has nearly reached its limit: its slope is "
                    "below all digits, but not zero, so that the minimum may be at infinity; name another part of Γ with near={…}"
                )
            return DegenerateMinimum(
                f"descent ends near {self._shown(where)}, where the Hessian's rank is below the codimension "
                "of the minimizers: the minimum is degenerate (flatter than quadratic across Γ), and the theorem does not apply"
            )
        if self.equations:
            return ManifoldMismatch(
                "no common zero of the equations in manifold= was found from the starts tried: correct them, or give a point with near="
            )
        return self._saddle_or_nothing(ends)

    def _is_lowest(self, x: np.ndarray) -> bool:
        """Whether no step of 1 % along an axis of the Hessian goes further down, as it would on the way to infinity."""
        d = self.landscape.dimension
        _, axes = np.linalg.eigh(self._hessian(x))
        around = np.tile(x, (2 * d, 1))
        around[:, :d] += 0.01 * (1 + np.abs(x[:d]).max()) * np.concatenate([axes.T, -axes.T])
        here = self.floats(x[None, :]).loss[0]
        return not (self.floats(around).loss < here).any()

    def _saddle_or_nothing(self, ends: np.ndarray) -> NoManifold:
        steepness = _half_square(self.landscape.gradient.entries)
        stationary = FloatLandscape(Landscape.of(steepness, self.problem.parameters), self.problem)
        reached = descend(stationary, starts(self.problem, stationary, self.rng), cautious=False)
        slope = self.floats(reached)
        for x, gradient, hessian, fine in zip(reached, slope.gradient, slope.hessian, slope.admissible, strict=True):
            size = np.abs(hessian).max()
            if fine and np.linalg.norm(gradient) <= 1e-11 * size * (1 + np.abs(x).max()) and np.abs(x).max() < 1e3:
                lowest, highest = np.linalg.eigvalsh(hessian)[[0, -1]]
                if lowest < -1e-6 * size:
                    kind = "a saddle" if highest > 1e-6 * size else "a maximum"
                    return SaddlePoint(
                        f"no minimizer was found; {self._shown(x)} is stationary, but {kind} (the Hessian's eigenvalues run from "
                        f"{lowest:.3g} to {highest:.3g}): the theorem speaks of local minimizers only; name one with near="
                    )
        return NoMinimum(
            f"no minimizer was found: from {len(ends)} starts, descent never settled (the loss has no minimum, or only at infinity); "
            "name a point near the minimizers with near={…}, or state their equations with manifold=[…]"
        )

    def _shown(self, x: np.ndarray) -> str:
        return "(" + ", ".join(f"{s} = {a:.4g}" for s, a in zip(self.problem.symbols, x, strict=True)) + ")"


def not_smooth(operation: str, where: str) -> NotSmooth:
    named = {"div": "a quotient", "pow": "a fractional power"}.get(operation, operation)
    return NotSmooth(
        f"the loss is not smooth at its minimizer {where}: {named} is evaluated where it has no derivative. "
        "The theorem needs three continuous derivatives on Γ; state a smooth loss, or the smooth part meant with domain="
    )


def _half_square(entries: Sequence[Node]) -> Node:
    """½Σe²."""
    graph = entries[0].graph
    return graph.total(graph.constant(1) / 2 * e * e for e in entries)
