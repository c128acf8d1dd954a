"""Closed curves on Γ, and the integral of the regularization round them.

R with −dR = ω = ⟨mixed + normal, dY⟩ exists on Γ exactly if ∮ω = 0 round every closed curve (de Rham). On a
one-dimensional Γ the curves are its components; on a larger one they are cut out of it by planes A(x − x₀) = 0.

A curve is followed in segments. Each is a graph over its first tangent w: y(s) is the point of the curve with
⟨w, y − x₀⟩ = s, and y′(s) solves the same linear equations as Newton's step does, so that ∫⟨b, y′⟩ds is a Gauss–Legendre
sum with points that are exactly on the curve. Two such sums, with 10 and 16 nodes, bound the error.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from symbolic_sgd.effort import Effort
from symbolic_sgd.regularizer.one_form import RegularizationForm
from symbolic_sgd.regularizer.scatter import FloatManifold

FINE, COARSE = (np.polynomial.legendre.leggauss(n) for n in (16, 10))

ITERATIONS = 10
"""Newton steps onto the curve."""

SETTLED = 1e-13
"""Length of the last one, relative to 1 + |x|."""

AGREED = 1e-9
"""How far the two sums of a segment may differ, relative to its ∫|b||dy|: the finer one is then exact to rounding."""

ROUNDING = 1e-14
"""What is added to the error for each segment, relative to its ∫|b||dy|."""

TURN = 0.85
"""Smallest cosine between the tangents at the nodes of a segment and its first."""

LONGEST, SHORTEST = 0.5, 1e-3
"""Lengths of segments, relative to 1 + |x|."""

FAR = 30.0
"""A curve that leaves this times 1 + |x₀| is not followed further."""

MET = 1e-8
"""A curve is closed if it comes back to its start so closely, relative to 1 + |x₀|."""

CLEAR, SMALL = 1e3, 1e-9
"""An integral is not zero if it is larger than so many errors, and than this part of ∮|b||dy|."""


@dataclass(frozen=True)
class Loop:
    """A closed curve on Γ.

    Args:
        start: a point of it (parameters, then constants).
        integral: ∮⟨mixed + normal, dY⟩, in the direction in which the curve was followed.
        error: a bound of its error.
        size: ∮|mixed + normal||dY|.
        length: ∮|dY|.
        nodes: points of it, some a segment.
    """

    start: np.ndarray
    integral: float
    error: float
    size: float
    length: float
    nodes: np.ndarray

    @property
    def turns(self) -> bool:
        """Whether the integral is clearly not zero."""
        return abs(self.integral) > max(CLEAR * self.error, SMALL * self.size)

    def passes(self, x: np.ndarray) -> bool:
        """Whether a point is close to the curve (nearer than its nodes are to each other)."""
        gaps = np.linalg.norm(np.diff(self.nodes, axis=0), axis=1).max(initial=0)
        return bool(np.linalg.norm(self.nodes - x, axis=1).min() < gaps)


@dataclass(frozen=True)
class Segment:
    """A piece of a curve on Γ: the sums over it, some points of it, where it ends and in which direction."""

    integral: float
    error: float
    size: float
    length: float
    nodes: np.ndarray
    end: np.ndarray
    direction: np.ndarray


class CurveTracer:
    """Follows the curves in which planes cut Γ.

    Args:
        manifold: Γ in float64.
        form: what is integrated.
        effort: bounds how long curves are followed.
    """

    def __init__(self, manifold: FloatManifold, form: RegularizationForm, effort: Effort | None = None):
        self.effort = effort or Effort()
        self.manifold = manifold
        self.form = form
        self.d = manifold.problem.dimension

    def loop(
        self, start: np.ndarray, cuts: np.ndarray, segments: int, *, longest: float = LONGEST, sign: int = 1
    ) -> tuple[Loop | None, int]:
        """The curve {A(x − start) = 0} on Γ, if it closes within so many segments.

        Args:
            start: a point of Γ (parameters, then constants).
            cuts: A, (D − M − 1)×D.
            segments: how many may be tried.
            longest: of a segment, relative to 1 + |x|.
            sign: ±1, the direction.

        Returns:
            The loop, or None, and how many segments were tried.

        Raises:
            BudgetSpent: by the effort.
        """
        here, direction = start, self._first_direction(start, cuts)
        if direction is None:
            return None, 1
        direction, size = sign * direction, 1 + np.abs(start).max()
        length, done = longest / 4 * size, []
        for tried in self.effort.each(range(1, segments + 1)):
            home = float(direction @ (start - here)[: self.d])
            closing = bool(done) and 0 < home <= length and np.linalg.norm(start - here) < 2 * length
            segment = self._segment(here, direction, home if closing else length, start, cuts)
            if closing and segment is not None and np.linalg.norm(segment.end - start) <= MET * size:
                return _joined(start, [*done, segment]), tried
            if closing:  # another part of the curve that passes the start
                segment = self._segment(here, direction, length, start, cuts)
            if segment is None:
                length *= 0.5
                if length < SHORTEST * longest / LONGEST * (1 + np.abs(here).max()):
                    return None, tried
                continue
            done.append(segment)
            here, direction = segment.end, segment.direction
            if np.abs(here).max() > FAR * size:
                return None, tried
            length = min(1.6 * length, longest * (1 + np.abs(here).max()))
        return None, segments

    def segments(self, start: np.ndarray, length: float, longest: float, sign: int) -> Iterator[Segment]:
        """The segments of a one-dimensional Γ from a point on, until the length is reached or the curve cannot be followed.

        Args:
            start: a point of Γ (parameters, then constants).
            length: of all of them; the last is cut to it, up to the bend in it.
            longest: of one of them.
            sign: ±1, the direction.
        """
        cuts = np.zeros((0, self.d))
        here, first = start, self._first_direction(start, cuts)
        direction = None if first is None else sign * first
        stride, rest = longest, length
        while direction is not None and rest > ROUNDING * length:
            segment = self._segment(here, direction, min(stride, rest), start, cuts)
            if segment is None:
                stride /= 2
                if stride < SHORTEST * longest:
                    return
                continue
            yield segment
            here, direction, rest = segment.end, segment.direction, rest - segment.length
            stride = min(1.6 * stride, longest)

    def confirmed(self, loop: Loop, cuts: np.ndarray, segments: int) -> bool:
        """Whether the curve followed backwards, from another of its points and in shorter segments, has the opposite integral."""
        other, _ = self.loop(loop.nodes[len(loop.nodes) // 3], cuts, 3 * segments, longest=LONGEST / 2)
        if other is None:
            return False
        difference = abs(abs(other.integral) - abs(loop.integral))
        return other.turns and bool(
            difference <= max(CLEAR * (loop.error + other.error) / 10, 1e-2 * SMALL * loop.size)
        )

    def _first_direction(self, start: np.ndarray, cuts: np.ndarray) -> np.ndarray | None:
        normal, _, _, fine = self.manifold.frame(start[None, :])
        rows = np.concatenate([normal[0].T, cuts])
        _, singular, axes = np.linalg.svd(rows)
        return axes[-1] if fine[0] and singular[-1] > 1e-3 * singular[0] else None

    def _segment(
        self, here: np.ndarray, direction: np.ndarray, length: float, start: np.ndarray, cuts: np.ndarray
    ) -> Segment | None:
        parts = [(nodes + 1) / 2 * length for nodes, _ in (FINE, COARSE)]
        s = np.concatenate([*parts, [length]])
        x = np.repeat(here[None, :], len(s), axis=0)
        x[:, : self.d] += s[:, None] * direction
        x, velocity = self._on_curve(x, s, here, direction, start, cuts)
        if velocity is None:
            return None
        speed = np.linalg.norm(velocity, axis=1)
        field = self.form.floats(x)
        if not np.isfinite(field).all() or speed.max() > 1 / TURN:
            return None
        rate, size = np.sum(field * velocity, axis=1), np.linalg.norm(field, axis=1) * speed
        n = len(parts[0])
        sums = [length / 2 * float(w @ r) for (_, w), r in ((FINE, rate[:n]), (COARSE, rate[n:-1]))]
        weight = length / 2 * FINE[1]
        total, error = float(weight @ size[:n]), abs(sums[0] - sums[1])
        if error > AGREED * total:
            return None
        return Segment(
            sums[0],
            error + ROUNDING * total,
            total,
            float(weight @ speed[:n]),
            x[:n:4],
            x[-1],
            velocity[-1] / speed[-1],
        )

    def _on_curve(
        self, x: np.ndarray, s: np.ndarray, here: np.ndarray, direction: np.ndarray, start: np.ndarray, cuts: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """The points y(s), by Newton's method, and y′(s); None where it does not converge at a minimizer of rank M."""
        d, last = self.d, np.zeros(self.d)
        last[-1] = 1
        for _ in range(ITERATIONS):
            normal, values, slope, fine = self.manifold.frame(x)
            if not fine.all():
                return x, None
            fixed = np.concatenate([cuts, direction[None, :]])
            rows = np.concatenate([normal.transpose(0, 2, 1), np.broadcast_to(fixed, (len(x), *fixed.shape))], axis=1)
            downhill = np.einsum("sij,si->sj", normal, slope) / values
            off = np.concatenate([(x - start)[:, :d] @ cuts.T, ((x - here)[:, :d] @ direction - s)[:, None]], axis=1)
            right = np.stack([-np.concatenate([downhill, off], axis=1), np.broadcast_to(last, x[:, :d].shape)], axis=2)
            try:
                solved = np.linalg.solve(rows, right)
            except np.linalg.LinAlgError:
                return x, None
            x[:, :d] += solved[:, :, 0]
            if np.linalg.norm(solved[:, :, 0], axis=1).max() <= SETTLED * (1 + np.abs(here).max()):
                settled = self.manifold.settle(x)
                return x, solved[:, :, 1] if settled.valid.all() else None
            if not np.abs(solved[:, :, 0]).max() < 1 + np.abs(here).max():
                return x, None
        return x, None


def _joined(start: np.ndarray, segments: list[Segment]) -> Loop:
    total = {name: sum(getattr(s, name) for s in segments) for name in ("integral", "error", "size", "length")}
    return Loop(start=start, nodes=np.concatenate([s.nodes for s in segments]), **total)
