"""F and R that are sums over an index which all parameters share: for each of its values R̂ is that of a few numbers.

F_j(u_j, v_j, …) for an entry of β, or Π u_l[g]^{m_l} V[g, :] for a row of it. The problem of a few numbers is one of `function_space`,
with positive letters for what the data say, and its proof holds for each value of the index.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sympy as sp

from symbolic_sgd.function_space.closed_form import Attainment
from symbolic_sgd.function_space.every_size.fibres import FamilyFibres, FamilyForm, freed
from symbolic_sgd.function_space.every_size.metrics import Metric, Names
from symbolic_sgd.function_space.fibre import Fibres
from symbolic_sgd.function_space.induced import InducedRegularizer, induced
from symbolic_sgd.tensors.forms import Form, Index, Tensor, added
from symbolic_sgd.tensors.notation import content

COUNTERS = "jklabcdegh"
"""Names of indices that SymPy's sums run over."""

Monomial = tuple[int, ...]
"""The exponents of the parameters."""


def by_entries(fibres: FamilyFibres) -> FamilyForm | None:
    """R̂ where every parameter has the indices of β: a sum over its entries."""
    shape = _places(fibres, fibres.predictor, fibres.rows)
    weights = _places(fibres, fibres.total, None)
    if not fibres.rows or shape is None or weights is None:
        return None
    numbers = {monomial: _constant(form) for monomial, form in shape.items()}
    if any(n is None or not n.is_Rational for n in numbers.values()):
        return None
    metrics = {monomial: Metric.of(form, ()) for monomial, form in weights.items()}
    if any(m is None for m in metrics.values()):
        return None
    problem = _Numbers(fibres, {k: v for k, v in numbers.items() if v is not None}, metrics)  # pyright: ignore[reportArgumentType]
    solved = problem.solved
    if solved.expression is None or solved.evidence.status != "proved":
        return None
    names = Names({*fibres.taken, fibres.name})
    counters = _counters(fibres, len(fibres.rows))
    beta: Any = sp.IndexedBase(fibres.name, shape=tuple(i.size for i in fibres.rows))
    values = {}
    for symbol, metric in problem.letters.items():
        whole = metric.scalar * metric.core
        base = names.indexed(Form.of(fibres.rows, _raw(whole)), fibres.rows, (), ("a", "w", "z"))
        values[symbol] = base[counters]
    (b,) = solved.symbols
    factor, each = _common(problem.cost(solved.expression.xreplace({b: beta[counters]}), values), counters)
    limits = [(k, 1, i.size) for k, i in zip(counters, fibres.rows, strict=True)]
    return FamilyForm(
        problem.common * factor * sp.Sum(each, *limits),
        beta,
        f"separate entries ({solved.evidence.tier})",
        ("R and F are sums over the entries of β, that share no parameters", *solved.evidence.statements),
        _of_each(solved.attainment, f"for each {','.join(map(str, counters))}"),
        tuple(names.quantities),
    )


@dataclass(frozen=True)
class _Numbers:
    """The problem of one entry.

    Args:
        fibres: all of it.
        shape: the coefficients of F_j, by monomial.
        metrics: the coefficients of R_j, by monomial.
    """

    fibres: FamilyFibres
    shape: Mapping[Monomial, Any]
    metrics: Mapping[Monomial, Metric]

    @property
    def symbols(self) -> tuple[sp.Symbol, ...]:
        """The parameters, as numbers."""
        return tuple(sp.Symbol(p.name) for p in self.fibres.parameters)

    @property
    def common(self) -> Any:
        """What stands before R."""
        return content([m.coefficient for m in self.metrics.values()])[0]

    @property
    def _kinds(self) -> list[tuple[Any, Metric]]:
        """The different weights, each with a letter."""
        found: list[tuple[Any, Metric]] = []
        for m in self.metrics.values():
            same = (m.scalar * m.core).terms
            if _constant(m.scalar * m.core) is None and all((k.scalar * k.core).terms != same for _, k in found):
                found.append((sp.Symbol(f"a{len(found) + 1}", positive=True), m))
        return found

    @property
    def _alone(self) -> bool:
        """Whether all terms have one weight, which R̂ is proportional to."""
        return len(self._kinds) == 1 and all(_constant(m.scalar * m.core) is None for m in self.metrics.values())

    @property
    def letters(self) -> dict[Any, Metric]:
        """What the letters are."""
        return dict(self._kinds)

    @property
    def solved(self) -> InducedRegularizer:
        """R̂ of an entry, divided by what is common."""
        rest = content([m.coefficient for m in self.metrics.values()])[1]
        terms = []
        for (monomial, m), number in zip(self.metrics.items(), rest, strict=True):
            weight = next((s for s, k in self._kinds if (k.scalar * k.core).terms == (m.scalar * m.core).terms), None)
            constant = _constant(m.scalar * m.core)
            factor = constant if weight is None else sp.S.One if self._alone else weight
            terms.append(number * factor * _power(self.symbols, monomial))
        predictor = sp.Add(*[c * _power(self.symbols, monomial) for monomial, c in self.shape.items()])
        return induced(Fibres(self.symbols, (predictor,), None, (sp.Symbol("β"),), tuple(terms), {}))

    def cost(self, expression: Any, values: Mapping[Any, Any]) -> Any:
        """R̂ of an entry, with what the letters are."""
        if self._alone:
            (weight,) = values.values()
            return weight * expression
        return expression.xreplace(dict(values))


