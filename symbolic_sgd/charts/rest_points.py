"""Where a limit without noise rests on Γ, whatever the chart: zeros of b on Γ, by damped Newton steps along Γ.

Float64 finds them from many points of Γ; each is then sharpened to 120 digits, and b vanishes there to 50.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.arithmetic import PRECISE, PreciseMatrix, PreciseNumber, Valuation
from symbolic_sgd.algebra.differentiate import jacobian
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.algebra.program import Program, evaluate
from symbolic_sgd.charts.embedding import Requirements, unchecked
from symbolic_sgd.effort import Effort
from symbolic_sgd.errors import BudgetSpent, SymbolicSGDError
from symbolic_sgd.manifold.precise import HIGH, POINT, PrecisePoint
from symbolic_sgd.regular_point import is_tiny, kernel
from symbolic_sgd.regularizer.scatter import Batch, FloatManifold
from symbolic_sgd.theorem.derivation import Derivation

SEED = 5003

STARTS = 48
"""Points of Γ from which zeros of b are sought."""

NEAR = 3.0
"""Half of the starts are within this times 1 + |x| of where Γ was found, the others farther off."""

STEPS = 80
"""Damped Newton steps from each."""

STRIDE = 0.5
"""Longest step, relative to 1 + |x|."""

PACE, PACES, STRAIGHT = 0.1, 240, 0.9
"""On a curve: the longest step, relative to 1 + |x|, how many there are, and the smallest cosine between tangents at the
ends of one."""

DAMPING = (1e-3, 1e-14, 1e8)
"""The first damping, the smallest and the largest, relative to |Tᵀ∂bT|²."""

SETTLED = 1e-9
"""Length of the undamped step, relative to 1 + |x|, at what counts as a zero of b in float64."""

DEPENDENT = 1e-6
"""Singular values of Tᵀ∂bT below this, relative to the largest, belong to its kernel in float64."""

RESTING = 1e-3
"""A step shorter than this, relative to 1 + |x|, where b has faded is one towards a place nearby."""

CLOSE = 0.03
"""Places without a confirmed zero closer than this, relative to 1 + |x|, are one."""

SAME = 1e-6
"""Zeros closer than this, relative to 1 + |x|, are one."""

FADED = 1e-6
"""Where b is smaller than this times its size at the start, and no zero is near, it fades away."""

ALONG = 0.1
"""How far zeros are sought along the kernel of ∂b, relative to 1 + |x|."""

SHARPENED = 1e-6
"""How far the exact zero may be from the one in float64, relative to 1 + |x|."""

NEWTON = 40
"""Steps to 100 digits."""

MEMBERS, MOST = 6, 32
"""Zeros of b that are sharpened: those with a kernel, and all together."""

HYPERBOLIC = 1e-20
"""What is smaller than this beside the largest entry of Tᵀ∂bT is zero."""

LARGEST = 400_000
"""Operations of the D² slopes of b, estimated, up to which zeros are sought."""


@dataclass(frozen=True)
class Rest:
    """A zero of b on Γ.

    Args:
        point: x*, to 120 digits.
        tangent: an orthonormal basis of the tangent space in float64, D×n.
        slope: Tᵀ∂bT for such a basis T, n×n, to 100 digits: b linearised along Γ.
        kernel: the dimension of its kernel.
        continues: whether other zeros, with kernels as large, were found on both sides along every axis of that kernel.
    """

    point: PrecisePoint
    tangent: np.ndarray
    slope: PreciseMatrix
    kernel: int
    continues: bool = False


@dataclass(frozen=True)
class RestSearch:
    """What a search has found.

    Args:
        rests: the zeros of b, those with a kernel last.
        starts: how many points of Γ it began from.
        gone: from how many of them b became ever smaller on a way that does not end, as it does towards infinity.
        suspects: places in float64 that came to rest where no zero of b was confirmed: there may be a degenerate one.
        words: why there was no search, or why it stopped; "" where it was carried out.
    """

    rests: tuple[Rest, ...]
    starts: int = 0
    gone: int = 0
    suspects: tuple[np.ndarray, ...] = ()
    words: str = ""


class Road(ABC):
    """How b and its slope along Γ are computed.

    Args:
        manifold: Γ in float64.
    """

    def __init__(self, manifold: FloatManifold):
        self.manifold = manifold
        self.parameters = manifold.problem.parameters

    @abstractmethod
    def numbers(self, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
        """Tᵀb (S×n) and Tᵀ∂bT (S×n×n) at points of Γ, in float64."""

    def descended(self, batch: Batch) -> Batch:
        """Where half of the starts are led to first; nowhere, where it is not known what b descends."""
        return batch

    def joined(self, x: np.ndarray, y: np.ndarray) -> bool:
        """Whether two zeros in float64, with kernels and one spectrum, count as one: they may be on one continuum."""
        return True

    @abstractmethod
    def sharpened(self, x: np.ndarray, tangent: np.ndarray, slope: np.ndarray, effort: Effort) -> PrecisePoint | None:
        """The zero of b beside one in float64 (D; D×n; n×n), to 120 digits; None where Newton's method finds none."""

    @abstractmethod
    def is_rest(self, point: PrecisePoint) -> bool:
        """Whether b vanishes at a point where the theorem applies."""

    @abstractmethod
    def tangent(self, point: PrecisePoint) -> np.ndarray:
        """A basis of the tangent space of Γ at a regular point, in float64, D×n."""

    @abstractmethod
    def slope(self, point: PrecisePoint, tangent: np.ndarray) -> PreciseMatrix:
        """Tᵀ∂bT, with T orthonormal to 100 digits, from a basis of the tangent space in float64 (D×n)."""


