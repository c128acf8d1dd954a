"""A problem as the content of a problem file: plain data that `problem_from_document` reads back, and that can be hashed."""

import hashlib
import json
from dataclasses import replace
from typing import Any

import sympy as sp

from symbolic_sgd.errors import BadInput, SymbolicSGDError
from symbolic_sgd.problems.noise import GradientNoise, LabelNoise, Noise, SamplingNoise
from symbolic_sgd.problems.perturbation import LossPerturbation
from symbolic_sgd.problems.problem import Problem
from symbolic_sgd.problems.problem_file import ASSUMPTIONS, NOISE_KINDS, problem_from_document


def problem_document(problem: Problem) -> dict[str, Any]:
    """The problem as the content of a problem file.

    Raises:
        BadInput: it cannot be written so that the reader gives the same problem back.

    >>> from symbolic_sgd import LabelNoise
    >>> u, v = sp.symbols("u v")
    >>> problem_document(Problem.least_squares([u*v - 1], parameters=(u, v), noise=LabelNoise(1)))["residuals"]
    ['u*v - 1']
    """
    problem = replace(problem, noise=problem.noise.as_stated)
    document: dict[str, Any] = {"parameters": [s.name for s in problem.parameters], **_noise(problem.noise)}
    if problem.residuals:
        document["residuals"] = [str(e) for e in problem.residuals]
    elif not {"sample_losses", "perturbed_loss"} & set(document):
        document["loss"] = str(problem.loss)
    document |= {"manifold": [str(e) for e in problem.manifold]} if problem.manifold else {}
    document |= {"domain": [f"{c.lhs} {c.rel_op} {c.rhs}" for c in problem.domain]} if problem.domain else {}
    document |= {"near": {s.name: float(a) for s, a in problem.near.items()}} if problem.near is not None else {}
    document |= {"constants": {s.name: _assumption(s) for s in problem.constants}} if problem.constants else {}
    _check_reads_back(problem, document)
    return document


def _noise(noise: Noise) -> dict[str, Any]:
    if isinstance(noise, SamplingNoise):  # it is stated by its losses
        return {"sample_losses": [str(e) for e in noise.losses], "weights": [str(w) for w in noise.weights]}
    if isinstance(noise, LossPerturbation):
        drawn = {"perturbed_loss": str(noise.loss), "perturbations": [s.name for s in noise.perturbations]}
        rows = (
            {}
            if noise.covariance is None
            else {"covariance": [[str(e) for e in row] for row in noise.covariance.tolist()]}
        )
        return drawn | rows
    for name, kind in NOISE_KINDS.items():
        if type(noise) is kind.model:
            return {"noise": {"kind": name, **kind.write(noise)}}
    raise BadInput(f"noise of type {type(noise).__name__} cannot be written to a file")


def document_hash(document: dict[str, Any]) -> str:
    """SHA-256 of a document, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(document, sort_keys=True, ensure_ascii=True).encode()).hexdigest()


def _assumption(symbol: sp.Symbol) -> str:
    strongest = ("positive", "negative", "nonnegative", "nonpositive", "nonzero")
    assert set(strongest) < set(ASSUMPTIONS)
    return next((name for name in strongest if getattr(symbol, f"is_{name}")), "real")


def _stated_noise(problem: Problem) -> list[Any]:
    """The entries of σ, or of the covariance where that is stated: its roots are written by what is known of signs. Labels are known by
    their amplitudes, and by how many a step takes."""
    noise = problem.noise
    if isinstance(noise, LossPerturbation):
        return [noise.loss.xreplace(noise.unnamed), *noise.factor.flat()]
    if isinstance(noise, LabelNoise):
        return [*noise.amplitudes(len(problem.residuals)), sp.Integer(noise.batch_size or 0)]
    stated = (
        noise.covariance if isinstance(noise, GradientNoise) and noise.covariance is not None else problem.noise_factor
    )
    return stated.flat()


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
        *zip(_stated_noise(again), _stated_noise(problem), strict=True),
    ]
    # The parser builds what the text says, so that equal up to the order of operations is what can be asked.
    if any(sp.expand(a.xreplace(own) - b) != 0 for a, b in pairs if a.xreplace(own) != b):
        raise BadInput("the problem cannot be written to a file: its text reads as another problem")
