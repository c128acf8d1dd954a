"""Γ in two or three dimensions as SVG, coloured by R, with the drift as arrows: no library draws it, and no style is in it."""

from collections.abc import Sequence
from html import escape

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.program import Program, evaluate
from symbolic_sgd.algebra.translation import Expression, from_sympy
from symbolic_sgd.api.limiting_sde import LimitingSDE
from symbolic_sgd.documents.document import Figure
from symbolic_sgd.regularizer.scatter import Batch, FloatManifold

GRID = {2: 160, 3: 30}
"""Points of the window along each side, for D = 2 and 3."""

CELLS = {2: 150, 3: 26}
"""Cells of the window along each side, in each of which one point is drawn."""

WIDTH, HEIGHT, EDGE = 480, 430, 58
"""Of the picture, and of the margin round the window, in pixels."""

CENTRE = WIDTH / 2 - EDGE / 2
"""Of the window, from the left: the scale of R stands on the right."""

GAP, NAME, CORNER = 14.0, 2.4, 0.1
"""Pixels between an edge and its numbers; how much farther its name stands; the part of an edge at its ends that has no number."""

LEVELS = 24
"""Colours."""

LOW, HIGH = (70, 110, 230), (208, 100, 0)
"""Those of the smallest and the largest R: three to one on white and on black."""

LINKED = 4.0
"""Cells between two points that are joined by a line."""

ALONG = 0.8
"""The cosine between this line and Γ, at the least."""

ARROWS, LONGEST, HEAD = 10, 0.15, 8.0
"""How many arrows, the longest relative to the window, and pixels of their heads."""

TURN, TILT = np.radians(-58.0), np.radians(24.0)
"""From where three dimensions are seen."""

STILL = 1e-9
"""A drift or a difference of R that is rounding."""


def picture(sde: LimitingSDE, potential: Expression | None) -> tuple[Figure, ...]:
    """Γ in a window; nothing where there are more than three parameters, constants without values, or no point is found.

    Args:
        sde: the limiting SDE.
        potential: R, None where it is not known or there is none.
    """
    d = sde.problem.dimension
    if d not in GRID or sde.problem.constants or sde.derivation.in_matrices is not None:
        return ()
    manifold = FloatManifold(sde.derivation)
    sides = _square(manifold.window())
    found = _thinned(manifold.within(sides, (), GRID[d]), sides, CELLS[d])
    if not len(found.points):
        return ()
    points = found.points
    heights = _heights(sde, potential, points)
    view = _View(sides)
    colours = _colours(heights, len(points))
    body = _curve(found, view, colours, sides) if d == 2 else _cloud(view, points, colours)
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-size="13" fill="currentColor">'
        f"{_frame(view, sde, sides)}{body}{_arrows(sde, view, points, sides)}{_scale(heights)}</svg>"
    )
    return (Figure("The manifold of minimizers", _caption(sde, sides, heights), svg),)


def _square(sides: np.ndarray) -> np.ndarray:
    """The same with sides of one length."""
    half = np.ptp(sides, axis=1).max() / 2
    return sides.mean(axis=1)[:, None] + np.array([-half, half])


def _thinned(found: Batch, sides: np.ndarray, count: int) -> Batch:
    """One point for each cell, the one nearest to its middle."""
    cells = np.floor((found.points[:, : len(sides)] - sides[:, 0]) / np.ptp(sides, axis=1) * count)
    centres = sides[:, 0] + (cells + 0.5) / count * np.ptp(sides, axis=1)
    order = np.argsort(np.abs(found.points[:, : len(sides)] - centres).max(axis=1), kind="stable")
    _, chosen = np.unique(cells[order], axis=0, return_index=True)
    return found.take(np.sort(order[chosen]))


def _heights(sde: LimitingSDE, potential: Expression | None, points: np.ndarray) -> np.ndarray | None:
    """R at the points, NaN where it is no number; None where it is not known, or the same everywhere."""
    if potential is None:
        return None
    program = Program.of({"R": Matrix.column([from_sympy(sp.sympify(potential), Graph())])})
    found = evaluate(program, sde.problem.symbols, points)["R"][:, 0]
    found = np.where(np.isfinite(found), found, np.nan)
    finite = found[np.isfinite(found)]
    return found if len(finite) and np.ptp(finite) > STILL * (1 + np.abs(finite).max()) else None


# --- from numbers to pixels -----------------------------------------------------------------------


