"""The forms of the calculus: sums of terms, each a coefficient times a product of factors.

A factor is an entry T[i, j, …] of a tensor, a Kronecker δ[i, j], or φ(E)[i, j, …] for a form E and a function φ. An index of a
term that is not free is summed over, and it may stand in any number of factors: so products of matrices, traces, transposes,
entrywise products, diagonals and sums over samples are all of one kind, and so are their derivatives. With φ(x) = x the sum E
stays one factor, and is not multiplied out: so a form is a graph, whose nodes are such sums and functions.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import permutations
from typing import Any, NamedTuple

import sympy as sp

from symbolic_sgd.tensors.canonical import canonical, parts
from symbolic_sgd.tensors.entrywise import Entrywise, X


@lru_cache(maxsize=4096)
def _size_key(size: Any) -> str:
    """Equal for equal sizes only: names alone are not enough, since a letter may have another size in another model."""
    return sp.srepr(size)


class Index(NamedTuple):
    """An index.

    Args:
        name: text where it is free, a number where it is summed over.
        size: how many values it has.
    """

    name: str | int
    size: Any

    @property
    def bound(self) -> bool:
        """Whether it is summed over."""
        return isinstance(self.name, int)

    @property
    def key(self) -> tuple[bool, str | int, str]:
        """For an order of indices."""
        return self.bound, self.name, _size_key(self.size)


COLUMN = Index("ξ", sp.Symbol("Ξ", integer=True, positive=True))
"""The columns of a matrix of noise, and of vectors that come in columns."""


class Head(ABC):
    """What has indices."""

    @property
    @abstractmethod
    def key(self) -> tuple[Any, ...]:
        """Equal for equal heads, and ordered."""

    @property
    def symmetries(self) -> tuple[tuple[int, ...], ...] | None:
        """The permutations of its indices that leave it as it is; None for the identity alone."""
        return None


@dataclass(frozen=True)
class Tensor(Head):
    """A tensor by its name.

    Args:
        name: what it is called.
        shape: the size of each index.
        labels: how many of its first indices number samples: they are printed as subscripts.
        swaps: the permutations of its indices that leave it as it is, the identity among them.
    """

    name: str
    shape: tuple[Any, ...]
    labels: int = 0
    swaps: tuple[tuple[int, ...], ...] | None = None

    def __hash__(self) -> int:
        return hash(self.name)

    @property
    def key(self) -> tuple[Any, ...]:
        return self._key

    @cached_property
    def _key(self) -> tuple[Any, ...]:
        return 0, self.name, tuple(map(_size_key, self.shape)), self.labels, self.swaps or ()

    @property
    def symmetries(self) -> tuple[tuple[int, ...], ...] | None:
        return self.swaps

    def entry(self, *at: Index) -> "Form":
        """T[i, j, …]."""
        return Form.of(at, [(sp.S.One, (Factor(self, at),), ())])


@dataclass(frozen=True)
class Delta(Head):
    """Kronecker's δ."""

    @property
    def key(self) -> tuple[Any, ...]:
        return (1,)

    @property
    def symmetries(self) -> tuple[tuple[int, ...], ...]:
        return (0, 1), (1, 0)


DELTA = Delta()


@dataclass(frozen=True, eq=False)
class Applied(Head):
    """φ(E), entry by entry; its indices are the free indices of E, in their order. Made by `applied`."""

    function: Entrywise
    inner: "Form"
    swaps: tuple[tuple[int, ...], ...]

    @property
    def key(self) -> tuple[Any, ...]:
        return self._key

    @cached_property
    def _key(self) -> tuple[Any, ...]:
        return 2, self.function.key, self.inner.key

    @property
    def symmetries(self) -> tuple[tuple[int, ...], ...] | None:
        return self.swaps if len(self.swaps) > 1 else None

    @property
    def is_sum(self) -> bool:
        """Whether it is E itself."""
        return self.function.expression == X and not self.function.order

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Applied) and hash(self) == hash(other) and self.key == other.key)

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.function, self.inner))


class Factor(NamedTuple):
    """A head with its indices."""

    head: Head
    at: tuple[Index, ...]

    @property
    def key(self) -> tuple[Any, ...]:
        """For an order of factors."""
        return self.head.key, tuple(i.key for i in self.at)


Factors = tuple[Factor, ...]

