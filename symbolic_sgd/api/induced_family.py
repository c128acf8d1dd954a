"""R̂(β) = inf {R(θ) : F(θ) = β} of a family of matrices, for every size, as users hold it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from symbolic_sgd import api
from symbolic_sgd.errors import BadInput, Undecided
from symbolic_sgd.families.array_shapes import solved_sizes
from symbolic_sgd.families.matrix_family import MatrixFamily
from symbolic_sgd.families.matrix_terms import MatrixTerms
from symbolic_sgd.families.member import exact_array, filled, member
from symbolic_sgd.families.slow_motion import PLAIN
from symbolic_sgd.function_space.closed_form import Attainment
from symbolic_sgd.function_space.every_size.covering import is_function_of
from symbolic_sgd.function_space.every_size.fibres import FamilyFibres, FamilyForm, Quantity
from symbolic_sgd.function_space.every_size.recognised import family_form
from symbolic_sgd.function_space.induced import Evidence, InducedRegularizer
from symbolic_sgd.function_space.natural import ON_FIBRES
from symbolic_sgd.optimizers.optimizer import Optimizer
from symbolic_sgd.problems.symbols import NAME
from symbolic_sgd.tensors.evaluation import ExactArrays
from symbolic_sgd.tensors.forms import Form, Index

CURVATURES = "κ_i are the curvatures of the classes that β predicts: they, and what is made of them, are functions of β"


@dataclass(frozen=True)
class InducedFamilyRegularizer:
    """R̂(β), what R says of the function that is learnt, for all sizes at once.

    Args:
        family: the models.
        predictor: F, as it was stated: one expression, or several.
        fibres: F and R as forms, a part for each.
        form: the closed form, or None.
        caveats: what has to be said with it.
        optimizer: whose limit R is of.

    >>> from symbolic_sgd import derive_limiting_sde, models
    >>> family = models.matrix_sensing()
    >>> U, V = family.parameters
    >>> found = derive_limiting_sde(family).induced_regularizer(U*V.T)
    >>> found.expression
    ‖C^½ beta B^½‖_*/(2*n)
    >>> print(*found.quantities, sep="; ")
    C = Σ_i A_i A_iᵀ; B = Σ_i A_iᵀ A_i
    >>> print(found.evidence)
    proved by pair of matrices
    """

    family: MatrixFamily
    predictor: tuple[Any, ...]
    fibres: tuple[FamilyFibres, ...]
    form: FamilyForm | None
    caveats: tuple[str, ...]
    optimizer: Optimizer = PLAIN

    @property
    def expression(self) -> Any:
        """R̂ in β, sizes, constants, and the letters of `quantities`; None where no closed form is known."""
        return None if self.form is None else self.form.expression

    @property
    def symbol(self) -> Any:
        """β: a MatrixSymbol or an IndexedBase; a tuple of them for several predictors; None without a closed form."""
        return None if self.form is None else self.form.symbol

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """The letters that stand for data, with their formulas."""
        return () if self.form is None else self.form.quantities

    @property
    def attainment(self) -> Attainment:
        """Whether the infimum is attained, and where."""
        nothing = Attainment("unknown", "whether the infimum is attained is not known")
        return nothing if self.form is None else self.form.attainment

    @property
    def evidence(self) -> Evidence:
        """What R̂ rests on."""
        if self.form is None:
            return Evidence("numeric", "", (), 0, 0)
        return Evidence("proved", self.form.tier, self.form.bound, 0, 0)

    def value(self, beta: Any, *, sizes: Mapping[Any, int] | None = None, digits: int = 16, **data: Any) -> sp.Expr:
        """R̂ at numbers by the closed form.

        Args:
            beta: an array; a list of arrays for several predictors.
            sizes: of what no array tells, by symbol.
            digits: of the answer.
            data: the arrays that stand in `quantities`, and constants, by name.

        Raises:
            BadInput: and its subclasses: there is no closed form, or it holds what is no function of data.
        """
        if self.form is None:
            raise BadInput("there is no closed form; .at_sizes(…).numeric(β) minimises R on the fibre")
        arrays = [beta] if len(self.fibres) == 1 else list(beta)
        if len(arrays) != len(self.fibres):
            raise BadInput(f"{len(arrays)} arrays for {len(self.fibres)} predictors")
        return _Inserted(self.family, self.form, self.fibres).value(arrays, sizes or {}, digits, data)

    def at_sizes(self, sizes: Mapping[Any, int] | None = None, **data: Any) -> InducedRegularizer:
        """R̂ of one member of the family: derived anew from its entries, with what it can verify and minimise by numbers.

        Args:
            sizes: of what no array tells, by symbol.
            data: every array by its name; `targets=` for outputs.

        Raises:
            BadInput: and its subclasses, as `family.problem` and `LimitingSDE.induced_regularizer` do.
        """
        problem = member(self.family, data, sizes or {})
        known = filled(self.family, data, sizes or {})
        values = [np.asarray(known.arrays.value(_in_rows(part)), dtype=object) for part in self.fibres]
        if len(values) == 1 and values[0].ndim == 2:
            predictor: Any = sp.Matrix(values[0].tolist())
        else:
            predictor = [sp.sympify(e) for value in values for e in np.ravel(value)]
        sde = api.limiting_sde.derive_limiting_sde(problem, optimizer=self.optimizer)
        return sde.induced_regularizer(predictor)

    def latex(self) -> str:
        """LaTeX, in math mode: R̂ and its letters."""
        names = ", ".join(sp.latex(s) for s in (self.symbol if isinstance(self.symbol, tuple) else (self.symbol,)))
        head = rf"\hat R({names}) = {sp.latex(self.expression)}" if self.form is not None else r"\hat R(\beta) = ?"
        return r",\qquad ".join([head, *(q.latex() for q in self.quantities)])

    def _repr_latex_(self) -> str | None:
        return None if self.form is None else rf"$\displaystyle {self.latex()}$"

    def __str__(self) -> str:
        if self.form is None:
            lines = [
                "R̂: no closed form was found",
                "numeric: .at_sizes(sizes, data).numeric(β) minimises R on the fibre of a β at given sizes",
            ]
        else:
            symbols = self.symbol if isinstance(self.symbol, tuple) else (self.symbol,)
            written = sp.sstr(self.expression).replace("_***", "_*^").replace("_**", "_* ").replace("**", "^")
            lines = [f"R̂({', '.join(map(str, symbols))}) = {written}", *map(str, self.quantities)]
            lines += [str(self.attainment), str(self.evidence)]
        return "\n  ".join([*lines, *self.caveats])

    def __repr__(self) -> str:
        return f"InducedFamilyRegularizer({self.expression}; {self.evidence.tier or 'numeric'})"


def induced_by_family(terms: MatrixTerms, predictor: Any, name: str) -> InducedFamilyRegularizer:
    """R̂ of a family.

    Raises:
        BadInput: a predictor that is not seen to determine the residuals, or a name of β that is taken.
        Undecided: the noise has no R of which a least value could be asked.
    """
    family: Any = terms.family
    given = tuple(predictor) if isinstance(predictor, (list, tuple)) else (predictor,)
    if not given:
        raise BadInput("predictor is empty: give a matrix expression in the parameters, or several")
    taken = frozenset(t.name for t in (*family.model.parameters, *family.tensors.values()))
    taken |= {str(s) for s in (*family.sizes, *family.numbers)}
    names = [name] if len(given) == 1 else [f"{name}{k + 1}" for k in range(len(given))]
    for own in names:
        if own in taken or not NAME.fullmatch(own):
            raise BadInput(f"β cannot be called {own!r}: give another name=")
    total = _regularizer(terms)
    whole = [_part(family, e, own, total, taken | set(names)) for e, own in zip(given, names, strict=True)]
    if not is_function_of(family.model.f, whole):
        raise BadInput(
            "the predictor is not seen to determine the residuals: they have to be a polynomial in the entries of F, or functions of such. "
            "Otherwise the least R on a fibre of F says nothing of where the limit ends"
        )
    parts = [part.restricted([p for p in part.parameters if p in _used(part)]) for part in whole]
    separate = [p for part in parts if part is not None for p in part.parameters]
    known = [part for part in parts if part is not None]
    apart = (
        len(known) == len(parts)
        and len(separate) == len(set(separate))
        and set(separate) == set(family.model.parameters)
    )
    form = family_form(known) if apart else None
    caveats = (ON_FIBRES, *((CURVATURES,) if family.curvature is None else ()))
    return InducedFamilyRegularizer(family, given, tuple(known if apart else whole), form, caveats, terms.optimizer)


def _regularizer(terms: MatrixTerms) -> Form:
    """R = (c/4) tr ∇²L with c > 0.

    Raises:
        Undecided: R is none such.
        BadInput: the sign of c is not known.
    """
    family, motion = terms.family, terms.motion
    if motion.slow is not None:
        raise Undecided(
            f"{motion.optimizer.label} has a drift of its own beside that of the noise, so that the least R on a fibre says nothing of "
            "where the limit ends: leave weight_decay= and slow_potential= out"
        )
    if motion.share is None:
        raise Undecided(
            f"for every size R̂ is known where R is a multiple of tr ∇²L, which it is not for {motion.optimizer.label}; use "
            "derive_limiting_sde(family.problem(…), optimizer=…).induced_regularizer(…)"
        )
    if family.proportion is None:
        raise Undecided(
            "for every size R̂ is known for Σ = c∇²L only, where R is a sum of squares; for other noise use "
            "derive_limiting_sde(family.problem(…)).induced_regularizer(…)"
        )
    if not sp.sympify(family.proportion).is_positive:
        raise BadInput(
            f"c = {family.proportion} with Σ = c∇²L is not known to be positive: declare its symbols positive"
        )
    found: Any = terms.regularizer
    return found.form


def _part(family: MatrixFamily, expression: Any, name: str, total: Form, taken: frozenset[str]) -> FamilyFibres:
    form, ends = family.read(expression, ("β0", "β1"))
    labels = [i for i in form.free if i not in ends]
    names = {i: Index(f"β{k}", i.size) for k, i in enumerate((*ends, *labels))}
    rows = tuple(names.values())
    form = Form.of(rows, ((c, f, ()) for f, c in form.renamed(names).terms.items()))
    return FamilyFibres(family.model.parameters, form, rows, name, total, taken)


def _used(part: FamilyFibres) -> frozenset[Any]:
    return frozenset[Any]().union(*(part.uses(f) for f in part.predictor.terms))


def _in_rows(part: FamilyFibres) -> Form:
    return Form.of(part.rows, ((c, f, ()) for f, c in part.predictor.terms.items()))


@dataclass(frozen=True)
class _Inserted:
    """A closed form, to be filled with numbers."""

    family: MatrixFamily
    form: FamilyForm
    fibres: tuple[FamilyFibres, ...]

    def value(self, arrays: list[Any], sizes: Mapping[Any, int], digits: int, data: Mapping[str, Any]) -> sp.Expr:
        exact = {part.name: exact_array(a, part.name) for part, a in zip(self.fibres, arrays, strict=True)}
        tensors = {part.name: part.beta for part in self.fibres}
        exact = {
            n: a.reshape(a.shape[: len(tensors[n].shape)]) if a.shape[-1:] == (1,) else a for n, a in exact.items()
        }
        needed = {t.name: t for q in self.form.quantities if q.formula for t in q.formula.form.tensors}
        strange = [q.text for q in self.form.quantities if q.formula is None] + sorted(
            set(needed) - set(self.family.tensors)
        )
        if strange:
            raise BadInput(f"the closed form holds what is no function of data alone: {strange[0]}")
        given = {name: exact_array(value, name) for name, value in data.items()}
        numbers = {s: given.pop(s.name).item() for s in self.family.numbers if s.name in given}
        unknown = sorted(set(given) - set(self.family.tensors))
        missing = sorted(set(needed) - set(given))
        if unknown or missing:
            raise BadInput(f"the closed form needs the data {sorted(needed)}; given are {sorted(given)}")
        shapes = {n: a.shape for n, a in {**given, **exact}.items()}
        known = {**numbers, **{sp.sympify(s): int(v) for s, v in sizes.items()}}
        used = self.form.expression.free_symbols & (self.family.sizes | self.family.numbers)
        values = solved_sizes({**self.family.tensors, **tensors}, shapes, known, frozenset(used))
        return sp.N(self._filled({**given, **exact}, values), digits)

    def _filled(self, arrays: Mapping[str, Any], sizes: Mapping[Any, Any]) -> Any:
        calculus = ExactArrays(arrays, sizes, np)
        filled_in = {part.name: arrays[part.name] for part in self.fibres}
        for q in self.form.quantities:
            assert q.formula is not None
            filled_in[str(q.symbol)] = np.asarray(calculus.value(q.formula.form), dtype=object)
        put = {s: sp.sympify(v) for s, v in sizes.items()}
        expression = self.form.expression.xreplace(put)
        replaced = {
            s: sp.ImmutableDenseMatrix(*s.shape, list(np.ravel(filled_in[s.name])))
            for s in expression.atoms(sp.MatrixSymbol)
        }
        scalars = {
            q.symbol: filled_in[str(q.symbol)].item() for q in self.form.quantities if isinstance(q.symbol, sp.Symbol)
        }
        written = expression.xreplace({**replaced, **scalars}).doit()
        entries = {
            e: filled_in[str(e.base.label)][tuple(int(i) - 1 for i in e.indices)] for e in written.atoms(sp.Indexed)
        }
        return written.xreplace(entries)
