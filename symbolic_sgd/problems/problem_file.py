"""Problem files: TOML with an exact key set, every expression through the allow-list parser. Data, never executed.

A file states one of `residuals`, `loss`, `sample_losses` or `perturbed_loss`; what a problem has to satisfy beyond its form (shapes,
weights, what the noise fits) is checked by `Problem` and the noise models, as it is for problems stated in Python.
"""

import datetime
import difflib
import keyword
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import sympy as sp
from sympy.core.relational import Relational

from symbolic_sgd.algebra.functions import CONSTANTS, FUNCTIONS
from symbolic_sgd.errors import BadSymbol, ProblemFileError, ProblemTooLarge
from symbolic_sgd.files import opened
from symbolic_sgd.problems import file_keys
from symbolic_sgd.problems.expressions import MAX_LITERAL_DIGITS, parse_condition, parse_expression
from symbolic_sgd.problems.file_keys import KEYS, Key
from symbolic_sgd.problems.noise import GradientNoise, IsotropicNoise, LabelNoise, Noise
from symbolic_sgd.problems.problem import Problem
from symbolic_sgd.problems.symbols import NAME

MAX_BYTES = 1 << 20
"""Size of a problem file."""

MAX_KEY_PARTS = 8
"""Names in a dotted key: tomllib's memory grows with the square of their number (1 MiB of `a.a.a.` takes it all)."""

MAX_ENTRIES = 10_000
"""Entries in one list: parameters, residuals, the cells of sigma."""

ASSUMPTIONS = ("real", "positive", "negative", "nonnegative", "nonpositive", "nonzero")
"""What the table [constants] may say of a constant."""

# It may start only where a key can, or a long run of quotes would be searched from each of them to its end.
_DOTTED_KEY = re.compile(
    rf"""(?<![^\s{{,\[])(?>(?:[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*')[ \t]*\.[ \t]*){{{MAX_KEY_PARTS}}}"""
)

_KINDS = {
    bool: "a boolean",
    int: "an integer",
    float: "a float",
    str: "a string",
    list: "a list",
    dict: "a table",
    datetime.date: "a date",
    datetime.time: "a time",
}


LETTERS = {"function": sp.Symbol("g", real=True)}
"""Keys of optimizers that are functions of a letter of their own."""

WORDS = frozenset({"law"})
"""Keys of optimizers whose values are words."""


def with_letter(key: str, names: Mapping[str, sp.Symbol], where: str) -> dict[str, sp.Symbol]:
    """The names that an expression of the key may hold.

    Raises:
        ProblemFileError: the letter is a symbol of the problem.
    """
    letter = LETTERS[key]
    if letter.name in names:
        raise ProblemFileError(
            f"{where} is a function of {letter.name}, which is a symbol of the problem: give that another name"
        )
    return {**names, letter.name: letter}


@dataclass(frozen=True)
class StatedOptimizer:
    """The table [optimizer], whose kinds and keys `optimizers.stated` knows.

    Args:
        kind: the name of the optimizer.
        values: of its other keys, exact expressions in the file's symbols, matrices of them, or words.
        place: words for where it stands, for messages.
    """

    kind: str
    values: Mapping[str, sp.Basic | tuple[sp.Basic, ...] | str]
    place: str


@dataclass(frozen=True)
class ProblemFile:
    """What a problem file states.

    Args:
        title: one line for headings, "" if the file gives none.
        problem: the problem.
        optimizer: None if the file states none.
    """

    title: str
    problem: Problem
    optimizer: StatedOptimizer | None = None


def read_problem(path: str | Path) -> Problem:
    """The problem stated in the TOML file at `path`, without its optimizer.

    Raises:
        ProblemFileError: the file cannot be read, is not TOML, has an unknown or a missing key, or a value of the wrong
            kind.
        ExpressionSyntaxError: an expression outside the allow-list; the message names its key and column.
        ProblemTooLarge: a file of more than `MAX_BYTES`, or an expression past the parser's caps.
        BadSymbol: a name that is badly formed, repeated, or already a function or a constant.
        BadInput: what `Problem` itself refuses.
    """
    return read_problem_file(path).problem


