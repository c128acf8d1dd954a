"""What a symbol may be, and what an expression may hold: the checks at the door."""

import numbers
import re
import sys
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

import numpy as np
import sympy as sp
from sympy.core.relational import Relational

from symbolic_sgd.algebra.graph import Graph, reachable
from symbolic_sgd.algebra.translation import from_sympy
from symbolic_sgd.errors import (
    BadInput,
    BadSymbol,
    ComplexValue,
    InexactNumber,
    ProblemTooLarge,
    UnsupportedExpression,
)

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
"""Names of parameters and constants."""

MAXIMAL_PARAMETERS = 256
MAXIMAL_EXPRESSION = 200_000
"""Operations in one expression that a problem may state."""


def check_symbols(symbols: Any, *, where: str) -> tuple[sp.Symbol, ...]:
    """An ordered sequence of real symbols with distinct, plain names.

    Raises:
        BadInput: an unordered collection, a string, or something that holds no symbols.
        BadSymbol: a symbol that is repeated, badly named, not real, or not free to vary.
    """
    if isinstance(symbols, sp.Symbol):
        symbols = (symbols,)
    if isinstance(symbols, (str, set, frozenset, dict)) or not isinstance(symbols, Iterable):
        raise BadInput(
            f"{where} is a {type(symbols).__name__}: give an ordered sequence of SymPy symbols, e.g. (u, v), "
            "because the order of the entries of every vector follows it"
        )
    symbols = tuple(symbols)
    if len(symbols) > MAXIMAL_PARAMETERS:
        raise ProblemTooLarge(f"{where} has {len(symbols)} entries; the limit is {MAXIMAL_PARAMETERS}")
    for symbol in symbols:
        _check_symbol(symbol, where=where)
    repeated = [s for s in dict.fromkeys(symbols) if symbols.count(s) > 1]
    if repeated:
        raise BadSymbol(f"{where} names {repeated[0]} more than once: name each symbol once")
    return symbols


def _check_symbol(symbol: Any, *, where: str) -> None:
    if not isinstance(symbol, sp.Symbol):
        raise BadSymbol(f"{where} holds {symbol!r} ({type(symbol).__name__}): every entry has to be a SymPy Symbol")
    if not NAME.fullmatch(symbol.name):
        raise BadSymbol(
            f"{where}: the name {symbol.name!r} is not letters, digits and underscores after a first letter; "
            "rename it (theta prints as θ)"
        )
    if symbol.is_commutative is False or symbol.is_real is False or (symbol.is_complex and symbol.is_real is None):
        raise BadSymbol(f"{where}: {symbol} is declared non-real; drop the assumption or use real=True")
    if symbol.is_integer:
        raise BadSymbol(f"{where}: {symbol} is declared an integer, but it varies continuously; use real=True")


def check_no_twins(symbols: Iterable[sp.Symbol]) -> None:
    """No two different symbols of one name: SymPy would differentiate by one and hold the other fixed."""
    seen: dict[str, sp.Symbol] = {}
    for symbol in symbols:
        twin = seen.setdefault(symbol.name, symbol)
        if twin != symbol:
            raise BadSymbol(
                f"two different symbols are named {symbol.name!r} (their assumptions differ: "
                f"{_assumptions(twin)} and {_assumptions(symbol)}): create the symbol once and use it everywhere"
            )


def _assumptions(symbol: sp.Symbol) -> str:
    return ", ".join(f"{k}={v}" for k, v in sorted(symbol._assumptions_orig.items())) or "none"


def check_expression(expression: Any, declared: Sequence[sp.Symbol], *, where: str) -> sp.Expr:
    """A real, exact SymPy expression in declared symbols.

    Raises:
        BadInput: not a SymPy expression.
        InexactNumber: Float atoms, which are named.
        BadSymbol: undeclared symbols and twins.
        ComplexValue: the imaginary unit or an infinity.
        ProblemTooLarge: more than `MAXIMAL_EXPRESSION` operations.
    """
    if isinstance(expression, numbers.Rational) and not isinstance(expression, bool):
        expression = sp.Rational(int(expression.numerator), int(expression.denominator))
    if isinstance(expression, float):
        raise InexactNumber(f"{where}: {expression!r} is a floating-point number; write it exactly, or use exact()")
    if not isinstance(expression, sp.Expr) or isinstance(expression, sp.MatrixExpr):
        raise BadInput(f"{where}: {_shown(expression)} ({type(expression).__name__}) is not a SymPy expression")
    _check_size(expression, where=where)
    check_atoms(expression, declared, where=where)
    check_functions(expression, where=where)
    return expression


