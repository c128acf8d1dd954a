"""A derivation with terms of its drift as somebody else states them: a formula from a paper, or a wrong one that has to be rejected."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.algebra.translation import from_sympy
from symbolic_sgd.errors import BadInput, BadShape
from symbolic_sgd.problems.symbols import check_expression
from symbolic_sgd.theorem.derivation import Derivation
from symbolic_sgd.theorem.terms import DRIFT_TERMS, own_terms


def restated(derivation: Derivation, stated: Mapping[str, Any]) -> Derivation:
    """The same with these terms of the drift, whose sum the drift is; see `LimitingSDE.with_terms`.

    What was recognised of the noise is not said of it: its consequences for the drift need not hold.
    """
    if derivation.in_matrices is not None:
        raise BadInput(
            f"the drift is computed by matrices here (D = {derivation.problem.dimension}, M = {derivation.codimension}), and no term of it "
            "can be stated: state it for a smaller problem of the same kind"
        )
    parts = [*DRIFT_TERMS, *(term.name for term in own_terms(derivation.optimizer))]
    if not stated:
        raise BadInput(f"no term is stated; give one of {', '.join(parts)} by its name")
    for name in stated:
        if name not in parts:
            raise BadInput(
                f"{name!r} is no term that can be stated; the drift is the sum of {', '.join(parts)}, and these can be"
            )
    graph = Graph()
    terms = derivation.program.on(graph)
    for name, column in stated.items():
        terms[name] = _column(derivation, graph, name, column)
    first, *others = (terms[name] for name in parts)
    terms["drift"] = sum(others, start=first)
    names = derivation.restated | {*stated, "drift"}
    return replace(
        derivation.with_program(Program.of(terms)),
        proportion=None,
        isotropy=None,
        square=None,
        structure=f"Stated, and not derived: {', '.join(name for name in parts if name in names)}",
        restated=names,
    )


def _column(derivation: Derivation, graph: Graph, name: str, column: Any) -> Matrix:
    d = derivation.problem.dimension
    if not isinstance(column, sp.MatrixBase):
        raise BadInput(
            f"{name} is a {type(column).__name__}; give a SymPy Matrix of one column, with an entry for each parameter"
        )
    if column.shape != (d, 1):
        raise BadShape(f"{name} has shape {column.shape}; it has to be {d}×1, one entry a parameter")
    symbols = derivation.stated.symbols
    entries = [check_expression(entry, symbols, where=f"{name}[{i}]") for i, entry in enumerate(column.flat())]
    return Matrix.column(from_sympy(entry, graph) for entry in entries)
