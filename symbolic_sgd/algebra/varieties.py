"""Proof that an expression is zero on a variety: its value at random points of it, over a prime field or p-adically.

A variety over the rationals has points in other rings than the real numbers, and there numbers have no size that could hide
a value. Every component is met with the same chance, whether or not a real point of it was ever found.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from itertools import combinations, count, islice
from typing import Any

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.arithmetic import Arithmetic, Valuation
from symbolic_sgd.algebra.differentiate import jacobian
from symbolic_sgd.algebra.graph import Exact, Node, reachable, replace_nodes, symbols_of
from symbolic_sgd.algebra.identities import (
    DRAWS,
    PRIME,
    PRIMES,
    ROOTS,
    Met,
    NoValue,
    Values,
    random_assignment,
    zero_at,
)

MOST_CHOICES = 20
"""Choices of calls that are tried as unknowns."""

LARGEST_DEGREE = 8
"""Degree in the unknown up to which an equation is solved in the field."""

Polynomial = tuple[int, ...]
"""Coefficients in one unknown, the constant first, without leading zeros."""


class NotPolynomial(NoValue):
    """A value is no polynomial in the unknown, or one of too large a degree."""


def inverse(a: int, p: int) -> int:
    """1/a in GF(p).

    Raises:
        NoValue: a = 0.
    """
    if a % p == 0:
        raise NoValue("division by zero in a prime field")
    return pow(a, -1, p)


def _trimmed(coefficients: Sequence[int], p: int) -> Polynomial:
    end = len(coefficients)
    while end and coefficients[end - 1] % p == 0:
        end -= 1
    if end > LARGEST_DEGREE + 1:
        raise NotPolynomial
    return tuple(c % p for c in coefficients[:end])


def _plus(a: Polynomial, b: Polynomial, p: int, sign: int = 1) -> Polynomial:
    n = max(len(a), len(b))
    return _trimmed([(a[i] if i < len(a) else 0) + sign * (b[i] if i < len(b) else 0) for i in range(n)], p)


def _times(a: Polynomial, b: Polynomial, p: int) -> Polynomial:
    return _trimmed(_product(a, b, p), p)


def _value(a: Polynomial) -> int:
    if len(a) > 1:
        raise NotPolynomial
    return a[0] if a else 0


def _polynomials(values: Values) -> Arithmetic:
    """Polynomials in one unknown over the field; functions and divisors must not contain it."""
    return Arithmetic(
        constant=lambda value: _trimmed([values.constant(value)], values.modulus), operations=_OnPolynomials(values)
    )


class _OnPolynomials(dict[str, Callable[..., Polynomial]]):
    """Those operations."""

    def __init__(self, values: Values):
        p = values.modulus
        super().__init__(
            {
                "add": lambda a, b: _plus(a, b, p),
                "sub": lambda a, b: _plus(a, b, p, -1),
                "neg": lambda a: _trimmed([-c for c in a], p),
                "mul": lambda a, b: _times(a, b, p),
                "div": lambda a, b: _times(a, (inverse(_value(b), p),), p),
            }
        )
        self._scalars = values.arithmetic.operations
        self._prime = p

    def __missing__(self, name: str) -> Callable[..., Polynomial]:
        function = self._scalars[name]
        self[name] = lambda *args: _trimmed([function(*map(_value, args))], self._prime)
        return self[name]


def _divided(a: Polynomial, b: Polynomial, p: int) -> tuple[Polynomial, Polynomial]:
    """Quotient and remainder."""
    rest, top = list(a), inverse(b[-1], p)
    quotient = [0] * max(len(a) - len(b) + 1, 0)
    for k in reversed(range(len(quotient))):
        quotient[k] = rest[k + len(b) - 1] * top % p
        for j, c in enumerate(b):
            rest[k + j] = (rest[k + j] - quotient[k] * c) % p
    return _trimmed(quotient, p), _trimmed(rest[: len(b) - 1], p)


def _gcd(a: Polynomial, b: Polynomial, p: int) -> Polynomial:
    while b:
        a, b = b, _divided(a, b, p)[1]
    return a


def _power(base: Polynomial, exponent: int, modulus: Polynomial, p: int) -> Polynomial:
    """base^exponent modulo another polynomial (of at most half the largest degree, so that squares fit)."""
    result: Polynomial = (1,)
    for bit in bin(exponent)[2:]:
        result = _divided(_product(result, result, p), modulus, p)[1]
        if bit == "1":
            result = _divided(_product(result, base, p), modulus, p)[1]
    return result


def _product(a: Polynomial, b: Polynomial, p: int) -> Polynomial:
    product = [0] * max(len(a) + len(b) - 1, 0)
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            product[i + j] += x * y
    return tuple(c % p for c in product)


def roots_in_field(polynomial: Polynomial, values: Values) -> list[int]:
    """All roots, by splitting gcd(x^p − x, f) with random squares (Cantor & Zassenhaus 1981)."""
    p = values.modulus
    if len(polynomial) < 2:
        return []
    if len(polynomial) == 2:
        return [-polynomial[0] * inverse(polynomial[1], p) % p]
    whole = _gcd(polynomial, _plus(_power((0, 1), p, polynomial, p), (0, 1), p, -1), p)
    found, parts, draw = [], [whole], 0
    while parts:
        part = parts.pop()
        if len(part) == 2:
            found.append(-part[0] * inverse(part[1], p) % p)
        elif len(part) > 2:
            draw += 1
            shift = (values.free("shift", draw), 1)
            half = _gcd(part, _plus(_power(shift, (p - 1) // 2, part, p), (1,), p, -1), p)
            parts.extend([half, _divided(part, half, p)[0]] if 1 < len(half) < len(part) else [part])
    return sorted(found)


SAMPLES_ON_VARIETY = 40
"""Points of a variety at which a node is tested: it may have several components, and each has to be met."""


FRUITLESS = 40
"""Draws without a single root after which no more are made."""

Plan = list[tuple[Node, sp.Symbol]]
"""Equations and the unknowns that they are solved for, in their turn."""


def zero_on(equations: Sequence[Node], nodes: Sequence[Node], codimension: int | None = None) -> list[bool]:
    """Which nodes are proved to be zero wherever all the equations are, or where points have to be lifted (below) wherever, besides, the
    gradients of the equations are independent: see `every_component_is_met`. False says nothing.

    With a codimension below the number of equations, the variety is that of their common zeros at which their Jacobian has
    this rank.

    Each equation in its turn is solved for a symbol that the others do not contain, as a polynomial in it, and all other
    symbols are random. Every component is met: a polynomial with a coefficient that is a constant other than 0 has finitely
    many roots over every point; a single equation without one is solved for each of its symbols. Where this does not work,
    points are lifted from residues, if the equations are rational, in π or e too; else nothing is proved.

    >>> from symbolic_sgd.algebra.graph import Graph
    >>> from symbolic_sgd.algebra.translation import from_sympy
    >>> x, y, graph = *sp.symbols("x y"), Graph()
    >>> line, both = (from_sympy(e, graph) for e in (x - y, (x - y)*(x*y - 1)))
    >>> zero_on([line], [line, both]), zero_on([both], [line, both])
    ([True, True], [False, True])
    """
    proved = [node.is_zero for node in nodes]
    if not equations or all(proved):
        return proved
    new = _calls_as_unknowns(tuple(equations))
    if new:
        equations, nodes = replace_nodes(equations, new), replace_nodes(nodes, new)
    points = _points_by_plans(tuple(equations), codimension, _field([*equations, *nodes]))
    if not points:
        equations, nodes = _with_a_letter(equations, nodes)
    if not points and all(node.op in RATIONAL for node in reachable(equations)):
        m = codimension or len(equations)
        q = residue_prime(m, nodes)
        points = [] if q is None else [_lifted_points(tuple(equations), m, q)]
    for drawn in points:
        proved = zero_at(drawn, SAMPLES_ON_VARIETY, nodes)
        nodes = [node if zero else node.graph.constant(1) for node, zero in zip(nodes, proved, strict=True)]
    return proved


def every_component_is_met(equations: Sequence[Node]) -> bool:
    """Whether `zero_on` looks at all zeros of the equations: points that are lifted from residues are only those at which the gradients
    are independent.

    >>> from symbolic_sgd.algebra.graph import Graph
    >>> from symbolic_sgd.algebra.translation import from_sympy
    >>> x, y, z, graph = *sp.symbols("x y z"), Graph()
    >>> pairs = (x*y - 1, x*z - 2), (x*y, x*z)
    >>> [every_component_is_met([from_sympy(e, graph) for e in pair]) for pair in pairs]
    [True, False]
    """
    new = _calls_as_unknowns(tuple(equations))
    equations = replace_nodes(equations, new) if new else equations
    return bool(_points_by_plans(tuple(equations), None, _field(equations)))


Draw = tuple[dict[sp.Symbol, int], Values]
"""A point, and the values of functions there."""


class _Points:
    """Points of a variety, found when they are first asked for, and kept: one derivation asks for them again and again."""

    def __init__(self, drawn: Callable[[], Iterator[Draw]]):
        self._drawn, self._left = drawn, drawn()
        self._kept: list[tuple[Draw, Met]] = []

    def __iter__(self) -> Iterator[Draw]:
        for k in count():
            if k == len(self._kept) and not self._found_another():
                return
            (point, values), met = self._kept[k]
            values.go_back(met)  # as if the point had just been found
            yield point, values

    def _found_another(self) -> bool:
        try:
            draw = next(self._left, None)
        except BaseException:  # an interruption has ended the generator, which would seem to have no more points
            self._left = islice(self._drawn(), len(self._kept), None)
            raise
        if draw is not None:
            self._kept.append((draw, draw[1].met))
        return draw is not None


@lru_cache(maxsize=8)
def _points_by_plans(equations: tuple[Node, ...], codimension: int | None, prime: int) -> list[_Points]:
    """The points of the variety over GF(p), for each way to solve the equations that meets some of its components."""
    fewer = codimension is not None and codimension < len(equations)
    return [_Points(partial(_solutions, plan, prime)) for plan in ([] if fewer else _plans(equations, prime))]


def _with_a_letter(equations: Sequence[Node], nodes: Sequence[Node]) -> tuple[Sequence[Node], Sequence[Node]]:
    """A letter for π or for e, if only one of them stands there.

    Either is transcendental: over ℚ it satisfies no equation that a letter does not. Of both together this is not known.
    """
    numbers = [node for node in reachable([*equations, *nodes]) if node.op in TRANSCENDENTAL]
    if len(numbers) != 1:
        return equations, nodes
    letter = {numbers[0]: numbers[0].graph.symbol(sp.Dummy(numbers[0].op))}
    return replace_nodes(equations, letter), replace_nodes(nodes, letter)


def _field(nodes: Sequence[Node]) -> int:
    """A prime p in whose field the numbers in the nodes, such as √2, have values; the first where there is none."""
    numbers = _numbers(nodes)
    return next((p for p in PRIMES if _have_values(numbers, Values(0, p))), PRIME)


@lru_cache(maxsize=8)
def _lifted_points(equations: tuple[Node, ...], codimension: int, q: int) -> _Points:
    return _Points(partial(lifted_points, equations, codimension, q))


@lru_cache(maxsize=8)
def _calls_as_unknowns(equations: tuple[Node, ...]) -> dict[Node, Node]:
    """Some calls of functions and new symbols for them, where that makes the equations solvable; else nothing.

    What vanishes whatever the value of e^f, say, may be, on the equations, vanishes for its value.
    """
    if _solving_order([(g, set(symbols_of([g]))) for g in equations]):
        return {}
    calls = [node for node in reachable(equations) if node.args and node.op not in RATIONAL]
    for size in range(1, len(equations) + 1):
        for chosen in islice(combinations(reversed(calls), size), MOST_CHOICES):
            new = {call: call.graph.symbol(sp.Dummy(call.op)) for call in chosen}
            system = replace_nodes(equations, new)
            if _solving_order([(g, set(symbols_of([g]))) for g in system]):
                return new
    return {}


def _plans(equations: Sequence[Node], prime: int) -> list[Plan]:
    plan = _solving_order([(g, set(symbols_of([g]))) for g in equations])
    if plan and all(_has_constant_coefficient(*step, prime) for step in plan):
        return [plan]
    if len(equations) == 1:
        (equation,) = equations
        unknowns = sorted(symbols_of([equation]), key=lambda s: s.name)
        if all(_is_polynomial(equation, unknown) for unknown in unknowns):
            return [[(equation, unknown)] for unknown in unknowns]
    return []


def _has_constant_coefficient(equation: Node, unknown: sp.Symbol, prime: int) -> bool:
    symbols = list(symbols_of([equation]))
    try:
        first, second = (
            _in_unknown(equation, unknown, values, random_assignment(values, symbols))
            for values in (Values(0, prime), Values(1, prime))
        )
    except ArithmeticError:
        return False
    return any(a and (a - b) * (a + b) % prime == 0 for a, b in zip(first, second, strict=False))  # √2 has either sign


def _in_unknown(equation: Node, unknown: sp.Symbol, values: Values, assignment: dict[sp.Symbol, int]) -> Polynomial:
    lifted: dict[sp.Symbol, Any] = {s: _trimmed([a], values.modulus) for s, a in assignment.items()}
    lifted[unknown] = (0, 1)
    return Valuation(_polynomials(values), lifted)([equation])[0]


def _solutions(plan: Plan, prime: int) -> Iterator[Draw]:
    """Random points of the variety."""
    symbols = sorted({s for g, _ in plan for s in symbols_of([g])}, key=lambda s: s.name)
    met = False
    for draw in range(SAMPLES_ON_VARIETY * DRAWS):
        if draw == FRUITLESS and not met:
            return  # as for 1 + x², which has no root where p = 3 mod 4
        values = Values(draw, prime)
        try:
            assignment = _solved(plan, values, random_assignment(values, symbols))
        except ArithmeticError:
            continue
        if assignment is not None:
            met = True
            yield assignment, values


def _solved(plan: Plan, values: Values, assignment: dict[sp.Symbol, int]) -> dict[sp.Symbol, int] | None:
    for equation, unknown in plan:
        roots = roots_in_field(_in_unknown(equation, unknown, values, assignment), values)
        if not roots:
            return None
        assignment[unknown] = roots[values.free("which root", len(roots)) % len(roots)]
    return assignment


def _solving_order(equations: list[tuple[Node, set[sp.Symbol]]]) -> Plan | None:
    """Pairs (equation, unknown) such that no equation contains the unknown of a later one."""
    if not equations:
        return []
    for k, (equation, present) in enumerate(equations):
        others = equations[:k] + equations[k + 1 :]
        for unknown in sorted(present, key=lambda s: s.name):
            if not any(unknown in symbols for _, symbols in others) and _is_polynomial(equation, unknown):
                rest = _solving_order(others)
                return None if rest is None else [*rest, (equation, unknown)]
    return None


def _is_polynomial(equation: Node, unknown: sp.Symbol) -> bool:
    depends: set[int] = set()
    for node in reachable([equation]):
        if node.op == "symbol":
            if node.value == unknown:
                depends.add(node.index)
            continue
        inside = [a.index in depends for a in node.args]
        if not any(inside):
            continue
        if (node.op == "div" and not inside[1]) or node.op in ("add", "sub", "mul", "neg"):
            depends.add(node.index)
        else:
            return False
    return True


# --- points by Hensel's lemma ---------------------------------------------------------------

TRIED = 1_000_000
"""Residues that are tried for points of a variety."""

SMALLEST, LARGEST_RESIDUE = 7, 97
"""Primes q from which points are lifted."""

BITS = 480
"""q-adic points are known modulo a power of q of about so many bits."""


def lifted_points(equations: Sequence[Node], codimension: int, q: int) -> Iterator[Draw]:
    """Random q-adic points at which all equations are zero and their Jacobian has rank M, modulo a power of q.

    Residues modulo a small prime q are drawn until all equations hold there. Where the Jacobian has M independent columns,
    the other coordinates are lifted at random, and those of these columns by Newton's method (Hensel's lemma).

    Args:
        equations: rational in their symbols.
        codimension: M.
        q: of `residue_prime`.
    """
    symbols = sorted(set(symbols_of(equations)), key=lambda s: s.name)
    variables = [equations[0].graph.symbol(s) for s in symbols]
    slopes = [entry for row in jacobian(equations, variables) for entry in row]
    modulus = _modulus(q)
    for k, residues in enumerate(_residue_points(equations, symbols, q, codimension)):
        values = Values(k, modulus, q)
        point = _lifted(equations, slopes, dict(zip(symbols, residues, strict=True)), q, codimension, values)
        if point is not None:
            yield point, values


RATIONAL = ("constant", "symbol", "add", "sub", "mul", "div", "neg")

TRANSCENDENTAL = ("pi", "E")
"""Numbers that are no roots of polynomials (Lindemann 1882)."""


def residue_prime(codimension: int, nodes: Sequence[Node] = ()) -> int | None:
    """The largest prime q of those in question for which enough points are met, and the numbers in the nodes, such as √2, have values."""
    numbers = _numbers(nodes)
    enough = [
        q for q in sp.primerange(SMALLEST, LARGEST_RESIDUE + 1) if 2 * SAMPLES_ON_VARIETY * q**codimension <= TRIED
    ]
    return next((q for q in reversed(enough or [SMALLEST]) if _have_values(numbers, Values(0, _modulus(q), q))), None)


def _modulus(q: int) -> int:
    return q ** int(BITS / np.log2(q))


def _numbers(nodes: Sequence[Node]) -> list[Node]:
    """The nodes below, roots among them, that hold no symbol."""
    varies: set[int] = set()
    found = []
    for node in reachable(nodes):
        if node.op == "symbol" or any(a.index in varies for a in node.args):
            varies.add(node.index)
        elif node.op in ROOTS:
            found.append(node)
    return found


def _have_values(numbers: Sequence[Node], values: Values) -> bool:
    try:
        Valuation(values.arithmetic, {})(numbers)
    except NoValue:
        return False
    return True


def _residue_points(
    equations: Sequence[Node], symbols: Sequence[sp.Symbol], q: int, codimension: int
) -> Iterator[tuple[int, ...]]:
    """Points modulo q, found among random ones."""
    rng = np.random.default_rng(q)
    block = min(TRIED, 8 * q**codimension)
    for _ in range(TRIED // block):
        draws = rng.integers(0, q, (len(symbols), block))
        defined = np.ones(block, dtype=bool)
        try:
            values = Valuation(_residues(q, defined), dict(zip(symbols, draws, strict=True)))(equations)
        except NoValue:
            return
        zero = defined & np.all([np.broadcast_to(v, (block,)) == 0 for v in values], axis=0)
        yield from (tuple(map(int, column)) for column in draws[:, zero].T)


def _residues(q: int, defined: np.ndarray) -> Arithmetic:
    """Arrays of residues; where a divisor is zero, `defined` becomes false."""
    inverses = np.array([0, *(pow(a, -1, q) for a in range(1, q))])

    def constant(value: Exact) -> Any:
        if value.denominator % q == 0:
            raise NoValue("a denominator is divisible by q")
        return np.int64(value.numerator % q * pow(value.denominator, -1, q) % q)

    def divide(a: Any, b: Any) -> Any:
        np.logical_and(defined, b != 0, out=defined)
        return a * inverses[b] % q

    return Arithmetic(
        constant=constant,
        operations={
            "add": lambda a, b: (a + b) % q,
            "sub": lambda a, b: (a - b) % q,
            "mul": lambda a, b: a * b % q,
            "neg": lambda a: -a % q,
            "div": divide,
        },
    )


def _lifted(
    equations: Sequence[Node],
    slopes: Sequence[Node],
    residues: dict[sp.Symbol, int],
    q: int,
    codimension: int,
    values: Values,
) -> dict[sp.Symbol, int] | None:
    symbols, modulus = list(residues), values.modulus
    point = {s: (a + q * values.free("lift " + s.name)) % modulus for s, a in residues.items()}
    try:
        rows, columns = _unit_pivots(_matrix(slopes, len(symbols), point, values), q, modulus)
        if len(rows) != codimension:
            return None
        point.update((symbols[j], residues[symbols[j]]) for j in columns)
        for _ in range(BITS.bit_length() + 1):  # each step doubles the digits
            error = Valuation(values.arithmetic, point)(equations)
            if not any(error[i] for i in rows):
                return None if any(error) else point
            slope = _matrix(slopes, len(symbols), point, values)
            step = _solve([[slope[i][j] for j in columns] for i in rows], [error[i] for i in rows], q, modulus)
            point.update((symbols[j], (point[symbols[j]] - d) % modulus) for j, d in zip(columns, step, strict=True))
    except NoValue:
        return None
    return None


def _matrix(entries: Sequence[Node], width: int, point: dict[sp.Symbol, int], values: Values) -> list[list[int]]:
    flat = Valuation(values.arithmetic, point)(entries)
    return [flat[i : i + width] for i in range(0, len(flat), width)]


def _unit_pivots(rows: list[list[int]], q: int, modulus: int) -> tuple[list[int], list[int]]:
    """Rows and columns of a largest square part whose determinant is a unit, by elimination."""
    left, chosen, columns = dict(enumerate(rows)), [], []
    for j in range(len(rows[0])):
        k = next((i for i, row in left.items() if row[j] % q), None)
        if k is None:
            continue
        pivot = left.pop(k)
        below = pow(pivot[j], -1, modulus)
        for i, row in left.items():
            factor = row[j] * below % modulus
            left[i] = [(a - factor * b) % modulus for a, b in zip(row, pivot, strict=True)]
        chosen.append(k)
        columns.append(j)
    return chosen, columns


def _solve(matrix: list[list[int]], right: Sequence[int], q: int, modulus: int) -> list[int]:
    """The solution of a square system whose determinant is a unit (Gauss and Jordan)."""
    rows = [[*row, b] for row, b in zip(matrix, right, strict=True)]
    for k in range(len(rows)):
        place = next((i for i in range(k, len(rows)) if rows[i][k] % q), None)
        if place is None:
            raise NoValue("the Jacobian is singular")
        rows[k], rows[place] = rows[place], rows[k]
        factor = pow(rows[k][k], -1, modulus)
        rows[k] = [a * factor % modulus for a in rows[k]]
        for i in range(len(rows)):
            if i != k and rows[i][k]:
                factor = rows[i][k]
                rows[i] = [(a - factor * b) % modulus for a, b in zip(rows[i], rows[k], strict=True)]
    return [row[-1] for row in rows]
