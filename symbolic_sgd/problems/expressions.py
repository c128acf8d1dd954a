"""Text to SymPy expressions, by an allow-list: nothing that is read here is ever executed.

`sympify` and `parse_expr` run code, even with emptied builtins. Here Python's own parser only draws the tree; the SymPy
objects are built by hand from the few kinds of node that arithmetic needs, and all else is refused by its column. What
SymPy computes on its own while an object is built (9**9**9, roots of long integers, sin of a tower of numbers) is kept
small by the caps below.
"""

import ast
import difflib
import keyword
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sympy as sp
from sympy.core.relational import Relational

from symbolic_sgd.algebra.functions import CONSTANTS, FUNCTIONS
from symbolic_sgd.errors import BadInput, ExpressionSyntaxError, ProblemTooLarge

MAX_CHARACTERS = 100_000
"""Length of one expression."""
MAX_PARENTHESES = 64
"""Depth of nested parentheses, those of function calls included."""
MAX_OPERATIONS = 20_000
"""Operators in one expression. Python's own parser gives up at about 3,000 in a row without parentheses."""
MAX_NESTED_CALLS = 10
"""Functions inside functions, exponents included: SymPy's Abs(1 - 2*Abs(...)) doubles its time at every level."""
MAX_NUMERIC_CALLS = 3
"""Functions and roots inside an argument without symbols: SymPy evaluates such towers to decide signs, for minutes."""
MAX_LITERAL_DIGITS = 60
"""Digits of a number as typed, and of numbers under a root or in a function."""
MAX_POWER_OF_TEN = 300
"""The exponent in 1e300."""
MAX_EXPONENT = 64
"""Numerator and denominator of a numeric exponent."""
MAX_NUMBER_DIGITS = 1_000
"""Digits of any number that arithmetic between numbers produces."""

ALIASES = {"ln": "log", "abs": "Abs"}
_SHOWN = 40  # characters of the offending piece that a message repeats
_LARGEST = sp.Integer(10) ** MAX_NUMBER_DIGITS
_BITS_PER_DIGIT = 3.3219280948873623

_FOREIGN = re.compile(r"[^A-Za-z0-9_ \t\r\n+\-*/().,<>=!]")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LONE_EQUALS = re.compile(r"(?<![<>!=])=(?!=)")
_OPERATOR = re.compile(r"\*\*|[-+*/]")
_DIGITS = r"(?:\d+\.?\d*|\.\d+)"
_NUMBER = re.compile(rf"({_DIGITS})(?:[eE]([+-]?\d+))?")
# The group is atomic, or 1e5 would be found to be the number 1 that runs into the name e5.
_GLUED = re.compile(rf"(?<![A-Za-z0-9_.])(?>{_DIGITS}(?:[eE][+-]?\d+)?)[A-Za-z0-9_.]+")

HINTS = {
    "^": "write ** for powers",
    "#": "comments are not read here",
    "\\": "no backslash is needed: line breaks count as spaces",
    "[": "use round parentheses, and write x1, x2, ... for indexed names",
    "'": "no quotes inside an expression",
    '"': "no quotes inside an expression",
}

FORMS: dict[type[ast.AST], str] = {
    ast.Attribute: "attribute access (a.b)",
    ast.Compare: "a comparison",
    ast.Constant: "a constant that is not a number",
    ast.Starred: "unpacking with *",
    ast.Tuple: "a list of several expressions",
}

COMPARISONS: dict[type[ast.cmpop], Callable[..., Any]] = {
    ast.Lt: sp.StrictLessThan,
    ast.LtE: sp.LessThan,
    ast.Gt: sp.StrictGreaterThan,
    ast.GtE: sp.GreaterThan,
    ast.NotEq: sp.Unequality,
}


def parse_expression(text: str, names: Mapping[str, sp.Symbol], *, where: str) -> sp.Expr:
    """The exact SymPy expression that `text` writes: + − * / **, numbers, declared names, functions of the table.

    Decimals are taken as typed: 0.1 is 1/10.

    Args:
        text: one expression; line breaks count as spaces.
        names: the declared names and their symbols.
        where: words for the place the text comes from, for messages.

    Raises:
        ExpressionSyntaxError: anything outside the allow-list; the message names the column.
        ProblemTooLarge: one of the caps of this module is passed.

    >>> u, v = sp.symbols("u v", real=True)
    >>> parse_expression("(u*v - 0.5)**2/2", {"u": u, "v": v}, where="loss")
    (u*v - 1/2)**2/2
    """
    source = _scanned(text, where)
    return _guarded(source, lambda tree: _Builder(source, names).expression(tree))


