"""A problem as the content of a problem file: plain data that `problem_from_document` reads back, and that can be hashed."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

import sympy as sp

from symbolic_sgd.errors import BadInput, SymbolicSGDError
from symbolic_sgd.problems.noise import GradientNoise, IsotropicNoise, LabelNoise, SamplingNoise
from symbolic_sgd.problems.problem import Problem
from symbolic_sgd.problems.problem_file import ASSUMPTIONS, problem_from_document

NOISE_DOCUMENTS: dict[type, Callable[[Any], dict[str, Any]]] = {
    LabelNoise: lambda noise: {"noise": {"kind": "label", "amplitude": str(noise.amplitude)}},
    IsotropicNoise: lambda noise: {"noise": {"kind": "isotropic", "scale": str(noise.scale)}},
    GradientNoise: lambda noise: {
        "noise": {"kind": "matrix", "sigma": [[str(e) for e in row] for row in noise.sigma.tolist()]}
    },
    SamplingNoise: lambda noise: {
        "sample_losses": [str(e) for e in noise.losses],
        "weights": [str(w) for w in noise.weights],
    },
}
"""How a noise model is written; a further model is a further row."""


def problem_document(problem: Problem) -> dict[str, Any]:
    """The problem as the content of a problem file.

    Raises:
        BadInput: it cannot be written so that the reader gives the same problem back.

    >>> u, v = sp.symbols("u v")
    >>> problem_document(Problem.least_squares([u*v - 1], parameters=(u, v), noise=LabelNoise(1)))["residuals"]
    ['u*v - 1']
    """
    write = NOISE_DOCUMENTS.get(type(problem.noise))
    if write is None:
        raise BadInput(f"noise of type {type(problem.noise).__name__} cannot be written to a file")
    document: dict[str, Any] = {"parameters": [s.name for s in problem.parameters], **write(problem.noise)}
    if problem.residuals:
        document["residuals"] = [str(e) for e in problem.residuals]
    elif "sample_losses" not in document:
        document["loss"] = str(problem.loss)
    document |= {"manifold": [str(e) for e in problem.manifold]} if problem.manifold else {}
    document |= {"domain": [str(c) for c in problem.domain]} if problem.domain else {}
    document |= {"near": {s.name: float(a) for s, a in problem.near.items()}} if problem.near is not None else {}
    document |= {"constants": {s.name: _assumption(s) for s in problem.constants}} if problem.constants else {}
    _check_reads_back(problem, document)
    return document


def document_hash(document: dict[str, Any]) -> str:
    """SHA-256 of a document, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(document, sort_keys=True, ensure_ascii=True).encode()).hexdigest()


def _assumption(symbol: sp.Symbol) -> str:
    strongest = ("positive", "negative", "nonnegative", "nonpositive", "nonzero")
    assert set(strongest) < set(ASSUMPTIONS)
    return next((name for name in strongest if getattr(symbol, f"is_{name}")), "real")


def _check_reads_back(problem: Problem, document: dict[str, Any]) -> None:
    try:
        again = problem_from_document(document, source="the problem's own document")
    except SymbolicSGDError as error:
        raise BadInput(f"the problem cannot be written to a file: {error}") from error
    own = dict(zip(again.symbols, problem.symbols, strict=True))
    pairs = [
        (again.loss, problem.loss),
        *zip(again.residuals, problem.residuals, strict=True),
        *zip(again.manifold, problem.manifold, strict=True),
        *zip(again.noise_factor.flat(), problem.noise_factor.flat(), strict=True),
    ]
    # The parser builds what the text says, so that equal up to the order of operations is what can be asked.
    if any(sp.expand(a.xreplace(own) - b) != 0 for a, b in pairs if a.xreplace(own) != b):
        raise BadInput("the problem cannot be written to a file: its text reads as another problem")
