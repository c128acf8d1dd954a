"""The expression parser: what it reads, what it refuses and where, and that hostile text is refused at once."""

from fractions import Fraction

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from work import calls

from symbolic_sgd.algebra.functions import CONSTANTS, FUNCTIONS
from symbolic_sgd.errors import BadInput, ExpressionSyntaxError, ProblemTooLarge
from symbolic_sgd.problems import expressions
from symbolic_sgd.problems.expressions import parse_condition, parse_expression

u, v, s = sp.Symbol("u", real=True), sp.Symbol("v", real=True), sp.Symbol("s", real=True, positive=True)
NAMES = {"u": u, "v": v, "s": s}


def parse(text: str) -> sp.Expr:
    return parse_expression(text, NAMES, where="key 'loss'")


# --- what is read -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("u", u),
        ("  u + v ", u + v),
        ("(u*v - 1)**2/2", (u * v - 1) ** 2 / 2),
        ("-u**2", -(u**2)),
        ("2**-1", sp.Rational(1, 2)),
        ("u**v**2", u ** (v**2)),
        ("u - v - 1", u - v - 1),
        ("u/v/2", u / v / 2),
        ("u/(v/2)", 2 * u / v),
        ("--+-u", -u),
        ("u**0.5", sp.sqrt(u)),
        ("u\n  + v\r\n\t- 1", u + v - 1),
        ("0**0", sp.Integer(1)),
        ("sqrt(s**2)", s),
        ("sqrt(2 + sqrt(2))", sp.sqrt(2 + sp.sqrt(2))),
        ("exp(-100*u) + exp(100)", sp.exp(-100 * u) + sp.exp(100)),
        ("log(1000*u)", sp.log(1000 * u)),
        ("ln(u) + abs(v)", sp.log(u) + sp.Abs(v)),
        ("pi + E", sp.pi + sp.E),
    ],
)
def test_reads(text: str, expected: sp.Expr) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("text", "p", "q"),
    [
        ("0.1", 1, 10),
        ("1e-3", 1, 1000),
        ("1.5E2", 150, 1),
        (".5", 1, 2),
        ("2.", 2, 1),
        ("0.30000000000000004", 7500000000000001, 25 * 10**15),
    ],
)
def test_decimals_are_taken_as_typed(text: str, p: int, q: int) -> None:
    assert parse(text) == sp.Rational(p, q)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_of_the_table(name: str) -> None:
    arity = FUNCTIONS[name].arity
    assert parse(f"{name}({', '.join(['u/3', 's'][:arity])})") == FUNCTIONS[name].symbolic(*[u / 3, s][:arity])


@pytest.mark.parametrize("name", CONSTANTS)
def test_every_constant_of_the_table(name: str) -> None:
    assert parse(f"2*{name}") == 2 * CONSTANTS[name][0]


def test_the_given_symbols_come_back() -> None:
    assert parse("u*s").free_symbols == {u, s}