def parse_condition(text: str, names: Mapping[str, sp.Symbol], *, where: str) -> Relational:
    """The condition that `text` writes: one of < <= > >= != between two expressions.

    Args:
        text: one comparison; line breaks count as spaces.
        names: the declared names and their symbols.
        where: words for the place the text comes from, for messages.

    Raises:
        ExpressionSyntaxError: no comparison, several, or a side outside the allow-list.
        ProblemTooLarge: one of the caps of this module is passed.

    >>> u, v = sp.symbols("u v", real=True)
    >>> parse_condition("v**2 > u", {"u": u, "v": v}, where="domain[0]")
    v**2 > u
    """
    source = _scanned(text, where)
    return _guarded(source, lambda tree: _Builder(source, names).condition(tree))


# --- the text, and what a look at it can refuse -------------------------------------------------


@dataclass(frozen=True)
class _Source:
    """The text of one expression and the place it comes from."""

    text: str
    where: str

    def error(self, start: int, end: int, complaint: str, kind: type[BadInput] = ExpressionSyntaxError) -> BadInput:
        """The error for the piece text[start:end]; `complaint` continues a sentence that begins with the piece."""
        start = max(start, 0)  # a bare "u, v" is drawn with the parentheses put around the whole text
        piece = " ".join(self.text[start : min(end, start + 4 * _SHOWN)].split())
        shown = piece if len(piece) <= _SHOWN else piece[: _SHOWN - 3] + "..."
        return kind(f"{self.where}, {self._position(start)}: {shown!r} {complaint}")

    def too_large(self, complaint: str) -> ProblemTooLarge:
        return ProblemTooLarge(f"{self.where}: {complaint}")

    def _position(self, offset: int) -> str:
        before = self.text[:offset]
        column = offset - before.rfind("\n")
        return f"line {before.count(chr(10)) + 1}, column {column}" if "\n" in self.text else f"column {column}"


def _scanned(text: str, where: str) -> _Source:
    """The text, once all that needs no parser has been refused: the parser then meets short and flat input."""
    source = _Source(text, where)
    if not isinstance(text, str):
        raise ExpressionSyntaxError(f"{where}: an expression is written as a string; this is a {type(text).__name__}")
    if len(text) > MAX_CHARACTERS:
        raise source.too_large(f"{len(text):,} characters; an expression has at most {MAX_CHARACTERS:,}")
    if not text.strip():
        raise ExpressionSyntaxError(f"{where}: the expression is empty; write 0 for zero")
    _scan_characters(source)
    _scan_parentheses(source)
    _scan_numbers(source)
    _scan_words(source)
    operations = len(_OPERATOR.findall(text))
    if operations > MAX_OPERATIONS:
        raise source.too_large(f"{operations:,} operations; an expression has at most {MAX_OPERATIONS:,}")
    return source


def _scan_characters(source: _Source) -> None:
    if found := _FOREIGN.search(source.text):
        hint = HINTS.get(found.group(), "use plain letters, digits and + - * / ** ( )")
        raise source.error(*found.span(), f"is not allowed in an expression; {hint}")
    if found := _LONE_EQUALS.search(source.text):
        raise source.error(*found.span(), "is not allowed: write the equation a = b as a - b; no keyword arguments")


def _scan_parentheses(source: _Source) -> None:
    opened: list[int] = []
    for found in re.finditer(r"[()]", source.text):
        if found.group() == "(":
            opened.append(found.start())
        elif opened:
            opened.pop()
        else:
            raise source.error(*found.span(), "closes a parenthesis that was never opened")
        if len(opened) > MAX_PARENTHESES:
            raise source.error(
                *found.span(), f"is more than {MAX_PARENTHESES} parentheses deep; flatten it", ProblemTooLarge
            )
    if opened:
        raise source.error(opened[-1], opened[-1] + 1, "is never closed")