def read_problem_file(path: str | Path) -> ProblemFile:
    """The problem at `path` with its title and its optimizer; raises what `read_problem` raises."""
    return _stated(read_content(path), str(path))


def read_content(path: str | Path) -> dict[str, Any]:
    """The keys and values that the TOML file at `path` states; raises what `content_of` raises, or that it cannot be read."""
    return content_of(_text_of(path), str(path))


def problem_from_text(text: str, *, source: str = "<text>") -> Problem:
    """The problem that the TOML `text` states; raises what `read_problem` raises.

    Args:
        text: the content of a problem file.
        source: words for where the text comes from, for messages.

    >>> problem_from_text('''
    ... parameters = ["u", "v"]
    ... residuals = ["u*v - 1"]
    ... noise = { kind = "label", amplitude = "1/2" }
    ... ''').loss
    (u*v - 1)**2/2
    """
    return _translated(text, source).problem


def _text_of(path: str | Path) -> str:
    try:
        with opened(path) as file:
            content = file.read(MAX_BYTES + 1)
    except IsADirectoryError:
        raise ProblemFileError(f"{path} is a directory; name a problem file (TOML) in it") from None
    except FileNotFoundError:
        raise ProblemFileError(f"{path}: there is no such file; check the path") from None
    except OSError as error:
        raise ProblemFileError(f"{path!s}: the file cannot be read ({error.strerror or error})") from None
    except ValueError as error:
        raise ProblemFileError(f"{path!s}: the file cannot be read ({error})") from None
    if len(content) > MAX_BYTES:
        raise ProblemTooLarge(f"{path}: the file has more than {MAX_BYTES:,} bytes, the limit for a problem file")
    try:
        return content.decode("utf-8-sig")  # some editors begin a UTF-8 file with a byte-order mark
    except UnicodeDecodeError as error:
        raise ProblemFileError(f"{path} is not UTF-8 text (byte {error.start + 1}); save it as UTF-8") from None


def problem_from_document(content: Mapping[str, Any], *, source: str) -> Problem:
    """The problem that the content of a problem file states; raises what `read_problem` raises."""
    return file_from_document(content, source=source).problem


def file_from_document(content: Mapping[str, Any], *, source: str) -> ProblemFile:
    """All that the content of a problem file states; raises what `read_problem` raises."""
    return _stated(content, source)


def _translated(text: str, source: str) -> ProblemFile:
    return _stated(content_of(text, source), source)


def _stated(content: Mapping[str, Any], source: str) -> ProblemFile:
    document = _Table(content, source)
    document.check_keys(tuple(KEYS))
    parameters, constants = _parameters(document), _constants(document)
    _check_names(parameters, constants, source)
    reader = _Reader(document, parameters, constants)
    statement = _the_statement(document)
    for key in KEYS.values():
        if key.beside not in ("", statement) and key.name in document.content:
            raise document.error(key.name, f"goes with {key.beside} only, not with {statement}")
    problem = _STATEMENTS[statement](reader, _further(reader))
    return ProblemFile(document.get("title", str, ""), problem, _optimizer(reader))


def content_of(text: str, source: str) -> dict[str, Any]:
    """The keys and values that TOML states, and no more is asked of them.

    Raises:
        ProblemFileError: it is no TOML.
        ProblemTooLarge: it is longer, or nested more deeply, than a problem file can be.
    """
    if len(text) > MAX_BYTES:
        raise ProblemTooLarge(f"{source}: more than {MAX_BYTES:,} characters, the limit for a problem file")
    if found := _DOTTED_KEY.search(text):
        line = text.count("\n", 0, found.start()) + 1
        raise ProblemTooLarge(
            f"{source}, line {line}: a dotted key of more than {MAX_KEY_PARTS} parts; no key has so many"
        )
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ProblemTooLarge(f"{source}: the lists or tables are nested too deeply") from None
    except ValueError as error:  # also Python's own refusal of integers of thousands of digits
        raise ProblemFileError(f"{source} is not valid TOML: {error}") from None


