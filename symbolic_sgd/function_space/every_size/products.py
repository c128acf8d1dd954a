"""F = W_L ⋯ W_1 with every size a symbol: nuclear norms, by the statements of `function_space.statements`."""

from collections.abc import Sequence
from typing import Any

import sympy as sp

from symbolic_sgd.function_space.closed_form import Attainment
from symbolic_sgd.function_space.every_size.fibres import FamilyFibres, FamilyForm, freed
from symbolic_sgd.function_space.every_size.links import Link, chain_of, squared_length
from symbolic_sgd.function_space.every_size.metrics import Metric, Names, ratio_of
from symbolic_sgd.function_space.matrix_norms import SchattenSum
from symbolic_sgd.function_space.statements import BALANCED_CHAIN, of_chain, of_pair
from symbolic_sgd.tensors.forms import Form, Index, added
from symbolic_sgd.tensors.notation import content

LEFT, RIGHT = ("C", "P", "M"), ("B", "S", "H")
"""Names of the two metrics."""


def by_product(fibres: FamilyFibres) -> FamilyForm | None:
    """R̂ of a product of matrices."""
    links = chain_of(fibres)
    if links is None:
        return None
    return _of_pair(fibres, *links) if len(links) == 2 else _of_chain(fibres, links)


def _of_pair(fibres: FamilyFibres, left: Link, right: Link) -> FamilyForm | None:
    """R = tr UᵀCU + tr VᵀBV: R̂ = 2‖C^½βB^½‖_*."""
    c, b = _metric(fibres, [left], "c", at_left=True), _metric(fibres, [right], "b", at_left=False)
    if c is None or b is None:
        return None
    lengths = (
        squared_length([left], c.core, c.sides, on_left=True),
        squared_length([right], b.core, b.sides, on_left=False),
    )
    whole = added([(m.scalar * s).scaled(m.coefficient) for m, s in zip((c, b), lengths, strict=True)])
    if whole.terms != fibres.total.terms:
        return None
    names = Names({*fibres.taken, fibres.name})
    own_c, own_b = names.matrix(c, LEFT), names.matrix(b, RIGHT)
    common, rest = content([c.coefficient, b.coefficient])
    before, after = (factor * names.scalar(m.scalar) for factor, m in zip(rest, (c, b), strict=True))
    beta = sp.MatrixSymbol(fibres.name, c.size, b.size)
    reach = _reach([left.size(left.right)] if left.right is not None else [])
    balanced = (
        f"{_gram(before, own_c, left.tensor.name, left.left)} = {_gram(after, own_b, right.tensor.name, right.right)}"
    )
    return FamilyForm(
        2 * common * sp.sqrt(sp.factor_terms(before * after)) * SchattenSum(beta, sp.S.One, own_c, own_b),
        beta,
        "pair of matrices",
        of_pair(multiple(before, own_c), multiple(after, own_b), scale=factor_word(common)),
        _attained(balanced + reach, own_c, own_b),
        tuple(names.quantities),
    )


def _of_chain(fibres: FamilyFibres, links: tuple[Link, ...]) -> FamilyForm | None:
    """R = γ Σ_l ‖C^½ W_L ⋯ W_{l+1}‖² ‖W_{l−1} ⋯ W_1 B^½‖²: R̂ = Lγ (tr C tr B)^{1/L} ‖C^½βB^½‖_*^{2−2/L}."""
    n = len(links)
    c, b = _metric(fibres, links[:-1], "c", at_left=True), _metric(fibres, links[1:], "b", at_left=False)
    if c is None or b is None:
        return None
    scale = ratio_of(c.form, c.core * b.trace)
    if scale is None:
        return None
    lengths = []
    for k in range(n):
        before = squared_length(links[:k], c.core, c.sides, on_left=True) if k else c.trace
        after = squared_length(links[k + 1 :], b.core, b.sides, on_left=False) if k + 1 < n else b.trace
        lengths.append((before * after).scaled(scale))
    if added(lengths).terms != fibres.total.terms:
        return None
    names = Names({*fibres.taken, fibres.name})
    own_c, own_b = names.matrix(c, LEFT), names.matrix(b, RIGHT)
    traces = names.scalar(c.trace) * names.scalar(b.trace)
    beta = sp.MatrixSymbol(fibres.name, c.size, b.size)
    norm = SchattenSum(beta, sp.S.One, own_c, own_b)
    reach = _reach([link.size(link.right) for link in links[:-1]])
    return FamilyForm(
        n * scale * traces ** sp.Rational(1, n) * norm ** (2 - sp.Rational(2, n)),
        beta,
        "chain of matrices",
        of_chain(n, multiple(1, own_c), multiple(1, own_b), factor_word(scale)),
        _attained(_balanced_chain(links, own_c, own_b) + reach, own_c, own_b),
        tuple(names.quantities),
    )