Raw = tuple[Any, Iterable[Factor], Iterable[Index]]
"""A term that is not simplified: its coefficient, its factors, and the indices summed over that no factor needs to have."""


class Weights(NamedTuple):
    """What a term has beside its core, or several that have one core: products of vectors on one index, with coefficients.

    Args:
        on: the index; None where the core is the whole term.
        terms: the vectors of each term, and its coefficient.
    """

    on: Index | None
    terms: list[tuple[tuple[Head, ...], Any]]


class Core(NamedTuple):
    """Terms that have one core, as arrays are multiplied.

    Args:
        factors: the core.
        weights: what the terms have beside it.
        missing: the free indices that stand nowhere in it.
        places: numbers for the indices of each factor, for that of the weights, and for those that are missing.
        wanted: the numbers of the free indices.
    """

    factors: Factors
    weights: Weights
    missing: tuple[Index, ...]
    places: tuple[tuple[int, ...], ...]
    wanted: tuple[int, ...]

    @staticmethod
    def of(factors: Factors, weights: Weights, free: tuple[Index, ...]) -> "Core":
        """With the indices numbered."""
        on = () if weights.on is None else (weights.on,)
        present = {*on, *(i for f in factors for i in f.at)}
        missing = tuple(i for i in free if i not in present)
        numbers = {i: k for k, i in enumerate(dict.fromkeys((*free, *on, *(i for f in factors for i in f.at))))}
        stands = (*(f.at for f in factors), *([on] if on else []), missing)
        places = tuple(tuple(numbers[i] for i in at) for at in stands)
        return Core(factors, weights, missing, places, tuple(numbers[i] for i in free))