def _places(fibres: FamilyFibres, form: Form, rows: Sequence[Index] | None) -> dict[Monomial, Form] | None:
    """The coefficients of monomials Π u[j]^m, with j the indices of β; None where parameters stand at others.

    Args:
        fibres: with the parameters.
        form: F or R.
        rows: the indices that j has; None where it is summed over.
    """
    found: dict[Monomial, list[Form]] = {}
    for factors, coefficient in form.terms.items():
        mine, rest = fibres.own(factors)
        if not mine or fibres.uses(rest) or any(len(f.at) != len(fibres.rows) for f in mine):
            return None
        at = mine[0].at
        if any(f.at != at for f in mine) or len(set(at)) < len(at) or (rows is not None and at != tuple(rows)):
            return None
        if any(i.size != row.size for i, row in zip(at, fibres.rows, strict=True)):
            return None
        monomial = tuple(sum(f.head == p for f in mine) for p in fibres.parameters)
        found.setdefault(monomial, []).append(freed(coefficient, rest, list(zip(at, fibres.rows, strict=True))))
    return {monomial: added(parts) for monomial, parts in found.items()}


# --- a row for each value of the index --------------------------------------------------------------


def by_rows(fibres: FamilyFibres) -> FamilyForm | None:
    """R̂ where F = Π u_l[g]^{m_l} V[g, :] and R has terms without V and terms of degree two in it."""
    shared = _shared(fibres)
    if shared is None:
        return None
    g, k, vector, powers = shared
    weights = _by_weight(fibres, g, k, vector)
    if weights is None:
        return None
    symbols = {p: sp.Symbol(p.name) for p in fibres.parameters}
    letters = {monomial: sp.Symbol(f"a{n + 1}", positive=True) for n, monomial in enumerate(weights)}
    order = tuple(symbols.values())
    terms = tuple(letters[m] * _power(order, m) for m in weights)
    predictor = _power(order, tuple(powers[p] for p in fibres.parameters))
    solved = induced(Fibres(order, (predictor,), None, (sp.Symbol("β"),), terms, {}))
    if solved.expression is None or solved.evidence.status != "proved" or solved.expression.has(sp.Piecewise):
        return None
    names = Names({*fibres.taken, fibres.name})
    beta: Any = sp.IndexedBase(fibres.name, shape=(g.size, k.size))
    at, *inner = _counters(fibres, 3)
    # Along a direction ω of a row of V the term ωᵀSω v² is that of a number v; β = ω with v = 1 is one of them.
    values = {letters[m]: _row_value(weights[m], names, beta, g, at, inner) for m in weights}
    (b,) = solved.symbols
    factor, each = _common(sp.powsimp(solved.expression.xreplace({b: sp.S.One}).xreplace(values)), (at, *inner))
    return FamilyForm(
        factor * sp.Sum(each, (at, 1, g.size)),
        beta,
        f"separate rows ({solved.evidence.tier})",
        (
            f"R and F are sums over the rows of β, and a row of β fixes the direction of a row of {vector.name}",
            *solved.evidence.statements,
        ),
        Attainment("attained", f"attained where the terms of R in these proportions are equal for each {at}")
        if solved.attainment.kind == "attained"
        else solved.attainment,
        tuple(names.quantities),
    )


