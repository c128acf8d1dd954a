"""Optimizers as data: a kind and the values of its keys, as problem files and the command line state them."""

import difflib
from dataclasses import MISSING, Field, fields
from typing import Any

import sympy as sp

from symbolic_sgd.errors import BadInput, ProblemFileError
from symbolic_sgd.optimizers.catalogue import OPTIMIZERS
from symbolic_sgd.optimizers.optimizer import Optimizer
from symbolic_sgd.optimizers.second_moments import FOLLOWING
from symbolic_sgd.optimizers.sgd import SGD
from symbolic_sgd.problems.as_data import problem_document
from symbolic_sgd.problems.problem import Problem
from symbolic_sgd.problems.problem_file import LETTERS, StatedOptimizer, file_from_document

MATRICES = frozenset({"preconditioner", "matrices"})
"""Keys whose values are matrices."""

SEVERAL = frozenset({"matrices"})
"""Keys whose values may be several matrices."""


def keys() -> dict[str, tuple[str, ...]]:
    """Every key, and the kinds that take it.

    >>> keys()["momentum"]
    ('heavy_ball', 'nesterov')
    """
    found: dict[str, list[str]] = {}
    for kind in OPTIMIZERS:
        for field in stated_fields(kind):
            found.setdefault(field.name, []).append(kind)
    return {key: tuple(kinds) for key, kinds in found.items()}


def optimizer_of(stated: StatedOptimizer | None) -> Optimizer:
    """The optimizer that is stated; plain SGD where none is.

    Raises:
        ProblemFileError: an unknown kind; a key that it does not take, or lacks; a value that makes no sense.

    >>> import sympy as sp
    >>> optimizer_of(StatedOptimizer("nesterov", {"momentum": sp.Rational(9, 10)}, "p.toml: table [optimizer]")).momentum
    9/10
    """
    if stated is None:
        return SGD()
    if stated.kind not in OPTIMIZERS:
        raise ProblemFileError(
            f"{stated.place}: key 'kind' is {stated.kind[:40]!r}; "
            f"{_advice(stated.kind, tuple(OPTIMIZERS), 'the kinds of optimizers are')}"
        )
    own = {field.name: field for field in stated_fields(stated.kind)}
    for key in stated.values:
        if key == "beta2" and "second_moment_rate" in own:
            raise ProblemFileError(f"{stated.place}: key 'beta2' is none of {stated.kind}; {FOLLOWING}")
        if key not in own:
            raise ProblemFileError(
                f"{stated.place}: key {key[:40]!r} is none of {stated.kind}; {_advice(key, tuple(own), 'its keys are')}"
            )
    for key, field in own.items():
        if field.default is MISSING and key not in stated.values:
            raise ProblemFileError(f"{stated.place}: key {key!r} is missing; {stated.kind} needs it")
    try:
        return OPTIMIZERS[stated.kind](**stated.values)
    except BadInput as error:
        raise ProblemFileError(f"{stated.place}: {error}") from error


def optimizer_document(optimizer: Optimizer) -> dict[str, Any]:
    """The table that states an optimizer.

    Raises:
        BadInput: it is none that a file can name.

    >>> optimizer_document(SGD(learning_rate=0.25, weight_decay=2))
    {'kind': 'sgd', 'learning_rate': '1/4', 'weight_decay': '2'}
    """
    kind = next((name for name, model in OPTIMIZERS.items() if type(optimizer) is model), None)
    if kind is None:
        raise BadInput(f"an optimizer of type {type(optimizer).__name__} cannot be written to a file")
    values = {field.name: (getattr(optimizer, field.name), field.default) for field in stated_fields(kind)}
    return {"kind": kind, **{key: _written(value) for key, (value, default) in values.items() if value != default}}


def _written(value: Any) -> Any:
    if isinstance(value, tuple):
        return _written(value[0]) if len(value) == 1 else [_written(matrix) for matrix in value]
    if isinstance(value, sp.MatrixBase):
        return [[str(value[i, j]) for j in range(value.cols)] for i in range(value.rows)]
    if isinstance(value, sp.Lambda):
        return str(value(*LETTERS.values()))
    return str(value)


def stated_document(problem: Problem, optimizer: Optimizer) -> dict[str, Any]:
    """The content of a problem file that states a problem and an optimizer (nothing for plain SGD), whose symbols are the problem's
    constants.

    Raises:
        BadInput: one of them cannot be written so that the reader gives it back.
    """
    document = problem_document(problem)
    if optimizer == SGD():
        return document
    document["optimizer"] = optimizer_document(optimizer)
    again = optimizer_of(file_from_document(document, source="the optimizer's own document").optimizer)
    if repr(again) != repr(optimizer):
        raise BadInput("the optimizer cannot be written to a file: its text reads as another optimizer")
    return document


def stated_fields(kind: str) -> tuple[Field[Any], ...]:
    """The fields of a kind, without those that are no part of what is stated, as what is read off a problem."""
    return tuple(f for f in fields(OPTIMIZERS[kind]) if f.compare)  # type: ignore[arg-type]  (each is a dataclass)


def _advice(word: str, known: tuple[str, ...], words: str) -> str:
    near = difflib.get_close_matches(word[:40], known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"{words} {', '.join(known)}"
