"""What is said of a derived SDE, tested: printed equations of Γ, written matrices, the component, and the regularizer."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations, islice, pairwise
from typing import Any

import mpmath
import numpy as np
import sympy as sp
from claims import FORMULA, Truth, findings, holds_at, regularizer_error
from judged_losses import Clock, KnownPlace, claims_to_hold, drawn, known, package_places, part_at, shown
from regular_points import Irregular, connected, regular_place, settled
from theorem_literal import gradient_and_spectrum, literal_landscape, point_by_gradient, point_on_manifold
from widened_losses import WidenedLoss, widened_loss

from symbolic_sgd import LimitingSDE, SymbolicSGDError, derive_limiting_sde
from symbolic_sgd.errors import ExpressionTooLarge, NoRegularizerFormula, OffManifold, SingularPoint, Undecided
from symbolic_sgd.theorem.terms import TERMS

GRADIENT = 1e-12
"""|∂Φ∇R + mixed + normal| beside its parts, up to which R counts as right."""

TURNED = 1e-7
"""A curl, or an integral round a curve, beside the size of what it is made of, that counts as nonzero."""

NEARBY = (1e-2, 1e-4)
"""Distances from Γ, relative to |x|, at which the printed equations must not vanish."""

STRIDE, MOST_STRIDES, TURN = 0.02, 900, 0.05
"""Chords of a curve on Γ: their length relative to |x|, their number, and the angle between neighbours."""

CHORDS = (2, 16)
"""Chords between neighbouring points of an arc, tried in turn."""

ARCS, ARC = 2, 0.2
"""Arcs of a one-dimensional Γ on which R is compared, and their length to each side, beside |x|."""

DEPENDENT = 1e-6
"""Singular values of more than M equations that count as zero, beside the largest."""

PLANES = 6
"""Coordinate planes with which a larger Γ is cut, in the search for a closed curve."""

REASONS = ("closed as a 1-form", "too large", "out of reach")
"""Words by which what is undecided is counted."""


@dataclass
class Verdict:
    """What was tested of one loss, and what is wrong."""

    tested: dict[str, float] = field(default_factory=dict)
    wrong: list[dict[str, Any]] = field(default_factory=list)
    open: str = ""

    def count(self, what: str) -> None:
        self.tested[what] = self.tested.get(what, 0) + 1

    def fail(self, what: str, place: KnownPlace | None = None, **details: Any) -> None:
        where = {} if place is None else {"part": place.part, "point": shown(place)}
        self.wrong.append({"statement": what, **where, **details})


def judge_statements(seed: int) -> dict[str, Any]:
    """A record of plain values, as `judged_losses.judge`; `regularizer` is "found", "none", "along arcs" or "undecided"."""
    clock, loss = Clock(), widened_loss(seed)
    record = drawn(loss)
    truth = known(loss)
    record["regular"] = truth.regular
    clock.stop("literal")
    try:
        sde = derive_limiting_sde(loss.problem())
    except SymbolicSGDError as error:
        clock.stop("derive")
        refusal = {"outcome": "refused", "refusal": type(error).__name__, "message": str(error)[:400]}
        return record | refusal | {"wrong": [], "seconds": clock.seconds}
    clock.stop("derive")
    places = [*truth.places, *package_places(sde, loss, truth.places)]
    claimed = [place for place in places if claims_to_hold(sde, loss, place)]
    verdict = Verdict()
    if getattr(sde, "component", None) is None:
        elsewhere = {place.part for place in places} - {place.part for place in claimed}
        verdict.tested["parts that are neither printed nor excluded by a component"] = len(elsewhere)
    _judge_component(sde, loss, truth.places, verdict)
    for place in claimed:
        _judge_formulas(sde, loss, place, verdict)
    clock.stop("compare")
    _judge_matrices(sde, loss, claimed, verdict)
    clock.stop("matrices")
    _judge_equations(sde, loss, claimed, verdict)
    clock.stop("equations")
    said = _judge_regularizer(sde, loss, claimed, verdict, clock)
    clock.stop("regularizer tested")
    return (
        record
        | {"outcome": "derived", "places": len(places), "claims": len(claimed)}
        | said
        | {"tested": verdict.tested, "wrong": verdict.wrong, "open": verdict.open, "seconds": clock.seconds}
    )


# --- where the formulas are said to hold --------------------------------------------------------


def _judge_component(sde: LimitingSDE, loss: WidenedLoss, places: Sequence[KnownPlace], verdict: Verdict) -> None:
    """The point that names a component lies on Γ, and on the part that near= names."""
    component = getattr(sde, "component", None)
    if component is None:
        verdict.count("losses without a component named")
        return
    verdict.count("components named")
    point = [component.point[p] for p in loss.parameters]
    gradient, spectrum = gradient_and_spectrum(loss.loss, loss.parameters, point, 20)
    if mpmath.norm(gradient) > 1e-10 * spectrum.values[0] * (1 + max(abs(float(a)) for a in point)):
        verdict.fail("the component's point is not on Γ", value=str(point))
    if loss.told is None or not places or places[0].part != 0:
        return
    try:
        told = regular_place(
            loss.loss, loss.parameters, loss.parts[0].equations, [loss.told[p] for p in loss.parameters]
        )
    except Irregular:
        return
    part = part_at(loss, point, digits=9)
    if part != 0:
        verdict.fail("the component is not the one that near= names", value=f"part {part}")
    elif not connected(loss.parts[0].equations, loss.parameters, point, told.floats):
        verdict.count("components without a path to near=")


def _judge_formulas(sde: LimitingSDE, loss: WidenedLoss, place: KnownPlace, verdict: Verdict) -> None:
    verdict.count("points where the formulas are claimed")
    found = findings(sde, place.truth, constants=loss.constants, names=())
    if found.wrong:
        verdict.fail("formulas", place, **found.wrong)
    if found.undefined:
        verdict.fail("formulas without a value", place, value=found.undefined[:200])


# --- what is printed ----------------------------------------------------------------------------


def _numbers(expressions: Sequence[sp.Expr], loss: WidenedLoss) -> Callable[[Sequence], list]:
    """Expressions as functions of a point, at the ambient precision, the constants at their values."""
    plain = [sp.sympify(e).xreplace(loss.constants) for e in expressions]
    function = sp.lambdify(loss.parameters, plain, "mpmath", cse=True)
    return lambda point: [mpmath.mpmathify(a) for a in function(*point)]


def _judge_matrices(sde: LimitingSDE, loss: WidenedLoss, places: Sequence[KnownPlace], verdict: Verdict) -> None:
    """Every matrix, as it is written out, against the literal theorem; and whether it is said to be zero."""
    for name in [term.name for term in TERMS]:
        try:
            matrix = getattr(sde, name)
        except ExpressionTooLarge:
            verdict.count("matrices too large to be written")
            continue
        verdict.count("matrices")
        numbers = _numbers(matrix.flat(), loss)
        for place in places:
            error = _matrix_error(numbers, place.truth, name)
            if error > FORMULA:  # the literal terms may have lost digits
                error = _matrix_error(numbers, place.truth.looked_at_closer(), name)
            if error > FORMULA:
                zero = {"said": "zero"} if matrix.is_zero_matrix else {}
                verdict.fail("matrix", place, term=name, error=float(error), **zero)


def _matrix_error(numbers: Callable, truth: Truth, name: str) -> float:
    """The error of a written matrix beside the term; what rounding explains is gone at 150 digits."""
    exact, size, natural = getattr(truth.terms, name), truth.size(name), truth.natural(name)
    error = mpmath.inf
    for digits in (55, 150):
        with mpmath.workdps(digits):
            try:
                values = numbers(truth.place.point)
                error = max(abs(a - b) for a, b in zip(values, exact, strict=True))
            except (ZeroDivisionError, ValueError):
                return float("inf")
            error = max(error - mpmath.mpf("1e-33") * natural, mpmath.mpf(0))
        if error <= FORMULA * size:
            return 0.0
    return float(error / size) if size else float("inf")


def _judge_equations(sde: LimitingSDE, loss: WidenedLoss, places: Sequence[KnownPlace], verdict: Verdict) -> None:
    """The printed equations vanish on Γ, not beside it, and their common zeros near a point of Γ are stationary.

    They are M, or the residuals, or the entries of ∇L.
    """
    try:
        equations = sde.manifold.equations
    except ExpressionTooLarge:
        verdict.count("equations too large to be written")
        return
    if len(equations) < sde.manifold.codimension:
        verdict.fail("fewer than M equations are printed", value=len(equations))
    verdict.count(
        "losses with M equations" if len(equations) == sde.manifold.codimension else "losses with more equations"
    )
    numbers, rng = _numbers(equations, loss), np.random.default_rng(loss.seed)
    plain = [sp.sympify(e).xreplace(loss.constants) for e in equations]
    for place in places:
        verdict.count("points of Γ put into the printed equations")
        with mpmath.workdps(60):
            point = place.truth.place.point
            try:
                here, beside = numbers(point), [numbers(_beside(point, 1e-3, rng)) for _ in range(2)]
                sizes = [max(abs(a[i]) for a in beside) for i in range(len(equations))]
                if any(abs(a) > mpmath.mpf("1e-25") * size for a, size in zip(here, sizes, strict=True)):
                    verdict.fail("printed equations do not vanish on Γ", place, value=[float(abs(a)) for a in here])
                for distance in NEARBY:
                    near = numbers(_beside(point, distance, rng))
                    if all(abs(a) <= mpmath.mpf("1e-20") * size for a, size in zip(near, sizes, strict=True)):
                        verdict.fail("printed equations vanish beside Γ", place, value=distance)
            except (ZeroDivisionError, ValueError) as error:
                verdict.fail("printed equations without a value", place, value=str(error))
                continue
        _judge_zeros(sde, plain, loss, place, verdict, rng)


def _beside(point: Sequence, distance: float, rng: np.random.Generator) -> list:
    """A point so far from another, each parameter in its own units; those of the origin are 1."""
    scale = max(abs(a) for a in point)
    return [
        a + distance * (abs(a) or scale / 100 or 1) * mpmath.mpf(rng.uniform(0.3, 1) * rng.choice((-1, 1)))
        for a in point
    ]


def _holds(sde: LimitingSDE, values: dict) -> bool:
    """Whether the conditions hold that are printed beside the equations."""
    try:
        return holds_at(sde.valid_where, values)
    except ExpressionTooLarge:
        return True


def _judge_zeros(
    sde: LimitingSDE,
    equations: Sequence[sp.Expr],
    loss: WidenedLoss,
    place: KnownPlace,
    verdict: Verdict,
    rng: np.random.Generator,
) -> None:
    """∇L = 0 at the common zero of the printed equations that Gauss–Newton reaches from beside a point of Γ."""
    dependent = DEPENDENT if len(equations) > place.truth.place.codimension else None
    for distance in (0.03, 0.2):
        start = [float(a) for a in _beside(place.truth.place.point, distance, rng)]
        try:
            zero = settled(equations, loss.parameters, start, dependent=dependent)
        except (ValueError, ZeroDivisionError, OverflowError, TypeError):
            continue
        scale = np.abs(place.truth.place.floats).max()
        values = dict(zip(loss.parameters, map(mpmath.mpf, zero), strict=True))
        values |= {s: mpmath.mpf(a.p) / a.q for s, a in loss.constants.items()}
        if np.abs(zero - place.truth.place.floats).max() > 0.5 * scale or not _holds(sde, values):
            continue
        verdict.count("zeros of the printed equations")
        try:
            gradient, spectrum = gradient_and_spectrum(loss.loss, loss.parameters, list(zero), 12)
        except (ValueError, ZeroDivisionError):
            continue
        if mpmath.norm(gradient) > 1e-5 * max(map(abs, spectrum.values)) * scale:
            verdict.fail("printed equations vanish where ∇L does not", place, value=[float(a) for a in zero])


# --- the regularizer ----------------------------------------------------------------------------


def _judge_regularizer(
    sde: LimitingSDE, loss: WidenedLoss, places: Sequence[KnownPlace], verdict: Verdict, clock: Clock
) -> dict[str, Any]:
    try:
        evidence = sde.regularizer_evidence
    except NoRegularizerFormula as error:
        clock.stop("regularizer")
        for place in places[:ARCS]:
            _judge_arc(sde, loss, place, verdict)
        return {"regularizer": "along arcs", "words": str(error)[:300]}
    except (Undecided, ExpressionTooLarge) as error:
        clock.stop("regularizer")
        words = str(error)
        reason = next((r for r in REASONS if r in words), re.sub(r"-?\d[\d.]*(e[-+]?\d+)?", "#", words)[:100])
        return {"regularizer": "undecided", "undecided": f"{type(error).__name__}: {reason}"}
    clock.stop("regularizer")
    words = {"words": evidence.words[:300]}
    if evidence.expression is not None:
        for place in places:
            verdict.count("points where ∂Φ∇R was compared")
            try:
                error = regularizer_error(sp.sympify(evidence.expression), place.truth, loss.constants)
            except (ZeroDivisionError, ValueError, TypeError) as failure:
                verdict.fail("R without a value", place, value=str(failure)[:200])
                continue
            if not error <= GRADIENT:
                verdict.fail("R", place, error=error, value=str(evidence.expression)[:200])
        return {"regularizer": "found"} | words
    if not any(_turns(loss, place) for place in places):
        loop = _loop(loss, places, evidence)
        if loop is None:
            verdict.open = f"no curl, and no closed curve was followed: {evidence.words[:160]}"
        elif not loop.turns:
            verdict.fail("no regularizer is said, but the literal loop integral vanishes", value=str(loop))
        else:
            verdict.count("loop integrals confirmed")
            if evidence.loop_integral is not None and abs(loop.integral - evidence.loop_integral) > 10 * loop.error:
                verdict.open = f"loop integral {evidence.loop_integral} said, {loop} found"
    else:
        verdict.count("curls confirmed")
    return {"regularizer": "none"} | words


def _judge_arc(sde: LimitingSDE, loss: WidenedLoss, place: KnownPlace, verdict: Verdict) -> None:
    """R along an arc against the literal −∫⟨mixed + normal, dY⟩, by the trapezoidal rule on points put on Γ anew."""
    if place.part is None:
        return
    start, d = place.truth.place.floats, len(loss.parameters)
    named = dict(zip(loss.parameters, start, strict=True)) | {s: float(a) for s, a in loss.constants.items()}
    try:
        arc = sde.regularizer_along(named, length=ARC * float(np.abs(start).max() or 1))
    except (OffManifold, SingularPoint) as error:
        verdict.open = f"no arc: {error}"[:200]
        return
    points, values = arc.points, arc.values
    if len(points) < 3 or points.shape[1] != d:
        verdict.open = "an arc of fewer than three points"
        return
    natural = float(place.truth.natural("drift")) * (arc.lengths[-1] - arc.lengths[0])
    path = None
    for pieces in CHORDS:  # where b is steep, the first are too coarse for their own estimate of the error
        between = [p + (q - p) * k / pieces for p, q in pairwise(points) for k in range(pieces)]
        path = _along(loss, place, np.array([*between, points[-1]]))
        if path is None:
            verdict.open = "the literal terms were not computed along the arc"
            return
        gap = abs(values[-1] - values[0] + path.integral)
        if gap <= max(4 * path.error, TURNED * path.size) + 1e-12 * natural:
            verdict.count("arcs")
            return
    verdict.fail("R along an arc", place, value=f"R ends differ by {values[-1] - values[0]}, literally {path}")


def _descent(loss: WidenedLoss, place: KnownPlace, start: Sequence, digits: int) -> tuple[list, mpmath.matrix]:
    """The point of Γ near a start, and mixed + normal regularization there."""
    if place.part is None:
        codimension = place.truth.place.codimension
        point = point_by_gradient(loss.loss, loss.parameters, start, digits=digits, codimension=codimension)
    else:
        point = point_on_manifold(loss.parts[place.part].equations, loss.parameters, start, digits=digits)
    terms = literal_landscape(loss.loss, loss.parameters, point, place.truth.place.codimension, digits).terms(
        loss.sigma
    )
    return point, terms.mixed_regularization + terms.normal_regularization


def _turns(loss: WidenedLoss, place: KnownPlace) -> bool:
    """Whether dω ≠ 0 at a point: (D_s b)·t − (D_t b)·s for tangent s, t, by differences of the literal b on Γ."""
    place_truth = place.truth
    dimension, codimension = len(loss.parameters), place_truth.place.codimension
    if dimension - codimension < 2:
        return False
    vectors = place_truth.landscape.spectrum.vectors
    with mpmath.workdps(50):
        scale = max(abs(a) for a in place_truth.place.point)
        step = scale * mpmath.mpf("1e-8")
        tangent = [vectors[:, a] for a in range(codimension, dimension)]
        slopes = []
        try:
            for t in tangent:
                (_, b), (_, c) = (
                    _descent(
                        loss, place, [x + sign * step * y for x, y in zip(place_truth.place.point, t, strict=True)], 20
                    )
                    for sign in (1, -1)
                )
                slopes.append((b - c) / (2 * step))
        except (ValueError, ZeroDivisionError):
            return False
        size = max(mpmath.norm(s) for s in slopes) + mpmath.mpf("1e-10") * place_truth.natural("drift") / scale
        curls = [
            abs((slopes[i].T * tangent[j])[0] - (slopes[j].T * tangent[i])[0])
            for i in range(len(tangent))
            for j in range(i)
        ]
        return max(curls) > TURNED * size


@dataclass(frozen=True)
class Loop:
    """∫⟨mixed + normal, dx⟩ along a curve (round a closed one in absolute value), an estimate of its error, and the size of the
    parts."""

    integral: float
    error: float
    size: float

    @property
    def turns(self) -> bool:
        return self.integral > max(TURNED * self.size, 4 * self.error)


def _loop(loss: WidenedLoss, places: Sequence[KnownPlace], evidence: Any) -> Loop | None:
    """The integral round closed curves through the points, or through the point that the evidence names; the first that
    turns, else the last."""
    last = None
    for place in places:
        if place.part is None:
            continue
        equations = loss.parts[place.part].equations
        free = len(loss.parameters) - len(equations) - 1
        named = _named_point(evidence.words, loss)
        for start in [place.truth.place.floats] if named is None else [named, place.truth.place.floats]:
            for fixed in islice(combinations(range(len(loss.parameters)), free), PLANES):
                cuts = [loss.parameters[i] - sp.Float(start[i], 17) for i in fixed]
                nodes = _closed_curve([*equations, *cuts], loss.parameters, start)
                if nodes is None:
                    continue
                last = _round(loss, place, nodes)
                if last is not None and last.turns:
                    return last
    return last


def _named_point(words: str, loss: WidenedLoss) -> np.ndarray | None:
    values = dict(re.findall(r"(\w+) = (-?[\d.]+(?:e[-+]?\d+)?)", words))
    if not all(p.name in values for p in loss.parameters):
        return None
    return np.array([float(values[p.name]) for p in loss.parameters])


def _closed_curve(equations: Sequence[sp.Expr], parameters: Sequence, start: Sequence[float]) -> np.ndarray | None:
    """Points, one a row, of the closed curve {g = 0} through a point, by chords and Gauss–Newton; None if it does not close."""
    try:
        x = origin = settled(equations, parameters, start)
        function = sp.lambdify(tuple(parameters), list(equations), "math", cse=True)
        scale = np.abs(origin).max()
        stride, direction, nodes, away = STRIDE * scale, None, [origin], False
        while len(nodes) < MOST_STRIDES:
            tangent = _tangent(function, x, scale)
            if direction is not None and tangent @ direction < 0:
                tangent = -tangent
            following = settled(equations, parameters, x + stride * tangent)
            turned = np.linalg.norm(following - x - stride * tangent) / stride
            if turned > TURN and stride > 1e-4 * scale:
                stride /= 2
                continue
            direction, x = tangent, following
            stride = min(stride * 1.5, STRIDE * 5 * scale) if turned < TURN / 4 else stride
            gap = np.linalg.norm(x - origin)
            away = away or gap > 3 * stride
            if away and gap < 1.2 * stride:
                return np.array([*nodes, origin])
            if gap > 100 * scale:
                return None
            nodes.append(x)
    except (ValueError, ZeroDivisionError, OverflowError):
        return None
    return None


def _tangent(function: Callable, x: np.ndarray, scale: float) -> np.ndarray:
    steps = 1e-6 * np.maximum(np.abs(x), 1e-3 * scale)
    rows = np.array([np.subtract(function(*(x + e)), function(*(x - e))) / (2 * e.sum()) for e in np.diag(steps)]).T
    return np.linalg.svd(rows)[2][-1]


def _round(loss: WidenedLoss, place: KnownPlace, nodes: np.ndarray) -> Loop | None:
    """The integral in absolute value; the last node is the first."""
    count = (len(nodes) - 1) // 2 * 2
    loop = _along(loss, place, np.vstack([nodes[:count], nodes[-1:]]))
    return None if loop is None else replace(loop, integral=abs(loop.integral))


def _along(loss: WidenedLoss, place: KnownPlace, nodes: np.ndarray) -> Loop | None:
    """The integral by the trapezoidal rule on all chords, extrapolated from that on every second one; an odd number of nodes."""
    try:
        values = [_descent(loss, place, list(x), 16) for x in nodes]
    except (ValueError, ZeroDivisionError):
        return None
    points = np.array([[float(a) for a in point] for point, _ in values])
    field_values = np.array([[float(a) for a in b] for _, b in values])

    def trapezoidal(step: int) -> float:
        p, b = points[::step], field_values[::step]
        return float(((b[1:] + b[:-1]) / 2 * np.diff(p, axis=0)).sum())

    fine, coarse = trapezoidal(1), trapezoidal(2)
    size = float(np.abs(field_values).max() * np.linalg.norm(np.diff(points, axis=0), axis=1).sum())
    return Loop(fine + (fine - coarse) / 3, abs(fine - coarse) / 2 + 1e-9 * size, size)
