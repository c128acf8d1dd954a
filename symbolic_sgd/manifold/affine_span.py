"""Which of several functions are affine combinations of others, with rational coefficients."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import sympy as sp
from sympy.polys.matrices import DomainMatrix

from symbolic_sgd.algebra.operations import operations
from symbolic_sgd.algebra.translation import Expression

LARGEST_EXPANDED = 500
"""Operations of a polynomial that is multiplied out."""


@dataclass(frozen=True)
class AffineSpan:
    """Functions as affine functions of a few of them.

    Args:
        basis: g_1 … g_r: the first of the functions that are no affine combinations of those before, or −1 times these, so that
            they begin with a positive term.
        letters: t_1 … t_r, which stand for them.
        images: every function as an affine function of t.
    """

    basis: tuple[Expression, ...]
    letters: tuple[sp.Symbol, ...]
    images: dict[Expression, Expression] = field(hash=False)

    @staticmethod
    def of(functions: Sequence[Expression], trained: set[sp.Symbol]) -> "AffineSpan | None":
        """The span of some functions of the parameters; None where they are sums with other than rational coefficients.

        >>> u, v, w = sp.symbols("u v w")
        >>> span = AffineSpan.of([u*v - 1, u*w, 2*u*v + u*w], {u, v, w})
        >>> span.basis, [image.subs(zip(span.letters, span.basis)) for image in span.images.values()]
        ((u*v - 1, u*w), [u*v - 1, u*w, 2*u*v + u*w])
        """
        rows = [parts(e, trained) for e in functions]
        used = sorted({part for row in rows for part in row}, key=str)
        if not used or not all(c.is_Rational for row in rows for c in row.values()):
            return None
        table = DomainMatrix.from_list_sympy(
            len(used), len(rows), [[row.get(part, sp.S.Zero) for row in rows] for part in used]
        )
        reduced, chosen = table.convert_to(sp.QQ).to_sparse().rref()
        combinations: Any = reduced.to_Matrix()
        letters = sp.symbols(f"t1:{len(chosen) + 1}", real=True, cls=sp.Dummy)
        constants = [_constant(e, trained) for e in functions]
        signs = [-1 if functions[c].could_extract_minus_sign() else 1 for c in chosen]

        def image(k: int) -> Any:
            weights = [combinations[j, k] for j in range(len(chosen))]
            known = sp.Add(*(w * constants[c] for w, c in zip(weights, chosen, strict=True)))
            return sp.Add(constants[k] - known, *(w * s * t for w, s, t in zip(weights, signs, letters, strict=True)))

        images = {e: image(k) for k, e in enumerate(functions)}
        return AffineSpan(tuple(s * functions[c] for s, c in zip(signs, chosen, strict=True)), letters, images)


def parts(e: Any, trained: set[sp.Symbol]) -> dict[Any, Any]:
    """{m: c} for e = Σ c m and a constant; a polynomial is multiplied out."""
    found: dict[Any, Any] = {}
    for term in _terms(e, trained):
        if term.free_symbols & trained:
            c, m = term.as_independent(*trained, as_Add=False)
            found[m] = found.get(m, sp.S.Zero) + c
    return found


def _constant(e: Any, trained: set[sp.Symbol]) -> Any:
    return sp.Add(*(term for term in _terms(e, trained) if not term.free_symbols & trained))


def _terms(e: Any, trained: set[sp.Symbol]) -> tuple[Any, ...]:
    small = e.is_polynomial(*trained) and operations(e) <= LARGEST_EXPANDED
    return sp.Add.make_args(sp.expand(e) if small else e)