class DriftRoad(Road):
    """By the program of the drift, and its D² slopes.

    Args:
        derivation: of the SDE.
    """

    def __init__(self, derivation: Derivation):
        super().__init__(FloatManifold(derivation))
        self.derivation = derivation
        landscape = self.manifold.landscape
        self.gradient = landscape.gradient.entries
        drift = derivation.program.select("drift").on(landscape.graph)["drift"]
        self.drift = drift.entries
        self.slopes = Matrix.of(jacobian(drift.entries, landscape.variables))
        self.projection = derivation.program.select("tangent_projection").on(landscape.graph)["tangent_projection"]
        self.program = Program.of({"drift": drift, "slopes": self.slopes})
        self.requirements = regular_points(derivation)

    def numbers(self, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
        """By the program."""
        values = evaluate(self.program, self.derivation.problem.symbols, batch.points)
        d = len(self.parameters)
        drift, slopes = values["drift"], values["slopes"].reshape(-1, d, d)
        pull = np.einsum("sdi,sd->si", batch.tangent, drift)
        return pull, np.einsum("sdi,sde,sej->sij", batch.tangent, slopes, batch.tangent)

    def sharpened(self, x: np.ndarray, tangent: np.ndarray, slope: np.ndarray, effort: Effort) -> PrecisePoint | None:
        """x ← x − N diag(h)⁻¹Nᵀ∇L − T(Tᵀ∂bT)⁺Tᵀb with the float64 slopes at the start: each step gains some eight digits."""
        normal, stiffness, _, _ = self.manifold.frame(x[None, :])
        across = (normal[0] / stiffness[0]) @ normal[0].T
        along = tangent @ np.linalg.pinv(slope, rcond=DEPENDENT) @ tangent.T

        def step(here: Mapping[sp.Symbol, PreciseNumber]) -> list[PreciseNumber]:
            values = Valuation(PRECISE, here)([*self.gradient, *self.drift])
            parts = (times(across, values[: len(x)]), times(along, values[len(x) :]))
            return [a + b for a, b in zip(*parts, strict=True)]

        return newton_with_frozen_slopes(dict(zip(self.parameters, x, strict=True)), step, effort)

    def is_rest(self, point: PrecisePoint) -> bool:
        """By the examination of the chart x = x, and the drift."""
        apart = PrecisePoint(point.assignment)
        if not self.requirements.admissible(apart):
            return False
        self.requirements.check(apart)
        return all(point.zeros(self.drift))

    def tangent(self, point: PrecisePoint) -> np.ndarray:
        """The kernel of ∇²L."""
        return kernel(point.matrix(self.manifold.landscape.hessian), self.manifold.codimension)

    def slope(self, point: PrecisePoint, tangent: np.ndarray) -> PreciseMatrix:
        """T by Gram and Schmidt from the projection of its float64 basis."""
        with mp.workdps(HIGH):
            projection = point.matrix(self.projection)
            axes, _ = mp.qr(projection * mp.matrix(tangent.tolist()), mode="skinny")
            return axes.T * point.matrix(self.slopes) * axes


def regular_points(derivation: Derivation) -> Requirements:
    """What has to hold at a point x of R^D for it to be a regular point of Γ."""
    return unchecked(derivation, derivation.problem.parameters, derivation.problem.parameters).requirements


def rest_points(derivation: Derivation, effort: Effort) -> RestSearch:
    """The zeros of b on Γ that are found from many points of it; the effort bounds how long that takes."""
    words = why_not_by_slopes(derivation)
    return RestSearch((), words=words) if words else search_rests(DriftRoad(derivation), effort)


def why_not_by_slopes(derivation: Derivation) -> str:
    """Why zeros are not sought by the slopes of the drift; "" where they are."""
    if derivation.problem.constants:
        return "it has constants: with numbers for them zeros are sought by Newton's method, too"
    size = 4 * derivation.problem.dimension * derivation.program.select("drift").operations
    if size > LARGEST:
        return f"the {derivation.problem.dimension}² slopes of b hold some {size:.2g} operations, too many for Newton's method"
    return ""


def search_rests(
    road: Road, effort: Effort, *, starts: int = STARTS, rng: np.random.Generator | None = None, members: int = MEMBERS
) -> RestSearch:
    """The zeros of b that are found by one road.

    Args:
        road: how b and its slopes are computed.
        effort: how long it may take.
        starts: points of Γ near and far from which zeros are sought, beside those where it was found.
        rng: where they lie.
        members: how many zeros with a kernel are kept, no two of one spectrum joined.
    """
    return _Search(road, effort, starts, rng or np.random.default_rng(SEED), members).found()


@dataclass(frozen=True)
class _Place:
    """Points of Γ, Tᵀb and Tᵀ∂bT there."""

    batch: Batch
    pull: np.ndarray
    slope: np.ndarray

    @property
    def size(self) -> np.ndarray:
        return np.where(self.batch.valid, np.linalg.norm(self.pull, axis=1), np.inf)

    @property
    def along(self) -> np.ndarray:
        """The tangent part of b, S×D."""
        return np.einsum("sdi,si->sd", self.batch.tangent, self.pull)

    @property
    def extent(self) -> np.ndarray:
        return 1 + np.abs(self.batch.points).max(axis=1)

    def merged(self, other: "_Place", taken: np.ndarray) -> "_Place":
        pick = lambda a, b: np.where(taken.reshape((-1,) + (1,) * (a.ndim - 1)), b, a)  # noqa: E731
        mine, theirs = self.batch, other.batch
        batch = Batch(*(pick(getattr(mine, n), getattr(theirs, n)) for n in ("points", "tangent", "valid")))
        return _Place(batch, pick(self.pull, other.pull), pick(self.slope, other.slope))

    def take(self, chosen: np.ndarray) -> "_Place":
        return _Place(self.batch.take(chosen), self.pull[chosen], self.slope[chosen])


class _Search:
    def __init__(self, road: Road, effort: Effort, starts: int, rng: np.random.Generator, members: int):
        self.road, self.effort, self.starts, self.rng, self.members = road, effort, starts, rng, members
        self.manifold = road.manifold

    def found(self) -> RestSearch:
        rests: list[Rest] = []
        suspects: list[np.ndarray] = []
        starts = gone = 0
        try:
            begin = self._begin()
            end = self._descended(begin)
            settled, faded = self._settled(end), end.batch.valid & (end.size < FADED * begin.size)
            resting = end.batch.valid & (self._step(end) < RESTING * end.extent)
            starts, gone = len(begin.pull), int((faded & ~settled & ~resting).sum())
            for place in self._distinct(end.take(settled)):
                rest = self._sharpened(place)
                rests.extend([] if rest is None else [rest])
                suspects.extend([place.batch.points[0]] if rest is None else [])
            suspects.extend(end.batch.points[faded & ~settled & resting])
        except BudgetSpent as stopped:
            return RestSearch(tuple(rests), starts, gone, words=f"the search was stopped: {stopped}")
        ordered = sorted(rests, key=lambda rest: rest.kernel > 0)
        return RestSearch(tuple(ordered), starts, gone, _clusters(suspects))

    def _begin(self) -> _Place:
        """Points of Γ near and far, where half of those far are led to, and on a curve those beside which b turns round."""
        bases = self.manifold.bases(self.rng)
        near = self.manifold.scatter(bases, (self.starts + 1) // 2, self.rng, far=NEAR)
        far = self.road.descended(self.manifold.scatter(bases, (self.starts + 1) // 2, self.rng))
        turns = np.concatenate([bases.points[:0], *self._turns(bases)])
        turns = turns[np.unique(np.round(turns, 1), axis=0, return_index=True)[1]]
        return self._at(self.manifold.settle(np.concatenate([bases.points, near.points, far.points, turns])))

    # --- in float64 -------------------------------------------------------------------------

    def _at(self, batch: Batch) -> _Place:
        pull, slope = self.road.numbers(batch)
        valid = batch.valid & np.isfinite(pull).all(axis=1) & np.isfinite(slope).all(axis=(1, 2))
        pull, slope = np.where(valid[:, None], pull, 0), np.where(valid[:, None, None], slope, 0)
        return _Place(Batch(batch.points, batch.tangent, valid), pull, slope)

    def _turns(self, bases: Batch) -> list[np.ndarray]:
        """On a curve: points beside those where b changes its direction, along it both ways from the bases."""
        if self.manifold.dimension != 1:
            return []
        here = self._at(self.manifold.settle(np.repeat(bases.points, 2, axis=0)))
        heading = here.batch.tangent[:, :, 0] * np.tile([1.0, -1.0], len(bases.points))[:, None]
        length, found, d = np.full(len(heading), PACE), [], heading.shape[1]
        for _ in range(PACES):
            self.effort.check()
            trial = here.batch.points.copy()
            trial[:, :d] += (length * here.extent)[:, None] * heading
            there = self._at(self.manifold.settle(trial))
            cosine = np.einsum("sd,sd->s", there.batch.tangent[:, :, 0], heading)
            off = np.linalg.norm(there.batch.points - trial, axis=1) / (length * here.extent)
            taken = there.batch.valid & (np.abs(cosine) > STRAIGHT) & (off < 1 - STRAIGHT)
            turned = np.einsum("sd,sd->s", here.along, heading) * np.einsum("sd,sd->s", there.along, heading) < 0
            found.extend([here.batch.points[taken & turned], there.batch.points[taken & turned]])
            heading = np.where(taken[:, None], np.sign(cosine)[:, None] * there.batch.tangent[:, :, 0], heading)
            here = here.merged(there, taken)
            length = np.where(taken, np.minimum(1.5 * length, PACE), length / 2)
        return found

    def _descended(self, here: _Place) -> _Place:
        """Steps −(AᵀA + μ)⁻¹AᵀTᵀb with A = Tᵀ∂bT, back onto Γ, which make |b| smaller (Levenberg and Marquardt)."""
        first, least, most = DAMPING
        damping = np.full(len(here.pull), first)
        d, n = len(self.road.parameters), here.pull.shape[1]
        for _ in range(STEPS):
            self.effort.check()
            gram = np.einsum("ski,skj->sij", here.slope, here.slope)
            scale = np.trace(gram, axis1=1, axis2=2)[:, None, None] + 1e-300
            right = np.einsum("ski,sk->si", here.slope, here.pull)
            step = -np.linalg.solve(gram + (damping[:, None, None] * scale + 1e-290) * np.eye(n), right[:, :, None])[
                :, :, 0
            ]
            length = np.linalg.norm(step, axis=1)
            longest = STRIDE * here.extent
            step *= np.minimum(1, longest / (length + 1e-300))[:, None]
            if not (np.linalg.norm(step, axis=1) > 1e-15 * here.extent)[here.batch.valid].any():
                break
            trial = here.batch.points.copy()
            trial[:, :d] += np.einsum("sdi,si->sd", here.batch.tangent, step)
            there = self._at(self.manifold.settle(trial))
            better = there.size < here.size
            here = here.merged(there, better)
            damping = np.where(better, np.maximum(damping / 10, least), np.minimum(damping * 4, most))
        return here

    def _step(self, here: _Place) -> np.ndarray:
        """The length of the undamped step, by the singular values that are not small."""
        inverse = np.linalg.pinv(here.slope, rcond=DEPENDENT)
        return np.linalg.norm(np.einsum("sij,sj->si", inverse, here.pull), axis=1)

    def _settled(self, here: _Place) -> np.ndarray:
        """Where that step is tiny."""
        moving = np.abs(here.slope).max(axis=(1, 2), initial=0) > 0
        return here.batch.valid & moving & (self._step(here) <= SETTLED * here.extent)

    def _distinct(self, ends: _Place) -> list[_Place]:
        """One of those that are alike, the nearest to 0 first, and of those with a kernel one of each spectrum that are joined."""
        chosen: list[int] = []
        spectra: list[tuple[int, np.ndarray]] = []
        for k in np.argsort(np.round(ends.extent, 6), kind="stable"):
            gaps = [np.abs(ends.batch.points[k] - ends.batch.points[j]).max() for j in chosen]
            if min(gaps, default=np.inf) <= SAME * ends.extent[k]:
                continue
            if self._kernel(ends.slope[k]).shape[1]:
                spectrum = np.sort_complex(np.linalg.eigvals(ends.slope[k]))
                size = np.abs(spectrum).max()
                if len(spectra) == self.members or any(
                    np.abs(spectrum - other).max() < 1e-4 * size
                    and self.road.joined(ends.batch.points[j], ends.batch.points[k])
                    for j, other in spectra
                ):
                    continue
                spectra.append((int(k), spectrum))
            chosen.append(int(k))
        return [ends.take(np.array([k])) for k in chosen[:MOST]]

    @staticmethod
    def _kernel(slope: np.ndarray) -> np.ndarray:
        _, values, axes = np.linalg.svd(slope)
        return axes[values <= DEPENDENT * values[0]].T

    # --- to 120 digits ----------------------------------------------------------------------

    def _sharpened(self, place: _Place) -> Rest | None:
        """The exact zero beside one in float64; None where there is none, or it is no regular point of Γ."""
        x, tangent = place.batch.points[0], place.batch.tangent[0]
        try:
            found = self.road.sharpened(x, tangent, place.slope[0], self.effort)
            # A coordinate that is 0 is found as rounding; one that is merely tiny must not be taken for it.
            candidates = [] if found is None else [_without_rounding(found, place.extent[0]), found]
            point = next((point for point in candidates if self.road.is_rest(point)), None)
            if point is None:
                return None
            slope = self.road.slope(point, tangent)
        except BudgetSpent:
            raise
        except (SymbolicSGDError, ZeroDivisionError, OverflowError):
            return None
        flat = kernel_dimension(slope)
        return Rest(point, tangent, slope, flat, bool(flat) and self._continues(place))

    def _continues(self, place: _Place) -> bool:
        """Whether zeros are found on both sides along each axis of the kernel, with kernels of the same dimension."""
        axes = place.batch.tangent[0] @ self._kernel(place.slope[0])
        d, length = len(axes), ALONG * place.extent[0]
        moved = np.repeat(place.batch.points, 2 * axes.shape[1], axis=0)
        moved[:, :d] += length * np.concatenate([axes, -axes], axis=1).T
        ends = self._descended(self._at(self.manifold.settle(moved)))
        apart = np.linalg.norm(ends.batch.points - place.batch.points, axis=1)
        alike = [self._kernel(slope).shape[1] == axes.shape[1] for slope in ends.slope]
        return bool(np.all(self._settled(ends) & (apart > length / 3) & (apart < 3 * length) & alike))


def newton_with_frozen_slopes(
    start: Mapping[sp.Symbol, Any],
    step: Callable[[Mapping[sp.Symbol, PreciseNumber]], Sequence[PreciseNumber]],
    effort: Effort,
    *,
    reach: float = SHARPENED,
) -> PrecisePoint | None:
    """Where steps end that contract by a fixed factor, to 120 digits; None where they do not end within `reach`(1 + |x|)."""
    size = 1 + max(abs(float(a)) for a in start.values())
    with mp.workdps(POINT):
        begin = {s: mp.mpf(a) for s, a in start.items()}
        current = begin
        for _ in range(NEWTON):
            effort.check()
            change = step(current)
            current = {s: a - e for (s, a), e in zip(current.items(), change, strict=True)}
            if max(map(abs, change)) <= size * mp.mpf(10) ** (7 - POINT):
                return PrecisePoint(current)
            if not max(abs(a - begin[s]) for s, a in current.items()) <= reach * size:
                return None
    return None


def _without_rounding(point: PrecisePoint, size: float) -> PrecisePoint:
    return PrecisePoint({s: mp.mpf(0) if is_tiny(a, size, POINT) else a for s, a in point.assignment.items()})


def _clusters(places: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
    """Places, one of those that are close, the nearest to 0 first."""
    chosen: list[np.ndarray] = []
    for x in sorted(places, key=lambda x: float(np.abs(x).max())):
        if all(np.abs(x - other).max() > CLOSE * (1 + np.abs(x).max()) for other in chosen):
            chosen.append(x)
    return tuple(chosen[:MEMBERS])


def times(matrix: np.ndarray, column: Sequence[PreciseNumber]) -> list[PreciseNumber]:
    """A matrix of float64 numbers times a column of precise ones."""
    return [mp.fdot(zip(row, column, strict=True)) for row in matrix.tolist()]


def kernel_dimension(slope: PreciseMatrix) -> int:
    """How many singular values are zero."""
    with mp.workdps(HIGH):
        values = mp.svd_r(slope, compute_uv=False)
        return sum(bool(v <= HYPERBOLIC * max(values)) for v in values)
