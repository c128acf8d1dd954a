"""A family's limiting SDE as paragraphs and displays, with sums over samples and coordinates as a paper prints them."""

import re
from collections.abc import Iterator, Sequence
from itertools import groupby

import sympy as sp

from symbolic_sgd.algebra.as_read import ReadersLatex
from symbolic_sgd.families.terms import Definition, FamilyTerms, IndexedVector
from symbolic_sgd.printing.blocks import Block, aligned, display, paragraph
from symbolic_sgd.printing.broken import broken
from symbolic_sgd.printing.displays import broken_sum, equation_lines, filled, room

TITLES = (
    ("tangent_noise_compensation", r"b^{\parallel}"),
    ("mixed_regularization", r"b^{\perp\parallel}"),
    ("normal_regularization", r"b^{\perp}"),
    ("imposed_drift", r"b^{g}"),
)
"""The terms, as `FamilyTerms.terms` names them, and their symbols."""


PROJECTION = (
    r"I - J^{\top} G^{-1} J,",
    r"\qquad J = (\nabla f_1, \dots, \nabla f_n)^{\top},",
    r"\qquad G = J J^{\top}",
)
"""∂Φ, and what it is made of."""


BREAKS = re.compile(r" (?=where |and \$)")
"""Where words that are wider than a line are broken."""


def family_blocks(terms: FamilyTerms) -> Iterator[Block]:
    """Loss, projection, regularizer, and each term that is not zero by its entries, then the arrays that they name."""
    family = terms.family
    (r,) = family.loss.variables
    factor, imposed = sp.sqrt(terms.motion.optimizer.tangent_factor), terms.motion.slow is not None
    noise = rf"{'' if factor == 1 else written(factor)} \partial\Phi\,\sigma\,dW"
    index = written(family.i)
    lines = [
        rf"L &= \frac{{1}}{{{written(family.samples)}}} \sum_{{{index}=1}}^{{{written(family.samples)}}} \ell(f_{{{index}}}),"
        rf"\qquad \ell({written(r)}) = {written(family.loss.expr)}",
        *equation_lines(f"f_{{{index}}}", broken_sum(family.residual, written)),
        *equation_lines(r"\partial\Phi", filled(PROJECTION, room(r"\partial\Phi"))),
        rf"dY &= (b^{{\parallel}} + b^{{\perp\parallel}} + b^{{\perp}}{' + b^{g}' if imposed else ''})\,dt +{noise}",
    ]
    if not terms.motion.is_plain:
        lines.append(rf"t_{{k+1}} &= t_k + {written(terms.motion.optimizer.map_unit)}")
    yield aligned(lines)
    if terms.regularizer is not None:
        known = terms.regularizer
        shown = written(known) if isinstance(known, sp.Basic) else known.latex()
        yield display(rf"b^{{\perp}} = -\partial\Phi\,\nabla R,\qquad R = {shown}")
    shown = [(symbol, terms.terms[name]) for name, symbol in TITLES if imposed or name != "imposed_drift"]
    zero = [symbol for symbol, vector in shown if vector.is_zero]
    if zero:
        yield display(" = ".join([*zero, "0"]))
    entries = [line for symbol, vector in shown if not vector.is_zero for line in _entries(symbol, vector, terms)]
    if entries:
        yield from (aligned(entries), paragraph("where"), aligned(_definitions(terms.terms["drift"].definitions)))


def vector_blocks(vector: IndexedVector) -> Iterator[Block]:
    """The entries of one vector at coordinate j, and the arrays that they name."""
    for base, entry in zip(vector.bases, vector.components, strict=True):
        first, *rest = broken_sum(entry, written)
        yield aligned([rf"{written(base.label)} &:\quad {first}", *(rf"&\quad\quad {piece}" for piece in rest)])
    if vector.definitions:
        yield from (paragraph("where"), aligned(_definitions(vector.definitions)))


def written(expression: sp.Basic) -> str:
    """SymPy's LaTeX, which knows sums and indices."""
    return ReadersLatex({"long_frac_ratio": 2, "ln_notation": True}).written(expression)


def _entries(symbol: str, vector: IndexedVector, terms: FamilyTerms) -> Iterator[str]:
    for base, component in zip(vector.bases, vector.components, strict=True):
        yield from _equation(rf"{symbol}_{{{written(base[terms.j])}}}", component)


def _definitions(definitions: Sequence[Definition]) -> Iterator[str]:
    for words, group in groupby(definitions, key=lambda d: d.words):
        if words:
            places = r",\ ".join(written(d.place) for d in group)
            first, *rest = filled([_in_math(f"{piece} ") for piece in re.split(BREAKS, words)], room(places))
            yield rf"& {places}:\quad {first}"
            yield from (rf"&\quad\quad {piece}" for piece in rest)
        else:
            for definition in group:
                assert definition.value is not None
                yield from _equation(written(definition.place), definition.value)


def _equation(left: str, value: sp.Basic) -> list[str]:
    """left = value, broken between terms, and those that are wider than a line before sums within them."""
    terms = broken_sum(value, written, room(left))
    return equation_lines(
        left, [piece for term in terms for piece in broken(term.replace(r" \sum", r"\, \sum"), room(left))]
    )


def _in_math(words: str) -> str:
    """Words with formulas between dollars, inside of a formula."""
    parts = words.split("$")
    return "".join(part if k % 2 else rf"\text{{{part}}}" if part.strip() else " " for k, part in enumerate(parts))
