"""Families of models that are written with matrices: every size stays a symbol."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import sympy as sp

from symbolic_sgd.errors import BadInput, BadShape, BadSymbol, DegenerateMinimum
from symbolic_sgd.families.cross_entropy import CrossEntropy, RedrawnClasses
from symbolic_sgd.families.noise import AnyNoise, family_noise
from symbolic_sgd.families.stated import StatedFamily
from symbolic_sgd.families.tensor_model import TensorModel
from symbolic_sgd.problems.noise import FamilyNoise, IsotropicNoise
from symbolic_sgd.problems.symbols import NAME, check_atoms
from symbolic_sgd.tensors.forms import Form, Index, Tensor
from symbolic_sgd.tensors.products import vanishes
from symbolic_sgd.tensors.reading import Reader

ARRAYS = (sp.MatrixSymbol, sp.Symbol, sp.IndexedBase)
"""What parameters and data may be."""


@dataclass(frozen=True, kw_only=True)
class MatrixFamily(StatedFamily):
    """L = (1/n) Σ_i Σ_o ℓ(f_io) for residuals f that are matrix expressions, for all n and all sizes.

    The derivation holds on Γ = {f = 0} where the rank of the gradients of all residuals is constant; they may be dependent.

    Args:
        residual: f of one sample: a scalar, or a matrix whose entries are all residuals. Matrix products, sums, transposes,
            traces, integer powers, entrywise products and functions (`applyfunc`), Identity, OneMatrix, DiagMatrix, functions
            of scalars; also `Sum` over `Indexed` quantities.
        outputs: z of one sample, in place of residual: f = z − targets.
        parameters: MatrixSymbols, Symbols, or IndexedBases with a shape, in their order.
        data: the same; where samples is a size they carry the index of the sample before their own.
        samples: n; or ((i, 1, n), (a, 1, d), …), the indices of a residual that is written with `Indexed` quantities; or None
            where the residual alone is the whole of the data, such as U*V.T − Y: n is then the number of its entries.
        noise: LabelNoise(δ), IsotropicNoise(s), RedrawnLabels(…), RedrawnClasses(), or AnyNoise(). With label noise a step
            draws one sample, or batch_size of them (a number, or a size; with batch_size=n it takes the full gradient), and a sign
            for each of their outputs.
        loss: ℓ as a `Lambda` with ℓ′(0) = 0 < ℓ″(0), r²/2 if it is not given; or CrossEntropy() with outputs.
        constants: further symbols, and matrices that all samples have in common.

    Raises:
        UnsupportedExpression: a node of the residual that the calculus does not have, such as an inverse.
        BadInput: and its subclasses, naming what is wrong, where, and what to change.

    >>> from symbolic_sgd import LabelNoise
    >>> n, d1, d2, r = sp.symbols("n d1 d2 r", integer=True, positive=True)
    >>> U, V, A = sp.MatrixSymbol("U", d1, r), sp.MatrixSymbol("V", d2, r), sp.MatrixSymbol("A", d1, d2)
    >>> y = sp.Symbol("y")
    >>> family = MatrixFamily(
    ...     residual=sp.Trace(A.T*U*V.T) - y, parameters=(U, V), data=(A, y), samples=n, noise=LabelNoise(1))
    >>> [t.name for t in family.model.parameters], family.proportion
    (['U', 'V'], 1)
    """

    parameters: tuple[Any, ...]
    noise: FamilyNoise
    residual: Any = None
    outputs: Any = None
    data: tuple[Any, ...] = ()
    samples: Any = None
    loss: Any = None
    constants: tuple[Any, ...] = ()

    def __post_init__(self) -> None:
        set_field = lambda name, value: object.__setattr__(self, name, value)  # noqa: E731 (the frozen class's own setter)
        for name in ("parameters", "data", "constants"):
            set_field(name, _symbols(getattr(self, name), name))
        set_field("noise", self.noise if isinstance(self.noise, RedrawnClasses) else family_noise(self.noise))
        set_field("samples", _samples(self.samples))
        set_field("loss", self._checked_loss())
        if (self.residual is None) == (self.outputs is None):
            raise BadInput(
                "give residual= (f, whose zeros are Γ) or outputs= (f before the targets are subtracted), one of the two"
            )
        if not self.parameters:
            raise BadSymbol("parameters is empty: name each matrix that is trained")
        self._check_names()
        self._check_noise()
        independent = [
            p.name for p, j in zip(self.model.parameters, self.model.gradient.values(), strict=True) if vanishes(j)
        ]
        if independent:
            raise BadInput(f"the residual does not depend on the parameter {independent[0]}: leave it out")

    # --- the model --------------------------------------------------------------------------

    @cached_property
    def model(self) -> TensorModel:
        """f as a form, with its derivatives.

        Raises:
            BadInput: neither samples nor free indices: there would be one residual.
        """
        form, ends = self.read(self.residual if self.outputs is None else self.outputs, ("a", "b"))
        labels = (*self.labels, *ends)
        if not labels:
            raise BadInput(
                "there is one residual without samples: give samples=n, which the data carry as their first index"
            )
        found = Form.of(labels, ((c, f, ()) for f, c in form.terms.items()))
        count = sp.Mul(*(i.size for i in (self.labels or ends)))
        return TensorModel(found, tuple(self._tensors[p] for p in self.parameters), count)

    def read(self, expression: Any, names: tuple[str, str]) -> tuple[Form, tuple[Index, ...]]:
        """An expression in the parameters and the data of one sample as a form, and the indices of its rows and columns.

        Args:
            expression: a scalar or a matrix.
            names: of the two indices; a vector has one, called o where the names are a and b.

        Raises:
            UnsupportedExpression: and its like, for what the calculus does not have.
        """
        if not isinstance(expression, (sp.Expr, sp.MatrixBase, int)):
            raise BadInput(
                f"the residual is a {type(expression).__name__}: give an expression in the parameters and the data"
            )
        written: Any = sp.sympify(expression)
        shape = [s for s in getattr(written, "shape", ()) if s != 1]
        called = ("o",) if len(shape) == 1 and names == ("a", "b") else names
        ends = tuple(Index(name, s) for name, s in zip(called, shape, strict=False))
        if not shape:
            return self._reader.scalar(written), ends
        if len(shape) == 1:
            sides = (ends[0], None) if written.shape[1] == 1 else (None, ends[0])
            return self._reader.matrix(written, *sides), ends
        return self._reader.matrix(written, *ends), ends

    def _scalar(self, expression: Any) -> Form | None:
        form, ends = self.read(expression, ("a", "b"))
        return None if ends else form

    @property
    def _example(self) -> str:
        return "Trace(U.T*U)"

    @property
    def labels(self) -> tuple[Index, ...]:
        if self.samples is None:
            return ()
        if isinstance(self.samples, tuple):
            return tuple(Index(str(i), size) for i, _, size in self.samples)
        return (Index("i", self.samples),)

    @property
    def indices(self) -> tuple[sp.Symbol, ...]:
        return tuple(i for i, _, _ in self.samples) if isinstance(self.samples, tuple) else ()

    @property
    def carries_samples(self) -> bool:
        return self.samples is not None and not isinstance(self.samples, tuple)

    @cached_property
    def _tensors(self) -> dict[Any, Tensor]:
        carried = self.labels if self.carries_samples else ()
        found = {s: Tensor(_name(s), _sizes(s)) for s in (*self.parameters, *self.constants) if not self._is_number(s)}
        sizes = tuple(i.size for i in carried)
        return found | {s: Tensor(_name(s), (*sizes, *_sizes(s)), len(sizes) or self._leading(s)) for s in self.data}

    def _leading(self, base: Any) -> int:
        """How many of the first indices of data are those of samples, where the residual has its indices."""
        if not isinstance(base, sp.IndexedBase) or not isinstance(self.samples, tuple):
            return 0
        ranges, seen = (
            {i for i, _, _ in self.samples},
            [e.indices for e in self.residual.atoms(sp.Indexed) if e.base == base],
        )
        first = [next((k for k, i in enumerate(at) if i not in ranges), len(at)) for at in seen]
        return min(first, default=0)

    def _is_number(self, symbol: Any) -> bool:
        """Whether it is a scalar constant, which stands in coefficients."""
        return isinstance(symbol, sp.Symbol) and symbol in self.constants

    @cached_property
    def _reader(self) -> Reader:
        indices = {i: Index(str(i), size) for i, _, size in self.samples} if isinstance(self.samples, tuple) else {}
        return Reader(self._tensors, () if indices else self.labels, self.sizes | self.numbers, indices)

    @property
    def sizes(self) -> frozenset[sp.Symbol]:
        shapes = (s for tensor in self._tensors.values() for s in tensor.shape)
        return frozenset(a for s in (*shapes, *(i.size for i in self.labels)) for a in sp.sympify(s).free_symbols)

    @property
    def numbers(self) -> frozenset[sp.Symbol]:
        return frozenset(s for s in self.constants if self._is_number(s))

    @property
    def tensors(self) -> dict[str, Tensor]:
        """What arrays are given for, by name: data and matrices that all samples have in common."""
        of_parameters = {_name(p) for p in self.parameters}
        return {t.name: t for t in self._tensors.values() if t.name not in of_parameters}

    @property
    def symbols(self) -> dict[str, Any]:
        return {_name(s): s for s in (*self.parameters, *self.data, *self.constants)}

    # --- checks -----------------------------------------------------------------------------

    def _checked_loss(self) -> Any:
        if not isinstance(self.loss, CrossEntropy):
            return super()._checked_loss()
        if self.outputs is None:
            raise BadInput("loss: CrossEntropy() goes with outputs=, the vector z before the softmax")
        return self.loss

    def _check_noise(self) -> None:
        if isinstance(self.loss, CrossEntropy):
            self._check_classes()
        elif isinstance(self.noise, RedrawnClasses):
            raise BadInput("noise: RedrawnClasses() goes with loss=CrossEntropy()")
        of_loss = (self.loss.expr,) if isinstance(self.loss, sp.Lambda) else ()
        everything: tuple[Any, ...] = (*self.noise.stated, *of_loss)
        for stated in everything:
            check_atoms(stated, sorted(stated.free_symbols, key=str), where="loss or noise")
        known = self.at_zero
        if known is not None and not known.curvature.is_positive:
            raise DegenerateMinimum(f"loss: ℓ″(0) = {known.curvature} is not known to be positive")
        numbers = [e for e in (self.curvature, self.variance, self.proportion, self.noise.isotropy) if e is not None]
        unknown = {s for e in numbers for s in sp.sympify(e).free_symbols} - self.numbers - self.sizes
        if unknown:
            raise BadSymbol(
                f"loss or noise hold {min(map(str, unknown))}, which was not declared: name it in constants= (data of single samples "
                "cannot stand there)"
            )

    def _check_classes(self) -> None:
        if not isinstance(self.noise, (RedrawnClasses, IsotropicNoise, AnyNoise)):
            raise BadInput("noise: with CrossEntropy() give RedrawnClasses(), IsotropicNoise(s) or AnyNoise()")
        if len(self.model.labels) != len(self.labels) + 1:
            raise BadShape("outputs: CrossEntropy() takes a column of outputs, one for each class")

    def _check_names(self) -> None:
        given = [_name(s) for s in (*self.parameters, *self.data, *self.constants)]
        self._check_distinct(given, sorted(map(str, self.sizes)))

    def __repr__(self) -> str:
        stated = f"f = {self.residual}" if self.outputs is None else f"outputs {self.outputs}"
        return f"MatrixFamily({stated}, parameters {', '.join(map(_name, self.parameters))}, {self.noise})"


def _symbols(given: Any, where: str) -> tuple[Any, ...]:
    if isinstance(given, ARRAYS):
        given = (given,)
    if isinstance(given, (str, set, frozenset, Mapping)) or not isinstance(given, Iterable):
        raise BadInput(f"{where} is a {type(given).__name__}: give an ordered sequence, e.g. (U, V)")
    found = tuple(given)
    for s in found:
        if not isinstance(s, ARRAYS) or not NAME.fullmatch(_name(s)):
            raise BadSymbol(
                f"{where} holds {s!r}: every entry has to be a MatrixSymbol, a Symbol or an IndexedBase with a plain name"
            )
        if isinstance(s, sp.IndexedBase) and s.shape is None:
            raise BadShape(f"{where}: give the shape of {s}, as in IndexedBase({_name(s)!r}, shape=(…))")
        if isinstance(s, sp.Symbol) and s.is_extended_real is False:
            raise BadSymbol(f"{where}: {s} is declared non-real")
    return found


def _samples(samples: Any) -> Any:
    if samples is None or isinstance(samples, (sp.Symbol, sp.Integer)):
        return samples
    if isinstance(samples, int) and not isinstance(samples, bool) and samples > 0:
        return sp.Integer(samples)
    given: Any = samples
    try:
        ranges = tuple((i, first, sp.sympify(last, strict=True)) for i, first, last in given)
    except (TypeError, ValueError) as error:
        raise BadInput(
            f"samples is {samples!r}: give a size n, or ranges ((i, 1, n), …) of the indices of the residual"
        ) from error
    if not ranges or any(not isinstance(i, sp.Symbol) or first != 1 for i, first, _ in ranges):
        raise BadInput(f"samples runs over {samples}: give (index, 1, size) with a symbol as the index")
    return ranges


def _name(symbol: Any) -> str:
    return str(symbol.label) if isinstance(symbol, sp.IndexedBase) else str(symbol.name)


def _sizes(symbol: Any) -> tuple[Any, ...]:
    """The sizes of the indices: a side of a matrix that has length 1 is none."""
    if isinstance(symbol, sp.Symbol):
        return ()
    return tuple(s for s in symbol.shape if isinstance(symbol, sp.IndexedBase) or s != 1)
