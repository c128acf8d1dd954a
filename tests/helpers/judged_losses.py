"""One widened loss, derived and judged: which of its points are regular, whether it was derived, and what is wrong."""

import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np
import sympy as sp
from claims import Findings, Truth, findings, holds_at, truth_at
from regular_points import Irregular, Place, connected, regular_place, regular_place_by_gradient
from widened_losses import Part, WidenedLoss, widened_loss
from working_precision import working_digits

from symbolic_sgd import LimitingSDE, SymbolicSGDError, derive_limiting_sde
from symbolic_sgd.algebra.arithmetic import PRECISE
from symbolic_sgd.errors import ExpressionTooLarge

STEEP_STARTS = 3
"""Starts that are used of a part that has many, all of them on Γ; otherwise one regular point of each part is enough."""

MOST_PARTS = 4

SHIFT = 0.4
"""How far a further start is from the first, relative to each |x_i|."""

NUMBERS = ("drift", "tangent_noise")
"""Terms whose numbers are asked for; of every fourth loss, all."""

SAME = 1e-6


@dataclass(frozen=True, eq=False)
class KnownPlace:
    """A regular point, and the number of the part of Γ on which it lies (None: no part that is known)."""

    part: int | None
    truth: Truth


@dataclass(frozen=True)
class Known:
    """What is known of a loss before anything is derived.

    Args:
        places: regular points.
        regular: whether the theorem applies where the statement points: at near=, else at every part known, with one M.
        reason: why not, or "".
    """

    places: tuple[KnownPlace, ...]
    regular: bool
    reason: str


def known(loss: WidenedLoss) -> Known:
    """Regular points of every part, and whether a derivation is due."""
    rng = np.random.default_rng(loss.seed)
    places: list[KnownPlace] = []
    reasons = []
    for number, part in enumerate(loss.parts[:MOST_PARTS]):
        wanted = min(len(part.starts), STEEP_STARTS) if len(loss.parts) == 1 else 1
        for start, settle in _starts(loss, part, rng):
            mine = [k for k in places if k.part == number]
            if len(mine) >= wanted + (number == 0):
                break
            try:
                place = regular_place(loss.loss, loss.parameters, part.equations, start, settle=settle, beside=not mine)
            except Irregular as reason:
                reasons.append(str(reason))
                continue
            if all(_distance(place, k.truth.place) > SAME for k in mine):
                places.append(KnownPlace(number, truth_at(loss.loss, loss.sigma, loss.parameters, place)))
    reason = _why_not_due(loss, places, reasons)
    return Known(tuple(places), reason == "", reason)


def _why_not_due(loss: WidenedLoss, places: list[KnownPlace], reasons: list[str]) -> str:
    if loss.told is not None:
        start = [loss.told[p] for p in loss.parameters]
        try:
            regular_place(loss.loss, loss.parameters, loss.parts[0].equations, start)
        except Irregular as reason:
            return f"near: {reason}"
        return ""
    if not places or places[0].part != 0:
        return reasons[0] if reasons else "no regular point of the first part"
    if len({k.truth.place.codimension for k in places}) > 1:
        return "parts of different codimension"
    return ""


def _starts(loss: WidenedLoss, part: Part, rng: np.random.Generator) -> Iterator[tuple[list, bool]]:
    """Starts for Newton's method: those of the part, one beside the first; whether they may be far from Γ."""
    first = part is loss.parts[0]
    for i, start in enumerate(part.starts):
        yield [start[p] for p in loss.parameters], len(loss.parts) > 1 and not (first and i == 0)
    if first:
        origin = np.array([float(part.starts[0][p]) for p in loss.parameters])
        yield list(origin * (1 + SHIFT * rng.standard_normal(len(origin)))), True


def _distance(a: Place, b: Place) -> float:
    return float(np.abs(a.floats - b.floats).max() / max(np.abs(a.floats).max(), 1e-300))


# --- the judgement ----------------------------------------------------------------------------


