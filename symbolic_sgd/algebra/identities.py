"""Proof that an expression is zero identically: its value in a prime field, where functions are independent random values.

A node is a rational function of its symbols and of the functions that it calls. Such a function, if it is not zero, is zero
at random elements of GF(p), p ≈ 2¹²⁷, with a probability below its degree over p (Schwartz 1980, Zippel 1979). So a value of 0
proves that the node is the zero function, whatever the size of its numbers: 1 + tanh(60(x − 7)), which no floating-point
number tells from 0 at x = 0, is here a random number.

Functions are independent of each other but for what follows from their definitions: exp is a homomorphism on the arguments
met, and log its inverse; sin and cos lie on a circle, tanh = (e² − 1)/(e² + 1), (√a)² = a, odd functions are odd, and rows of
the table that are short for an expression are that expression. Relations that are not known here can only hide an identity.
What is not analytic (|a|, sign a) is refused.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from functools import cache, cached_property, partial

import sympy as sp

from symbolic_sgd.algebra.arithmetic import Arithmetic, Valuation
from symbolic_sgd.algebra.functions import CONSTANTS, FUNCTIONS, StableForm
from symbolic_sgd.algebra.graph import JUMPS, Exact, Graph, Node, reachable
from symbolic_sgd.algebra.translation import as_written

PRIMES = tuple(
    2**127 + k for k in (8799, 10419, 14259, 15675, 24075, 53859, 55575, 76035, 93159, 109755, 119235, 134151, 135675)
)
"""Each p with (p − 1)/2 prime as well: every element has one root of each odd order below it, and p = 3 mod 4. A number such
as 14 has a square root in every second of these fields."""

PRIME = PRIMES[0]

SAMPLES = 2
"""Random assignments at which an identity is tested."""

SAMPLES_WITH_ROOTS = 60
"""The same where square roots are drawn: only one sign of each is meant, and both have to be met."""

ROOTS = ("sqrt", "pow")

DRAWS = 40
"""Assignments drawn for each that is used: some divide by zero, or ask for the square root of what is no square."""

HOPELESS = 200
"""Draws without a single success after which nothing more is tried."""

MULTIPLES = (2, 3, 4)
"""Exponentials of these multiples of an argument met before are its powers."""


class NoValue(ArithmeticError):
    """At this assignment something is not defined in the field."""


def square_root(a: int, prime: int) -> int:
    """A square root of a in the field.

    Raises:
        NoValue: a is no square.
    """
    root = pow(a, (prime + 1) // 4, prime)
    if root * root % prime != a:
        raise NoValue("no square")
    return root


def lifted_square_root(a: int, prime: int, modulus: int) -> int:
    """A square root of a modulo a power of an odd prime, by Newton's method from one modulo the prime (Hensel's lemma).

    Raises:
        NoValue: a is no square, or no unit.

    >>> lifted_square_root(2, 7, 7**4) ** 2 % 7**4
    2
    """
    root = next((r for r in range(1, prime) if (r * r - a) % prime == 0), 0)
    if root == 0:
        raise NoValue("no square, or no unit")
    while (root * root - a) % modulus:  # each step doubles the digits
        root = (root + a * pow(root, -1, modulus)) * pow(2, -1, modulus) % modulus
    return root


Met = tuple[dict[int, int], dict[int, int], dict[tuple[int, int], int]]
"""Values of e^a by a, of log by its argument, and of powers, that have been asked for."""


class Values:
    """Random values of symbols and functions in a ring Z/m, the same for equal arguments.

    Args:
        seed: which values.
        modulus: m, one of `PRIMES` or a power of a smaller one.
        prime: that smaller one; None for one of `PRIMES`.
    """

    def __init__(self, seed: int, modulus: int = PRIME, prime: int | None = None):
        self.seed = seed
        self.modulus = modulus
        self.prime = prime
        self.exponentials: dict[int, int] = {0: 1}
        self.logarithms: dict[int, int] = {1: 0}
        self.powers: dict[tuple[int, int], int] = {}

    @property
    def met(self) -> "Met":
        """What functions have been asked for so far."""
        return dict(self.exponentials), dict(self.logarithms), dict(self.powers)

    def go_back(self, met: "Met") -> None:
        """Forget what has been asked for since."""
        self.exponentials, self.logarithms, self.powers = map(dict, met)  # type: ignore[assignment]

    def inverse(self, a: int) -> int:
        """1/a.

        Raises:
            NoValue: a is no unit.
        """
        try:
            return pow(a, -1, self.modulus)
        except ValueError as error:
            raise NoValue("division by what is no unit") from error

    def root(self, a: int, order: int) -> int:
        """An element whose power of this order is a.

        Raises:
            NoValue: there is none, or it is not known.
        """
        if self.prime is not None:
            if order != 2:
                raise NoValue("of the roots modulo powers of a prime square roots are known")
            return lifted_square_root(a, self.prime, self.modulus)
        while order % 2 == 0:
            a, order = square_root(a, self.modulus), order // 2
        return pow(a, pow(order, -1, self.modulus - 1), self.modulus)

    def free(self, name: str, *arguments: int) -> int:
        """A random element that depends on the name and the arguments only."""
        text = f"{self.seed}|{name}|{arguments}".encode()
        return int.from_bytes(hashlib.blake2b(text, digest_size=64).digest(), "big") % self.modulus

    def exp(self, a: int) -> int:
        if a not in self.exponentials:
            self._pair(a, self._related(a))
        return self.exponentials[a]

    def _pair(self, a: int, exponential: int) -> None:
        self.exponentials[a] = exponential
        self.logarithms[exponential] = a

    def _related(self, a: int) -> int:
        known = self.exponentials
        if self.modulus - a in known:
            return self.inverse(known[self.modulus - a])
        for b, value in known.items():
            for k in MULTIPLES if b else ():
                if (k * b - a) % self.modulus == 0:
                    return pow(value, k, self.modulus)
                if (k * b + a) % self.modulus == 0:
                    return self.inverse(pow(value, k, self.modulus))
                if (k * a - b) % self.modulus == 0:
                    return self.root(value, k)
                if (k * a + b) % self.modulus == 0:
                    return self.inverse(self.root(value, k))
            for c, factor in (((a - b) % self.modulus, 1), ((b - a) % self.modulus, -1)):
                if b and c and c in known:
                    return value * (known[c] if factor > 0 else self.inverse(known[c])) % self.modulus
        return self.free("exp", a)

    def tanh(self, a: int) -> int:
        square = pow(self.exp(a), 2, self.modulus)
        return (square - 1) * self.inverse(square + 1) % self.modulus

    def sinh(self, a: int) -> int:
        e = self.exp(a)
        return (e - self.inverse(e)) * self.inverse(2) % self.modulus

    def cosh(self, a: int) -> int:
        e = self.exp(a)
        return (e + self.inverse(e)) * self.inverse(2) % self.modulus

    def _half_tangent(self, a: int) -> int:
        positive = min(a, self.modulus - a)
        t = self.free("half tangent", positive) if positive else 0
        return t if a == positive else self.modulus - t

    def sin(self, a: int) -> int:
        t = self._half_tangent(a)
        return 2 * t * self.inverse(1 + t * t) % self.modulus

    def cos(self, a: int) -> int:
        t = self._half_tangent(a)
        return (1 - t * t) * self.inverse(1 + t * t) % self.modulus

    def tan(self, a: int) -> int:
        return self.sin(a) * self.inverse(self.cos(a)) % self.modulus

    def log(self, a: int) -> int:
        below = self.inverse(a)
        if a not in self.logarithms and below in self.logarithms:
            self._pair((self.modulus - self.logarithms[below]) % self.modulus, a)
        elif a not in self.logarithms:
            self._pair(self.free("log", a), a)
        return self.logarithms[a]

    def sqrt(self, a: int) -> int:
        root = self.root(a, 2)
        return root if self.free("sign of root", a) % 2 else (self.modulus - root) % self.modulus

    def odd(self, name: str, a: int) -> int:
        if a == 0:
            return 0
        positive = min(a, self.modulus - a)
        value = self.free(name, positive)
        return value if a == positive else self.modulus - value

    def power(self, a: int, exponent: int) -> int:
        """a^s: exponents of one base that differ by an integer belong together, and a^{1/n} is a root for odd n."""
        for k in range(-8, 9):
            nearby = (a, (exponent + k) % self.modulus)
            if nearby in self.powers:
                return self.powers[nearby] * pow(a, -k, self.modulus) % self.modulus
        for n in (3, 5, 7):
            m = n * exponent % self.modulus
            m = m if m < self.modulus // 2 else m - self.modulus
            if abs(m) < 100 and a:
                return pow(self.root(a, n), m, self.modulus)
        self.powers[a, exponent] = self.free("power", a, exponent)
        return self.powers[a, exponent]

    def by_definition(self, name: str, *arguments: int) -> int:
        """A row of the table that is short for an expression, from that expression."""
        node, letters = _definition(name)
        return Valuation(self.arithmetic, dict(zip(letters, arguments, strict=True)))([node])[0]

    def constant(self, value: Exact) -> int:
        """A rational number."""
        return value.numerator * self.inverse(value.denominator) % self.modulus

    @cached_property
    def arithmetic(self) -> Arithmetic:
        """The operations of the field with these values of functions."""
        return Arithmetic(constant=self.constant, operations=_Operations(self))


KNOWN = ("exp", "log", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh")
"""Functions that are methods of `Values`."""

ODD = ("asin", "atan", "asinh", "atanh", "erf")
"""Functions of which only this is known."""


class _Operations(dict[str, Callable[..., int]]):
    """Those of a ring with these values of functions, each made when it is first met: most draws refute by a few."""

    def __init__(self, values: Values):
        super().__init__(
            {
                "add": lambda a, b: (a + b) % values.modulus,
                "sub": lambda a, b: (a - b) % values.modulus,
                "mul": lambda a, b: a * b % values.modulus,
                "div": lambda a, b: a * values.inverse(b) % values.modulus,
                "neg": lambda a: -a % values.modulus,
                "pow": values.power,
                "E": lambda: values.exp(1),
            }
        )
        self._values = values

    def __missing__(self, name: str) -> Callable[..., int]:
        values = self._values
        if name in KNOWN:
            self[name] = getattr(values, name)
        elif name in ODD:
            self[name] = partial(values.odd, name)
        elif isinstance(FUNCTIONS.get(name), StableForm):
            self[name] = partial(values.by_definition, name)
        elif name in FUNCTIONS or name in CONSTANTS:
            self[name] = partial(values.free, name)
        else:
            raise KeyError(name)
        return self[name]


@cache
def _definition(name: str) -> tuple[Node, tuple[sp.Symbol, ...]]:
    row, graph = FUNCTIONS[name], Graph()
    letters = tuple(sp.Dummy() for _ in range(row.arity))
    return as_written(row.symbolic(*letters), {s: graph.symbol(s) for s in letters}, graph), letters


def random_assignment(values: Values, symbols: Sequence[sp.Symbol]) -> dict[sp.Symbol, int]:
    """A random element for every symbol."""
    return {s: values.free("symbol " + s.name) for s in symbols}


def zero_functions(nodes: Sequence[Node]) -> list[bool]:
    """Which nodes are proved to be zero wherever they are defined; False says nothing.

    >>> from symbolic_sgd.algebra.graph import Graph
    >>> from symbolic_sgd.algebra.translation import from_sympy
    >>> x, graph = sp.Symbol("x"), Graph()
    >>> zero_functions([from_sympy(e, graph) for e in (sp.sin(x)**2 + sp.cos(x)**2 - 1, 1 + sp.tanh(60*(x - 7)))])
    [True, False]
    """
    roots = any(node.op in ROOTS for node in reachable(nodes))
    wanted = SAMPLES_WITH_ROOTS if roots else SAMPLES
    draws = (Values(draw, PRIMES[draw % len(PRIMES)]) for draw in range(wanted * DRAWS))
    return zero_at((({}, values) for values in draws), wanted, nodes)


def zero_at(draws: Iterable[tuple[dict[sp.Symbol, int], Values]], wanted: int, nodes: Sequence[Node]) -> list[bool]:
    """Which nodes are zero at each of `wanted` draws at which they are defined.

    Args:
        draws: elements for some of the symbols, and values of functions; the other symbols are random.
        wanted: how many draws have to be met; with fewer nothing is proved.
        nodes: of one graph.
    """
    found = [node.is_zero for node in nodes]
    below = reachable(nodes)
    doubtful = _depending_on(below, JUMPS)
    suspects = [i for i, node in enumerate(nodes) if not node.is_zero and node.index not in doubtful]
    symbols = sorted((n.value for n in below if n.op == "symbol"), key=lambda s: s.name)
    seen = 0
    for tried, (given, values) in enumerate(draws):
        if not suspects or seen == wanted or (tried >= HOPELESS and not seen):
            break
        try:
            assignment = random_assignment(values, symbols) | given
            results = Valuation(values.arithmetic, assignment)([nodes[i] for i in suspects])
        except NoValue:  # a division by zero, or no root, at this draw
            continue
        suspects = [i for i, value in zip(suspects, results, strict=True) if value == 0]
        seen += 1
    for i in suspects if seen == wanted else ():
        found[i] = True
    return found


def _depending_on(nodes: Sequence[Node], operations: Sequence[str]) -> set[int]:
    """The nodes, of a list in order of computation, that need one of these operations."""
    found: set[int] = set()
    for node in nodes:
        if node.op in operations or any(a.index in found for a in node.args):
            found.add(node.index)
    return found
