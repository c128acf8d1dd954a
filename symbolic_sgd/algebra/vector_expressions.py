"""Formulas in vectors and matrices that have names, as a person writes them: values that print, substitute and evaluate.

A product is a number, scalars above and below a fraction line, and matrices side by side; all else is a sum, a name, or a
function in the table FUNCTIONS. No entry of a matrix is ever looked at.

>>> n, N = Name("n", "n"), Name("N", "N", number=True)
>>> print(IDENTITY - n @ n.T / N)
I - nnᵀ/N
>>> (n @ n.T / N).latex()
'\\\\frac{1}{N}\\\\,n n^{\\\\top}'
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from symbolic_sgd.algebra.precision import mp

Value = Any
"""A number or a matrix of mpmath; of a family A_1 … A_M a tuple of matrices; of a linear map a function."""

NAMED_FRACTIONS = {Fraction(1, 2): "½", Fraction(1, 4): "¼"}

SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


class VectorExpression(ABC):
    """A scalar, a vector or a matrix."""

    @property
    @abstractmethod
    def scalar(self) -> bool:
        """Whether it is a number."""

    @property
    @abstractmethod
    def names(self) -> frozenset[str]:
        """The names in it."""

    @abstractmethod
    def text(self) -> str:
        """In characters."""

    @abstractmethod
    def latex(self) -> str:
        """In LaTeX."""

    @abstractmethod
    def at(self, values: Mapping[str, Value]) -> Value:
        """What it is for values of its names."""

    @abstractmethod
    def subs(self, names: "Mapping[str, VectorExpression]") -> "VectorExpression":
        """With expressions in the place of names."""

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return self.text()

    def _repr_latex_(self) -> str:
        return rf"$\displaystyle {self.latex()}$"

    def __matmul__(self, other: "VectorExpression") -> "VectorExpression":
        if self.scalar and isinstance(other, Sum):
            return Sum(tuple(self @ term for term in other.terms))
        return _product(self).times(_product(other))

    def __add__(self, other: "VectorExpression") -> "VectorExpression":
        return Sum((*_terms(self), *_terms(other)))

    def __neg__(self) -> "VectorExpression":
        return Fraction(-1) * self

    def __sub__(self, other: "VectorExpression") -> "VectorExpression":
        return self + -other

    def __rmul__(self, number: Fraction | int) -> "VectorExpression":
        if isinstance(self, Sum):
            return Sum(tuple(number * term for term in self.terms))
        return Product(Fraction(number)).times(_product(self))

    def __truediv__(self, scalar: "VectorExpression") -> "VectorExpression":
        below = _product(scalar)
        return _product(self).times(Product(1 / below.number, below.below, below.above))

    @property
    def T(self) -> "VectorExpression":
        """The transpose."""
        return apply("transpose", self)


@dataclass(frozen=True, repr=False)
class Name(VectorExpression):
    """A letter.

    Args:
        name, tex: in characters and in LaTeX.
        number: whether it is a scalar.
    """

    name: str
    tex: str
    number: bool = False

    @property
    def scalar(self) -> bool:
        return self.number

    @property
    def names(self) -> frozenset[str]:
        return frozenset([self.name])

    def text(self) -> str:
        return self.name

    def latex(self) -> str:
        return self.tex

    def at(self, values: Mapping[str, Value]) -> Value:
        return values[self.name]

    def subs(self, names: Mapping[str, VectorExpression]) -> VectorExpression:
        return names.get(self.name, self)


IDENTITY = Name("I", "I")


@dataclass(frozen=True, repr=False)
class Product(VectorExpression):
    """number · (above/below) · factors.

    Args:
        number: a rational.
        above, below: scalars.
        factors: matrices, from left to right.
    """

    number: Fraction
    above: tuple[VectorExpression, ...] = ()
    below: tuple[VectorExpression, ...] = ()
    factors: tuple[VectorExpression, ...] = ()

    @property
    def scalar(self) -> bool:
        return not self.factors

    @property
    def names(self) -> frozenset[str]:
        return _all_names((*self.above, *self.below, *self.factors))

    def times(self, other: "Product") -> "Product":
        """The product of two."""
        above, below = Counter(self.above + other.above), Counter(self.below + other.below)
        return Product(
            self.number * other.number,
            tuple((above - below).elements()),
            tuple((below - above).elements()),
            self.factors + other.factors,
        )

    def text(self) -> str:
        sign, number = "-" if self.number < 0 else "", abs(self.number)
        above, below = _powers(self.above, _text_power), _powers(self.below, _text_power)
        factors = _side_by_side(self.factors)
        if not below and number.denominator != 1:
            return " ".join(filter(None, [sign + NAMED_FRACTIONS.get(number, str(number)), above, factors]))
        open_form = any(isinstance(a, Function) and a.kind == "number" for a in self.above)
        above = f"({above})" if factors and open_form else above
        count = "" if number.numerator == 1 else str(number.numerator)
        top = " ".join(filter(None, [count, above, factors])) or "1"
        bottom = ("" if number.denominator == 1 else str(number.denominator)) + below
        if not bottom:
            return sign + (top if number else "0")
        simple = not below or (number.denominator == 1 and len(set(self.below)) == 1)
        return f"{sign}{top}/{bottom if simple else f'({bottom})'}"

    def latex(self) -> str:
        sign, number = "-" if self.number < 0 else "", abs(self.number)
        above, below = _powers(self.above, _latex_power), _powers(self.below, _latex_power)
        factors = " ".join(_bracketed(f, f.latex(), r"\left(", r"\right)") for f in self.factors)
        top = ("" if number.numerator == 1 and above else str(number.numerator)) + above
        bottom = ("" if number.denominator == 1 else str(number.denominator)) + below
        if bottom:
            return rf"{sign}\frac{{{top}}}{{{bottom}}}" + (rf"\,{factors}" if factors else "")
        whole = " ".join(filter(None, ["" if top == "1" and factors else top, factors]))
        return sign + whole

    def at(self, values: Mapping[str, Value]) -> Value:
        result = mp.mpf(self.number.numerator) / self.number.denominator
        for scalar in self.above:
            result = result * scalar.at(values)
        for scalar in self.below:
            result = result / scalar.at(values)
        for factor in self.factors:
            result = result * factor.at(values)
        return result

    def subs(self, names: Mapping[str, VectorExpression]) -> VectorExpression:
        result: VectorExpression = Product(self.number)
        for scalar in self.above:
            result = result @ scalar.subs(names)
        for scalar in self.below:
            result = result / scalar.subs(names)
        for factor in self.factors:
            result = result @ factor.subs(names)
        return result


@dataclass(frozen=True, repr=False)
class Sum(VectorExpression):
    """A sum."""

    terms: tuple[VectorExpression, ...]

    @property
    def scalar(self) -> bool:
        return self.terms[0].scalar

    @property
    def names(self) -> frozenset[str]:
        return _all_names(self.terms)

    def text(self) -> str:
        return _joined(term.text() for term in self.terms)

    def latex(self) -> str:
        return _joined(term.latex() for term in self.terms)

    def at(self, values: Mapping[str, Value]) -> Value:
        first, *others = (term.at(values) for term in self.terms)
        for other in others:
            first = first + other
        return first

    def subs(self, names: Mapping[str, VectorExpression]) -> VectorExpression:
        return Sum(tuple(part for term in self.terms for part in _terms(term.subs(names))))


@dataclass(frozen=True)
class Rule:
    """How a function is written and evaluated.

    Args:
        text, latex: with `{0}` for its first argument.
        value: of the values of its arguments.
        scalar: whether it is a number.
        tight: whether a first argument that is no letter stands in brackets.
        linear: whether numbers and scalars of its last argument may stand before it.
    """

    text: str
    latex: str
    value: Callable[..., Value]
    scalar: bool = False
    tight: bool = False
    linear: bool = False


@dataclass(frozen=True, repr=False)
class Function(VectorExpression):
    """A function of expressions, by its row in FUNCTIONS."""

    kind: str
    arguments: tuple[VectorExpression, ...]

    @property
    def scalar(self) -> bool:
        return FUNCTIONS[self.kind].scalar

    @property
    def names(self) -> frozenset[str]:
        return _all_names(self.arguments)

    def text(self) -> str:
        rule = FUNCTIONS[self.kind]
        return rule.text.format(*(_tight(a, a.text()) if rule.tight else a.text() for a in self.arguments))

    def latex(self) -> str:
        rule = FUNCTIONS[self.kind]
        return rule.latex.format(*(_tight(a, a.latex()) if rule.tight else a.latex() for a in self.arguments))

    def at(self, values: Mapping[str, Value]) -> Value:
        return FUNCTIONS[self.kind].value(*(a.at(values) for a in self.arguments))

    def subs(self, names: Mapping[str, VectorExpression]) -> VectorExpression:
        return apply(self.kind, *(a.subs(names) for a in self.arguments))


def _trace(a: Value) -> Value:
    return mp.fsum(a[i, i] for i in range(a.rows))


def _spectrum(h: Value, rank: Value) -> tuple[list[Value], Value]:
    """The eigenvalues of H ≥ 0 of a rank, the others put to 0 (beside Γ they need not be), and its eigenvectors."""
    values, vectors = mp.eigsy(h)
    zeros = len(values) - int(rank)
    return [mp.mpf(0) if i < zeros else v for i, v in enumerate(values)], vectors


def _pseudo_inverse(h: Value, rank: Value) -> Value:
    values, vectors = _spectrum(h, rank)
    return vectors * mp.diag([1 / v if v else v for v in values]) * vectors.T


def _lyapunov(h: Value, rank: Value, c: Value) -> Value:
    """X = QXQ with HX + XH = QCQ."""
    return _by_pairs(h, rank, lambda a, b: 1 / (a + b), c)


def _by_pairs(h: Value, rank: Value, kernel: Value, c: Value) -> Value:
    """X = QXQ with X_ij = k(λ_i, λ_j)C_ij in H's eigenvectors."""
    values, vectors = _spectrum(h, rank)
    turned = vectors.T * c * vectors
    for i, a in enumerate(values):
        for j, b in enumerate(values):
            turned[i, j] = kernel(a, b) * turned[i, j] if a and b else mp.mpf(0)
    return vectors * turned * vectors.T