def _scan_numbers(source: _Source) -> None:
    for found in re.finditer(r"\d+", source.text):
        if found.end() - found.start() > MAX_LITERAL_DIGITS:
            raise source.error(*found.span(), f"has more than {MAX_LITERAL_DIGITS} digits", ProblemTooLarge)
    if found := _GLUED.search(source.text):
        raise source.error(
            *found.span(), "is neither a number nor a name: write products with * (3*u); complex numbers are not read"
        )


def _scan_words(source: _Source) -> None:
    for found in _WORD.finditer(source.text):
        if keyword.iskeyword(found.group()):
            raise source.error(*found.span(), "is a word of the Python language, not a name; rename it (lambda1, say)")


# --- the tree, and what is built from it --------------------------------------------------------


def _guarded(source: _Source, build: Callable[[ast.expr], Any]) -> Any:
    """Run `build` on the tree of the text; what exhausts the stack is too large, whoever's stack it was."""
    try:
        return build(_tree(source))
    except (RecursionError, MemoryError):
        advice = "group a long sum with parentheses, or state residuals instead of one loss"
        raise source.too_large(f"too many operations in a row or inside one another; {advice}") from None


def _tree(source: _Source) -> ast.expr:
    # The balanced parentheses put around the text let it begin with spaces; they shift every column by one.
    flat = re.sub(r"\s", " ", source.text)
    try:
        return ast.parse(f"({flat})", mode="eval").body
    except SyntaxError as error:
        start = min(max((error.offset or 2) - 2, 0), len(flat.rstrip()) - 1)
        end = (error.end_offset or 0) - 2
        complaint = "cannot be read: an operator or an operand is missing here (products are written u*v)"
        raise source.error(start, max(end, start + 1), complaint) from None


