"""The normal form of a product of factors: two products are equal but for the names of summed indices iff their normal forms are.

The factors and indices of a term are a hypergraph. Its summed indices are coloured by where they stand until the colours no longer
split (colour refinement); where several have one colour, each in turn is made different from the others (individualisation), and
the least of the forms so found is kept. Keys are structures, never hashes.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from symbolic_sgd.tensors.forms import Factor, Factors, Index

Colours = dict["Index", int]


def canonical(factors: "Factors") -> "Factors":
    """The factors in order, with summed indices numbered 0, 1, …"""
    done = [_component(_numbered(part)) for part in parts(factors)]
    done.sort(key=lambda part: [f.key for f in part])
    found: list[Factor] = []
    for part in done:
        above = 1 + max((int(i.name) for f in found for i in f.at if i.bound), default=-1)
        found += [_renamed(f, lambda i, above=above: i._replace(name=int(i.name) + above)) for f in part]
    return tuple(found)


def parts(factors: "Factors") -> list["Factors"]:
    """The products that no summed index joins."""
    groups: list[tuple[set[Index], list[Factor]]] = []
    for factor in factors:
        indices, members = {i for i in factor.at if i.bound}, [factor]
        apart = []
        for group in groups:
            if group[0] & indices:
                indices, members = indices | group[0], group[1] + members
            else:
                apart.append(group)
        groups = [*apart, (indices, members)]
    return [tuple(members) for _, members in groups]


def _numbered(factors: "Factors") -> "Factors":
    """With summed indices numbered as they first stand, so that equal questions are asked in equal words."""
    names: dict[Index, int] = {}
    for factor in factors:
        for i in factor.at:
            if i.bound:
                names.setdefault(i, len(names))
    return tuple(_renamed(f, lambda i: i._replace(name=names[i])) for f in factors)


@lru_cache(maxsize=200_000)
def _component(factors: "Factors") -> "Factors":
    heads = {head: rank for rank, head in enumerate(sorted({f.head for f in factors}, key=lambda head: head.key))}
    kinds = [heads[f.head] for f in factors]
    indices = sorted({i for f in factors for i in f.at}, key=lambda i: i.key)
    first = _ranks((i.bound, str(i.size) if i.bound else i.name) for i in indices)
    start = {i: first[i.bound, str(i.size) if i.bound else i.name] for i in indices}
    return min(_leaves(factors, kinds, start), key=lambda found: [f.key for f in found])


def _leaves(factors: "Factors", kinds: list[int], colours: Colours) -> Iterable["Factors"]:
    """The products for every way to tell equally coloured indices apart."""
    colours = _refined(factors, kinds, colours)
    classes: dict[int, list[Index]] = {}
    for i, colour in colours.items():
        if i.bound:
            classes.setdefault(colour, []).append(i)
    tied = [c for c in sorted(classes) if len(classes[c]) > 1]
    if not tied:
        names = {i: k for k, i in enumerate(classes[c][0] for c in sorted(classes))}
        named = [_settled(_renamed(f, lambda i: i._replace(name=names[i]))) for f in factors]
        yield tuple(sorted(named, key=lambda f: f.key))
        return
    doubled = {i: 2 * c + 1 for i, c in colours.items()}
    for i in classes[tied[0]]:
        yield from _leaves(factors, kinds, {**doubled, i: doubled[i] - 1})


def _refined(factors: "Factors", kinds: list[int], colours: Colours) -> Colours:
    while True:
        seen = [(kind, _least(f, [colours[i] for i in f.at])) for kind, f in zip(kinds, factors, strict=True)]
        ranks = _ranks(seen)
        where: dict[Index, list[tuple[int, int]]] = {i: [] for i in colours}
        for factor, key in zip(factors, seen, strict=True):
            for slot, i in enumerate(factor.at):
                where[i].append((ranks[key], _orbit(factor, slot)))
        finer = {i: (colours[i], tuple(sorted(places))) for i, places in where.items()}
        order = _ranks(finer.values())
        if len(order) == len(set(colours.values())):
            return {i: order[colour] for i, colour in finer.items()}
        colours = {i: order[colour] for i, colour in finer.items()}


def _least(factor: "Factor", values: list[Any]) -> tuple[Any, ...]:
    """The values at a factor's indices, in the least order that its symmetries allow."""
    swaps = factor.head.symmetries
    return tuple(values) if swaps is None else min(tuple(values[k] for k in swap) for swap in swaps)


def _orbit(factor: "Factor", slot: int) -> int:
    swaps = factor.head.symmetries
    return slot if swaps is None else min(swap[slot] for swap in swaps)


def _settled(factor: "Factor") -> "Factor":
    swaps = factor.head.symmetries
    if swaps is None:
        return factor
    orders = (tuple(factor.at[k] for k in swap) for swap in swaps)
    return factor._replace(at=min(orders, key=lambda at: [i.key for i in at]))


def _renamed(factor: "Factor", name: Any) -> "Factor":
    return factor._replace(at=tuple(name(i) if i.bound else i for i in factor.at))


def _ranks(keys: Iterable[Any]) -> Mapping[Any, int]:
    return {key: rank for rank, key in enumerate(sorted(set(keys)))}
