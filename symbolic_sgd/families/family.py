"""Families of losses of every size: n samples and d coordinates stay symbols, the residuals are sums over coordinates."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import sympy as sp

from symbolic_sgd.algebra.translation import Expression
from symbolic_sgd.errors import BadInput, BadSymbol, CoupledCoordinates, InexactNumber, NotSmooth
from symbolic_sgd.families.batches import batch_of
from symbolic_sgd.families.noise import RESIDUAL, Array, Place, family_noise
from symbolic_sgd.families.stated import StatedFamily
from symbolic_sgd.families.tensor_model import TensorModel
from symbolic_sgd.problems.noise import FamilyNoise
from symbolic_sgd.problems.symbols import NAME, check_expression, check_symbols
from symbolic_sgd.tensors.forms import Form, Index, Tensor
from symbolic_sgd.tensors.products import multiplied_out
from symbolic_sgd.tensors.reading import Reader

ELSEWHERE = "state models that couple coordinates as a MatrixFamily, whose residuals are products of matrices or sums in any indices"
"""What to do where a family of coordinates is none."""

UNSMOOTH = (sp.Abs, sp.sign, sp.Max, sp.Min, sp.Heaviside, sp.Piecewise, sp.floor, sp.ceiling)
"""Functions with kinks, at which the theorem does not hold."""


@dataclass(frozen=True, kw_only=True)
class Family(StatedFamily):
    """L = (1/n) Σ_i ℓ(f_i) with residuals f_i = Σ_j φ(z_ij, x_j) − y_i that are sums over coordinates, for all n and d.

    A coordinate x_j may be a group of parameters (u_j, v_j, …); D is d times their number. The derivation holds on
    Γ = {f_1 = … = f_n = 0} where the gradients of f_1 … f_n are independent (n ≤ D).

    Args:
        residual: f_i, with one `Sum` over the coordinates and with `Indexed` parameters and data.
        sample: (i, 1, n), the index of the samples and its range.
        parameters: the `IndexedBase` of each parameter of a coordinate, in their order; IndexedBase(…, positive=True)
            where it is positive.
        noise: LabelNoise, IsotropicNoise, RedrawnLabels, or AnyNoise. With label noise a step draws one sample, or batch_size of them
            (a number, or n), and a sign for each.
        loss: ℓ as a `Lambda` with ℓ′(0) = 0 < ℓ″(0); r²/2 if it is not given, or what RedrawnLabels implies.
        constants: further symbols, such as an exponent.

    Raises:
        CoupledCoordinates: a residual that is no sum over coordinates.
        BadInput: and its subclasses, naming what is wrong, where, and what to change.

    >>> from symbolic_sgd import LabelNoise
    >>> (i, j), (n, d) = sp.symbols("i j", integer=True), sp.symbols("n d", integer=True, positive=True)
    >>> u, v, y, z = map(sp.IndexedBase, "uvyz")
    >>> residual = sp.Sum(z[i, j]*(u[j]**2 - v[j]**2), (j, 1, d)) - y[i]
    >>> family = Family(residual=residual, sample=(i, 1, n), parameters=(u, v), noise=LabelNoise())
    >>> family.summand, family.offset
    ((u[j]**2 - v[j]**2)*z[i, j], -y[i])
    """

    residual: sp.Expr
    sample: tuple[sp.Symbol, Any, sp.Symbol]
    parameters: tuple[Array, ...]
    noise: FamilyNoise
    loss: Any = None
    constants: tuple[sp.Symbol, ...] = ()

    independent: ClassVar[bool] = True

    def __post_init__(self) -> None:
        set_field = lambda name, value: object.__setattr__(self, name, value)  # noqa: E731 (the frozen class's own setter)
        set_field("parameters", _bases(self.parameters))
        set_field("sample", _range(self.sample, "sample"))
        set_field("constants", check_symbols(self.constants, where="constants"))
        if not isinstance(self.residual, sp.Expr):
            raise BadInput(f"residual is a {type(self.residual).__name__}; give a SymPy expression with a Sum over j")
        if self.residual.atoms(sp.Float):
            raise InexactNumber(
                f"residual holds the floating-point number {min(self.residual.atoms(sp.Float))}; write it exactly"
            )
        set_field("noise", family_noise(self.noise))
        set_field("loss", self._checked_loss())
        self._check_indices()
        self._check_symbols()
        self._check_expressions()

    # --- the parts of the residual ----------------------------------------------------------

    @property
    def i(self) -> sp.Symbol:
        """The index of samples."""
        return self.sample[0]

    @property
    def samples(self) -> sp.Expr:
        """n, how many samples there are."""
        return self.sample[2]

    @property
    def j(self) -> sp.Symbol:
        """The index of coordinates."""
        return self._parts[1][0]

    @property
    def coordinates(self) -> sp.Expr:
        """d, how many coordinates there are."""
        return self._parts[1][2]

    @property
    def summand(self) -> Expression:
        """φ, what is summed over j."""
        return self._parts[0]

    @property
    def offset(self) -> Expression:
        """f_i less the sum."""
        return self._parts[2]

    @cached_property
    def data(self) -> tuple[Place, ...]:
        """z_ij, y_i, …: every indexed quantity that is no parameter, as it stands in the residual, the loss or the noise."""
        given = (self.residual, self.loss.expr, *self.noise.stated)
        found = {a for e in given for a in e.atoms(sp.Indexed) if a.base not in self.parameters}
        return tuple(sorted(found, key=str))

    @cached_property
    def _parts(self) -> tuple[Expression, tuple[sp.Symbol, Any, sp.Expr], Expression]:
        summands: list[Expression] = []
        offset, limits = sp.S.Zero, None
        expanded: Expression = sp.expand_mul(self.residual, deep=False)
        for term in sp.Add.make_args(expanded):
            factor, inner = term.as_independent(sp.Sum, as_Add=False)
            if inner == 1:
                offset += term
                continue
            if not isinstance(inner, sp.Sum) or len(inner.limits) != 1:
                raise CoupledCoordinates(
                    f"residual: {inner} is not a Sum over the coordinates: families have residuals Σ_j φ(z_ij, x_j) − y_i "
                    f"(a function of such a sum belongs into loss=); {ELSEWHERE}"
                )
            found = _range(inner.limits[0], "residual: the Sum")
            if limits not in (None, found):
                raise BadInput(f"residual: its sums run over {limits} and {found}; write one Sum over one index")
            limits = found
            self._check_outside(factor, found[0])
            summands.append(factor * inner.function)
        if limits is None:
            raise BadInput("residual holds no Sum over coordinates: write it as Sum(φ, (j, 1, d)) − y[i]")
        return sp.factor_terms(sp.Add(*summands)), limits, offset

    # --- the model --------------------------------------------------------------------------

    @cached_property
    def bases(self) -> dict[Array, Tensor]:
        """Parameters and data, by their `IndexedBase`."""
        sizes = {self.i: self.samples, self.j: self.coordinates}
        found = {base: Tensor(str(base.label), (self.coordinates,)) for base in self.parameters}
        return found | {
            a.base: Tensor(str(a.base.label), tuple(sizes[t] for t in a.indices), labels=int(self.i in a.indices))
            for a in self.data
        }

    @property
    def tensors(self) -> dict[str, Tensor]:
        """Data, by name."""
        return {t.name: t for base, t in self.bases.items() if base not in self.parameters}

    @property
    def symbols(self) -> dict[str, Any]:
        return {t.name: base for base, t in self.bases.items()} | {s.name: s for s in self.constants}

    @property
    def labels(self) -> tuple[Index, ...]:
        return (Index(str(self.i), self.samples),)

    @property
    def indices(self) -> tuple[sp.Symbol, ...]:
        return (self.i,)

    @property
    def sizes(self) -> frozenset[sp.Symbol]:
        return frozenset(
            s for e in (self.samples, self.coordinates) for s in e.free_symbols if isinstance(s, sp.Symbol)
        )

    @property
    def numbers(self) -> frozenset[sp.Symbol]:
        return frozenset(self.constants)

    @property
    def sample_places(self) -> tuple[Place, ...]:
        return tuple(a for a in self.data if a.indices == (self.i,))

    @cached_property
    def model(self) -> TensorModel:
        found = self.per_sample(self.residual)
        return TensorModel(found, tuple(self.bases[base] for base in self.parameters), self.samples)

    def per_sample(self, expression: Any) -> Form:
        (label,) = self.labels
        found = self._reader(indices={self.i: label}).scalar(sp.sympify(expression))
        return Form.of((label,), ((c, f, ()) for f, c in found.terms.items()))

    def _scalar(self, expression: Any) -> Form:
        return self._reader().scalar(sp.sympify(expression))

    def _reader(self, **indices: Any) -> Reader:
        """All is multiplied out: sparse data stay sparse where they are a factor, not within a sum."""
        return Reader(self.bases, constants=frozenset(self.constants), multiply=multiplied_out, **indices)

    @property
    def _example(self) -> str:
        return f"Sum({self.parameters[0].label}[{self.j}]**2, ({self.j}, 1, {self.coordinates}))"

    # --- checks -----------------------------------------------------------------------------

    def _check_symbols(self) -> None:
        indices = {self.i, self.j}
        allowed = indices | {*self.constants} | set(self.samples.free_symbols) | set(self.coordinates.free_symbols)
        if self.i == self.j:
            raise BadInput(f"sample and coordinate have the same index {self.i}: give them two names")
        for where, expression in (("residual", self.residual), ("loss", self.loss)):
            bases: set[Array] = {a.base for a in expression.atoms(sp.Indexed)}
            plain = {s for s in expression.free_symbols if isinstance(s, sp.Symbol)}
            plain -= {b.label for b in bases} | {s for b in bases for s in b.free_symbols}
            unknown = sorted(str(s) for s in plain - allowed)
            if unknown:
                raise BadSymbol(f"{where} holds {unknown[0]}, which was not declared: name it in constants=")
        batch = batch_of(self.noise)
        if not batch.free_symbols <= self.samples.free_symbols:
            raise BadSymbol(
                f"noise: batch_size is {batch}; give a whole number, or the number {self.samples} of samples"
            )
        given = {*self.parameters, *(a.base for a in self.data)}
        own = {*self.constants}
        self._check_distinct([*(str(b.label) for b in given), *map(str, own)], sorted(map(str, allowed - own)))

    def _check_indices(self) -> None:
        for place in sorted(self.residual.atoms(sp.Indexed), key=str):
            if place.base in self.parameters and place.indices != (self.j,):
                raise CoupledCoordinates(
                    f"residual: {place} couples coordinates: a parameter may stand with the index {self.j} only; {ELSEWHERE}"
                )
            if place.base not in self.parameters and place.indices not in ((self.i, self.j), (self.i,), (self.j,)):
                raise BadInput(
                    f"residual: {place} is indexed by {place.indices}; data are indexed by "
                    f"({self.i}, {self.j}), ({self.i}) or ({self.j})"
                )
        self._check_outside(self.offset, self.j)
        if not any(a.base in self.parameters for a in self.summand.atoms(sp.Indexed)):
            raise BadInput("residual does not depend on any parameter")
        patterns: dict[Any, set[Any]] = {}
        for place in self.data:
            patterns.setdefault(place.base, set()).add(place.indices)
        twice = [base for base, seen in patterns.items() if len(seen) > 1]
        if twice:
            raise BadInput(f"the data {twice[0]} stand with different indices: give each array one meaning")

    def _check_expressions(self) -> None:
        """Real, exact, smooth expressions, in parameters and data where these have a meaning."""
        of_sample = {self.i}
        self._check_expression(self.summand, "residual", {self.i, self.j}, trained=True)
        self._check_expression(self.offset, "residual", of_sample)
        self._check_expression(self.loss.expr, "loss", of_sample)
        allowed = of_sample if self.noise.isotropy is None else set()
        for expression in self.noise.stated:
            self._check_expression(expression, "noise", allowed)

    def _check_expression(self, expression: Any, where: str, indices: set[Any], *, trained: bool = False) -> None:
        if expression.atoms(sp.Sum, sp.Product, sp.Integral, sp.Derivative):
            raise CoupledCoordinates(
                f"{where}: a sum or product stands inside of {expression}: a family has one Sum over {self.j}; {ELSEWHERE}"
            )
        counted = {self.i, self.j, *self.samples.free_symbols, *self.coordinates.free_symbols} - set(self.constants)
        plain = {RESIDUAL: sp.Dummy("the residual", real=True)}  # a constant may be called r
        for place in expression.atoms(sp.Indexed):
            if place.base in self.parameters and not trained:
                raise BadInput(
                    f"{where} depends on the parameter {place}: losses and noise of labels know residuals only"
                )
            if not set(place.indices) <= indices:
                raise BadInput(f"{where} holds {place}, whose indices have no meaning there")
            plain[place] = sp.Dummy(str(place.base.label), real=True)
        inner: Any = expression.xreplace(plain)
        numbers = sorted(str(s) for s in counted & inner.free_symbols)
        if numbers:
            raise BadInput(
                f"{where}: {numbers[0]} stands there as a number; sizes and indices only count: put it into the data"
            )
        unsmooth = inner.atoms(*UNSMOOTH)
        if unsmooth:
            raise NotSmooth(
                f"{where}: {min(map(str, unsmooth))} has a kink; state the problem for given n and d with Problem"
            )
        check_expression(inner, (*plain.values(), *self.constants), where=where)

    def _check_outside(self, expression: Expression, j: sp.Symbol) -> None:
        """What stands outside of the Sum knows neither parameters nor its index."""
        trained = sorted((a for a in expression.atoms(sp.Indexed) if a.base in self.parameters), key=str)
        if trained or j in expression.free_symbols:
            raise CoupledCoordinates(
                f"residual: {trained[0] if trained else j} stands outside the Sum over {j}, where no parameter and no {j} may be"
            )

    def __repr__(self) -> str:
        return f"Family(f_{self.i} = {self.residual}, loss {self.loss}, {self.noise})"


def _bases(parameters: Any) -> tuple[Array, ...]:
    if isinstance(parameters, sp.IndexedBase):
        parameters = (parameters,)
    if isinstance(parameters, (str, set, frozenset, Mapping)) or not isinstance(parameters, Iterable):
        raise BadInput(
            f"parameters is a {type(parameters).__name__}: give an ordered sequence of IndexedBase, e.g. (u, v)"
        )
    bases = tuple(parameters)
    for base in bases:
        if not isinstance(base, sp.IndexedBase) or not NAME.fullmatch(str(base.label)):
            raise BadSymbol(f"parameters holds {base!r}: every entry has to be an IndexedBase with a plain name")
        if base.is_real is False:
            raise BadSymbol(f"parameters: {base} is declared non-real")
    if not bases or len(set(bases)) < len(bases):
        raise BadSymbol("parameters is empty, or names one twice: name each IndexedBase once")
    return bases


def _range(limits: Any, where: str) -> tuple[sp.Symbol, Any, sp.Expr]:
    try:
        index, first, last = limits
        size = sp.sympify(last, strict=True)
    except (TypeError, ValueError) as error:
        raise BadInput(f"{where} runs over {limits}: give (index, 1, size)") from error
    counts = size.is_Symbol or (size.is_Integer and size > 0)
    if not isinstance(index, sp.Symbol) or first != 1 or not counts:
        raise BadInput(f"{where} runs over {limits}: give (index, 1, size) with a symbol or an integer as size")
    return index, first, size