# --- tables of the document ---------------------------------------------------------------------


@dataclass(frozen=True)
class _Table:
    """One table of the document and the words for its place."""

    content: Mapping[str, Any]
    place: str

    def where(self, key: str) -> str:
        return f"{self.place}: key {key!r}"

    def error(self, key: str, complaint: str) -> ProblemFileError:
        return ProblemFileError(f"{self.where(key)} {complaint}")

    def check_keys(self, known: Sequence[str]) -> None:
        for key in self.content:
            if key not in known:
                near = difflib.get_close_matches(key[:40], known, n=1)
                advice = f"did you mean {near[0]!r}?" if near else f"the keys here are {', '.join(known)}"
                raise self.error(key[:40], f"is unknown; {advice}")

    def need(self, key: str, kind: type, example: str) -> Any:
        if key not in self.content:
            raise self.error(key, f"is missing; write {example}")
        return self.get(key, kind, None)

    def get(self, key: str, kind: type, default: Any) -> Any:
        return _of_kind(self.content[key], kind, self.where(key)) if key in self.content else default

    def table(self, key: str) -> "_Table":
        return _Table(self.get(key, dict, {}), f"{self.place}: table [{key}]")


def _of_kind(value: Any, kind: type, where: str) -> Any:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ProblemFileError(f"{where} is {_kind_name(value)} ({_shown(value)}); {_KINDS[kind]} is wanted")
    return value


def _short(entries: list[Any], where: str) -> list[Any]:
    if len(entries) > MAX_ENTRIES:
        raise ProblemTooLarge(f"{where} has {len(entries):,} entries; the limit is {MAX_ENTRIES:,}")
    return entries


def _kind_name(value: Any) -> str:
    return next((name for kind, name in _KINDS.items() if isinstance(value, kind)), type(value).__name__)


def _shown(value: Any) -> str:
    text = "[...]" if isinstance(value, list) else "{...}" if isinstance(value, dict) else repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


# --- names ------------------------------------------------------------------------------------


def _parameters(document: _Table) -> dict[str, sp.Symbol]:
    names = _short(document.need("parameters", list, file_keys.PARAMETERS.example), document.where("parameters"))
    if not names:
        raise document.error("parameters", "is empty; name the symbols that SGD trains")
    for i, name in enumerate(names):
        _of_kind(name, str, f"{document.place}: parameters[{i}]")
    name, times = Counter(names).most_common(1)[0]
    if times > 1:
        raise BadSymbol(f"{document.where('parameters')} names {name[:40]!r} {times} times; name each parameter once")
    return {name: sp.Symbol(name, real=True) for name in names}


def _constants(document: _Table) -> dict[str, sp.Symbol]:
    table = document.table("constants")
    symbols = {}
    for name in table.content:
        assumption = table.get(name, str, None)
        if assumption not in ASSUMPTIONS:
            advice = f"the assumptions are {', '.join(ASSUMPTIONS)}"
            raise table.error(name, f"has an unknown assumption {assumption[:40]!r}; {advice}")
        symbols[name] = sp.Symbol(name, **{"real": True, assumption: True})
    return symbols


def _check_names(parameters: Mapping[str, Any], constants: Mapping[str, Any], source: str) -> None:
    for name in (*parameters, *constants):
        if name in parameters and name in constants:
            raise BadSymbol(f"{source}: {name!r} is both a parameter and a constant; keep it in one of the two")
        if not NAME.fullmatch(name):
            advice = "use letters, digits and underscores after a first letter"
            raise BadSymbol(f"{source}: the name {name[:40]!r} is not allowed; {advice}")
        if name in FUNCTIONS or name in CONSTANTS:
            raise BadSymbol(f"{source}: the name {name!r} is taken by a function or a number; rename it")
        if keyword.iskeyword(name):
            raise BadSymbol(f"{source}: {name!r} is a word of the Python language; rename it (lambda1, say)")