@dataclass(frozen=True)
class _Builder:
    """From nodes to SymPy. `nesting` counts the functions and exponents around a node."""

    source: _Source
    names: Mapping[str, sp.Symbol]

    def expression(self, tree: ast.expr) -> sp.Expr:
        result = self._read(tree, 0)
        if result.has(sp.I, sp.zoo, sp.nan, sp.oo, -sp.oo):
            raise self._error(tree, "is not a finite real number")
        return result

    def condition(self, tree: ast.expr) -> Relational:
        if not isinstance(tree, ast.Compare):
            raise self._error(tree, "is not a condition: write a comparison such as v > 0")
        if len(tree.ops) > 1:
            raise self._error(tree, "compares more than once: write one condition for each comparison")
        relation = COMPARISONS.get(type(tree.ops[0]))
        if relation is None:
            raise self._error(tree, "is not one of < <= > >= != (equations belong to manifold)")
        sides = self.expression(tree.left), self.expression(tree.comparators[0])
        if not any(side.free_symbols for side in sides):
            raise self._error(tree, "compares two numbers: name a parameter or a constant")
        # Left unevaluated: SymPy would decide the condition by the assumptions, and return no relation.
        return relation(*sides, evaluate=False)

    def _read(self, node: ast.expr, nesting: int) -> sp.Expr:
        if nesting > MAX_NESTED_CALLS:
            raise self._error(node, f"is inside more than {MAX_NESTED_CALLS} functions or exponents", ProblemTooLarge)
        if isinstance(node, ast.BinOp):
            return self._operation(node, nesting)
        reader = _READERS.get(type(node))
        if reader is None:
            raise self._not_allowed(node)
        return reader(self, node, nesting)

    def _operation(self, node: ast.BinOp, nesting: int) -> sp.Expr:
        reader = OPERATIONS.get(type(node.op))
        if reader is None:
            raise self._error(node, "uses an operator that is not allowed; the operators are + - * / **")
        return reader(self, node, nesting)

    def _number(self, node: ast.Constant, nesting: int) -> sp.Expr:
        # From the text, not from the node's value: there 0.1 is already a binary fraction.
        found = _NUMBER.fullmatch(self.source.text, *_span(node))
        if found is None:
            raise self._not_allowed(node)
        whole, _, decimals = found.group(1).partition(".")
        power = int(found.group(2) or 0)
        if len(whole + decimals) > MAX_LITERAL_DIGITS or abs(power) > MAX_POWER_OF_TEN:
            limits = f"{MAX_LITERAL_DIGITS} digits and powers of ten up to e{MAX_POWER_OF_TEN}"
            raise self._error(node, f"is too long a number; the limits are {limits}", ProblemTooLarge)
        shift = power - len(decimals)
        return sp.Rational(int(whole + decimals) * 10 ** max(shift, 0), 10 ** max(-shift, 0))

    def _name(self, node: ast.Name, nesting: int) -> sp.Expr:
        if node.id in self.names:
            return self.names[node.id]
        if node.id in CONSTANTS:
            return CONSTANTS[node.id][0]
        if node.id in FUNCTIONS or node.id in ALIASES:
            raise self._error(node, "is a function: give it an argument in parentheses")
        if node.id in ("I", "i", "j"):
            raise self._error(node, "is not a declared name (and the imaginary unit is not allowed)")
        advice = _suggestion(node.id, [*self.names, *CONSTANTS, *FUNCTIONS])
        raise self._error(node, f"is not a declared name; {advice or 'declare it as a parameter or a constant'}")

    def _signed(self, node: ast.UnaryOp, nesting: int) -> sp.Expr:
        sign, operand = 1, node
        while isinstance(operand, ast.UnaryOp):
            if not isinstance(operand.op, (ast.UAdd, ast.USub)):
                raise self._not_allowed(operand)
            sign = -sign if isinstance(operand.op, ast.USub) else sign
            operand = operand.operand
        return sign * self._read(operand, nesting)

    def _sum(self, node: ast.expr, nesting: int) -> sp.Expr:
        # Python draws a + b + c as (a + b) + c: going down the left side in a loop keeps the stack flat, and one Add
        # of all the terms keeps the time linear.
        terms = []
        whole = node
        while isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub)):
            term = self._read(node.right, nesting)
            terms.append(-term if isinstance(node.op, ast.Sub) else term)
            node = node.left
        terms.append(self._read(node, nesting))
        self._check_sum(terms, whole)
        return sp.Add(*reversed(terms))

    def _product(self, node: ast.expr, nesting: int) -> sp.Expr:
        factors = []
        whole = node
        while isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mult, ast.Div)):
            factor = self._read(node.right, nesting)
            if isinstance(node.op, ast.Div) and factor == 0:
                raise self._error(node.right, "is a division by zero")
            factors.append(1 / factor if isinstance(node.op, ast.Div) else factor)
            node = node.left
        factors.append(self._read(node, nesting))
        self._check_bits(sum(_bits(factor.as_coeff_Mul()[0]) for factor in factors), whole)
        return sp.Mul(*reversed(factors))

    def _power(self, node: ast.BinOp, nesting: int) -> sp.Expr:
        base, exponent = self._read(node.left, nesting), self._read(node.right, nesting + 1)
        self._check_exponent(exponent, node)
        if exponent.is_Integer:
            self._check_bits(_bits(base.as_coeff_Mul()[0]) * abs(int(exponent)), node)
        else:
            self._check_operand(base, node.left)
            self._check_operand(exponent, node.right)
        return self._checked(base**exponent, node)

    def _call(self, node: ast.Call, nesting: int) -> sp.Expr:
        if not isinstance(node.func, ast.Name) or node.func.id in self.names:
            raise self._error(node, "calls something that is not a function: write products with *")
        name = ALIASES.get(node.func.id, node.func.id)
        if name not in FUNCTIONS:
            advice = _suggestion(name, [*FUNCTIONS, *ALIASES]) or f"there are {', '.join(FUNCTIONS)}"
            raise self._error(node.func, f"is not a function that can be used; {advice}")
        arity, given = FUNCTIONS[name].arity, len(node.args) + len(node.keywords)
        if given != arity or node.keywords:
            raise self._error(node, f"gives {name} {given} arguments; it takes {'one' if arity == 1 else arity}")
        arguments = [self._read(argument, nesting + 1) for argument in node.args]
        for argument, tree in zip(arguments, node.args, strict=True):
            self._check_operand(argument, tree)
            self._check_exponent(sp.Add(*(t for t in sp.Add.make_args(argument) if t.has(sp.log))), node)
        return self._checked(FUNCTIONS[name].symbolic(*arguments), node)

    # --- numbers that SymPy would compute for too long

    def _check_bits(self, bits: float, node: ast.expr) -> None:
        if bits > MAX_NUMBER_DIGITS * _BITS_PER_DIGIT:
            raise self._error(node, f"makes a number of more than {MAX_NUMBER_DIGITS:,} digits", ProblemTooLarge)

    def _check_sum(self, terms: Sequence[sp.Expr], node: ast.expr) -> None:
        # Only coefficients of one and the same monomial are added to each other.
        denominators: dict[sp.Expr, int] = {}
        for term in (part for whole in terms for part in sp.Add.make_args(whole)):
            coefficient, monomial = term.as_coeff_Mul()
            common = math.lcm(denominators.get(monomial, 1), getattr(coefficient, "q", 1))
            self._check_bits(common.bit_length() + _bits(coefficient), node)
            denominators[monomial] = common

    def _check_exponent(self, exponent: sp.Expr, node: ast.expr) -> None:
        for term in sp.Add.make_args(exponent):
            # SymPy turns x**(n*log(a)/log(x)) and exp(n*log(a)) into a**n.
            number = term.as_coeff_Mul()[0] if term.has(sp.log) else term
            if isinstance(number, sp.Rational) and max(abs(number.p), number.q) > MAX_EXPONENT:
                raise self._error(node, f"has a numeric exponent beyond {MAX_EXPONENT}", ProblemTooLarge)

    def _check_operand(self, operand: sp.Expr, node: ast.expr) -> None:
        if _bits(operand.as_coeff_Mul()[0]) > MAX_LITERAL_DIGITS * _BITS_PER_DIGIT:
            complaint = f"has a number of more than {MAX_LITERAL_DIGITS} digits under a root or a function"
            raise self._error(node, complaint, ProblemTooLarge)
        if operand.is_number and len(operand.atoms(sp.Function, sp.Pow)) > MAX_NUMERIC_CALLS:
            complaint = f"has more than {MAX_NUMERIC_CALLS} functions or roots of numbers inside another function"
            raise self._error(node, complaint, ProblemTooLarge)

    def _checked(self, result: sp.Expr, node: ast.expr) -> sp.Expr:
        for factor in sp.Mul.make_args(result):
            if isinstance(factor, sp.Pow):
                self._check_exponent(factor.exp, node)
        if not result.is_number or result.is_Rational:
            return result
        value = result.evalf(5)
        if not (value.is_Float or value.is_Rational):
            raise self._error(node, "is not a finite real number")
        if value and not 1 / _LARGEST < abs(value) < _LARGEST:
            raise self._error(node, f"is a number of more than {MAX_NUMBER_DIGITS:,} digits", ProblemTooLarge)
        return result

    # --- what the messages need

    def _error(self, node: ast.expr, complaint: str, kind: type[BadInput] = ExpressionSyntaxError) -> BadInput:
        return self.source.error(*_span(node), complaint, kind)

    def _not_allowed(self, node: ast.expr) -> BadInput:
        form = FORMS.get(type(node), "a form of Python")
        return self._error(node, f"is {form}, which no expression here may contain")


_READERS: dict[type[ast.expr], Callable[..., sp.Expr]] = {
    ast.Constant: _Builder._number,
    ast.Name: _Builder._name,
    ast.UnaryOp: _Builder._signed,
    ast.Call: _Builder._call,
}

OPERATIONS: dict[type[ast.operator], Callable[..., sp.Expr]] = {
    ast.Add: _Builder._sum,
    ast.Sub: _Builder._sum,
    ast.Mult: _Builder._product,
    ast.Div: _Builder._product,
    ast.Pow: _Builder._power,
}


def _span(node: ast.expr) -> tuple[int, int]:
    return node.col_offset - 1, (node.end_col_offset or 0) - 1


def _bits(number: sp.Expr) -> int:
    return max(number.p.bit_length(), number.q.bit_length()) if isinstance(number, sp.Rational) else 0


def _suggestion(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name[:_SHOWN], known, n=1)
    return f"did you mean {near[0]!r}?" if near else ""
