"""Where a limit without noise rests on Γ, whatever the chart: zeros of b on Γ, by damped Newton steps along Γ.

Float64 finds them from many points of Γ; each is then sharpened to 120 digits, and b vanishes there to 50.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from symbolic_sgd.algebra.arithmetic import PRECISE, PreciseMatrix, PreciseNumber, Valuation
from symbolic_sgd.algebra.differentiate import jacobian
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.algebra.program import Program, evaluate
from symbolic_sgd.charts.embedding import unchecked
from symbolic_sgd.effort import Effort
from symbolic_sgd.errors import BudgetSpent, SymbolicSGDError
from symbolic_sgd.manifold.precise import HIGH, POINT, PrecisePoint
from symbolic_sgd.regular_point import is_tiny
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


def rest_points(derivation: Derivation, effort: Effort) -> RestSearch:
    """The zeros of b on Γ that are found from many points of it; the effort bounds how long that takes."""
    if derivation.problem.constants:
        return RestSearch((), words="it has constants: with numbers for them zeros are sought by Newton's method, too")
    size = 4 * derivation.problem.dimension * derivation.program.select("drift").operations
    if size > LARGEST:
        return RestSearch(
            (),
            words=f"the {derivation.problem.dimension}² slopes of b hold some {size:.2g} operations, too many for Newton's method",
        )
    return _Search(derivation, effort).found()


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
    def __init__(self, derivation: Derivation, effort: Effort):
        self.derivation = derivation
        self.effort = effort
        self.manifold = FloatManifold(derivation)
        landscape = self.manifold.landscape
        self.gradient = landscape.gradient.entries
        drift = derivation.program.select("drift").on(landscape.graph)["drift"]
        self.drift = drift.entries
        self.slopes = Matrix.of(jacobian(drift.entries, landscape.variables))
        self.projection = derivation.program.select("tangent_projection").on(landscape.graph)["tangent_projection"]
        self.program = Program.of({"drift": drift, "slopes": self.slopes})
        identity = unchecked(derivation, derivation.problem.parameters, derivation.problem.parameters)
        self.requirements = identity.requirements

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
        """Points of Γ near and far, and on a curve those beside which b turns round."""
        rng = np.random.default_rng(SEED)
        bases = self.manifold.bases(rng)
        near = self.manifold.scatter(bases, STARTS // 2, rng, far=NEAR)
        far = self.manifold.scatter(bases, STARTS // 2, rng)
        turns = np.concatenate([bases.points[:0], *self._turns(bases)])
        turns = turns[np.unique(np.round(turns, 1), axis=0, return_index=True)[1]]
        return self._at(self.manifold.settle(np.concatenate([bases.points, near.points, far.points, turns])))

    # --- in float64 -------------------------------------------------------------------------

    def _at(self, batch: Batch) -> _Place:
        values = evaluate(self.program, self.derivation.problem.symbols, batch.points)
        d = self.derivation.problem.dimension
        drift, slopes = values["drift"], values["slopes"].reshape(-1, d, d)
        finite = np.isfinite(drift).all(axis=1) & np.isfinite(slopes).all(axis=(1, 2))
        valid = batch.valid & finite
        drift, slopes = np.where(valid[:, None], drift, 0), np.where(valid[:, None, None], slopes, 0)
        pull = np.einsum("sdi,sd->si", batch.tangent, drift)
        slope = np.einsum("sdi,sde,sej->sij", batch.tangent, slopes, batch.tangent)
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
        d, n = self.derivation.problem.dimension, here.pull.shape[1]
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
        """One of those that are alike, the nearest to 0 first, and of those with a kernel one of each spectrum."""
        chosen: list[int] = []
        spectra: list[np.ndarray] = []
        for k in np.argsort(np.round(ends.extent, 6), kind="stable"):
            gaps = [np.abs(ends.batch.points[k] - ends.batch.points[j]).max() for j in chosen]
            if min(gaps, default=np.inf) <= SAME * ends.extent[k]:
                continue
            if self._kernel(ends.slope[k]).shape[1]:
                spectrum = np.sort_complex(np.linalg.eigvals(ends.slope[k]))
                size = np.abs(spectrum).max()
                if len(spectra) == MEMBERS or any(np.abs(spectrum - other).max() < 1e-4 * size for other in spectra):
                    continue
                spectra.append(spectrum)
            chosen.append(int(k))
        return [ends.take(np.array([k])) for k in chosen[:MOST]]

    @staticmethod
    def _kernel(slope: np.ndarray) -> np.ndarray:
        _, values, axes = np.linalg.svd(slope)
        return axes[values <= DEPENDENT * values[0]].T

    # --- to 120 digits ----------------------------------------------------------------------

    def _sharpened(self, place: _Place) -> Rest | None:
        """The exact zero beside one in float64; None where there is none, or it is no regular point of Γ."""
        tangent = place.batch.tangent[0]
        try:
            found = self._newton(place)
            # A coordinate that is 0 is found as rounding; one that is merely tiny must not be taken for it.
            candidates = [] if found is None else [_without_rounding(found, place.extent[0]), found]
            point = next((point for point in candidates if self._regular(point)), None)
            if point is None:
                return None
            slope = self._slope(point, tangent)
        except BudgetSpent:
            raise
        except (SymbolicSGDError, ZeroDivisionError, OverflowError):
            return None
        kernel = _kernel_dimension(slope)
        return Rest(point, tangent, slope, kernel, bool(kernel) and self._continues(place))

    def _newton(self, place: _Place) -> PrecisePoint | None:
        """x ← x − N diag(h)⁻¹Nᵀ∇L − T(Tᵀ∂bT)⁺Tᵀb with the float64 slopes at the start: each step gains some eight digits."""
        symbols, x, tangent = self.derivation.problem.parameters, place.batch.points[0], place.batch.tangent[0]
        normal, stiffness, _, _ = self.manifold.frame(x[None, :])
        across = (normal[0] / stiffness[0]) @ normal[0].T
        along = tangent @ np.linalg.pinv(place.slope[0], rcond=DEPENDENT) @ tangent.T
        size = float(place.extent[0])
        with mp.workdps(POINT):
            current = {s: mp.mpf(float(a)) for s, a in zip(symbols, x, strict=True)}
            for _ in range(NEWTON):
                self.effort.check()
                values = Valuation(PRECISE, current)([*self.gradient, *self.drift])
                parts = (_times(across, values[: len(x)]), _times(along, values[len(x) :]))
                step = [a + b for a, b in zip(*parts, strict=True)]
                current = {s: a - e for (s, a), e in zip(current.items(), step, strict=True)}
                if max(map(abs, step)) <= size * mp.mpf(10) ** (7 - POINT):
                    return PrecisePoint(current)
                if not max(abs(a - float(b)) for a, b in zip(current.values(), x, strict=True)) <= SHARPENED * size:
                    return None
        return None

    def _regular(self, point: PrecisePoint) -> bool:
        """Whether b vanishes at a point where the theorem applies."""
        apart = PrecisePoint(point.assignment)
        if not self.requirements.admissible(apart):
            return False
        self.requirements.check(apart)
        return all(point.zeros(self.drift))

    def _slope(self, point: PrecisePoint, tangent: np.ndarray) -> PreciseMatrix:
        """Tᵀ∂bT, with T orthonormal to 100 digits: the kernel of ∇²L, by Gram and Schmidt from its float64 basis."""
        with mp.workdps(HIGH):
            projection = point.matrix(self.projection)
            basis = mp.matrix(tangent.tolist())
            axes, _ = mp.qr(projection * basis, mode="skinny")
            return axes.T * point.matrix(self.slopes) * axes

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


def _without_rounding(point: PrecisePoint, size: float) -> PrecisePoint:
    return PrecisePoint({s: mp.mpf(0) if is_tiny(a, size, POINT) else a for s, a in point.assignment.items()})


def _clusters(places: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
    """Places, one of those that are close, the nearest to 0 first."""
    chosen: list[np.ndarray] = []
    for x in sorted(places, key=lambda x: float(np.abs(x).max())):
        if all(np.abs(x - other).max() > CLOSE * (1 + np.abs(x).max()) for other in chosen):
            chosen.append(x)
    return tuple(chosen[:MEMBERS])


def _times(matrix: np.ndarray, column: Sequence[PreciseNumber]) -> list[PreciseNumber]:
    """A matrix of float64 numbers times a column of precise ones."""
    return [mp.fdot(zip(row, column, strict=True)) for row in matrix.tolist()]


def _kernel_dimension(slope: PreciseMatrix) -> int:
    """How many singular values are zero."""
    with mp.workdps(HIGH):
        values = mp.svd_r(slope, compute_uv=False)
        return sum(bool(v <= HYPERBOLIC * max(values)) for v in values)
