"""F as a product of parameters in a row, W_L ⋯ W_1."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from symbolic_sgd.function_space.every_size.fibres import FamilyFibres
from symbolic_sgd.tensors.forms import Factors, Form, Index, Tensor


@dataclass(frozen=True)
class Link:
    """One of the factors.

    Args:
        tensor: the parameter.
        left: its axis towards the rows of F; None where it is a column.
        right: its axis towards the columns.
    """

    tensor: Tensor
    left: int | None
    right: int | None

    def entry(self, left: Index | None, right: Index | None) -> Form:
        """The entry at these."""
        at: dict[int | None, Any] = {self.left: left, self.right: right}
        return self.tensor.entry(*(at[k] for k in range(len(self.tensor.shape))))

    def size(self, axis: int | None) -> Any:
        """Of an axis."""
        return 1 if axis is None else self.tensor.shape[axis]


def chain_of(fibres: FamilyFibres) -> tuple[Link, ...] | None:
    """W_L, …, W_1, where F is such a product of L ≥ 2 different parameters with at most two indices each."""
    factors = fibres.single
    if factors is None or len(factors) < 2 or len(fibres.rows) > 2 or len({f.head for f in factors}) < len(factors):
        return None
    if any(len(f.at) > 2 or len(set(f.at)) < len(f.at) for f in factors):
        return None
    ends = [[f for f in factors if row in f.at] for row in fibres.rows]
    if any(len(found) != 1 for found in ends):
        return None
    if len(fibres.rows) == 2 and len(factors) == 2 and all(len(f.at) == 1 for f in factors):
        return tuple(
            Link(head, *((0, None) if k == 0 else (None, 0)))
            for k, found in enumerate(ends)
            if isinstance(head := found[0].head, Tensor)
        )
    if not fibres.rows:
        start = next((f for f in factors if len(f.at) == 1), None)
        return None if start is None else _walked(factors, start, None)
    found = _walked(factors, ends[0][0], fibres.rows[0])
    if found is None:
        return None
    last = found[-1]
    ending = None if last.right is None else next(f for f in factors if f.head == last.tensor).at[last.right]
    return found if ending == (fibres.rows[1] if len(fibres.rows) == 2 else None) else None


def _walked(factors: Factors, start: Any, entering: Index | None) -> tuple[Link, ...] | None:
    """From one end to the other; None where the factors are no path."""
    links: list[Link] = []
    todo, here = [f for f in factors if f is not start], start
    while True:
        left = None if entering is None else here.at.index(entering)
        others = [k for k in range(len(here.at)) if k != left]
        right = others[0] if others else None
        tensor: Any = here.head
        links.append(Link(tensor, left, right))
        if right is None or not here.at[right].bound:
            break
        entering = here.at[right]
        following = [f for f in todo if entering in f.at]
        if len(following) != 1:
            return None
        here = following[0]
        todo.remove(following[0])
    return tuple(links) if not todo else None


def product_of(links: Sequence[Link], left: Index | None, right: Index | None) -> Form:
    """The entry of the product of neighbours."""
    joints = [Index(f"joint{k}", link.size(link.right)) for k, link in enumerate(links[:-1])]
    found = Form.constant(1)
    for link, before, after in zip(links, [left, *joints], [*joints, right], strict=True):
        found = found * link.entry(before, after)
    return found.summed(*joints)


def squared_length(links: Sequence[Link], core: Form, sides: tuple[Index, ...], *, on_left: bool) -> Form:
    """tr(PᵀCP), or tr(PBPᵀ), for the product P of neighbours."""
    first, last = links[0], links[-1]
    far_axis, far_link = (last.right, last) if on_left else (first.left, first)
    far = None if far_axis is None else Index("far", far_link.size(far_axis))
    near = sides or (None, None)
    one, other = ((near[0], far), (near[1], far)) if on_left else ((far, near[0]), (far, near[1]))
    whole = core * product_of(links, *one) * product_of(links, *other)
    return whole.summed(*(i for i in (*sides, far) if i is not None))