def _metric(fibres: FamilyFibres, links: Sequence[Link], name: str, *, at_left: bool) -> Metric | None:
    """C of the terms tr (W ⋯)ᵀC(W ⋯) in which these parameters, and no others, stand twice."""
    end = links[0] if at_left else links[-1]
    axis = end.left if at_left else end.right
    sides = () if axis is None else (Index(name, end.size(axis)), Index(f"{name}′", end.size(axis)))
    found = []
    for coefficient, mine, rest in fibres.terms_of({link.tensor: 2 for link in links}):
        places = [] if axis is None else [f.at[axis] for f in mine if f.head == end.tensor]
        found.append(freed(coefficient, rest, list(zip(places, sides, strict=True))))
    return Metric.of(added(found) if found else Form.of(sides, []), sides)


def multiple(factor: Any, symbol: Any) -> str:
    """A number times a matrix, in words."""
    name = "I" if isinstance(symbol, sp.Identity) else symbol.name
    return name if factor == 1 else f"{_number(factor)}·{name}"


def factor_word(factor: Any) -> str:
    """A number before a sum, in words."""
    return "" if factor == 1 else f"{_number(factor)} "


def _number(factor: Any) -> str:
    text = sp.sstr(factor).replace("**", "^").replace("Trace(", "tr(")
    return f"({text})" if any(mark in text for mark in "+-*/ ") else text


def _gram(factor: Any, metric: Any, parameter: str, axis: int | None) -> str:
    """factor UᵀCU, with the transposes that the parameter is written with."""
    inner = "" if isinstance(metric, sp.Identity) else f" {metric.name}"
    turned, plain = f"{parameter}ᵀ", parameter
    first, last = (turned, plain) if axis in (0, None) else (plain, turned)
    return f"{factor_word(factor)}{first}{inner} {last}"


def _balanced_chain(links: Sequence[Link], c: Any, b: Any) -> str:
    """`BALANCED_CHAIN` with the names of the matrices."""
    halves = [(letter, "" if isinstance(m, sp.Identity) else f"{m.name}^½ ") for letter, m in (("C", c), ("B", b))]
    words = BALANCED_CHAIN.replace("W_1 B^½", f"{links[-1].tensor.name} {halves[1][1]}".strip())
    words = words.replace("C^½ W_L", f"{halves[0][1]}{links[0].tensor.name}")
    return words.replace("C^½βB^½", f"{halves[0][1]}β {halves[1][1]}".strip())


def _reach(widths: Sequence[Any]) -> str:
    """What ranks F has."""
    if not widths:
        return ""
    most = str(widths[0]) if len(widths) == 1 else f"min({', '.join(map(str, widths))})"
    return f" (β of rank at most {most}, which F cannot exceed)"


def _attained(where: str, *metrics: Any) -> Attainment:
    named = [m.name for m in metrics if not isinstance(m, sp.Identity)]
    if not named:
        return Attainment("attained", f"attained where {where}")
    these = " and ".join(named)
    verb = "is" if len(named) == 1 else "are"
    return Attainment(
        "conditional",
        f"attained where {where}, if {these} {verb} positive definite; else the infimum need not be attained, because some directions "
        "of β cost nothing",
    )