# --- expressions --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Reader:
    """The document with the symbols it declares."""

    document: _Table
    parameters: Mapping[str, sp.Symbol]
    constants: Mapping[str, sp.Symbol]
    names: dict[str, sp.Symbol] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", {**self.parameters, **self.constants})

    def knowing(self, further: Mapping[str, sp.Symbol]) -> "_Reader":
        """The same with further names."""
        return replace(self, constants={**self.constants, **further})

    def exact(self, value: Any, where: str) -> sp.Expr:
        """The exact expression in a cell: a string, or an integer."""
        if isinstance(value, float):
            quoted = f'write it in quotes: "{value!r}"'
            raise ProblemFileError(f"{where} is a float ({value!r}) where an exact number is wanted; {quoted}")
        if isinstance(value, int) and not isinstance(value, bool):
            if abs(value) >= 10**MAX_LITERAL_DIGITS:
                raise ProblemTooLarge(f"{where} is an integer of more than {MAX_LITERAL_DIGITS} digits")
            return sp.Integer(value)
        return parse_expression(_of_kind(value, str, where), self.names, where=where)

    def one(self, table: _Table, key: str, default: str | None = None) -> sp.Expr:
        return self.exact(table.content.get(key, default), table.where(key))

    def several(self, key: str) -> list[sp.Expr]:
        return [self.exact(value, where) for value, where in self._cells(key)]

    def conditions(self, key: str) -> list[Relational]:
        cells = self._cells(key)
        return [parse_condition(_of_kind(value, str, where), self.names, where=where) for value, where in cells]

    def _cells(self, key: str) -> Iterator[tuple[Any, str]]:
        for i, value in enumerate(_short(self.document.get(key, list, []), self.document.where(key))):
            yield value, f"{self.document.place}: {key}[{i}]"


# --- the parts of a problem -----------------------------------------------------------------------


def _the_statement(document: _Table) -> str:
    stated = [key for key in _STATEMENTS if key in document.content]
    if len(stated) == 1:
        return stated[0]
    found = " and ".join(stated) or "none of them"
    raise ProblemFileError(f"{document.place}: give exactly one of {', '.join(_STATEMENTS)}; the file has {found}")


def _further(reader: _Reader) -> dict[str, Any]:
    return {
        "parameters": tuple(reader.parameters.values()),
        "constants": tuple(reader.constants.values()),
        "manifold": reader.several("manifold"),
        "domain": reader.conditions("domain"),
        "near": _near(reader),
    }


def _optimizer(reader: _Reader) -> StatedOptimizer | None:
    if "optimizer" not in reader.document.content:
        return None
    table = reader.document.table("optimizer")
    kind = table.need("kind", str, f"{file_keys.OPTIMIZER_KIND.example}, or another optimizer")
    values = {key: _value(reader, table, key) for key in table.content if key != "kind"}
    return StatedOptimizer(kind, values, table.place)


def _value(reader: _Reader, table: _Table, key: str) -> sp.Basic | tuple[sp.Basic, ...] | str:
    """An exact expression; a matrix where the cell is a list of rows; matrices where it is a list of such lists; a word of `WORDS`."""
    rows = table.content[key]
    if key in WORDS:
        return table.need(key, str, f"{key} = a word")
    if key in LETTERS:
        return parse_expression(
            table.need(key, str, f'{key} = "tanh(g)"'),
            with_letter(key, reader.names, table.where(key)),
            where=table.where(key),
        )
    if not isinstance(rows, list):
        return reader.one(table, key)
    where = table.where(key)
    if rows and all(isinstance(row, list) and row and isinstance(row[0], list) for row in rows):
        return tuple(_matrix(reader, matrix, f"{where}[{k}]") for k, matrix in enumerate(rows))
    return _matrix(reader, rows, where)


