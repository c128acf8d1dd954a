"""The command `symbolic-sgd derive`."""

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from importlib import import_module
from pathlib import Path
from typing import Any

from symbolic_sgd.api.gradient_flow_limit import GradientFlowLimit, gradient_flow_limit
from symbolic_sgd.api.limiting_sde import LimitingSDE, derive_limiting_sde
from symbolic_sgd.api.verification import verify
from symbolic_sgd.command.console import progress, say
from symbolic_sgd.command.exits import CHECK_FAILED, DONE
from symbolic_sgd.command.optimizers import add_optimizer, stated_optimizer
from symbolic_sgd.command.screen import screen
from symbolic_sgd.command.targets import GLANCE, add_document, add_problem_file, check_places, document_writer, write
from symbolic_sgd.documents.document import Figure
from symbolic_sgd.documents.findings import attempt
from symbolic_sgd.documents.wants import Wants
from symbolic_sgd.effort import REGULARIZER
from symbolic_sgd.errors import BadInput, ExpressionTooLarge, MissingExtra, SymbolicSGDError
from symbolic_sgd.function_space.induced import InducedRegularizer
from symbolic_sgd.optimizers.optimizer import Optimizer
from symbolic_sgd.optimizers.stated import optimizer_of
from symbolic_sgd.printing.layout import checked_labels, layout_of
from symbolic_sgd.printing.plain import plain, plainly_zero, wrapped
from symbolic_sgd.problems.expressions import parse_expression
from symbolic_sgd.problems.problem import Problem
from symbolic_sgd.problems.problem_file import ProblemFile, read_problem_file
from symbolic_sgd.regularizer.regularizer import Regularizer