def check_functions(expression: Any, *, where: str) -> None:
    """Everything in the expression is in the tables of functions, and of a size that float64 can hold."""
    try:
        node = from_sympy(expression, Graph())
    except UnsupportedExpression as error:
        raise UnsupportedExpression(f"{where}: {error}") from error
    except ZeroDivisionError as error:
        raise BadInput(f"{where} divides by zero, whatever the parameters are") from error
    for leaf in reachable([node]):
        if leaf.op == "constant" and abs(leaf.value) > sys.float_info.max:
            raise ProblemTooLarge(f"{where} holds a number beyond 1e308: rescale the problem")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _check_size(expression: sp.Basic, *, where: str) -> None:
    if any(True for _ in islice(sp.preorder_traversal(expression), MAXIMAL_EXPRESSION, None)):
        raise ProblemTooLarge(f"{where} holds more than {MAXIMAL_EXPRESSION:,} operations: state it in smaller parts")


def check_atoms(expression: sp.Basic, declared: Sequence[sp.Symbol], *, where: str) -> None:
    floats = sorted(expression.atoms(sp.Float), key=str)
    if floats:
        named = ", ".join(str(f) for f in floats[:3]) + (", …" if len(floats) > 3 else "")
        raise InexactNumber(
            f"{where} holds floating-point numbers ({named}); the derivation is exact: write Rational(1, 10) for 0.1, "
            "or pass the data through exact()"
        )
    if expression.has(sp.I, sp.oo, -sp.oo, sp.zoo, sp.nan):
        raise ComplexValue(f"{where} holds an imaginary number or an infinity; losses and noises are real and finite")
    free = sorted((s for s in expression.free_symbols if isinstance(s, sp.Symbol)), key=lambda s: s.name)
    check_no_twins([*declared, *free])
    undeclared = [s for s in free if s not in declared]
    if undeclared:
        raise BadSymbol(
            f"{where} depends on {', '.join(map(str, undeclared))}, which is neither a parameter nor a constant: "
            "add it to parameters= (it is trained) or to constants= (it stays fixed)"
        )


def real_gradient(function: Any, symbols: Sequence[sp.Symbol]) -> list[Any]:
    """∂f/∂s for every symbol s, all of them standing for real numbers.

    >>> u = sp.Symbol("u")
    >>> real_gradient(sp.Abs(u), (u,))
    [sign(u)]
    """
    # Of symbols that are not declared real, SymPy would differentiate the real and the imaginary part of |x|.
    real = {s: sp.Dummy(s.name, real=True) for s in (*function.free_symbols, *symbols) if s.is_real is None}
    own, smooth = {stand_in: s for s, stand_in in real.items()}, function.xreplace(real)
    return [sp.diff(smooth, real.get(s, s)).xreplace(own) for s in symbols]


def check_condition(condition: Any, declared: Sequence[sp.Symbol], *, where: str) -> Relational | None:
    """One inequality in declared symbols; None for one that SymPy already knows to be true."""
    if condition in (True, sp.true):
        return None
    if condition in (False, sp.false):
        raise BadInput(f"{where} is never true: remove it, or correct the assumptions of its symbols")
    if not isinstance(condition, Relational) or isinstance(condition, sp.Eq):
        raise BadInput(f"{where}: {_shown(condition)} is not an inequality such as v > 0")
    check_atoms(condition, declared, where=where)
    for side in condition.args:
        check_functions(side, where=where)
    # SymPy evaluates it again when it is unpickled, so that one that its assumptions imply must not be kept.
    return None if condition.func(*condition.args) == sp.true else condition


def implied_conditions(symbols: Iterable[sp.Symbol]) -> list[Relational]:
    """The inequalities that the symbols' own assumptions state (positive=True means u > 0 on the part of Γ meant).

    They are stated about the symbol itself, unevaluated, because SymPy has already used them in every expression.
    """
    rows = (("is_positive", sp.Gt), ("is_negative", sp.Lt), ("is_nonnegative", sp.Ge), ("is_nonpositive", sp.Le))
    conditions = []
    for symbol in symbols:
        relation = next((relation for name, relation in rows if getattr(symbol, name)), None)
        if relation is None and symbol.is_nonzero:
            relation = sp.Ne
        if relation is not None:
            conditions.append(relation(symbol, 0, evaluate=False))
    return conditions


def with_signs(symbols: Sequence[sp.Symbol], rows: np.ndarray) -> np.ndarray:
    """Values of the symbols, one column each, with the signs that their assumptions ask for.

    >>> with_signs((sp.Symbol("u", negative=True), sp.Symbol("v")), np.array([[1.0, 2.0], [-3.0, -4.0]])).tolist()
    [[-1.0, 2.0], [-3.0, -4.0]]
    """
    signs = np.array([bool(s.is_nonnegative) - bool(s.is_nonpositive) for s in symbols])
    return np.where(signs == 0, rows, signs * np.abs(rows))
