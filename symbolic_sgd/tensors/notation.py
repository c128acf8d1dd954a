"""Formulas in matrices and vectors, as trees, and their two writings: LaTeX and plain text."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import cached_property
from math import gcd, lcm
from typing import Any

import sympy as sp

from symbolic_sgd.tensors.entrywise import Entrywise

SUM, ENTRYWISE, PRODUCT, ATOM = range(4)
"""How tightly a formula holds together."""

GREEK = {
    "λ": r"\lambda",
    "μ": r"\mu",
    "τ": r"\tau",
    "ξ": r"\xi",
    "δ": r"\delta",
    "ζ": r"\zeta",
    "ω": r"\omega",
    "κ": r"\kappa",
    "φ": r"\varphi",
    "ψ": r"\psi",
    "χ": r"\chi",
    "ϑ": r"\vartheta",
    "G†": r"G^{\dagger}",
}
"""Letters that are not those of the user, in LaTeX."""


class Shown:
    """What is ordered by how it is shown, which is written once."""

    def __repr__(self) -> str:
        return self._shown

    @cached_property
    def _shown(self) -> str:
        values: Any = self
        parts = ", ".join(f"{f.name}={getattr(self, f.name)!r}" for f in fields(values))
        return f"{type(self).__name__}({parts})"


@dataclass(frozen=True, repr=False)
class Name(Shown):
    """A letter with subscripts."""

    name: str
    subscripts: tuple[str, ...] = ()


@dataclass(frozen=True, repr=False)
class Transposed(Shown):
    """Mᵀ."""

    inner: "Node"


@dataclass(frozen=True, repr=False)
class Product(Shown):
    """A product of matrices, the last of which may be a vector."""

    factors: tuple["Node", ...]


@dataclass(frozen=True, repr=False)
class Hadamard(Shown):
    """u ∘ v ∘ …, of vectors or of matrices."""

    factors: tuple["Node", ...]
    vectors: bool = True


@dataclass(frozen=True, repr=False)
class Wrapped(Shown):
    """diag(u), diag(M), tr(M), ‖u‖² or ⟨u, v⟩.

    Args:
        kind: "diag" of a vector, "diagonal" of a matrix, "tr", "norm" or "inner".
        parts: what stands within.
    """

    kind: str
    parts: tuple["Node", ...]


@dataclass(frozen=True, repr=False)
class Function(Shown):
    """φ^{(k)} of every entry."""

    function: Entrywise
    inner: "Node"
    scalar: bool


@dataclass(frozen=True, repr=False)
class Total(Shown):
    """A sum of terms with coefficients, each over some labels.

    Args:
        terms: (coefficient, labels summed over, scalar factors, matrix factor or None).
    """

    terms: tuple["Term", ...]


@dataclass(frozen=True, repr=False)
class Written(Shown):
    """What is written already."""

    text: str


Term = tuple[Any, tuple[str, ...], tuple["Node", ...], "Node | None"]

Node = Name | Transposed | Product | Hadamard | Wrapped | Function | Total | Written


def transposed(node: Node) -> Node:
    """The transpose, moved inwards."""
    if isinstance(node, Transposed):
        return node.inner
    if isinstance(node, Product):
        return Product(tuple(transposed(f) for f in reversed(node.factors)))
    if isinstance(node, Hadamard) and not node.vectors:
        return Hadamard(tuple(map(transposed, node.factors)), vectors=False)
    if (isinstance(node, Wrapped) and node.kind != "diagonal") or node == IDENTITY:
        return node
    if isinstance(node, Total) and set(_turned(node).terms) == set(node.terms):
        return node
    return Transposed(node)


def flat(terms: Iterable[Term]) -> tuple[Term, ...]:
    """A sum that is one term of a sum stands without brackets, unless it has a term that stands there already."""
    found: list[Term] = []
    for term in terms:
        coefficient, labels, scalars, matrix = term
        alone = [*scalars, *([] if matrix is None else [matrix])]
        (only,) = alone if len(alone) == 1 else (None,)
        inside = list(only.terms) if isinstance(only, Total) and coefficient == 1 and not labels else [term]
        found += [term] if any(t[1:] == other[1:] for t in inside for other in found) else inside
    return tuple(found)


def upright(node: Total) -> Node:
    """A sum of matrices as the transpose of another, where fewer factors are transposed in that."""
    turned = _turned(node)
    return Transposed(turned) if repr(turned).count("Transposed") < repr(node).count("Transposed") else node


def _turned(node: Total) -> Total:
    """The transpose of every term."""
    return Total(
        tuple((c, labels, scalars, None if m is None else transposed(m)) for c, labels, scalars, m in node.terms)
    )


def _squared(node: Node) -> Node | None:
    """x where it is ‖x‖² alone."""
    if not isinstance(node, Total) or len(node.terms) != 1:
        return None
    coefficient, labels, scalars, matrix = node.terms[0]
    if coefficient != 1 or labels or matrix is not None or len(scalars) != 1:
        return None
    (only,) = scalars
    return only.parts[0] if isinstance(only, Wrapped) and only.kind == "norm" else None


def product(*factors: Node) -> Node:
    """A product without brackets inside and without identities."""
    flat = [
        f for factor in factors for f in (factor.factors if isinstance(factor, Product) else (factor,)) if f != IDENTITY
    ]
    return flat[0] if len(flat) == 1 else Product(tuple(flat)) if flat else IDENTITY


def entrywise(factors: list[Node]) -> Node:
    """u ∘ v ∘ …, or 𝟏 for none."""
    return ONES if not factors else factors[0] if len(factors) == 1 else Hadamard(tuple(factors))


IDENTITY = Name("I")
ONES = Name("𝟏")


@dataclass(frozen=True)
class Writer:
    """LaTeX, or plain text.

    Args:
        tex: whether it is LaTeX.
        functions: names of functions that have none of their own.
    """

    tex: bool
    functions: tuple[tuple[Any, str], ...] = ()

    def written(self, node: Node, within: int = SUM) -> str:
        """A formula, in brackets where it holds together less tightly than what it stands in."""
        text, holds = self._pieces(node)
        return text if holds >= within else self._bracket(text)

    def _pieces(self, node: Node) -> tuple[str, int]:
        if isinstance(node, Written):
            return node.text, SUM
        if isinstance(node, Name):
            return self._name(node), ATOM
        if isinstance(node, Transposed):
            inner = self.written(node.inner, ATOM)
            return _base(inner) + r"^{\top}" if self.tex else f"{inner}ᵀ", ATOM
        if isinstance(node, Product):
            return (r"\," if self.tex else " ").join(self.written(f, PRODUCT) for f in node.factors), PRODUCT
        if isinstance(node, Hadamard):
            return (r" \circ " if self.tex else " ∘ ").join(self.written(f, PRODUCT) for f in node.factors), ENTRYWISE
        if isinstance(node, Wrapped):
            return self._wrapped(node), ATOM
        if isinstance(node, Function):
            return self._function(node)
        if len(node.terms) == 1:
            ((coefficient, labels, scalars, matrix),) = node.terms
            alone = [*scalars, *([] if matrix is None else [matrix])]
            if coefficient == 1 and not labels and len(alone) == 1:
                return self._pieces(alone[0])
        return self._total(node), SUM

    def _name(self, node: Name) -> str:
        if node == ONES:
            return r"\mathbf{1}" if self.tex else "𝟏"
        name, *block = node.name.split(":")  # v:U is the block of U in a vector v
        letters = name.rstrip("0123456789")
        digits = name[len(letters) :]
        if not self.tex:
            inside = ",".join([*block, *map(self._index, node.subscripts)])
            return name + (f"_{inside}" if inside else "")
        letters = GREEK.get(letters, letters)
        if len(letters) > 1 and letters.isalnum():
            letters = rf"\mathrm{{{letters}}}"
        parts = [*([digits] if digits else []), *block, *map(self._index, node.subscripts)]
        return letters + ("_{" + ",".join(parts) + "}" if parts else "")

    def _index(self, name: str) -> str:
        return GREEK.get(name, name.replace("′", "'")) if self.tex else name

    def _wrapped(self, node: Wrapped) -> str:
        inside = [self.written(p) for p in node.parts]
        if node.kind == "norm":
            return self._norm(node.parts[0], sp.Integer(2))
        if node.kind == "inner":
            return rf"\langle {inside[0]}, {inside[1]} \rangle" if self.tex else f"⟨{inside[0]}, {inside[1]}⟩"
        kind = "diag" if node.kind == "diagonal" else node.kind
        name = rf"\mathrm{{{kind}}}" if self.tex else kind
        return name + self._bracket(inside[0])

    def _norm(self, inner: Node, power: Any) -> str:
        text = self.written(inner)
        if self.tex:
            return rf"\lVert {text} \rVert" + ("" if power == 1 else f"^{{{sp.latex(power)}}}")
        return f"‖{text}‖" + (
            "²" if power == 2 else "" if power == 1 else f"^{power}" if power.is_Integer else f"^({power})"
        )

    def _function(self, node: Function) -> tuple[str, int]:
        function = node.function
        if function.power is not None:
            exponent = sp.latex(function.power) if self.tex else sp.sstr(function.power)
            dot = "" if node.scalar else r"\circ " if self.tex else "∘"
            if not self.tex and not exponent.isalnum():
                exponent = f"({exponent})"
            squared = _squared(node.inner)
            if squared is not None:
                return self._norm(squared, 2 * function.power), ATOM
            base = self.written(node.inner, ATOM)
            if base.endswith(("²", "^{2}")):
                base = self._bracket(base)
            return f"{_base(base)}^{{{dot}{exponent}}}" if self.tex else f"{base}^{dot}{exponent}", ATOM
        return self._called(function) + self._bracket(self.written(node.inner)), ATOM

    def _called(self, function: Entrywise) -> str:
        named = dict(self.functions).get(function.expression)
        if named is not None and self.tex:
            named = GREEK.get(named, named)
        if named is None:
            class_ = function.expression.func
            plain = str(class_)
            named = (
                rf"\{plain}" if self.tex and plain in ("tanh", "sin", "cos", "exp", "log", "sinh", "cosh") else plain
            )
            if self.tex and not named.startswith("\\"):
                named = (
                    sp.latex(sp.Symbol(plain))
                    if len(plain) == 1 or plain in ("phi", "sigma", "psi", "rho")
                    else rf"\mathrm{{{plain}}}"
                )
        primes = function.order
        if self.tex:
            return named + (f"^{{({primes})}}" if primes > 3 else "'" * primes)
        return named + ("″" * (primes // 2)) + ("′" * (primes % 2))

    def _total(self, node: Total) -> str:
        groups: dict[tuple[tuple[str, ...], Any], list[Term]] = {}
        for term in sorted(node.terms, key=lambda t: _negative(t[0])):
            below = sp.fraction(sp.together(term[0]))[1].as_coeff_Mul()[1]
            groups.setdefault((term[1], below), []).append(term)
        pieces = [p for (labels, _), terms in groups.items() for p in self._group(labels, terms)]
        return self._joined(sorted(pieces, key=lambda p: bool(p[0]))) if pieces else "0"

    def _group(self, labels: tuple[str, ...], terms: list["Term"]) -> list[tuple[str, str]]:
        """Terms that are summed over the same labels, each with its sign."""
        over = [self._over(labels)] if labels else []
        common, rest = content([t[0] for t in terms])
        if len(terms) == 1 or (not labels and common == 1):
            return [self._signed(t[0], [*over, *self._factors(*t[2:])]) for t in terms]
        inside = [self._signed(c, self._factors(*t[2:])) for c, t in zip(rest, terms, strict=True)]
        return [self._signed(common, [*over, self._bracket(self._joined(inside))])]

    def _signed(self, coefficient: Any, factors: list[str]) -> tuple[str, str]:
        """The sign, and the product with what is left of the coefficient."""
        minus = _negative(coefficient)
        size = -coefficient if minus else coefficient
        written = ([] if size == 1 and factors else [self.coefficient(size)]) + factors
        return ("-" if self.tex else "−") if minus else "", (r"\, " if self.tex else " ").join(written)

    def _joined(self, pieces: list[tuple[str, str]]) -> str:
        first, *rest = pieces
        return first[0] + first[1] + "".join(f" {sign or '+'} {body}" for sign, body in rest)

    def _factors(self, scalars: tuple[Node, ...], matrix: "Node | None") -> list[str]:
        found = [self._power(s, k) for s, k in Counter(scalars).items()]
        return found if matrix is None else [*found, self.written(matrix, ENTRYWISE)]

    def _power(self, scalar: Node, exponent: int) -> str:
        text = self.written(scalar, PRODUCT)
        if exponent == 1:
            return text
        if isinstance(scalar, Wrapped) and scalar.kind == "norm":
            return self._norm(scalar.parts[0], sp.Integer(2 * exponent))
        if self.tex:
            base = text if isinstance(scalar, Total) and text.startswith(r"\left(") else f"{{{text}}}"
            return f"{base}^{{{exponent}}}"  # in braces no line is broken
        return text + ("²" if exponent == 2 else f"^{exponent}")

    def _over(self, labels: tuple[str, ...]) -> str:
        over = ",".join(map(self._index, labels))
        return rf"\sum_{{{over}}}" if self.tex else f"Σ_{over}"

    def coefficient(self, value: Any) -> str:
        text = sp.latex(value) if self.tex else sp.sstr(value).replace("**", "^").replace("*", " ")
        return text if not value.is_Add else self._bracket(text)

    def _bracket(self, text: str) -> str:
        return rf"\left({text}\right)" if self.tex else f"({text})"


def _base(tex: str) -> str:
    """What takes an exponent, in braces where it has one already, as G† has."""
    return f"{{{tex}}}" if tex.endswith("}") and "^{" in tex else tex


def _negative(coefficient: Any) -> bool:
    return bool(coefficient.could_extract_minus_sign())


def content(coefficients: list[Any]) -> tuple[Any, list[Any]]:
    """What coefficients have in common, and what is left of each.

    >>> n = sp.Symbol("n")
    >>> content([2 / n, 4 / n]), content([n, 2])
    ((2/n, [1, 2]), (1, [n, 2]))
    """
    together: Any = sp.together
    apart: list[tuple[Any, Any]] = [together(c).as_coeff_Mul() for c in coefficients]
    if not all(number.is_Rational for number, _ in apart):
        return sp.S.One, coefficients
    sign = -1 if all(q < 0 for q, _ in apart) else 1
    number = sign * sp.Rational(gcd(*(abs(q.p) for q, _ in apart)), lcm(*(q.q for q, _ in apart)))
    symbols = [s for _, s in apart]
    if any(s != symbols[0] for s in symbols):
        below = [sp.fraction(s)[1] for s in symbols]
        symbols = [1 / below[0] if all(b == below[0] for b in below) else sp.S.One]
    common = number * symbols[0]
    return common, [sp.cancel(c / common) for c in coefficients]