# --- what is refused, and by which column ---------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ("u^2", 2, "write ** for powers"),
        ("u + u.real", 5, "attribute access"),
        ("u.__class__", 1, "attribute access"),
        ("u[0]", 2, "round parentheses"),
        ("'u'", 1, "quotes"),
        ('u + "v"', 5, "quotes"),
        ("u # c", 3, "comments"),
        ("u\\v", 2, "backslash"),
        ("lambda: 1", 7, "':'"),
        ("1 + lambda", 5, "word of the Python language"),
        ("u if v else s", 3, "word of the Python language"),
        ("(x for x in u)", 4, "word of the Python language"),
        ("not u", 1, "word of the Python language"),
        ("True", 1, "word of the Python language"),
        ("...", 1, "not a number"),
        ("(u:=1)", 3, "':'"),
        ("u, v", 1, "list of several expressions"),
        ("1 + (u, v)", 5, "list of several expressions"),
        ("exp(*u)", 5, "unpacking"),
        ("1 + u < v", 1, "a comparison"),
        ("u*(v == 1)", 4, "a comparison"),
        ("u = 1", 3, "a - b"),
        ("exp(x=u)", 6, "no keyword arguments"),
        ("exp(**u)", 1, "it takes one"),
        ("1 + exp(u, v)", 5, "gives exp 2 arguments"),
        ("exp()", 1, "gives exp 0 arguments"),
        ("u(1)", 1, "write products with *"),
        ("(u)(v)", 1, "write products with *"),
        ("1 + exp", 5, "is a function"),
        ("exq(u)", 1, "did you mean 'exp'?"),
        ("print(u)", 1, "not a function that can be used"),
        ("1 + foo", 5, "not a declared name"),
        ("uu", 1, "did you mean 'u'?"),
        ("1 + I", 5, "imaginary unit"),
        ("1 + 1j", 5, "complex numbers"),
        ("3u", 1, "write products with *"),
        ("0x1F", 1, "neither a number nor a name"),
        ("1_000", 1, "neither a number nor a name"),
        ("u v", 1, "operator or an operand is missing"),
        ("u +", 3, "operator or an operand is missing"),
        ("u.5", 1, "operator or an operand is missing"),
        ("u // v", 1, "the operators are + - * / **"),
        ("u % v", 3, "is not allowed"),
        ("u @ v", 3, "is not allowed"),
        ("~u", 1, "is not allowed"),
        ("u; v", 2, "is not allowed"),
        ("é + u", 1, "is not allowed"),
        ("u + ｖ", 5, "is not allowed"),
        ("u\x00", 2, r"'\x00'"),
        ("\x1b[31m", 1, r"'\x1b'"),
        ("1 + (u", 5, "never closed"),
        ("u) + (1", 2, "never opened"),
        ("1/0", 3, "division by zero"),
        ("u/(v - v)", 4, "division by zero"),
        ("1 + 0**-1", 5, "not a finite real number"),
        ("log(0)", 1, "not a finite real number"),
        ("sqrt(-1)", 1, "not a finite real number"),
        ("sqrt(-1 - u**2 + u**2)", 1, "not a finite real number"),
        ("log(-2)", 1, "not a finite real number"),
        ("asin(2)", 1, "not a finite real number"),
        ("tan(pi/2)", 1, "not a finite real number"),
        ("(-8)**(1/3)", 1, "not a finite real number"),
        ("sqrt(-s)", 1, "not a finite real number"),
    ],
)
def test_refuses_by_column(text: str, column: int, words: str) -> None:
    with pytest.raises(ExpressionSyntaxError) as caught:
        parse(text)
    message = str(caught.value)
    assert message.startswith(f"key 'loss', column {column}: ")
    assert words in message
    assert message.isprintable()


def test_lines_are_named_where_there_are_several() -> None:
    with pytest.raises(ExpressionSyntaxError, match="line 3, column 4: 'w' is not a declared name"):
        parse("u +\n v\n + w")


def test_a_long_piece_is_shortened() -> None:
    with pytest.raises(ExpressionSyntaxError) as caught:
        parse("a" * 5000)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("text", ["", "  \n "])
def test_refuses_nothing(text: str) -> None:
    with pytest.raises(ExpressionSyntaxError, match="key 'loss': the expression is empty"):
        parse(text)


def test_refuses_what_is_no_text() -> None:
    with pytest.raises(ExpressionSyntaxError, match="this is a int"):
        parse(3)  # pyright: ignore[reportArgumentType]


# --- conditions ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("u > 0", sp.Gt(u, 0)),
        ("u*v >= 0.5", sp.Ge(u * v, sp.Rational(1, 2))),
        ("u < v", sp.Lt(u, v)),
        ("(u <= v)", sp.Le(u, v)),
        ("u != v", sp.Ne(u, v)),
        ("s > 0", sp.Gt(s, 0, evaluate=False)),
    ],
)
def test_conditions(text: str, expected: sp.Rel) -> None:
    assert parse_condition(text, NAMES, where="domain[0]") == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("u", "column 1: 'u' is not a condition"),
        ("u == 1", "column 1: 'u == 1' is not one of"),
        ("0 < u < 1", "compares more than once"),
        ("u > (v > 0)", "column 6: 'v > 0' is a comparison"),
        ("1 > 0", "compares two numbers"),
        ("u > w", "column 5: 'w' is not a declared name"),
        ("u > v^2", "column 6"),
        ("u is v", "word of the Python language"),
        ("", "empty"),
    ],
)
def test_refuses_as_conditions(text: str, words: str) -> None:
    with pytest.raises(ExpressionSyntaxError) as caught:
        parse_condition(text, NAMES, where="domain[0]")
    assert str(caught.value).startswith("domain[0]")
    assert words in str(caught.value)


