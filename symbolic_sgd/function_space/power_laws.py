"""F = Σ F_j(x_j) and R = Σ R_j(x_j) over separate parameters x_j, for a single β: R̂(β) = inf {Σ R̂_j(β_j) : Σ β_j = β}.

Where R̂_j(β_j) = c_j|β_j|^{p_j}, p_j > 0, for β_j of both signs or of one, no part has to go against β, and what is left is a minimum over
β_j ≥ 0: of a concave function (all p_j = p ≤ 1: one part takes all), of a strictly convex one (all p_j = p > 1), or of both (p_j = 1
and p), where the part with p = 1 takes what is beyond the point at which the slopes are equal. A part whose R̂_j is
constant takes all for nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.function_space.closed_form import Attainment, ClosedForm
from symbolic_sgd.function_space.fibre import Fibres
from symbolic_sgd.function_space.matrix_norms import number_at
from symbolic_sgd.function_space.of_predictor import TIER, takes_sign


@dataclass(frozen=True)
class PowerLaw:
    """c β^p for β > 0, p ≥ 0; c = ∞ where no x has such a β."""

    factor: Any
    power: Any


@dataclass(frozen=True)
class Shares:
    """How β > 0 is shared out.

    Args:
        pieces: (threshold, R̂): R̂ below each threshold, the last one ∞, as functions of a positive symbol.
        share: (β) ↦ the parts.
        words: of the rule.
    """

    pieces: tuple[tuple[Any, Any], ...]
    share: Callable[[Any], list[Any]]
    words: str


def by_shares(fibres: Fibres, solve: Callable[[Fibres], ClosedForm | None]) -> ClosedForm | None:
    """R̂ of a sum of functions of separate parameters."""
    parts = separate_parts(fibres)
    if parts is None:
        return None
    solved = [solve(part) for part in parts]
    if any(form is None or form.expression is None for form in solved):
        return None
    forms = [form for form in solved if form is not None]
    size = sp.Dummy("beta", positive=True)
    (symbol,) = fibres.symbols
    pieces: list[tuple[Any, Any]] = []
    sides: dict[int, Shares] = {}
    both = {sign: [_power_law(form, part, sign) for form, part in zip(forms, parts, strict=True)] for sign in (1, -1)}
    every = [law for laws in both.values() for law in laws]
    if any(law is None for law in every):
        return None
    if any(law and law.power == 0 for law in every) and any(law and law.factor == sp.oo for law in every):
        return None  # a part that cannot help may still cost what it costs at 0
    for sign, laws in both.items():
        known = [law for law in laws if law is not None]
        if all(law.factor == sp.oo for law in known):
            continue
        shares = shared(known, size)
        if shares is None:
            return None
        sides[sign] = shares
        pieces.extend((value, (sign, bound)) for bound, value in shares.pieces)
    if not sides:
        return None
    expression = _piecewise([(v.xreplace({size: sp.Abs(symbol)}), c) for v, c in pieces], sides, symbol)
    bound = (
        "R and F are sums over separate parameters, so that R̂(β) is the least Σ R̂_j(β_j) with Σ β_j = β; no β_j goes against β, and "
        + "; ".join(dict.fromkeys(shares.words for shares in sides.values())),
        *dict.fromkeys(statement for form in forms for statement in form.bound),
    )
    kinds = {form.attainment.kind for form in forms} - {"attained"}
    attainment = (
        Attainment("attained", "attained where each part is")
        if not kinds and all(form.attain for form in forms)
        else next(
            (form.attainment for form in forms if form.attainment.kind in kinds),
            Attainment("unknown", "not known to be attained"),
        )
    )
    if attainment.kind == "attained":
        attainment = _inside(attainment, parts, sides)
    attain = _Shared(fibres, tuple(parts), tuple(forms), sides) if all(form.attain for form in forms) else None
    return ClosedForm(expression, "shares of separate parts", bound, attain, attainment, ())


def _inside(attainment: Attainment, parts: Sequence[Fibres], sides: Mapping[int, Shares]) -> Attainment:
    """Whether the point is in the domain: a part whose parameters keep a sign is not 0 there."""
    if not any(part.signs for part in parts):
        return attainment
    if any(part.constants for part in parts):
        return Attainment(
            "unknown", "attained where each part is, if every part whose parameters keep a sign takes some of β"
        )
    ranges = [(sign, here) for sign, shares in sides.items() for here in _inside_pieces(shares)]
    outside = [
        any(share == 0 and part.signs for part, share in zip(parts, sides[sign].share(here), strict=True))
        for sign, here in ranges
    ]
    if not any(outside):
        return attainment
    if all(outside):
        return Attainment(
            "boundary",
            "not attained: R is least on the boundary of the domain, where the parts that take nothing of β are 0",
        )
    return Attainment(
        "conditional",
        "attained where each part is, for β of which every part whose parameters keep a sign takes some; for others R is least on the "
        "boundary of the domain, where those that take nothing are 0",
    )


def _inside_pieces(shares: Shares) -> list[Any]:
    """A β > 0 in each piece, in numbers."""
    ends = [number_at(end) for end, _ in shares.pieces if end != sp.oo]
    edges = [mp.mpf(0), *ends]
    return [(a + b) / 2 for a, b in zip(edges, ends, strict=False)] + [2 * edges[-1] + 1]


def separate_parts(fibres: Fibres) -> list[Fibres] | None:
    """(F_j, R_j), for a single β; None where they do not come apart."""
    if len(fibres.symbols) != 1 or fibres.logarithm is not None:
        return None
    (f,) = fibres.predictor
    terms = sp.Add.make_args(sp.expand(f))
    if any(not t.free_symbols & set(fibres.parameters) for t in terms):
        return None
    apart = replace(
        fibres, predictor=terms, symbols=tuple(sp.Dummy(f"beta_{k}") for k in range(len(terms))), shape=None
    )
    blocks = apart.blocks()
    if len(blocks) < 2 or any(not block.predictor for block in blocks):
        return None
    return [replace(block, predictor=(sp.Add(*block.predictor),), symbols=block.symbols[:1]) for block in blocks]


def _power_law(form: ClosedForm, part: Fibres, sign: int) -> PowerLaw | None:
    """R̂_j for β_j of one sign, where it is a power, and where it is known whether there are such β_j."""
    (symbol,) = part.symbols
    size = sp.Dummy("beta", positive=True)
    if any(condition.subs(symbol, sign * size) == sp.false for condition in form.condition):
        return PowerLaw(sp.oo, sp.S.One)
    if form.tier == TIER and not takes_sign(part, sign):
        return None
    value: Any = sp.powdenest(form.expression.subs(symbol, sign * size), force=True)
    value = sp.simplify(value)
    if value == sp.oo:
        return PowerLaw(sp.oo, sp.S.One)
    if not value.has(size):
        return PowerLaw(value, sp.S.Zero) if value.is_nonnegative else None
    factor, rest = value.as_independent(size, as_Add=False)
    base, power = rest.as_base_exp()
    ok = base == size and power.is_Rational and power > 0 and factor.is_positive
    return PowerLaw(factor, power) if ok else None


def shared(laws: Sequence[PowerLaw], size: sp.Symbol) -> Shares | None:
    """The least Σ c_jβ_j^{p_j} with β_j ≥ 0 and Σ β_j = β > 0."""
    there = [j for j, law in enumerate(laws) if law.factor != sp.oo]
    powers = {laws[j].power for j in there}
    if 0 in powers:
        return _free(laws, there)
    if len(powers) == 1:
        (p,) = powers
        return _alike(laws, there, p, size)
    linear = [j for j in there if laws[j].power == 1]
    curved = [j for j in there if laws[j].power != 1]
    bent = {laws[j].power for j in curved}
    if not linear or len(bent) != 1 or not all(p > 1 for p in bent):
        return None
    (p,) = bent
    cheap = _alike(laws, linear, sp.S.One, size)
    convex = _alike(laws, curved, p, size)
    c = cheap.pieces[0][1] / size
    whole = sp.simplify(convex.pieces[0][1] / size**p)
    threshold = sp.simplify((c / (p * whole)) ** (1 / (p - 1)))
    beyond = c * (size - threshold) + sp.simplify(whole * threshold**p)

    def share(beta: Any) -> list[Any]:
        most = number_at(threshold)
        low = convex.share(min(beta, most))
        high = cheap.share(beta - most) if beta > most else [mp.mpf(0)] * len(laws)
        return [a + b for a, b in zip(low, high, strict=True)]

    words = (
        f"the parts with power {p} take all up to β = {threshold}, where their slope is that of the part with power 1, which takes the "
        "rest"
    )
    return Shares(((threshold, whole * size**p), (sp.oo, sp.expand(beyond))), share, words)


def _free(laws: Sequence[PowerLaw], there: Sequence[int]) -> Shares:
    """Where some parts cost the same whatever they take, also nothing: one of them takes all."""
    flat = [j for j in there if laws[j].power == 0]

    def one(beta: Any) -> list[Any]:
        return [beta if j == flat[0] else mp.mpf(0) for j in range(len(laws))]

    return Shares(
        ((sp.oo, sp.Add(*[laws[j].factor for j in flat])),),
        one,
        "a part whose R does not depend on what it takes takes all",
    )


def _alike(laws: Sequence[PowerLaw], there: Sequence[int], p: Any, size: sp.Symbol) -> Shares:
    """Of the parts `there`, all of one power."""
    factors = [laws[j].factor for j in there]
    if p <= 1:

        def one(beta: Any) -> list[Any]:
            cheapest = min(there, key=lambda j: number_at(laws[j].factor))
            # Where parts of power 1 cost the same, all that is shared among them costs the same.
            taking = [j for j in there if p == 1 and laws[j].factor == laws[cheapest].factor] or [cheapest]
            return [beta / len(taking) if j in taking else mp.mpf(0) for j in range(len(laws))]

        least = factors[0] if len(set(factors)) == 1 else sp.Min(*factors)
        return Shares(
            ((sp.oo, least * size**p),),
            one,
            f"the cheapest part takes all (power {p} ≤ 1)" if len(there) > 1 else "one part has the sign of β",
        )
    weights = [c ** (-1 / (p - 1)) for c in factors]
    total = sp.simplify(sp.Add(*weights))

    def many(beta: Any) -> list[Any]:
        shares = dict(zip(there, [number_at(w / total) for w in weights], strict=True))
        return [beta * shares[j] if j in shares else mp.mpf(0) for j in range(len(laws))]

    words = (
        f"the parts have one slope (power {p} > 1, strictly convex)" if len(there) > 1 else "one part has the sign of β"
    )
    return Shares(((sp.oo, sp.simplify(total ** (1 - p)) * size**p),), many, words)


def _piecewise(pieces: list[tuple[Any, tuple[int, Any]]], sides: Mapping[int, Shares], symbol: sp.Symbol) -> Any:
    """R̂ for both signs, as one expression where they agree."""
    above = [(v, bound) for v, (sign, bound) in pieces if sign == 1]
    below = [(v, bound) for v, (sign, bound) in pieces if sign == -1]
    if above == below:
        return sp.Piecewise(*[(v, sp.true if bound == sp.oo else sp.Le(sp.Abs(symbol), bound)) for v, bound in above])
    rows: list[Any] = []
    for side, guard in ((above, sp.Ge(symbol, 0)), (below, sp.Lt(symbol, 0))):
        rows.extend((v, guard if bound == sp.oo else sp.And(guard, sp.Le(sp.Abs(symbol), bound))) for v, bound in side)
    return sp.Piecewise(*rows, (sp.oo, sp.true))


@dataclass(frozen=True)
class _Shared:
    fibres: Fibres
    parts: tuple[Fibres, ...]
    forms: tuple[ClosedForm, ...]
    sides: Mapping[int, Shares]

    def __call__(self, beta: Mapping[sp.Symbol, Any]) -> dict[sp.Symbol, Any]:
        value = beta[self.fibres.symbols[0]]
        sign = 1 if value >= 0 else -1
        shares = self.sides[sign].share(abs(value))
        point: dict[sp.Symbol, Any] = {}
        for part, form, share in zip(self.parts, self.forms, shares, strict=True):
            if share == 0:
                point.update(dict.fromkeys(part.parameters, mp.mpf(0)))
            else:
                assert form.attain is not None
                point.update(form.attain({part.symbols[0]: sign * share}))
        return point