def _shared(fibres: FamilyFibres) -> tuple[Index, Index, Tensor, dict[Tensor, int]] | None:
    """(g, the other index of β, V, the multiplicity of each parameter in F)."""
    factors = fibres.single
    if factors is None or len(fibres.rows) != 2:
        return None
    wide = [f for f in factors if len(f.at) == 2]
    if len(wide) != 1 or set(wide[0].at) != set(fibres.rows) or len(factors) < 2:
        return None
    rest = [f for f in factors if f is not wide[0]]
    places = {f.at for f in rest}
    if len(places) != 1 or len(rest[0].at) != 1 or any(f.head == wide[0].head for f in rest):
        return None
    ((g,),) = places
    (k,) = [i for i in fibres.rows if i != g]
    powers = {p: sum(f.head == p for f in factors) for p in fibres.parameters}
    # β is printed with the indices of F in their order: the shared one has to be the first.
    return (g, k, wide[0].head, powers) if g == fibres.rows[0] else None  # pyright: ignore[reportReturnType]


@dataclass(frozen=True)
class _RowTerm:
    """A term of R at a value of g: a form of the data, or a quadratic form of the row."""

    form: Form
    sides: tuple[Index, ...]


def _by_weight(fibres: FamilyFibres, g: Index, k: Index, vector: Tensor) -> dict[Monomial, _RowTerm] | None:
    """The terms of R, by how often each parameter stands in them."""
    axis = next(f for f in fibres.single or () if f.head == vector).at.index(g)
    sides = (k, Index(f"{k.name}′", k.size))
    found: dict[Monomial, list[Form]] = {}
    for factors, coefficient in fibres.total.terms.items():
        mine, rest = fibres.own(factors)
        rows = [f for f in mine if f.head == vector]
        places = {f.at[axis] if f.head == vector else f.at[0] for f in mine}
        if fibres.uses(rest) or len(places) != 1 or len(rows) not in (0, 2):
            return None
        (place,) = places
        others = [f.at[1 - axis] for f in rows]
        if place in others:
            return None
        freed_form = freed(coefficient, rest, [(place, g), *zip(others, sides, strict=False)])
        found.setdefault(tuple(sum(f.head == p for f in mine) for p in fibres.parameters), []).append(freed_form)
    two = fibres.parameters.index(vector)
    return {m: _RowTerm(added(parts), sides if m[two] else ()) for m, parts in found.items()}


def _row_value(term: _RowTerm, names: Names, beta: Any, g: Index, at: Any, inner: Sequence[Any]) -> Any:
    """The SymPy expression of a term at V[g, :] = β[g, :], u = 1."""
    metric = Metric.of(term.form, term.sides)
    assert metric is not None
    scale = metric.coefficient * names.scalar(metric.scalar)
    constant = metric.is_identity
    if not term.sides:
        return scale if constant else scale * names.indexed(metric.core, (g,), (), ("p", "w", "z"))[at]
    size = term.sides[0].size
    k, other = inner
    if constant:
        return scale * sp.Sum(beta[at, k] ** 2, (k, 1, size))
    if g in {i for factors in metric.core.terms for f in factors for i in f.at}:
        row = Index(str(at), g.size)
        s = names.indexed(metric.core.renamed({g: row}), term.sides, (row,), ("S", "H", "P"))[at, k, other]
    else:
        s = names.indexed(Form.of(term.sides, _raw(metric.core)), term.sides, (), ("S", "H", "P"))[k, other]
    return scale * sp.Sum(s * beta[at, k] * beta[at, other], (k, 1, size), (other, 1, size))


# --- pieces -----------------------------------------------------------------------------------------


def _constant(form: Form) -> Any:
    """The number that a form is at each of its free indices; None where it depends on data."""
    return form.terms[()] if set(form.terms) == {()} else None


def _common(expression: Any, counters: Sequence[Any]) -> tuple[Any, Any]:
    """What does not depend on the counters, before the rest."""
    own = set(expression.atoms(sp.Indexed, sp.Sum)) | set(counters)
    return expression.as_independent(*own, as_Add=False)


def _power(symbols: Sequence[sp.Symbol], monomial: Monomial) -> Any:
    return sp.Mul(*[s**m for s, m in zip(symbols, monomial, strict=True)])


def _counters(fibres: FamilyFibres, count: int) -> tuple[Any, ...]:
    free = [c for c in COUNTERS if c not in fibres.taken | {fibres.name}]
    return tuple(sp.Symbol(c, integer=True) for c in free[:count])


def _of_each(attainment: Attainment, words: str) -> Attainment:
    return Attainment(attainment.kind, f"{attainment.words}, {words}", attainment.direction)


def _raw(form: Form) -> Any:
    return ((c, f, ()) for f, c in form.terms.items())
