"""The fields of the page, all of them text, and the content of a problem file that they state. Data, never executed."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from symbolic_sgd.errors import ProblemFileError
from symbolic_sgd.optimizers.catalogue import OPTIMIZERS
from symbolic_sgd.optimizers.stated import MATRICES, SEVERAL, keys
from symbolic_sgd.problems.as_text import problem_text
from symbolic_sgd.problems.problem_file import LISTED, NOISE_KINDS, STATEMENTS, content_of

SOURCE = "problem"
"""What messages call the problem of the page."""

FURTHER = "further lines"
"""What they call the lines of TOML in it."""

PLAIN = "sgd"
"""The optimizer that need not be named."""

ROWS = frozenset({"sigma", "covariance"})
"""Keys of noises whose values are matrices."""

SEQUENCES = frozenset({"amplitude"})
"""Keys of noises whose values may be lists."""

COUNTS = frozenset({"batch_size"})
"""Keys of noises whose values are integers."""

NO_NOISE = frozenset({"sample_losses", "perturbed_loss"})
"""Statements that bring their own noise."""


@dataclass(frozen=True)
class Fields:
    """What is written on the page.

    Args:
        statement: which key `formula` is the value of: one of `STATEMENTS`.
        formula: one expression, or one a line.
        parameters: names, separated by commas.
        constants: names, separated by commas, each with what is assumed of it: "s positive".
        noise: its kind.
        noise_values: key → what is written there; "" where nothing is.
        optimizer: its kind.
        optimizer_values: key → what is written there.
        further: lines of a problem file with other keys.
    """

    statement: str = "loss"
    formula: str = ""
    parameters: str = ""
    constants: str = ""
    noise: str = "isotropic"
    noise_values: Mapping[str, str] = field(default_factory=dict)
    optimizer: str = PLAIN
    optimizer_values: Mapping[str, str] = field(default_factory=dict)
    further: str = ""


NAMES = tuple(f.name for f in fields(Fields))
TABLES = frozenset({"noise_values", "optimizer_values"})


def read_fields(sent: Any) -> Fields:
    """The fields as they were sent.

    Raises:
        ProblemFileError: another key, or a value that is no text.
    """
    if not isinstance(sent, dict):
        raise ProblemFileError(f"{SOURCE}: what was sent is no table of fields; reload the page")
    for name, value in sent.items():
        if name not in NAMES:
            raise ProblemFileError(f"{SOURCE}: there is no field {name[:40]!r}; the fields are {', '.join(NAMES)}")
        inner = value.values() if name in TABLES and isinstance(value, dict) else [value]
        if (name in TABLES) != isinstance(value, dict) or not all(isinstance(text, str) for text in inner):
            raise ProblemFileError(f"{SOURCE}: the field {name} is not text; reload the page")
    return Fields(**sent)


def document_of(written: Fields) -> dict[str, Any]:
    """The content of the problem file that the fields state; `file_from_document` judges it.

    Raises:
        ProblemFileError: no such statement; a constant with more than one assumption; further lines that are no TOML, or that
            state a key again.

    >>> document_of(Fields("residuals", "u*v - 1", "u, v", noise="label", noise_values={"amplitude": "1/2"}))
    {'residuals': ['u*v - 1'], 'parameters': ['u', 'v'], 'noise': {'kind': 'label', 'amplitude': '1/2'}}
    """
    if written.statement not in STATEMENTS:
        known = ", ".join(STATEMENTS)
        raise ProblemFileError(f"{SOURCE}: {written.statement[:40]!r} is no statement of a loss; they are {known}")
    formula = _lines(written.formula) if written.statement in LISTED else written.formula
    document: dict[str, Any] = {written.statement: formula, "parameters": _split(r"[,\s]+", written.parameters)}
    constants = _constants(written.constants)
    document |= {"constants": constants} if constants else {}
    if written.statement not in NO_NOISE:
        values = {key: _noise_value(key, text) for key, text in written.noise_values.items() if text.strip()}
        document["noise"] = {"kind": written.noise, **values}
    values = {key: _optimizer_value(key, text) for key, text in written.optimizer_values.items() if text.strip()}
    document |= (
        {} if written.optimizer == PLAIN and not values else {"optimizer": {"kind": written.optimizer, **values}}
    )
    further = content_of(written.further, f"{SOURCE}: {FURTHER}")
    for key in further:
        if key in document:
            raise ProblemFileError(f"{SOURCE}: {FURTHER} state {key[:40]!r}, which the form states: remove it there")
    return document | further


def fields_of(document: Mapping[str, Any]) -> Fields:
    """The fields that state the content of a problem file: `document_of` gives it back.

    >>> fields_of({"loss": "(u*v - 1)**2/2", "parameters": ["u", "v"], "noise": {"kind": "isotropic"}}).parameters
    'u, v'
    """
    rest = dict(document)
    statement = next(key for key in STATEMENTS if key in rest)
    formula = rest.pop(statement)
    noise, optimizer = dict(rest.pop("noise", {"kind": "isotropic"})), dict(rest.pop("optimizer", {"kind": PLAIN}))
    return Fields(
        statement,
        "\n".join(formula) if statement in LISTED else formula,
        ", ".join(rest.pop("parameters")),
        ", ".join(f"{name} {assumption}" for name, assumption in rest.pop("constants", {}).items()),
        noise.pop("kind"),
        {key: _written(value) for key, value in noise.items()},
        optimizer.pop("kind"),
        {key: _written(value) for key, value in optimizer.items()},
        problem_text(rest),
    )


def noise_keys() -> dict[str, tuple[str, ...]]:
    """Kind of noise → its keys."""
    return {name: tuple(key.name for key in kind.keys) for name, kind in NOISE_KINDS.items()}


def optimizer_keys() -> dict[str, tuple[str, ...]]:
    """Kind of optimizer → its keys."""
    return {kind: tuple(key for key, kinds in keys().items() if kind in kinds) for kind in OPTIMIZERS}


def is_matrix(key: str) -> bool:
    """Whether what is written there is a matrix, a row a line."""
    return key in ROWS or key in MATRICES


def _written(value: Any) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        if all(isinstance(row, list) for row in value):
            if any(isinstance(cell, list) for row in value for cell in row):
                return "\n|\n".join(map(_written, value))
            return "\n".join(map(_written, value))
        return ", ".join(map(str, value))
    return str(value)


def _constants(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in _split(",", text):
        name, *assumptions = entry.split()
        if len(assumptions) > 1:
            raise ProblemFileError(f"{SOURCE}: the constant {entry[:40]!r} is a name and one word, as in s positive")
        found[name] = assumptions[0] if assumptions else "real"
    return found


def _noise_value(key: str, text: str) -> Any:
    if key in ROWS:
        return _rows(text)
    if key in SEQUENCES and len(cells := _cells(text)) > 1:
        return cells
    return int(text) if key in COUNTS and re.fullmatch(r"\s*[0-9]{1,9}\s*", text) else text


def _optimizer_value(key: str, text: str) -> Any:
    if key in SEVERAL and "|" in text:
        return [_rows(part) for part in text.split("|")]
    return _rows(text) if key in MATRICES else text.strip()


def _rows(text: str) -> list[list[str]]:
    """A matrix, a row a line, or with ; between them."""
    return list(map(_cells, _lines(text)))


def _lines(text: str) -> list[str]:
    return _split(r"[\n;]", text)


def _cells(text: str) -> list[str]:
    """Split at commas, but for those between the arguments of a function."""
    found, depth = [""], 0
    for character in text:
        depth += (character == "(") - (character == ")")
        if character == "," and depth <= 0:
            found.append("")
        else:
            found[-1] += character
    return [cell.strip() for cell in found]


def _split(pattern: str, text: str) -> list[str]:
    return [part.strip() for part in re.split(pattern, text) if part.strip()]
