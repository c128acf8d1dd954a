"""How a positive function behaves at the ends of an interval, from its logarithmic derivative: exact for rational ones."""

from dataclasses import dataclass

import sympy as sp

from symbolic_sgd.algebra.translation import Expression
from symbolic_sgd.errors import Undecided


@dataclass(frozen=True)
class Growth:
    """f ~ exp(∫ c z^m dz) in the distance z → 0⁺ from a finite end, or in z → ∞ towards an infinite one: (ln f)' ~ c z^m.

    Args:
        coefficient: c (0 where (ln f)' vanishes identically).
        power: m.
        finite: whether the end is finite.
    """

    coefficient: Expression
    power: int
    finite: bool

    @property
    def exponent(self) -> Expression | None:
        """k where f ~ z^k up to a constant; None where f grows or decays faster than every power."""
        if self.coefficient == 0 or (self.power > -1 if self.finite else self.power < -1):
            return sp.S.Zero
        return self.coefficient if self.power == -1 else None

    def integrable(self, further: int = 0) -> bool:
        """∫ f z^further converges at this end.

        Raises:
            Undecided: the sign of a constant decides, and its assumptions do not say it.
        """
        k = self.exponent
        if k is not None:
            return _decided(k + further + 1 > 0, k) if self.finite else _decided(k + further + 1 < 0, k)
        # ln f ~ c z^{m+1}/(m+1), which tends to −∞ or to ∞.
        return _decided(self.coefficient > 0 if self.finite else self.coefficient < 0, self.coefficient)


def _decided(claim: Expression, about: Expression) -> bool:
    if claim in (sp.true, sp.false):
        return bool(claim)
    raise Undecided(
        f"whether the density is normalisable depends on {about}: declare the constants' signs, or give them values"
    )


def growth(slope: Expression, variable: sp.Symbol, end: Expression, *, upper: bool) -> Growth:
    """The behaviour at one end of f with (ln f)' = slope, a rational function.

    Raises:
        Undecided: the slope is not rational, or holds a symbol that decides.
    """
    finite = end not in (sp.oo, -sp.oo)
    z = sp.Dummy("z", positive=True)
    point = (end - z if upper else end + z) if finite else (z if upper else -z)
    shifted: Expression = sp.together((-slope if upper == finite else slope).xreplace({variable: point}))
    if shifted.is_zero:
        return Growth(sp.S.Zero, 0, finite)
    if not shifted.is_rational_function(z):
        raise Undecided(
            f"whether the density is normalisable at {variable} → {end} was not decided (its logarithmic derivative is not rational)"
        )
    ends = [_leading(part, z, lowest=finite) for part in sp.fraction(shifted)]
    (top, n), (bottom, d) = ends
    return Growth(sp.cancel(top / bottom), n - d, finite)


def _leading(part: Expression, z: sp.Symbol, *, lowest: bool) -> tuple[Expression, int]:
    terms = [((power,), c) for (power,), c in sp.Poly(part, z).terms()]
    kept = [(sp.expand(sp.radsimp(c)), power) for (power,), c in terms]
    kept = [(c, power) for c, power in kept if not (c.is_zero or (c.is_number and sp.N(c, 40, chop=True) == 0))]
    coefficient, power = (min if lowest else max)(kept, key=lambda pair: pair[1])
    if coefficient.is_zero is None and not coefficient.is_number:
        raise Undecided(f"whether {coefficient} is zero decides the behaviour at an end: declare the constants' signs")
    return coefficient, power


def accessible(scale: Growth, mobility: Growth) -> bool:
    """Whether the diffusion reaches the end in finite time: ∫ (s(end) − s) dm converges there (Feller's test).

    With (ln s')' ~ c z^k, s(end) − s is s' times z^{−k} up to a constant, or times z where s' is like a power; and s' m = 2/a.

    Args:
        scale: of s'.
        mobility: of 1/a.
    """
    return scale.integrable() and mobility.integrable(1 if scale.exponent is not None else -scale.power)
