"""Where the scalings are those of monomials of separate parameters: R̂ at the balanced point x_p² ∝ (exponent of x_p), if R is least there.

R is convex along the scalings, so that a point of an orbit at which all its slopes vanish is a minimum of the whole orbit.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.function_space.closed_form import Attainment, ClosedForm, NoPointHere
from symbolic_sgd.function_space.fibre import Fibres
from symbolic_sgd.function_space.matrix_norms import number_at
from symbolic_sgd.function_space.torus import Orbit


@dataclass(frozen=True)
class Monomial:
    """F_k = c Π x_p^{m_p}, of which no other entry of F holds a factor."""

    coefficient: Any
    powers: Mapping[sp.Symbol, int]

    @property
    def takes_both_signs(self) -> bool:
        return any(m % 2 for m in self.powers.values())

    def balanced(self, size: Any) -> dict[sp.Symbol, Any]:
        """x_p² = m_p s with |F_k| = size."""
        degree = sum(self.powers.values())
        scale = sp.Mul(*[sp.Integer(m) ** m for m in self.powers.values()])
        square = (size**2 / (self.coefficient**2 * scale)) ** sp.Rational(1, degree)
        return {p: sp.sqrt(m) * sp.sqrt(square) for p, m in self.powers.items()}


def separate_monomials(fibres: Fibres) -> tuple[Monomial, ...] | None:
    """F, where it is such."""
    found: list[Monomial] = []
    for f in fibres.predictor:
        coefficient, rest = sp.sympify(f).as_independent(*fibres.parameters, as_Add=False)
        powers = rest.as_powers_dict()
        if not all(p in fibres.parameters and m.is_Integer and m > 0 for p, m in powers.items()):
            return None
        found.append(Monomial(coefficient, {p: int(m) for p, m in powers.items()}))
    apart = sum(len(m.powers) for m in found) == len({p for m in found for p in m.powers})
    return tuple(found) if apart and all(m.powers for m in found) else None


def by_balance(fibres: Fibres) -> ClosedForm | None:
    """R̂ at the balanced point, where that is proved to be the minimum."""
    monomials = separate_monomials(fibres)
    if monomials is None or fibres.signs or {p for m in monomials for p in m.powers} != set(fibres.parameters):
        return None
    orbit = Orbit.of(fibres)
    if orbit is None or any(t.xreplace({p: -p}).expand() != t.expand() for t in orbit.terms for p in fibres.parameters):
        return None
    sizes = {b: sp.Dummy(b.name, positive=True) for b in fibres.symbols}
    point = {p: e for b, m in zip(fibres.symbols, monomials, strict=True) for p, e in m.balanced(sizes[b]).items()}
    values: list[Any] = [sp.powdenest(sp.expand(t.xreplace(point)), force=True) for t in orbit.terms]
    for i in range(orbit.torus.rows):
        slope = sp.Add(*[e[i] * v for e, v in zip(orbit.exponents, values, strict=True)])
        if sp.simplify(slope) != 0:
            return None
    total = sp.factor_terms(sp.simplify(sp.Add(*values))).xreplace({size: sp.Abs(b) for b, size in sizes.items()})
    condition = tuple(
        sp.Ge(m.coefficient * b, 0) for b, m in zip(fibres.symbols, monomials, strict=True) if not m.takes_both_signs
    )
    bound = (
        "along the scalings that leave F alone R is convex (or a logarithm of what is), every fibre with β ≠ 0 is one orbit up to "
        "signs, and at the balanced point all slopes along it vanish",
    )
    balance = "; ".join(" = ".join(f"{p}²" if k == 1 else f"{p}²/{k}" for p, k in m.powers.items()) for m in monomials)
    return ClosedForm(
        fibres.outside(total),
        "balance",
        bound,
        _Balanced(fibres, monomials),
        Attainment("attained", f"attained where {balance}"),
        condition,
    )


@dataclass(frozen=True)
class _Balanced:
    fibres: Fibres
    monomials: tuple[Monomial, ...]

    def __call__(self, beta: Mapping[sp.Symbol, Any]) -> dict[sp.Symbol, Any]:
        point: dict[sp.Symbol, Any] = {}
        for b, monomial in zip(self.fibres.symbols, self.monomials, strict=True):
            c = number_at(monomial.coefficient)
            degree = sum(monomial.powers.values())
            scale = mp.mpf(1)
            for m in monomial.powers.values():
                scale *= mp.mpf(m) ** m
            square = ((beta[b] / c) ** 2 / scale) ** (mp.mpf(1) / degree)
            values = {p: mp.sqrt(m * square) for p, m in monomial.powers.items()}
            if beta[b] / c < 0:
                turned = next((p for p, m in monomial.powers.items() if m % 2), None)
                if turned is None:
                    raise NoPointHere
                values[turned] = -values[turned]
            point.update(values)
        return point
