"""A form as something to read: in matrices where it has such a formula, with its indices where it has none."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from symbolic_sgd.tensors.forms import DELTA, Applied, Factors, Form, Index, Tensor
from symbolic_sgd.tensors.layout import NoMatrixForm, in_order, shown_label, total
from symbolic_sgd.tensors.notation import ATOM, Function, Name, Total, Writer, Written

LETTERS = "kabcdefghmpqrstuvwxyz"
"""Of indices that are summed over."""


@dataclass(frozen=True)
class MatrixFormula:
    """A formula with sizes as symbols: `str` and Jupyter print it, `form` is what it is made of.

    Args:
        form: what it says.
        rows: the free indices that are rows and columns, in this order.
        functions: names of functions that have none of their own.

    >>> from symbolic_sgd import derive_limiting_sde, models
    >>> sde = derive_limiting_sde(models.matrix_sensing())
    >>> U, V = sde.family.parameters
    >>> print(sde.gradient[U])
    A_i V
    """

    form: Form
    rows: tuple[Index, ...] = ()
    functions: tuple[tuple[Any, str], ...] = ()

    @property
    def labels(self) -> tuple[Index, ...]:
        """The free indices that number samples and outputs."""
        return tuple(i for i in self.form.free if i not in self.rows)

    @cached_property
    def in_matrices(self) -> Total | None:
        """As a sum of terms in matrices; None where one of them has no such form."""
        try:
            return total(self.form, self.rows, self.labels)
        except NoMatrixForm:
            return None

    def latex(self) -> str:
        """LaTeX, in math mode."""
        return self._written(Writer(True, self.functions))

    def __str__(self) -> str:
        return self._written(Writer(False, self.functions))

    def _repr_latex_(self) -> str:
        return rf"$\displaystyle {self.latex()}$"

    def _written(self, writer: Writer) -> str:
        found = self.in_matrices
        return writer.written(found) if found is not None else self.indices(tex=writer.tex)

    def indices(self, *, tex: bool = False) -> str:
        """With every index, which is always possible."""
        return Indexed(Writer(tex, self.functions)).written(self.form, self.rows)

    def einsum(self) -> tuple[str, ...]:
        """The subscripts of each term, as `numpy.einsum` takes them, in the order of its factors."""
        found = []
        for factors, _ in in_order(self.form):
            letters = {
                i: chr(97 + k)
                for k, i in enumerate(dict.fromkeys([*self.form.free, *(i for f in factors for i in f.at)]))
            }
            inputs = ",".join("".join(letters[i] for i in f.at) for f in factors)
            found.append(f"{inputs}->{''.join(letters[i] for i in self.form.free)}")
        return tuple(found)


@dataclass(frozen=True)
class Indexed:
    """Forms as sums over indices."""

    writer: Writer

    def written(self, form: Form, rows: Sequence[Index] = (), outer: dict[Index, str] | None = None) -> str:
        """Σ_k c T_ik …"""
        names = dict(outer or {})
        for i in form.free:
            names.setdefault(i, LETTERS[1 + rows.index(i)] if i in rows else shown_label(str(i.name)))
        text = ""
        for factors, c in sorted(in_order(form), key=lambda item: bool(item[1].could_extract_minus_sign())):
            minus = bool(c.could_extract_minus_sign())
            body = self._term(-c if minus else c, factors, names)
            sign = ("-" if self.writer.tex else "−") if minus else "+"
            text += f" {sign} {body}" if text else (sign if minus else "") + body
        return text or "0"

    def _term(self, size: Any, factors: Factors, names: dict[Index, str]) -> str:
        bound = list(dict.fromkeys(i for f in factors for i in f.at if i not in names))
        free = iter(a for a in LETTERS if a not in names.values())
        inside = {**names, **dict(zip(bound, free, strict=False))}
        over = ",".join(inside[i] for i in bound)
        parts = [] if size == 1 and factors else [self.writer.coefficient(size)]
        if bound:
            parts.append(rf"\sum_{{{over}}}" if self.writer.tex else f"Σ_{over}")
        between = r"\, " if self.writer.tex else " "
        return between.join([*parts, *(self._factor(head, at, inside) for head, at in factors)])

    def _factor(self, head: Any, at: tuple[Index, ...], names: dict[Index, str]) -> str:
        if isinstance(head, Tensor) or head is DELTA:
            name = head.name if isinstance(head, Tensor) else "δ"
            return self.writer.written(Name(name, tuple(names[i] for i in at)))
        assert isinstance(head, Applied)
        outside = {slot: names[i] for slot, i in zip(head.inner.free, at, strict=True)}
        inside = Written(self.written(head.inner, (), outside))
        return self.writer.written(inside if head.is_sum else Function(head.function, inside, True), ATOM)