@dataclass(frozen=True)
class Form:
    """Σ c·(product of factors), in its normal form: equal forms have equal terms.

    Args:
        free: the indices that are not summed over, in the order of an array's axes.
        terms: {factors: c}.

    >>> n = sp.Symbol("n")
    >>> a, b = Index("a", n), Index("b", n)
    >>> u = Tensor("u", (n,))
    >>> (u.entry(a) * delta(a, b)).summed(a) == u.entry(b)
    True
    """

    free: tuple[Index, ...]
    terms: Mapping[Factors, Any]

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.free, frozenset(self.terms.items())))

    @staticmethod
    def of(free: Iterable[Index], raw: Iterable[Raw]) -> "Form":
        """The normal form of a sum of terms."""
        found: dict[Factors, Any] = {}
        for coefficient, factors, spare in raw:
            scale, kept = _simplified(coefficient, list(factors), set(spare))
            place = canonical(tuple(kept))
            found[place] = found.get(place, sp.S.Zero) + scale
        return Form(tuple(dict.fromkeys(free)), {f: c for f, c in found.items() if not _vanishes(c)})

    @staticmethod
    def constant(value: Any) -> "Form":
        """A number, or an expression in sizes and constants."""
        return Form.of((), [(sp.sympify(value), (), ())])

    @cached_property
    def key(self) -> tuple[Any, ...]:
        """Equal for equal forms, and ordered."""
        terms = sorted((tuple(f.key for f in factors), sp.srepr(c)) for factors, c in self.terms.items())
        return tuple(i.key for i in self.free), tuple(terms)

    @cached_property
    def cores(self) -> list[Core]:
        """The terms, those in one that differ in the vectors on one index only: z_ij z_kj u_j² and z_ij z_kj v_j² are one product of z."""
        found: dict[tuple[Factors, Index | None], Weights] = {}
        for factors, coefficient in self.terms.items():
            vectors = [f for f in factors if len(f.at) == 1]
            places = {f.at[0] for f in vectors}
            if len(places) == 1 and len(vectors) < len(factors):
                core, on, heads = (
                    tuple(f for f in factors if len(f.at) != 1),
                    places.pop(),
                    tuple(f.head for f in vectors),
                )
            else:
                core, on, heads = factors, None, ()
            found.setdefault((core, on), Weights(on, [])).terms.append((heads, coefficient))
        return [Core.of(core, weights, self.free) for (core, _), weights in found.items()]

    @property
    def is_zero(self) -> bool:
        """Whether it is 0."""
        return not self.terms

    @cached_property
    def depth(self) -> int:
        """How many φ(E) stand in each other."""
        inside = (head.inner.depth for factors in self.terms for head, _ in factors if isinstance(head, Applied))
        return max((1 + k for k in inside), default=0)

    @cached_property
    def tensors(self) -> frozenset[Tensor]:
        """All that it depends on."""
        found = set[Tensor]()
        for factors in self.terms:
            for head, _ in factors:
                if isinstance(head, Tensor):
                    found.add(head)
                elif isinstance(head, Applied):
                    found |= head.inner.tensors
        return frozenset(found)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Of all that it depends on."""
        return tuple(sorted(tensor.name for tensor in self.tensors))

    @property
    def used(self) -> frozenset[Index]:
        """The free indices that stand in some factor."""
        return frozenset(i for factors in self.terms for f in factors for i in f.at if not i.bound)

    def __add__(self, other: "Form") -> "Form":
        return added([self, other])

    def __sub__(self, other: "Form") -> "Form":
        return self + other.scaled(-1)

    def __mul__(self, other: "Form") -> "Form":
        raw: list[Raw] = []
        for left, c in self.terms.items():
            above = first_unused(left)
            for right, d in other.terms.items():
                raw.append((c * d, (*left, *shifted(right, above)), ()))
        return Form.of((*self.free, *other.free), raw)

    def scaled(self, factor: Any) -> "Form":
        """c times it."""
        return Form.of(self.free, ((sp.sympify(factor) * c, f, ()) for f, c in self.terms.items()))

    def summed(self, *indices: Index) -> "Form":
        """The sum over some of its free indices."""
        below = -1 - len(indices)
        names = {i: Index(below + k, i.size) for k, i in enumerate(indices)}
        rest = tuple(i for i in self.free if i not in names)
        return Form.of(rest, ((c, _renamed(f, names), names.values()) for f, c in self.terms.items()))

    def renamed(self, names: Mapping[Index, Index]) -> "Form":
        """With other free indices; two that become one are a diagonal."""
        free = tuple(names.get(i, i) for i in self.free)
        return Form.of(free, ((c, _renamed(f, names), ()) for f, c in self.terms.items()))

    def mapped(self, function: Callable[[Any], Any]) -> "Form":
        """With every coefficient, and every number within, put through a function."""
        raw: list[Raw] = []
        for factors, c in self.terms.items():
            total = Form.constant(function(c))
            for head, at in factors:
                if isinstance(head, Applied):
                    inside = applied(
                        Entrywise(function(head.function.expression), head.function.order), head.inner.mapped(function)
                    )
                    total = total * inside.renamed(dict(zip(head.inner.free, at, strict=True)))
                else:
                    total = total * Form.of(at, [(sp.S.One, (Factor(head, at),), ())])
            raw += [(d, f, ()) for f, d in total.terms.items()]
        return Form.of(self.free, raw)


def added(forms: Sequence[Form]) -> Form:
    """Their sum."""
    free = (i for form in forms for i in form.free)
    return Form.of(free, ((c, f, ()) for form in forms for f, c in form.terms.items()))


def delta(a: Index, b: Index) -> Form:
    """Kronecker's δ."""
    return Form.of((a, b), [(sp.S.One, (Factor(DELTA, (a, b)),), ())])


def applied(function: Entrywise, form: Form) -> Form:
    """φ(E), entry by entry.

    Of the ways to order the indices of E the least is kept, and those that leave E as it is are its symmetries.
    """
    used = form.used
    at = tuple(i for i in form.free if i in used)
    if all(not factors for factors in form.terms):
        return Form.constant(function.value.xreplace({X: sum(form.terms.values(), sp.S.Zero)}))
    orders = list(permutations(at))
    written = [_in_slots(form, order) for order in orders]
    least = min(form.key for form in written)
    best = [order for order, form in zip(orders, written, strict=True) if form.key == least]
    inner = written[orders.index(best[0])]
    swaps = tuple(tuple(best[0].index(i) for i in order) for order in best)
    return Form.of(form.free, [(sp.S.One, (Factor(Applied(function, inner, swaps), best[0]),), ())])


def first_unused(factors: Iterable[Factor]) -> int:
    """The first number that no index summed over has, nor any after it."""
    return 1 + max((int(i.name) for f in factors for i in f.at if i.bound), default=-1)


def shifted(factors: Iterable[Factor], above: int) -> list[Factor]:
    """With the numbers of the indices that are summed over raised."""
    return [
        Factor(h, tuple(Index(i.name + above, i.size) if isinstance(i.name, int) else i for i in at))
        for h, at in factors
    ]