EXAMPLES = (
    "symbolic-sgd derive my_loss.toml",
    "symbolic-sgd derive my_loss.toml --latex my_loss.tex --symbols u=\\theta_1",
    "symbolic-sgd derive my_loss.toml --optimizer heavy_ball --momentum 9/10 --learning-rate 1/8",
    "symbolic-sgd derive my_loss.toml --flow --json > my_loss.json",
    "symbolic-sgd derive my_loss.toml --predictor 'u*v'",
    "symbolic-sgd derive my_loss.toml --document my_loss.html --plots --checks",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    add_problem_file(parser)
    parser.add_argument(
        "--latex", type=Path, metavar="F", help="write the theorem with every block filled in ('-' for stdout)"
    )
    parser.add_argument(
        "--symbols",
        nargs="+",
        default=[],
        metavar="u=\\theta_1",
        help="with --latex: how symbols are printed (default: by their names)",
    )
    parser.add_argument(
        "--line-length",
        type=int,
        metavar="N",
        help="with --latex or --document: characters of a line (default 75, of documents 90; 45 for two columns)",
    )
    parser.add_argument("--labels", metavar="PREFIX", help="with --latex: number the terms, labelled PREFIXdrift, …")
    parser.add_argument("--entries", action="store_true", help="with --latex: all terms entry by entry")
    parser.add_argument(
        "--json",
        action="store_true",
        help="print the result as JSON: Γ, the formulas in vectors, every term, the regularizer",
    )
    parser.add_argument(
        "--flow", action="store_true", help="also find Φ, the limit of the gradient flow, and what it conserves"
    )
    parser.add_argument(
        "--predictor",
        metavar="F",
        help="what the noise wants: the least R among parameters with the same F, functions of which the loss is one, like 'u*v' "
        "or 'u1*v1; u2*v2'; the fixed points, and what decays",
    )
    add_document(parser, "the whole derivation")
    add_optimizer(parser)


@dataclass(frozen=True)
class Wanted:
    """What is derived from which problem file, and where it goes; `-` is standard output."""

    file: Path
    latex: Path | None = None
    symbols: Sequence[str] = ()
    line_length: int | None = None
    labels: str | None = None
    entries: bool = False
    json: bool = False
    flow: bool = False
    document: Path | None = None
    plots: bool = False
    checks: bool = False
    predictor: str | None = None
    seconds: float | None = None
    optimizer: Callable[[ProblemFile], Optimizer] = lambda file: optimizer_of(file.optimizer)


def run(options: argparse.Namespace) -> int:
    """Derive, and write what was asked for."""
    wishes: dict[str, Any] = {field.name: getattr(options, field.name) for field in fields(Wanted)}
    return derived(Wanted(**{**wishes, "optimizer": lambda file: stated_optimizer(options, file)}))


def derived(wanted: Wanted) -> int:
    """The exit code, once everything is written."""
    if wanted.json and str(wanted.latex) == "-":
        raise BadInput("--latex - and --json both write to standard output: give --latex a file name")
    if (wanted.symbols or wanted.labels is not None or wanted.entries) and wanted.latex is None:
        raise BadInput("--symbols, --labels and --entries are for --latex: give --latex F as well")
    if wanted.line_length is not None and wanted.latex is None and wanted.document is None:
        raise BadInput("--line-length is for --latex and --document: give one of them as well")
    if (wanted.plots or wanted.checks) and wanted.document is None:
        raise BadInput("--plots and --checks are for documents: give --document F as well")
    if wanted.plots and wanted.document is not None and wanted.document.suffix != ".html":
        raise BadInput(f"--plots: pictures are in HTML documents only, and --document {wanted.document} is none")
    writer = None if wanted.document is None else document_writer(wanted.document)
    check_places(("--latex", wanted.latex), ("--document", wanted.document))
    stated, names = read_problem_file(wanted.file), _names(wanted.symbols)
    layout_of(names, wanted.line_length, stated.problem.symbols)  # refused before anything is derived
    checked_labels(wanted.labels)
    predictor = None if wanted.predictor is None else _predictor(wanted.predictor, stated.problem)
    optimizer = wanted.optimizer(stated)
    progress("deriving")
    certificate = None
    sde = derive_limiting_sde(stated.problem, optimizer=optimizer, progress=progress)
    wants = None if predictor is None else sde.what_the_noise_wants(predictor, progress=progress)
    if wanted.document is not None and writer is not None:
        certificate = verify(sde, progress=progress) if wanted.checks else None
        figures = _figures(sde) if wanted.plots else ()
        progress("writing the document")
        title = stated.title or wanted.file.stem
        seconds = REGULARIZER if wanted.seconds is None else wanted.seconds
        parts = {
            "certificate": certificate,
            "figures": figures,
            "seconds": seconds,
            "progress": progress,
            "predictor": wants,
        }
        write(wanted.document, sde.document(writer, title=title, line=wanted.line_length, **parts))
    progress("finding Φ" if wanted.flow else "")
    phi = gradient_flow_limit(stated.problem) if wanted.flow else None
    progress("")
    if wanted.json:
        summary = _summary(sde, _regularizer(sde, wanted))
        summary |= {"flow": _flow_summary(phi)} if phi else {}
        say(json.dumps(summary | ({"what_the_noise_wants": _wants_summary(wants)} if wants else {}), indent=1))
    elif wanted.latex is None or str(wanted.latex) != "-":
        report = screen(stated.title, sde, _regularizer(sde, wanted))
        say("\n\n".join([report, *([_flow_report(phi)] if phi else []), *([str(wants)] if wants else [])]))
    if wanted.latex is not None:
        text = sde.latex(names=names, line=wanted.line_length, labels=wanted.labels, entries=wanted.entries)
        write(wanted.latex, text + (phi.latex(names=names, line=wanted.line_length) if phi else ""))
    return DONE if certificate is None or certificate.passed else CHECK_FAILED


def _predictor(text: str, problem: Problem) -> list[Any]:
    """The functions that --predictor states, read as problem files are."""
    names = {s.name: s for s in problem.symbols}
    parts = [part.strip() for part in text.split(";")]
    return [parse_expression(part, names, where=f"--predictor, entry {k + 1}") for k, part in enumerate(parts)]


def _wants_summary(wants: Wants) -> dict[str, Any]:
    found = wants.induced
    known = isinstance(found, InducedRegularizer)
    return {
        "induced_regularizer": None if not known or found.expression is None else str(found.expression),
        "attainment": found.attainment.kind if known else None,
        "evidence": str(found.evidence if known else found),
        "lines": wants.lines(),
    }


def _names(stated: Sequence[str]) -> dict[str, str]:
    pairs = [entry.partition("=") for entry in stated]
    if not all(equals for _, equals, _ in pairs):
        raise BadInput("--symbols takes pairs like u=\\theta_1")
    return {symbol: tex for symbol, _, tex in pairs}


def _figures(sde: LimitingSDE) -> Sequence[Figure]:
    progress("drawing")
    try:
        plots = import_module("symbolic_sgd.plots")
    except ImportError as error:
        raise MissingExtra(f"--plots: {error}") from error
    return plots.report_figures(sde)


def _regularizer(sde: LimitingSDE, wanted: Wanted) -> Regularizer | SymbolicSGDError:
    seconds = GLANCE if wanted.seconds is None else wanted.seconds
    found = attempt(lambda: sde.find_regularizer(seconds=seconds, progress=progress))
    progress("")
    return found


def _written_out(sde: LimitingSDE, name: str) -> list[list[str]] | None:
    try:
        return [[str(entry) for entry in row] for row in sde.term(name).tolist()]
    except ExpressionTooLarge:
        return None


def _summary(sde: LimitingSDE, found: Regularizer | SymbolicSGDError) -> dict:
    manifold = sde.manifold
    return {
        "parameters": [s.name for s in sde.problem.parameters],
        "manifold": {
            "equations": [str(e) for e in manifold.equations],
            "dimension": manifold.dimension,
            "codimension": manifold.codimension,
        },
        "valid_where": [str(c) for c in sde.valid_where],
        "structure": _structure_summary(sde),
        "regularizer": _regularizer_summary(found),
        "terms": {
            term.name: {"operations": sde.program.select(term.name).operations, "matrix": _written_out(sde, term.name)}
            for term in sde.derivation.terms
        },
    }


def _structure_summary(sde: LimitingSDE) -> list[dict[str, str | None]]:
    """The formulas in vectors, line by line, in an order in which they can be computed."""
    given = [
        {"name": g.left, "formula": g.right, "latex": f"{g.left_tex} = {g.right_tex}", "term": None}
        for g in sde.structure.given
    ]
    lines = [
        {
            "name": line.name.name,
            "formula": str(line.value),
            "latex": f"{line.name.latex()} = {line.value.latex()}",
            "term": line.term,
        }
        for line in sde.structure.written
    ]
    return [*given, *lines]


def _regularizer_summary(found: Regularizer | SymbolicSGDError) -> dict[str, str | None]:
    if isinstance(found, SymbolicSGDError):
        return {"status": "undecided", "expression": None, "reason": str(found)}
    status = "none" if found.expression is None else "found"
    return {
        "status": status,
        "expression": None if found.expression is None else str(found.expression),
        "reason": found.words,
    }


def _flow_summary(phi: GradientFlowLimit) -> dict:
    return {
        "kind": phi.kind,
        "first_integrals": [str(e) for e in phi.first_integrals],
        "needed": phi.limit.dimension,
        "expression": None if phi.expression is None else [str(e) for e in phi.expression],
        "equations": [str(e) for e in phi.equations],
        "image_symbols": [s.name for s in phi.image_symbols],
    }


def _flow_report(phi: GradientFlowLimit) -> str:
    lines = phi.explain().splitlines()
    if phi.expression is not None:
        names = zip(phi.problem.parameters, phi.expression.flat(), strict=True)
        lines.extend(f"  Φ_{plain(name)}(x) = {plain(entry)}" for name, entry in names)
    lines.extend(f"  {plainly_zero(equation)}" for equation in phi.equations)
    return "\n".join(piece for line in lines for piece in wrapped(line, indent="    "))