# --- caps ---------------------------------------------------------------------------------------


def _sum(count: int, operator: str = "+") -> str:
    return operator.join(["u"] * count)


def _grouped_sum(count: int) -> str:
    return "+".join(f"({_sum(100)})" for _ in range(count // 100))


@pytest.mark.parametrize(
    ("allowed", "refused", "words"),
    [
        (" " * 99_999 + "u", " " * 100_000 + "u", "100,001 characters"),
        ("(" * 64 + "u" + ")" * 64, "(" * 65 + "u" + ")" * 65, "column 65: '(' is more than 64 parentheses"),
        (_grouped_sum(20_000), _grouped_sum(20_100), "20,099 operations"),
        ("exp(" * 10 + "u" + ")" * 10, "exp(" * 11 + "u" + ")" * 11, "more than 10 functions"),
        ("sin(sin(sin(sin(1))))", "sin(sin(sin(sin(sin(1)))))", "more than 3 functions or roots of numbers"),
        ("9" * 60, "9" * 61, "more than 60 digits"),
        ("1." + "9" * 59, "1." + "9" * 60, "too long a number"),
        ("1e300", "1e301", "too long a number"),
        ("u**64", "u**65", "exponent beyond 64"),
        ("u**-64", "u**-65", "exponent beyond 64"),
        ("u**(1/64)", "u**(1/65)", "exponent beyond 64"),
        ("(u**8)**8", "(u**64)**64", "exponent beyond 64"),
        ("(10**60)**16", "(10**60)**17", "more than 1,000 digits"),
        ("(10**60*u)**16", "(10**60*u)**17", "more than 1,000 digits"),
        ("*".join(["1e250"] * 3), "*".join(["1e250"] * 4), "more than 1,000 digits"),
        ("sqrt(1e59)", "sqrt(1e60)", "under a root or a function"),
        ("exp(2000)", "exp(3000)", "number of more than 1,000 digits"),
        ("exp(64*log(3))", "exp(65*log(3))", "exponent beyond 64"),
    ],
)
def test_caps(allowed: str, refused: str, words: str) -> None:
    parse(allowed)
    with pytest.raises(ProblemTooLarge) as caught:
        parse(refused)
    assert words in str(caught.value)
    assert str(caught.value).startswith("key 'loss'")


def test_long_chains_are_read_in_linear_time() -> None:
    short, _ = calls(lambda: parse(_sum(1_000)))
    long, result = calls(lambda: parse(_sum(2_000)))
    assert result == 2000 * u and long < 2.5 * short
    assert parse(_sum(2_000, "*")) == u**2000
    terms = " - ".join(f"{k}*u**{k % 60}*v" for k in range(1, 1000))
    assert parse(terms) == sp.Add(v * u, *(-k * u ** (k % 60) * v for k in range(2, 1000)))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(_sum(500_000), id="half a million terms"),
        pytest.param(_sum(40_000), id="forty thousand terms"),
        pytest.param(_sum(19_000), id="a chain beyond Python's parser"),
        pytest.param("(" * 5_000 + "u" + ")" * 5_000, id="parentheses"),
        pytest.param("exp(" * 5_000 + "u" + ")" * 5_000, id="calls"),
        pytest.param("-" * 19_000 + "u", id="signs"),
        pytest.param("**".join("u" * 9_000), id="tower of symbols"),
        pytest.param("9**9**9**9", id="tower of numbers"),
        pytest.param("exp(exp(exp(exp(10))))", id="tower of exponentials"),
        pytest.param("sin(" * 9 + "1" + ")" * 9, id="tower of sines"),
        pytest.param("1e999999999", id="power of ten"),
        pytest.param("9" * 90_000, id="digits"),
        pytest.param("*".join(["1e300"] * 1_500), id="long product of numbers"),
        pytest.param("+".join(f"1/{10**59 + 7 * k}" for k in range(1_400)), id="long denominators"),
        pytest.param("+".join(f"u/{10**59 + 7 * k}" for k in range(1_400)), id="long denominators of one monomial"),
        pytest.param("exp(u + 10**9*log(3))", id="power hidden in exp"),
        pytest.param("2**(10**9*log(3)/log(2))", id="power hidden in a logarithm"),
        pytest.param("3**(10**9 + u)*3**(-u)", id="power hidden in a product"),
        pytest.param("u+" * 1_000 + "a" * 90_000, id="a long name"),
        pytest.param("__import__('os').system('true')", id="code"),
    ],
)
def test_hostile_text_is_refused_at_once(text: str) -> None:
    work, error = calls(lambda: _refusal(text))
    assert work < 1_000_000
    assert isinstance(error, (ProblemTooLarge, ExpressionSyntaxError))
    assert len(str(error)) < 300


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("Abs(1 - 2*" * 9 + "u" + "**3)" * 9, id="absolute values"),
        pytest.param("(1 + 1/" * 60 + "u" + ")" * 60, id="continued fraction"),
        pytest.param("(" * 60 + "u" + " + 1)**2" * 60, id="squares of squares"),
        pytest.param("+".join(f"sin({k})" for k in range(1_000)), id="many numeric functions"),
    ],
)
def test_the_worst_that_is_allowed_ends(text: str) -> None:
    work, _ = calls(lambda: parse(text))
    assert work < 12_000_000