class _View:
    """Where a point is in the picture: in two dimensions as it is, in three seen from a side."""

    def __init__(self, sides: np.ndarray):
        self.middle, self.half = sides.mean(axis=1), float(np.ptp(sides, axis=1).max()) / 2
        turned = np.array([[np.cos(TURN), np.sin(TURN), 0], [-np.sin(TURN), np.cos(TURN), 0], [0, 0, 1]])
        tilted = np.array([[1, 0, 0], [0, np.sin(TILT), np.cos(TILT)], [0, np.cos(TILT), -np.sin(TILT)]])
        self.axes = np.eye(2) if len(sides) == 2 else (tilted @ turned)[:2]
        self.depth_axis = None if len(sides) == 2 else (tilted @ turned)[2]
        reach = 1.0 if len(sides) == 2 else float(np.abs(self.axes).sum(axis=1).max())
        self.scale = (min(WIDTH, HEIGHT) / 2 - EDGE) / (self.half * reach)

    def pixels(self, points: np.ndarray) -> np.ndarray:
        flat = (points[:, : len(self.middle)] - self.middle) @ self.axes.T * self.scale
        return np.stack([CENTRE + flat[:, 0], HEIGHT / 2 - flat[:, 1]], axis=1)

    def depths(self, points: np.ndarray) -> np.ndarray:
        """Larger is nearer."""
        return -(points[:, : len(self.middle)] - self.middle) @ self.depth_axis


def _colours(heights: np.ndarray | None, count: int) -> list[str]:
    """A colour for each point; that of the text where R is not known, or no number."""
    if heights is None:
        return ["currentColor"] * count
    low, high = np.nanmin(heights), np.nanmax(heights)
    part = np.nan_to_num((heights - low) / (high - low))
    return [_colour(p) if np.isfinite(h) else "currentColor" for p, h in zip(part, heights, strict=True)]


def _colour(part: float) -> str:
    level = round(float(np.clip(part, 0, 1)) * (LEVELS - 1)) / (LEVELS - 1)
    return f"rgb({','.join(str(round(a + (b - a) * level)) for a, b in zip(LOW, HIGH, strict=True))})"


# --- what is drawn --------------------------------------------------------------------------------


def _curve(found: Batch, view: _View, colours: Sequence[str], sides: np.ndarray) -> str:
    """Each point joined with the next on both sides, the lines of one colour as one path."""
    points, tangent = found.points[:, :2], found.tangent[:, :, 0]
    reach = LINKED * float(np.ptp(sides, axis=1).max()) / CELLS[2]
    pairs: set[tuple[int, int]] = set()
    for k, (point, along) in enumerate(zip(points, tangent, strict=True)):
        step = points - point
        distance = np.linalg.norm(step, axis=1)
        cosine = (step @ along) / np.where(distance > 0, distance, 1)
        for side in (1, -1):
            ahead = np.where((side * cosine > ALONG) & (distance > 0) & (distance < reach), distance, np.inf)
            if np.isfinite(ahead.min()):
                pairs.add((min(k, int(ahead.argmin())), max(k, int(ahead.argmin()))))
    at = view.pixels(points)
    paths: dict[str, list[str]] = {}
    for a, b in sorted(pairs):
        line = f"M{at[a, 0]:.1f} {at[a, 1]:.1f}L{at[b, 0]:.1f} {at[b, 1]:.1f}"
        paths.setdefault(colours[a], []).append(line)
    return "".join(
        f'<path d="{"".join(lines)}" stroke="{colour}" stroke-width="4" stroke-linecap="round" fill="none"/>'
        for colour, lines in paths.items()
    )


def _cloud(view: _View, points: np.ndarray, colours: Sequence[str]) -> str:
    """A dot for each point, the farthest first and the faintest."""
    at, depth = view.pixels(points), view.depths(points)
    near = (depth - depth.min()) / max(float(np.ptp(depth)), STILL)
    return "".join(
        f'<circle cx="{at[k, 0]:.1f}" cy="{at[k, 1]:.1f}" r="{2 + 1.6 * near[k]:.1f}" fill="{colours[k]}" '
        f'fill-opacity="{0.35 + 0.6 * near[k]:.2f}"/>'
        for k in np.argsort(depth)
    )


def _arrows(sde: LimitingSDE, view: _View, points: np.ndarray, sides: np.ndarray) -> str:
    """The drift at a few points, as far from each other as can be, to scale among themselves."""
    d = len(sides)
    rows = points[_spread(points[:, :d])]
    drift = evaluate(sde.program.select("drift"), sde.problem.symbols, rows)["drift"]
    size = np.linalg.norm(drift, axis=1)
    drawn = np.isfinite(size) & (size > STILL)
    if not drawn.any():
        return ""
    rows, drift = rows[drawn], drift[drawn] * (LONGEST * float(np.ptp(sides, axis=1).max()) / size[drawn].max())
    begin, end = view.pixels(rows), view.pixels(rows[:, :d] + drift)
    lines = "".join(f"M{a[0]:.1f} {a[1]:.1f}L{b[0]:.1f} {b[1]:.1f}" for a, b in zip(begin, end, strict=True))
    heads = "".join(_head(a, b) for a, b in zip(begin, end, strict=True))
    return f'<path d="{lines}" stroke="currentColor" stroke-width="1.8" fill="none"/><path d="{heads}"/>'