def _matrix(reader: _Reader, rows: list[Any], where: str) -> sp.Basic:
    cells = [
        [reader.exact(cell, f"{where}[{i}]") for cell in _of_kind(row, list, f"{where}[{i}]")]
        for i, row in enumerate(rows)
    ]
    if not cells or len({len(row) for row in cells}) != 1:
        raise ProblemFileError(
            f"{where} has rows of different lengths: a matrix is a list of rows that are equally long"
        )
    return sp.ImmutableDenseMatrix(cells)


def _near(reader: _Reader) -> dict[sp.Symbol, Any] | None:
    if "near" not in reader.document.content:
        return None
    table = reader.document.table("near")
    table.check_keys(list(reader.names))
    # A float is welcome here: near is where the search for the manifold begins, no part of any formula.
    return {
        reader.names[key]: value if isinstance(value, float) else reader.one(table, key)
        for key, value in table.content.items()
    }


def _from_loss(reader: _Reader, further: dict[str, Any]) -> Problem:
    return Problem(loss=reader.one(reader.document, "loss"), noise=_noise(reader), **further)


def _from_residuals(reader: _Reader, further: dict[str, Any]) -> Problem:
    return Problem.least_squares(reader.several("residuals"), noise=_noise(reader), **further)


def _from_sample_losses(reader: _Reader, further: dict[str, Any]) -> Problem:
    if "noise" in reader.document.content:
        raise reader.document.error("noise", "does not go with sample_losses, which bring their own noise; remove it")
    weights = reader.several("weights") if "weights" in reader.document.content else None
    return Problem.from_sample_losses(reader.several("sample_losses"), weights=weights, **further)


def _from_perturbed_loss(reader: _Reader, further: dict[str, Any]) -> Problem:
    document = reader.document
    if "noise" in document.content:
        raise document.error("noise", "does not go with perturbed_loss, which brings its own noise; remove it")
    names = _short(
        document.need("perturbations", list, file_keys.PERTURBATIONS.example), document.where("perturbations")
    )
    for i, name in enumerate(names):
        _of_kind(name, str, f"{document.place}: perturbations[{i}]")
    drawn = {name: sp.Symbol(name, real=True) for name in names}
    _check_names(drawn, {}, document.place)
    taken = [name for name in names if name in reader.names or names.count(name) > 1]
    if taken:
        raise BadSymbol(
            f"{document.where('perturbations')} names {taken[0][:40]!r}, which is taken; name each perturbation once"
        )
    loss = reader.knowing(drawn).one(document, "perturbed_loss")
    covariance = _value(reader, document, "covariance") if "covariance" in document.content else None
    return Problem.perturbed(loss, perturbations=tuple(drawn.values()), covariance=covariance, **further)


_STATEMENTS: dict[str, Callable[[_Reader, dict[str, Any]], Problem]] = {
    "residuals": _from_residuals,
    "loss": _from_loss,
    "sample_losses": _from_sample_losses,
    "perturbed_loss": _from_perturbed_loss,
}

STATEMENTS = tuple(key.name for key in file_keys.STATEMENT_KEYS)
"""The keys of which a file has exactly one."""

LISTED = frozenset(key.name for key in file_keys.STATEMENT_KEYS if key.kind == file_keys.EXPRESSIONS)
"""Those whose values are lists."""


# --- noise --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class NoiseKind:
    """How a noise model stands in the table [noise] of a problem file.

    Args:
        model: its type.
        keys: the rows of those beside `kind`.
        read: the model, from the table.
        write: the values of the keys.
    """

    model: type[Noise]
    keys: tuple[Key, ...]
    read: Callable[[_Reader, _Table], Noise]
    write: Callable[[Any], dict[str, Any]]