def judge(seed: int) -> dict[str, Any]:
    """Derive a loss and compare it with the literal theorem at its points.

    Returns:
        a record of plain values: what was drawn, `outcome` ("derived", "refused" or "crashed"), `regular`, what is
        `wrong` (a list; empty if nothing is), and processor seconds of each stage.
    """
    clock = Clock()
    loss = widened_loss(seed)
    record = drawn(loss)
    clock.stop("generate")
    truth = known(loss)
    record |= {"regular": truth.regular, "irregular": truth.reason}
    clock.stop("literal")
    try:
        sde = derive_limiting_sde(loss.problem())
    except SymbolicSGDError as error:
        clock.stop("derive")
        refusal = {"outcome": "refused", "refusal": type(error).__name__, "message": str(error)[:400]}
        return record | refusal | {"wrong": [], "seconds": clock.seconds}
    except Exception as error:
        clock.stop("derive")
        crash = {
            "outcome": "crashed",
            "refusal": type(error).__name__,
            "message": traceback.format_exc(limit=-4)[-1500:],
        }
        return record | crash | {"wrong": [], "seconds": clock.seconds}
    clock.stop("derive")
    record |= {"outcome": "derived", "derived codimension": sde.derivation.codimension}
    places = [*truth.places, *package_places(sde, loss, truth.places)]
    clock.stop("literal")
    record |= _compared(sde, loss, places)
    clock.stop("compare")
    return record | {"seconds": clock.seconds}


def drawn(loss: WidenedLoss) -> dict[str, Any]:
    """What was drawn, as plain values."""
    return {
        "seed": loss.seed,
        "kind": loss.kind,
        "noise": loss.noise,
        "units": loss.units,
        "entry": loss.entry,
        "dimension": len(loss.parameters),
        "codimension": len(loss.parts[0].equations),
        "told": loss.told is not None,
        "constants": len(loss.constants),
    }