def _whitened(a: Value, metric: Value, rank: Value) -> tuple[list[Value], Value, Value]:
    """The eigenvalues of A = SH, and matrices V and V⁻¹ with A = V diag V⁻¹ and VVᵀ = S, by Cholesky's factor of S."""
    root = mp.cholesky(metric)
    back = mp.inverse(root)
    inner = back * a * root
    values, vectors = _spectrum((inner + inner.T) / 2, rank)
    return values, root * vectors, vectors.T * back


def _by_pairs_in_metric(a: Value, metric: Value, rank: Value, kernel: Value, c: Value) -> Value:
    """X = QXQᵀ with X_ij = k(λ_i, λ_j)C_ij in the eigenvectors of A = SH."""
    values, vectors, back = _whitened(a, metric, rank)
    turned = back * c * back.T
    for i, x in enumerate(values):
        for j, y in enumerate(values):
            turned[i, j] = kernel(x, y) * turned[i, j] if x and y else mp.mpf(0)
    return vectors * turned * vectors.T


def _function_in_metric(a: Value, metric: Value, rank: Value, kernel: Value, right: Value) -> Value:
    """λk(λ, 0) of A on its range, applied."""
    values, vectors, back = _whitened(a, metric, rank)
    return vectors * mp.diag([v * kernel(v, mp.mpf(0)) if v else mp.mpf(0) for v in values]) * back * right


