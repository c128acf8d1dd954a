"""What is asked for: a predictor as the user writes it, checked, and the R that is minimised on its fibres."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.identities import zero_functions
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.algebra.translation import from_sympy
from symbolic_sgd.errors import BadInput
from symbolic_sgd.function_space.fibre import Fibres
from symbolic_sgd.function_space.induced import InducedRegularizer, induced
from symbolic_sgd.function_space.matrix_norms import number_at, singular_values
from symbolic_sgd.function_space.natural import Natural, levels_of, natural_regularizer, trained_parameters
from symbolic_sgd.function_space.of_predictor import as_function_of_predictor
from symbolic_sgd.function_space.scaling import never_negative
from symbolic_sgd.problems.problem import Problem
from symbolic_sgd.problems.symbols import check_expression, check_no_twins, check_symbols, implied_conditions
from symbolic_sgd.theorem.derivation import Derivation

RANKS = 6
"""Points at which the rank of ∂F is computed."""

SEED = 2309

LARGEST_DENOMINATOR = 10**4
"""Of the coefficients with which a residual is sought as an affine function of F."""

NOISY = (
    "there is noise along Γ: the limit does not settle at the least R, and R̂ says what its drift pulls towards, beside the tangent noise "
    "compensation"
)
NAMES = "b"


def of_derivation(
    derivation: Derivation, predictor: Any, symbols: Any, regularizer: Any, *, noisy: bool
) -> InducedRegularizer:
    """R̂ of a limiting SDE.

    Raises:
        BadInput: a predictor of no use, or one that does not determine the loss.
        NoClosedForm: there is no R. Undecided: it is not known whether there is.
    """
    problem = derivation.problem
    trained = trained_parameters(derivation)
    stated = _signs(problem.domain, problem.parameters) | _signs(_assumed(trained), trained)
    signs = {p: sign for p, sign in stated.items() if p in trained}
    declared = (*trained, *problem.constants)
    outputs, shape = checked_predictor(predictor, declared)
    names = checked_names(symbols, outputs, shape, problem.symbols)
    if regularizer is None:
        natural = natural_regularizer(derivation)
    else:
        own = check_expression(regularizer, declared, where="regularizer")
        natural = Natural(*terms_of(own, trained), levels_of(derivation), "R is the one that was given")
    fibres = Fibres(trained, outputs, shape, names, natural.terms, signs, natural.logarithm)
    caveats = [natural.words, *_determines(problem, natural, fibres)]
    if noisy:
        caveats.append(NOISY)
    return induced(fibres, tuple(caveats))


def induced_regularizer(
    predictor: Any, regularizer: Any, parameters: Any, *, symbols: Any = None, domain: Sequence[Any] = ()
) -> InducedRegularizer:
    """R̂(β) = inf {R(x) : F(x) = β} of a predictor F and an R of one's own, without a loss.

    Args:
        predictor: F, k expressions in x, or a matrix of them.
        regularizer: R, an expression in x.
        parameters: x, D symbols.
        symbols: names of β (default b, or b1 … bk).
        domain: signs of parameters, [u > 0, …].

    Raises:
        BadInput: and its subclasses, naming what is wrong.

    >>> u, v, w, b = sp.symbols("u v w b")
    >>> induced_regularizer([u*v + w**3], u**2 + v**2 + 9*w**4, (u, v, w), symbols=(b,)).expression
    Piecewise((9*Abs(b)**(4/3), Abs(b) <= 1/216), (2*Abs(b) - 1/432, True))
    """
    trained = check_symbols(parameters, where="parameters")
    check_no_twins(trained)
    outputs, shape = checked_predictor(predictor, trained)
    own = check_expression(regularizer, trained, where="regularizer")
    signs = _signs(domain, trained) | _signs(_assumed(trained), trained)
    names = checked_names(symbols, outputs, shape, trained)
    terms, logarithm = terms_of(own, trained)
    return induced(Fibres(trained, outputs, shape, names, terms, signs, logarithm), ())


def terms_of(expression: Any, trained: Sequence[sp.Symbol]) -> tuple[tuple[Any, ...], tuple[Any, Any] | None]:
    """(terms, logarithm): of a sum, or of a sum of logarithms and constants, all with factors of one sign."""
    constant, varying = sp.sympify(expression).as_independent(*trained, as_Add=True)
    parts = [part.as_independent(*trained, as_Add=False) for part in sp.Add.make_args(varying)]
    if all(isinstance(rest, sp.log) and factor.is_positive and factor.is_Rational for factor, rest in parts):
        common = sp.gcd_list([factor for factor, _ in parts])
        whole = sp.Mul(*[rest.args[0] ** (factor / common) for factor, rest in parts])
        return summands(whole, trained), (common, constant)
    return summands(expression, trained), None


def summands(expression: Any, trained: Sequence[sp.Symbol]) -> tuple[Any, ...]:
    """The terms of a sum, kept together where one of them might be negative."""
    for terms in (sp.Add.make_args(expression), sp.Add.make_args(sp.expand(expression))):
        if all(never_negative(t, trained) for t in terms):
            return terms
    return (expression,)


def checked_predictor(predictor: Any, symbols: Sequence[sp.Symbol]) -> tuple[tuple[Any, ...], tuple[int, int] | None]:
    """F_1 … F_k, and the shape of a matrix.

    Raises:
        BadInput: it is none, or holds what is no expression in the symbols.
    """
    if isinstance(predictor, sp.Expr) and not isinstance(predictor, sp.MatrixExpr):
        predictor = [predictor]
    shape: tuple[int, int] | None = None
    if isinstance(predictor, sp.MatrixBase):
        shape = predictor.shape
        entries: list[Any] = list(predictor.flat())
    elif isinstance(predictor, (list, tuple, np.ndarray)):
        rows = (
            [list(row) for row in predictor]
            if all(isinstance(row, (list, tuple, np.ndarray)) for row in predictor)
            else None
        )
        if rows and len({len(row) for row in rows}) == 1:
            shape, entries = (len(rows), len(rows[0])), [e for row in rows for e in row]
        else:
            entries = list(predictor)
    else:
        raise BadInput(
            f"predictor is a {type(predictor).__name__}; give the list of functions that the loss depends on, e.g. [u*v], or a matrix U*V.T"
        )
    if not entries:
        raise BadInput("predictor is empty: give the functions of the parameters that the loss depends on, e.g. [u*v]")
    checked = tuple(check_expression(e, symbols, where=f"predictor[{k}]") for k, e in enumerate(entries))
    constant = [k for k, e in enumerate(checked) if not e.free_symbols]
    if constant:
        raise BadInput(f"predictor[{constant[0]}] = {checked[constant[0]]} depends on no parameter: leave it out")
    return checked, shape if shape is not None and 1 not in shape else None


def checked_names(
    symbols: Any, outputs: Sequence[Any], shape: tuple[int, int] | None, taken: Sequence[sp.Symbol]
) -> tuple[sp.Symbol, ...]:
    """β_1 … β_k.

    Raises:
        BadInput: a wrong number of them, or names that the problem has.
    """
    if symbols is None:
        forbidden = {s.name for s in taken}
        letter = next(name for name in (NAMES, "beta", "b_", "beta_") if not any(t.startswith(name) for t in forbidden))
        if shape is not None:
            names = [f"{letter}{i + 1}{j + 1}" for i in range(shape[0]) for j in range(shape[1])]
        else:
            names = [letter] if len(outputs) == 1 else [f"{letter}{k + 1}" for k in range(len(outputs))]
        return tuple(sp.Symbol(name) for name in names)
    given = list(symbols.flat()) if isinstance(symbols, sp.MatrixBase) else symbols
    checked = check_symbols(given, where="symbols")
    if len(checked) != len(outputs):
        raise BadInput(f"symbols has {len(checked)} entries for the {len(outputs)} of the predictor: name each of them")
    check_no_twins([*checked, *taken])
    shared = [s for s in checked if s in taken]
    if shared:
        raise BadInput(f"symbols names {shared[0]}, which is a symbol of the problem: β needs names of its own")
    return checked


def _signs(domain: Sequence[Any], parameters: Sequence[sp.Symbol]) -> dict[sp.Symbol, int]:
    """The signs that a domain gives parameters.

    Raises:
        BadInput: it says something else.
    """
    if isinstance(domain, (str, sp.Basic)) or not isinstance(domain, Sequence):
        raise BadInput(f"domain is a {type(domain).__name__}; give a list of inequalities, e.g. [u > 0]")
    signs: dict[sp.Symbol, int] = {}
    condition: Any
    for condition in domain:
        above, below = getattr(condition, "gts", None), getattr(condition, "lts", None)
        apart = above - below if above is not None and below is not None else None
        symbol = next(iter(apart.free_symbols), None) if apart is not None and len(apart.free_symbols) == 1 else None
        slope = sp.diff(apart, symbol) if symbol is not None else None
        if (
            symbol is None
            or symbol not in parameters
            or slope is None
            or not slope.is_number
            or apart != slope * symbol
        ):
            raise BadInput(
                f"domain holds {condition}: R̂ is found for signs of parameters (u > 0) only; leave the condition out of the problem, and "
                "R̂ is the infimum over all x"
            )
        sign = 1 if slope > 0 else -1
        if signs.setdefault(symbol, sign) != sign:
            raise BadInput(f"domain gives {symbol} both signs: no x is in it")
    return signs


def _assumed(symbols: Sequence[sp.Symbol]) -> list[Any]:
    """The signs that the assumptions of symbols state."""
    return [condition for condition in implied_conditions(symbols) if not isinstance(condition, sp.Ne)]


def _determines(problem: Problem, natural: Natural, fibres: Fibres) -> list[str]:
    """What is known of the loss being a function of F, in words.

    Raises:
        BadInput: it is none.
    """
    levels = natural.levels or (problem.loss,)
    if natural.levels and all(_is_function(f, fibres) for f in levels):
        return []
    rng = np.random.default_rng(SEED)
    for _ in range(RANKS):
        at: Mapping[Any, Any] = {
            s: fibres.signs.get(s, 1) * sp.Rational(int(rng.integers(20, 200)), 97) for s in problem.symbols
        }
        own = _rank(fibres.predictor, at, fibres.parameters)
        missing = next((f for f in levels if _rank([*fibres.predictor, f], at, fibres.parameters) > own), None)
        if missing is not None:
            raise BadInput(
                f"the predictor does not determine the loss: {_short(missing)} changes while F stays the same, so that the least R on a "
                "fibre of F says nothing of where the limit ends. Add what the loss depends on to the predictor"
            )
    return [f"that the loss is a function of F was looked at, at {RANKS} random points, and not proved"]


def _is_function(level: Any, fibres: Fibres) -> bool:
    """Whether f is proved to be a polynomial in F, or an affine function of it."""
    return as_function_of_predictor(level, fibres) is not None or _is_affine(level, fibres)


def _rank(rows: Sequence[Any], at: Mapping[Any, Any], parameters: Sequence[sp.Symbol]) -> int:
    """The rank of ∂(rows) at a point, by singular values to 50 digits."""
    with mp.workdps(50):
        slopes = mp.matrix([[number_at(sp.diff(e, p).xreplace(dict(at))) for p in parameters] for e in rows])
        values = singular_values(slopes)
        return sum(v > values[0] * mp.mpf(10) ** -30 for v in values)


def _is_affine(level: Any, fibres: Fibres) -> bool:
    """f = a_0 + Σ a_k F_k: a_k from values at random points, and ∇f = Σ a_k ∇F_k proved as an identity."""
    rng = np.random.default_rng(SEED)
    rows, right = [], []
    for _ in range(2 * len(fibres.predictor) + 2):
        at = {p: fibres.signs.get(p, 1) * sp.Rational(int(rng.integers(20, 200)), 97) for p in fibres.parameters}
        rows.append([1.0, *(float(sp.sympify(f).xreplace(at)) for f in fibres.predictor)])
        right.append(float(level.xreplace(at)))
    found = np.linalg.lstsq(np.array(rows), np.array(right), rcond=None)[0]
    coefficients = [sp.Rational(Fraction(float(a)).limit_denominator(LARGEST_DENOMINATOR)) for a in found]
    apart = sp.Add(*[a * f for a, f in zip(coefficients[1:], fibres.predictor, strict=True)]) - level
    graph = Graph()
    return all(zero_functions([from_sympy(sp.diff(apart, p), graph) for p in fibres.parameters]))


def _short(expression: Any) -> str:
    text = str(expression)
    return text if len(text) <= 60 else "a residual" if expression.is_Add else "the loss"