class Clock:
    """Processor seconds by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.process_time()

    def stop(self, stage: str) -> None:
        now = time.process_time()
        self.seconds[stage] = round(self.seconds.get(stage, 0.0) + now - self._last, 3)
        self._last = now


def _compared(sde: LimitingSDE, loss: WidenedLoss, places: list[KnownPlace]) -> dict[str, Any]:
    functions, accepted, refused = sde.lambdify(), 0, {}
    wrong, lost, undefined, claims = [], 0.0, 0, 0
    for place in places:
        claimed = claims_to_hold(sde, loss, place)
        claims += claimed
        try:
            found = findings(
                sde,
                place.truth,
                claimed=claimed,
                constants=loss.constants,
                functions=functions,
                names=NUMBERS if loss.seed % 4 else None,
            )
        except Irregular:
            continue
        except Exception:  # a callable that crashes is a fault of its own
            wrong.append({"part": place.part, "point": shown(place), "crash": traceback.format_exc(limit=-4)[-1500:]})
            continue
        accepted += "drift" not in found.refused
        for refusal in found.refused.values():
            refused[refusal] = refused.get(refusal, 0) + 1
        lost = max(lost, found.lost)
        undefined += bool(found.undefined)
        wrong.extend(_entry(place, found))
    return {
        "places": len(places),
        "accepted": accepted,
        "refused points": refused,
        "claims": claims,
        "undefined": undefined,
        "lost": lost,
        "wrong": wrong,
    }


def _entry(place: KnownPlace, found: Findings) -> list[dict[str, Any]]:
    return [{"part": place.part, "point": shown(place), **found.wrong}] if found.wrong else []


def shown(place: KnownPlace) -> list[float]:
    """The point, to be read."""
    return [float(f"{a:.12g}") for a in place.truth.place.floats]


def package_places(sde: LimitingSDE, loss: WidenedLoss, already: tuple[KnownPlace, ...]) -> list[KnownPlace]:
    """The regular point beside the last point of the derivation, found by the literal Newton iteration."""
    assignment = sde.derivation.points[-1]
    if any(assignment[c] != loss.constants[c] for c in loss.constants):
        return []  # another value of the constant was drawn, which L depends on
    start = [assignment[p] for p in loss.parameters]
    part = part_at(loss, start)
    try:
        if part is None:
            place = regular_place_by_gradient(loss.loss, loss.parameters, start, sde.derivation.codimension)
        else:
            place = regular_place(loss.loss, loss.parameters, loss.parts[part].equations, start, beside=False)
    except Irregular:
        return []
    if any(_distance(place, k.truth.place) <= SAME for k in already):
        return []
    return [KnownPlace(part, truth_at(loss.loss, loss.sigma, loss.parameters, place))]


def part_at(loss: WidenedLoss, point: Sequence, digits: int = 20) -> int | None:
    """The part of Γ whose equations vanish at a point, to so many digits of what they are beside it, if one does."""
    for number, part in enumerate(loss.parts):
        if vanish_at(part.equations, loss, point, digits):
            return number
    return None


def vanish_at(equations: Sequence[sp.Expr], loss: WidenedLoss, point: Sequence, digits: int = 25) -> bool:
    """Whether expressions are zero at a point, to so many digits of what they are 1 % beside it; constants have their values."""
    function = sp.lambdify(
        loss.parameters, [sp.sympify(e).xreplace(loss.constants) for e in equations], "mpmath", cse=True
    )
    with mpmath.workdps(60):
        values = [mpmath.mpf(a) for a in point]
        scale = max(map(abs, values)) or mpmath.mpf(1)
        beside = [a + (abs(a) + scale / 10) * mpmath.mpf("0.01") * (i + 1) for i, a in enumerate(values)]
        try:
            here, there = function(*values), function(*beside)
        except (ValueError, ZeroDivisionError):
            return False
        small = mpmath.mpf(10) ** -digits
        return all(abs(mpmath.mpc(a)) <= small * abs(mpmath.mpc(b)) for a, b in zip(here, there, strict=True))


def claims_to_hold(sde: LimitingSDE, loss: WidenedLoss, place: KnownPlace) -> bool:
    """Whether the formulas are said to hold at a point: on the Γ printed, the component named, and where `valid_where` says."""
    values = dict(zip(loss.parameters, place.truth.place.point, strict=True)) | {
        s: mpmath.mpf(a.p) / a.q for s, a in loss.constants.items()
    }
    if not on_printed_manifold(sde, loss, values):
        return False
    if not on_component(sde, loss, place):
        return False
    try:
        return holds_at(sde.valid_where, values)
    except ExpressionTooLarge:
        return False


def on_component(sde: LimitingSDE, loss: WidenedLoss, place: KnownPlace) -> bool:
    """Whether a point lies on the component named: where its equations vanish, or else where a path on Γ leads to its point.

    Where no path is seen, nothing is judged. Without a component the formulas are for all minimizers where the Hessian has
    rank M; if the loss has parts of different codimension, the others are none of Γ.
    """
    component = sde.component
    if component is None:
        ranks = {len(part.equations) for part in loss.parts}
        return sde.derivation.codimension not in ranks or place.truth.place.codimension == sde.derivation.codimension
    if component.equations:
        return vanish_at(component.equations, loss, place.truth.place.point)
    origin = [component.point[p] for p in loss.parameters]
    part = part_at(loss, origin, digits=9)
    if part is None or part != place.part:
        return False
    return connected(loss.parts[part].equations, loss.parameters, origin, place.truth.place.floats)


def on_printed_manifold(sde: LimitingSDE, loss: WidenedLoss, values: dict[sp.Symbol, mpmath.mpf]) -> bool:
    """Whether the printed equations vanish at a point, to 25 digits of what they are beside it."""
    with working_digits(55):
        beside = {s: a * (1 + mpmath.mpf("1e-3") * (i + 1)) for i, (s, a) in enumerate(values.items())}
        beside |= {s: mpmath.mpf(a.p) / a.q for s, a in loss.constants.items()}
        try:
            here, there = (sde.derivation.equations.run(PRECISE, at)["equations"] for at in (values, beside))
        except (SymbolicSGDError, ZeroDivisionError):
            return False
        return all(abs(a) <= mpmath.mpf("1e-25") * abs(b) for a, b in zip(here, there, strict=True))