def _group_inverse(a: Value, metric: Value, rank: Value) -> Value:
    values, vectors, back = _whitened(a, metric, rank)
    return vectors * mp.diag([1 / v if v else v for v in values]) * back


def _leading(weight: Value, h: Value) -> Value:
    """s(λ_1)u_1u_1ᵀ for the largest eigenvalue of H."""
    values, vectors = mp.eigsy(h)
    axis = vectors[:, len(values) - 1]
    return axis * axis.T * weight(values[len(values) - 1])


def _function(h: Value, rank: Value, kernel: Value, right: Value) -> Value:
    """λk(λ, 0) of H on its range, applied."""
    values, vectors = _spectrum(h, rank)
    return vectors * mp.diag([v * kernel(v, mp.mpf(0)) if v else mp.mpf(0) for v in values]) * vectors.T * right


def _by_samples(h: Value, rank: Value, samples: Value, c: Value) -> Value:
    """X = QXQ with HX + XH − η(α E[H_iXH_i] + (1 − α)HXH) = QCQ, from samples = (η, α, weights, the matrix of a_i, H_i = a_i a_iᵀ)."""
    rate, share, weights, slopes = samples
    values, vectors = _spectrum(h, rank)
    normal, m = vectors[:, vectors.cols - int(rank) :], int(rank)
    steep, across, y = values[-m:], normal.T * slopes, normal.T * c * normal
    places = [(i, j) for i in range(m) for j in range(m)]

    def entry(i: int, j: int, p: int, q: int) -> Value:
        one = mp.fsum(w * across[i, a] * across[p, a] * across[q, a] * across[j, a] for a, w in enumerate(weights))
        return share * one + (1 - share) * (steep[i] * steep[j] if (i, j) == (p, q) else 0)

    system = mp.matrix(
        [
            [(steep[i] + steep[j] if (i, j) == (p, q) else 0) - rate * entry(i, j, p, q) for p, q in places]
            for i, j in places
        ]
    )
    x = mp.lu_solve(system, mp.matrix([y[i, j] for i, j in places]))
    return normal * mp.matrix([[x[i * m + j] for j in range(m)] for i in range(m)]) * normal.T


