"""F = u ⊛ v, a circular convolution: R̂ by Parseval's identity, one frequency after the other."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.function_space.closed_form import Attainment, ClosedForm
from symbolic_sgd.function_space.fibre import Fibres
from symbolic_sgd.function_space.matrix_norms import number_at


@dataclass(frozen=True)
class Convolution:
    """F_k = Σ_i u_i v_{k−i}, indices modulo d."""

    left: tuple[sp.Symbol, ...]
    right: tuple[sp.Symbol, ...]


def convolution_of(fibres: Fibres) -> Convolution | None:
    """F, where it is one of d ≥ 2 entries."""
    d = len(fibres.predictor)
    if d < 2 or len(fibres.parameters) != 2 * d:
        return None
    first = fibres.parameters[0]
    entries = [sp.expand(f) for f in fibres.predictor]
    right: Any = tuple(sp.diff(f, first) for f in entries)
    if any(v not in fibres.parameters for v in right):
        return None
    left: Any = tuple(sp.diff(f, right[0]) for f in entries)
    if len({*left, *right}) != 2 * d or {*left, *right} != set(fibres.parameters):
        return None
    own = [sp.Add(*[left[i] * right[(k - i) % d] for i in range(d)]) for k in range(d)]
    return Convolution(left, right) if own == entries else None


def by_frequencies(fibres: Fibres) -> ClosedForm | None:
    """R = a‖u‖² + b‖v‖²: R̂ = (2√(ab)/d) Σ_k |β̂_k|."""
    found = convolution_of(fibres)
    if found is None or fibres.signs:
        return None
    total = sp.expand(fibres.total)
    a, b = total.coeff(found.left[0], 2), total.coeff(found.right[0], 2)
    own = a * sp.Add(*[u**2 for u in found.left]) + b * sp.Add(*[v**2 for v in found.right])
    if total != sp.expand(own) or not (a.is_positive and b.is_positive):
        return None
    d = len(found.left)
    sizes = []
    for k in range(d):
        angle = [2 * sp.pi * j * k / d for j in range(d)]
        real = sp.Add(*[x * sp.cos(t) for x, t in zip(fibres.symbols, angle, strict=True)])
        imaginary = sp.Add(*[x * sp.sin(t) for x, t in zip(fibres.symbols, angle, strict=True)])
        sizes.append(sp.Abs(real) if imaginary == 0 else sp.sqrt(sp.Abs(real) ** 2 + sp.Abs(imaginary) ** 2))
    bound = (
        f"R = (1/{d}) Σ_k ({a}|û_k|² + {b}|v̂_k|²) by Parseval's identity, and û_kv̂_k = β̂_k: weighted means, for each frequency",
    )
    return ClosedForm(
        fibres.outside(2 * sp.sqrt(a * b) / d * sp.Add(*sizes)),
        "frequencies",
        bound,
        _Even(fibres, found, a, b),
        Attainment("attained", f"attained where {a}|û_k|² = {b}|v̂_k|² for each frequency"),
    )


@dataclass(frozen=True)
class _Even:
    fibres: Fibres
    found: Convolution
    a: Any
    b: Any

    def __call__(self, beta: Mapping[sp.Symbol, Any]) -> dict[sp.Symbol, Any]:
        d = len(self.found.left)
        values = [beta[s] for s in self.fibres.symbols]
        waves = [[mp.expjpi(-2 * mp.mpf(j * k) / d) for j in range(d)] for k in range(d)]
        seen = [sum(w * x for w, x in zip(row, values, strict=True)) for row in waves]
        ratio = number_at(self.b / self.a) ** mp.mpf("0.25")
        left = [ratio * mp.sqrt(abs(f)) for f in seen]
        right = [f / u if u else mp.mpf(0) for f, u in zip(seen, left, strict=True)]

        def back(hat: list[Any]) -> list[Any]:
            return [mp.re(sum(h / waves[k][j] for k, h in enumerate(hat))) / d for j in range(d)]

        return dict(zip((*self.found.left, *self.found.right), (*back(left), *back(right)), strict=True))