def _noise(reader: _Reader) -> Noise:
    reader.document.need("noise", dict, f"{file_keys.NOISE.example}, or a table [noise]")
    table = reader.document.table("noise")
    name = table.need("kind", str, f"one of {', '.join(map(repr, NOISE_KINDS))}")
    if name not in NOISE_KINDS:
        raise table.error("kind", f"is {name[:40]!r}; the kinds of noise are {', '.join(NOISE_KINDS)}")
    table.check_keys((file_keys.NOISE_KIND.name, *(key.name for key in NOISE_KINDS[name].keys)))
    return NOISE_KINDS[name].read(reader, table)


def _label_noise(reader: _Reader, table: _Table) -> Noise:
    if "residuals" not in reader.document.content:
        raise table.error("kind", "is 'label', which needs residuals; state residuals = [...] in place of the loss")
    batch = (
        table.need("batch_size", int, f"{file_keys.BATCH_SIZE.example}, up to the number of residuals")
        if "batch_size" in table.content
        else None
    )
    if isinstance(table.content.get("amplitude"), list):
        entries = table.need("amplitude", list, f"{file_keys.AMPLITUDE.example}, or one for each residual")
        _short(entries, table.where("amplitude"))
        each = (reader.exact(a, f"{table.place}: amplitude[{i}]") for i, a in enumerate(entries))
        return LabelNoise(tuple(each), batch)
    return LabelNoise(reader.one(table, "amplitude", "1"), batch)


def _label_table(noise: LabelNoise) -> dict[str, Any]:
    batch = {} if noise.batch_size is None else {"batch_size": noise.batch_size}
    each = [str(a) for a in noise.amplitude] if isinstance(noise.amplitude, tuple) else str(noise.amplitude)
    return {"amplitude": each, **batch}


def _isotropic_noise(reader: _Reader, table: _Table) -> Noise:
    return IsotropicNoise(reader.one(table, "scale", "1"))


def _matrix_noise(reader: _Reader, table: _Table) -> Noise:
    sigma, covariance = file_keys.SIGMA, file_keys.NOISE_COVARIANCE
    row = covariance if covariance.name in table.content and sigma.name not in table.content else sigma
    key = row.name
    rows = table.need(key, list, f"{row.example}, one row for each parameter")
    cells = [_of_kind(row, list, f"{table.where(key)}, row {i}") for i, row in enumerate(rows)]
    _short([value for row in cells for value in row], table.where(key))
    widths = {len(row) for row in cells}
    if len(widths) != 1 or 0 in widths:
        found = ", ".join(str(len(row)) for row in cells[:8]) or "none"
        raise table.error(key, f"needs rows of one length, at least 1; the lengths are {found}")
    entries = [
        [reader.exact(value, f"{table.place}: {key}[{i}][{j}]") for j, value in enumerate(row)]
        for i, row in enumerate(cells)
    ]
    if row is sigma and covariance.name in table.content:
        raise table.error(covariance.name, "stands beside sigma; state one of the two")
    return GradientNoise(**{key: sp.ImmutableDenseMatrix(entries)})


def _matrix_table(noise: GradientNoise) -> dict[str, Any]:
    key = "sigma" if noise.covariance is None else "covariance"
    return {key: [[str(e) for e in row] for row in getattr(noise, key).tolist()]}


NOISE_KINDS: dict[str, NoiseKind] = {
    "label": NoiseKind(LabelNoise, (file_keys.AMPLITUDE, file_keys.BATCH_SIZE), _label_noise, _label_table),
    "isotropic": NoiseKind(
        IsotropicNoise, (file_keys.SCALE,), _isotropic_noise, lambda noise: {"scale": str(noise.scale)}
    ),
    "matrix": NoiseKind(GradientNoise, (file_keys.SIGMA, file_keys.NOISE_COVARIANCE), _matrix_noise, _matrix_table),
}
"""The kinds of noise a file may name; a further one is a further row."""