def _bent(bends: Sequence[Value], w: Value) -> Value:
    first, *others = (bend * w[:, i] for i, bend in enumerate(bends))
    for other in others:
        first = first + other
    return first


CLOSED = ("trace", "determinant", "product", "diagonal")
"""Functions that bring their brackets."""

FUNCTIONS: dict[str, Rule] = {
    "transpose": Rule("{0}ᵀ", r"{0}^{{\top}}", lambda a: a.T, tight=True, linear=True),
    "inverse": Rule("{0}⁻¹", "{0}^{{-1}}", lambda a: a**-1, tight=True),
    "trace": Rule("tr({0})", r"\mathrm{{tr}}({0})", _trace, scalar=True, linear=True),
    "number": Rule("{0}", "{0}", lambda a: a[0, 0], scalar=True, linear=True),
    "logarithm": Rule("ln {0}", r"\ln {0}", lambda a: mp.log(a), scalar=True, tight=True),
    "determinant": Rule("det({0})", r"\det({0})", lambda a: mp.det(a), scalar=True),
    "diagonal": Rule(
        "diag({0})", r"\mathrm{{diag}}({0})", lambda a: mp.matrix([a[i, i] for i in range(a.rows)]), linear=True
    ),
    "bent": Rule("∑ᵢ {0}ᵢ {1} eᵢ", r"\sum_i {0}_i\,{1}\,e_i", _bent, linear=True),
    "traces": Rule(
        "(tr {0}ᵢ{1})ᵢ",
        r"\bigl(\mathrm{{tr}}\,{0}_i {1}\bigr)_i",
        lambda bends, b: mp.matrix([_trace(bend * b) for bend in bends]),
        linear=True,
    ),
    "pseudo_inverse": Rule("{0}†", r"{0}^{{\dagger}}", _pseudo_inverse, tight=True),
    "product": Rule("|{0}|₊", "|{0}|_+", lambda h, rank: mp.fprod(v for v in _spectrum(h, rank)[0] if v), scalar=True),
    "lyapunov": Rule("𝓛⁻¹[{2}]", r"\mathcal{{L}}_{{{0}}}^{{-1}}[{2}]", _lyapunov, linear=True),
    "by_pairs": Rule("{2}[{3}]", "{2}[{3}]", _by_pairs, linear=True),
    "function": Rule("h({0}) {3}", "h({0})\\,{3}", _function, linear=True),
    "leading": Rule("{0}(λ₁) u₁u₁ᵀ", r"{0}(\lambda_1)\,u_1 u_1^{{\top}}", _leading),
    "group_inverse": Rule("group inverse of {0}", r"\text{{group inverse of }}{0}", _group_inverse),
    "by_pairs_in_metric": Rule("{3}[{4}]", "{3}[{4}]", _by_pairs_in_metric, linear=True),
    "function_in_metric": Rule("h({0}) {4}", "h({0})\\,{4}", _function_in_metric, linear=True),
    "by_samples": Rule("{2}[{3}]", "{2}[{3}]", _by_samples, linear=True),
    "root": Rule("√{0}", r"\sqrt{{{0}}}", lambda a: mp.sqrt(a), scalar=True, tight=True),
    "third": Rule("{0}[{1}]", "{0}[{1}]", lambda third, b: third(b), linear=True),
    "led": Rule("{0}({1}) {2}", r"{0}({1})\,{2}", lambda weight, step, right: weight(step, right), linear=True),
}
"""Adding a function means adding a row. H comes with its rank; `bent` is Σ_i A_i W e_i for a family A and a matrix W,
`traces` (tr A_i B)_i; `by_pairs` and `function` take a kernel, and with a metric S they are of A = SH."""