def test_running_out_of_stack_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_: object) -> None:
        raise RecursionError

    monkeypatch.setattr(expressions._Builder, "expression", exhausted)
    with pytest.raises(ProblemTooLarge, match="operations in a row"):
        parse("u + v")


def _refusal(text: str) -> BadInput | None:
    try:
        parse(text)
    except BadInput as error:
        return error
    return None


# --- any expression, written and read back ----------------------------------------------------------

POINT = {"u": Fraction(2, 3), "v": Fraction(-5, 7), "s": Fraction(3, 2)}


def _binary(children: st.SearchStrategy) -> st.SearchStrategy:
    def combine(operator: str, left: tuple, right: tuple) -> tuple:
        (a, x), (b, y) = left, right
        value = {"+": x + y, "-": x - y, "*": x * y}[operator]
        return f"({a}) {operator} ({b})", value

    def divide(left: tuple, right: tuple) -> tuple:
        return f"({left[0]})/(1 + ({right[0]})**2)", left[1] / (1 + right[1] ** 2)

    def power(base: tuple, exponent: int) -> tuple:
        return f"({base[0]})**{exponent}", base[1] ** exponent

    return st.one_of(
        st.builds(combine, st.sampled_from("+-*"), children, children),
        st.builds(divide, children, children),
        st.builds(power, children, st.integers(0, 3)),
        st.builds(lambda a: (f"-({a[0]})", -a[1]), children),
    )


LEAVES = st.one_of(
    st.sampled_from(sorted(POINT)).map(lambda name: (name, POINT[name])),
    st.integers(0, 999).map(lambda n: (str(n), Fraction(n))),
    st.decimals(0, 99, places=3).map(lambda d: (str(d), Fraction(str(d)))),
)


@settings(max_examples=150, deadline=None)
@given(st.recursive(LEAVES, _binary, max_leaves=10))
def test_round_trip(written: tuple[str, Fraction]) -> None:
    """The second road computes with fractions while it writes; parentheses are everywhere."""
    text, value = written
    read = parse(text).subs({NAMES[name]: sp.Rational(x.numerator, x.denominator) for name, x in POINT.items()})
    assert read == sp.Rational(value.numerator, value.denominator)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["+", "-", "*", "/"]), st.integers(1, 9)), max_size=12), st.integers(1, 9))
def test_precedence(steps: list[tuple[str, int]], first: int) -> None:
    """Without parentheses: products first, then sums, both from the left."""
    sums = [Fraction(first)]
    for operator, number in steps:
        if operator in "+-":
            sums.append(Fraction(number if operator == "+" else -number))
        else:
            sums[-1] = sums[-1] * number if operator == "*" else sums[-1] / number
    text = f"{first}" + "".join(f" {operator} {number}" for operator, number in steps)
    assert parse(text) == sp.Rational(sum(sums).numerator, sum(sums).denominator)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="uvs0123456789.+-*/()<>=!, expI\n", max_size=25))
def test_any_text_is_read_or_refused(text: str) -> None:
    error = _refusal(text)
    assert error is None or str(error).startswith("key 'loss'")
