"""The optimizer of a command: that of its options, or that of the problem file."""

import argparse
from typing import Any

import sympy as sp

from symbolic_sgd.errors import BadInput
from symbolic_sgd.optimizers.catalogue import OPTIMIZERS
from symbolic_sgd.optimizers.optimizer import Optimizer
from symbolic_sgd.optimizers.stated import MATRICES, SEVERAL, keys, optimizer_of
from symbolic_sgd.problems.expressions import parse_expression
from symbolic_sgd.problems.problem_file import LETTERS, WORDS, ProblemFile, StatedOptimizer, with_letter

PREFIX = "optimizer_"
"""Of what the options of its keys are stored as."""


def add_optimizer(parser: argparse.ArgumentParser, *taken: str) -> None:
    """The options that state an optimizer, one for each key of each kind.

    Args:
        parser: of the command.
        taken: keys whose options the command has itself.
    """
    group = parser.add_argument_group(
        "optimizer", "exact numbers, or constants of the problem file; negative ones as --momentum=-1/2"
    )
    group.add_argument(
        "--optimizer",
        metavar="KIND",
        help=f"{', '.join(OPTIMIZERS)} (default: that of the file's table [optimizer], else SGD at a vanishing learning rate)",
    )
    for key, kinds in keys().items():
        if key not in taken:
            words = f"of {', '.join(kinds)}"
            meta = '"A, B; C, D"' if key in MATRICES else "X"
            words += ", several matrices with | between them" if key in SEVERAL else ""
            group.add_argument(_option(key), dest=f"{PREFIX}{key}", metavar=meta, help=words)


def stated_optimizer(options: argparse.Namespace, file: ProblemFile, **further: str | None) -> Optimizer:
    """The optimizer that is meant.

    Args:
        options: of the command.
        file: the problem file.
        further: keys that the command has itself, as their options were written.

    Raises:
        BadInput: a key without --optimizer; what `optimizer_of` refuses.
    """
    written: dict[str, Any] = {key: getattr(options, f"{PREFIX}{key}", None) for key in keys()} | further
    given = {key: text for key, text in written.items() if text is not None}
    if options.optimizer is None:
        if given:
            raise BadInput(
                f"{_option(next(iter(given)))} belongs to an optimizer: give --optimizer {_kinds_of(given)} as well"
            )
        return optimizer_of(file.optimizer)
    names = {s.name: s for s in file.problem.symbols if isinstance(s, sp.Symbol)}
    values = {key: _value(key, text, names) for key, text in given.items()}
    return optimizer_of(StatedOptimizer(options.optimizer, values, "--optimizer"))


def _value(key: str, text: str, names: dict[str, sp.Symbol]) -> sp.Basic | tuple[sp.Basic, ...] | str:
    """What was written: an expression, a matrix as "2, 1/2; 1/2, 1", several of them, or a word."""
    where = _option(key)
    if key in WORDS:
        return text
    if key in LETTERS:
        return parse_expression(text, with_letter(key, names, where), where=where)
    if key not in MATRICES:
        return parse_expression(text, names, where=where)
    if key in SEVERAL:
        return tuple(_matrix(part, names, where) for part in text.split("|"))
    return _matrix(text, names, where)


def _matrix(text: str, names: dict[str, sp.Symbol], where: str) -> sp.Basic:
    rows = [[parse_expression(cell.strip(), names, where=where) for cell in row.split(",")] for row in text.split(";")]
    if len({len(row) for row in rows}) != 1:
        raise BadInput(f'{where}: the rows are not equally long; write a matrix as "2, 1/2; 1/2, 1"')
    return sp.ImmutableDenseMatrix(rows)


def _kinds_of(given: dict[str, Any]) -> str:
    return " or ".join(kind for kind in OPTIMIZERS if all(kind in keys()[key] for key in given)) or "KIND"


def _option(key: str) -> str:
    return f"--{key.replace('_', '-')}"