def apply(kind: str, *arguments: VectorExpression) -> VectorExpression:
    """A function of expressions; what is linear in its last argument leaves the scalars of that before it."""
    *others, last = arguments
    if not FUNCTIONS[kind].linear or not isinstance(last, Product):
        return Function(kind, arguments)
    bare = Product(Fraction(1), factors=last.factors)
    return Product(last.number, last.above, last.below).times(_product(Function(kind, (*others, bare))))


def parts_of(expression: VectorExpression) -> Iterable[VectorExpression]:
    """The expression, and all that it is made of."""
    yield expression
    inner: tuple[VectorExpression, ...] = ()
    if isinstance(expression, Sum):
        inner = expression.terms
    elif isinstance(expression, Product):
        inner = (*expression.above, *expression.below, *expression.factors)
    elif isinstance(expression, Function):
        inner = expression.arguments
    for part in inner:
        yield from parts_of(part)


# --- small things -----------------------------------------------------------------------------


def _all_names(expressions: Iterable[VectorExpression]) -> frozenset[str]:
    return frozenset(name for expression in expressions for name in expression.names)


def _product(expression: VectorExpression) -> Product:
    if isinstance(expression, Product):
        return expression
    if expression.scalar:
        return Product(Fraction(1), (expression,))
    return Product(Fraction(1), (), (), (expression,))


def _terms(expression: VectorExpression) -> tuple[VectorExpression, ...]:
    return expression.terms if isinstance(expression, Sum) else (expression,)


def _bracketed(expression: VectorExpression, written: str, left: str = "(", right: str = ")") -> str:
    return f"{left}{written}{right}" if isinstance(expression, Sum) else written


def _tight(expression: VectorExpression, written: str) -> str:
    if isinstance(expression, Product) and expression.number == 1 and not expression.below:
        match (*expression.above, *expression.factors):
            case (only,):
                return _tight(only, written)
    closed = isinstance(expression, Name) or (isinstance(expression, Function) and expression.kind in CLOSED)
    return written if closed else f"({written})"


def _side_by_side(factors: Sequence[VectorExpression]) -> str:
    """Matrices in characters, with a space beside words."""
    written = ""
    for factor in factors:
        worded = isinstance(factor, Function) and factor.kind not in ("transpose", "inverse")
        written += (" " if worded and written else "") + _bracketed(factor, factor.text())
    return written


def _powers(scalars: Iterable[VectorExpression], power: Callable[[VectorExpression, int], str]) -> str:
    return " ".join(power(scalar, count) for scalar, count in Counter(scalars).items())


def _text_power(scalar: VectorExpression, count: int) -> str:
    return scalar.text() if count == 1 else _tight(scalar, scalar.text()) + str(count).translate(SUPERSCRIPTS)


def _latex_power(scalar: VectorExpression, count: int) -> str:
    return scalar.latex() if count == 1 else f"{_tight(scalar, scalar.latex())}^{{{count}}}"


def _joined(terms: Iterable[str]) -> str:
    first, *others = terms
    return first + "".join(f" - {t[1:]}" if t.startswith("-") else f" + {t}" for t in others)