def _spread(points: np.ndarray) -> list[int]:
    chosen = [0]
    distance = np.linalg.norm(points - points[0], axis=1)
    while len(chosen) < min(ARROWS, len(points)):
        chosen.append(int(np.argmax(distance)))
        distance = np.minimum(distance, np.linalg.norm(points - points[chosen[-1]], axis=1))
    return chosen


def _head(begin: np.ndarray, end: np.ndarray) -> str:
    length = float(np.linalg.norm(end - begin))
    if length < 1:
        return ""
    along = (end - begin) / length * min(HEAD, length)
    across = np.array([-along[1], along[0]]) * 0.6
    corners = (end + along, end - along / 2 + across, end - along / 2 - across)
    return "M" + "L".join(f"{c[0]:.1f} {c[1]:.1f}" for c in corners) + "Z"


def _frame(view: _View, sde: LimitingSDE, sides: np.ndarray) -> str:
    """The edges of the window, with the names of the parameters and where they begin and end."""
    d = len(sides)
    corners = np.stack(np.meshgrid(*sides, indexing="ij"), axis=-1).reshape(-1, d)
    pairs = [(a, b) for a in range(2**d) for b in range(a) if (a ^ b).bit_count() == 1]
    at = view.pixels(corners)
    lines = "".join(f"M{at[a, 0]:.1f} {at[a, 1]:.1f}L{at[b, 0]:.1f} {at[b, 1]:.1f}" for a, b in pairs)
    edges = f'<path d="{lines}" stroke="currentColor" stroke-opacity="0.3" fill="none"/>'
    return edges + "".join(_axis(view, k, str(sde.problem.parameters[k]), sides) for k in range(d))


def _axis(view: _View, k: int, name: str, sides: np.ndarray) -> str:
    """A name and round numbers along the lowest edge in this direction, or along the leftmost one where it goes up."""
    low, high = _outermost(view, k, sides)
    upright = abs(high[0] - low[0]) < abs(high[1] - low[1]) / 2
    out = np.array([-1.0, 0.0]) if upright else np.array([np.sign((low + high)[0] / 2 - CENTRE) * 0.5, 1.0])
    words = [(0.5, NAME * GAP, name, ' font-style="italic"')]
    for tick in _ticks(*sides[k]):
        part = (tick - sides[k, 0]) / float(np.ptp(sides[k]))
        if len(sides) == 2 or CORNER < part < 1 - CORNER:  # at a corner in three dimensions two numbers would meet
            words.append((part, GAP, f"{tick:g}", ""))
    anchor = "end" if upright else "middle"
    places = ((low + part * (high - low) + gap * out, text, style) for part, gap, text, style in words)
    return "".join(
        f'<text x="{p[0]:.1f}" y="{p[1] + 4:.1f}" text-anchor="{anchor}"{style}>{escape(text)}</text>'
        for p, text, style in places
    )


def _ticks(low: float, high: float) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten, about four."""
    rough = (high - low) / 4
    power = 10.0 ** np.floor(np.log10(rough))
    step = power * min((1, 2, 5, 10), key=lambda s: abs(np.log(s * power / rough)))
    return [float(f"{k * step:.6g}") for k in range(int(np.ceil(low / step)), int(np.floor(high / step)) + 1)]


def _outermost(view: _View, k: int, sides: np.ndarray) -> np.ndarray:
    """The ends of an edge of the window in the direction k, in pixels."""
    d = len(sides)
    others = np.stack(np.meshgrid(*np.delete(sides, k, axis=0), indexing="ij"), axis=-1).reshape(-1, d - 1)
    edges = [view.pixels(np.stack([np.insert(rest, k, end) for end in sides[k]])) for rest in others]
    return max(edges, key=lambda e: -e[:, 0].sum() if k == d - 1 else e[:, 1].sum())


def _scale(heights: np.ndarray | None) -> str:
    """What the colours mean."""
    if heights is None:
        return ""
    top, height, left = EDGE, HEIGHT - 2 * EDGE, WIDTH - 40
    cell = height / LEVELS
    cells = "".join(
        f'<rect x="{left}" y="{top + height - (k + 1) * cell:.1f}" width="12" height="{cell + 0.5:.1f}" '
        f'fill="{_colour(k / (LEVELS - 1))}"/>'
        for k in range(LEVELS)
    )
    words = ((top - 10, f"{np.nanmax(heights):.3g}"), (top + height + 18, f"{np.nanmin(heights):.3g}"), (top - 28, "R"))
    return cells + "".join(f'<text x="{left + 6}" y="{y}" text-anchor="middle">{text}</text>' for y, text in words)


def _caption(sde: LimitingSDE, sides: np.ndarray, heights: np.ndarray | None) -> str:
    box = ", ".join(
        f"{low:.3g} ≤ {x} ≤ {high:.3g}" for x, (low, high) in zip(sde.problem.parameters, sides, strict=True)
    )
    coloured = "" if heights is None else ", coloured by R"
    return (
        f"Γ where it was found in the window {box}{coloured}; the arrows are the drift b at some of its points, to scale among "
        "themselves."
    )