def _in_slots(form: Form, order: tuple[Index, ...]) -> Form:
    """A form with its free indices called 0, 1, …, in this order."""
    names = {i: Index(str(k), i.size) for k, i in enumerate(order)}
    return Form(tuple(names.values()), form.renamed(names).terms)


def _renamed(factors: Iterable[Factor], names: Mapping[Index, Index]) -> list[Factor]:
    return [Factor(head, tuple(names.get(i, i) for i in at)) for head, at in factors]


def _simplified(coefficient: Any, factors: list[Factor], spare: set[Index]) -> tuple[Any, list[Factor]]:
    """Without what δ can be put in for, with the size of each index that no factor has left, and without repeated indices of φ(E)."""
    bound = spare | {i for f in factors for i in f.at if i.bound}
    kept: list[Factor] = []
    while factors:
        factor = factors.pop()
        if factor.head is not DELTA:
            kept.append(factor)
            continue
        a, b = sorted(factor.at, key=lambda i: i.key)
        if a == b:
            continue
        factors, kept = _renamed(factors, {b: a}), _renamed(kept, {b: a})
        if b in bound:
            bound.discard(b)
        else:
            kept.append(Factor(DELTA, (a, b)))
    left = {i for f in kept for i in f.at}
    for i in bound - left:
        coefficient = coefficient * i.size
    scale, kept = _opened(kept)
    return coefficient * scale, _absorbed(_powers_merged(kept))


def _opened(factors: list[Factor]) -> tuple[Any, list[Factor]]:
    """With the diagonals of φ(E) as functions of fewer indices, and without brackets around a single term."""
    scale, found, above = sp.S.One, list[Factor](), first_unused(factors)
    for factor in factors:
        head, at = factor
        if not isinstance(head, Applied):
            found.append(factor)
            continue
        inner, function = head.inner, head.function
        if len(set(at)) < len(at):
            names = dict(zip(inner.free, at, strict=True))
            first = {i: slot for slot, i in reversed(names.items())}
            form = applied(function, inner.renamed({slot: first[i] for slot, i in names.items()}))
        elif head.is_sum and len(inner.terms) < 2:
            form = inner
        else:
            found.append(factor)
            continue
        if form.is_zero:
            return sp.S.Zero, []
        ((inside, c),) = form.terms.items()
        moved = _renamed(shifted(inside, above), dict(zip(inner.free, at, strict=True)))
        scale, above = scale * c, max(above, first_unused(moved))
        found += moved
    return scale, found


def _powers_merged(factors: list[Factor]) -> list[Factor]:
    """E^p E^q … as E^{p+q+…}, unless this is a power that is multiplied out."""
    groups: dict[tuple[Any, ...], list[tuple[Applied, tuple[Index, ...]]]] = {}
    found: list[Factor] = []
    for head, at in factors:
        if isinstance(head, Applied) and head.function.power is not None:
            groups.setdefault((head.inner.key, at), []).append((head, at))
        else:
            found.append(Factor(head, at))
    for powers in groups.values():
        (head, at), exponent = powers[0], sp.Add(*(h.function.power for h, _ in powers))
        if exponent.is_Integer and exponent > 0:
            found += [Factor(h, place) for h, place in powers]
        elif exponent != 0:
            found.append(Factor(Applied(Entrywise(X**exponent), head.inner, head.swaps), at))
    return found


def _absorbed(factors: list[Factor]) -> list[Factor]:
    """E E^q as E^{q+1} for a scalar E of one term."""
    for k, (head, at) in enumerate(factors):
        if not isinstance(head, Applied) or at or head.function.power is None:
            continue
        (inside, scale), *more = head.inner.terms.items()
        if more or scale != 1 or not {f.head for f in inside} <= {f.head for f in factors}:
            continue
        groups = parts(tuple(factors[:k] + factors[k + 1 :]))
        same = [g for g in groups if canonical(g) == inside]
        if same:
            rest = [f for g in groups if g is not same[0] for f in g]
            exponent = head.function.power + 1
            grown = [] if exponent == 0 else [Factor(Applied(Entrywise(X**exponent), head.inner, head.swaps), at)]
            return _absorbed(rest + grown)
    return factors


def _vanishes(coefficient: Any) -> bool:
    if coefficient.is_Number:
        return bool(coefficient == 0)
    return bool(sp.expand(coefficient) == 0)
