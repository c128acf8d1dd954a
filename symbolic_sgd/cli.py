"""The command `symbolic-sgd`: the only place that prints."""

import argparse
import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from symbolic_sgd import gallery
from symbolic_sgd.derive.derivation import TERMS
from symbolic_sgd.errors import BadInput, ExpressionTooLarge, MissingExtra, SymbolicSGDError
from symbolic_sgd.experiments.sparse_recovery import DATA, ladder, run_all
from symbolic_sgd.experiments.thresholds import Threshold, fit, thresholds
from symbolic_sgd.export.document import Document, Figure
from symbolic_sgd.export.document_markdown import markdown
from symbolic_sgd.export.layout import layout_of
from symbolic_sgd.export.writers import WRITERS
from symbolic_sgd.gradient_flow_limit import GradientFlowLimit, gradient_flow_limit
from symbolic_sgd.limiting_sde import LimitingSDE, derive_limiting_sde, verify
from symbolic_sgd.problems.problem_file import read_problem_file
from symbolic_sgd.simulate_command import add_simulate
from symbolic_sgd.verify.checks import FULL, QUICK
from symbolic_sgd.verify.recheck import recheck

DONE, CHECK_FAILED, BAD_INPUT = 0, 1, 2

SHOWN = 6000
"""Characters of a matrix that is printed."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code is 0 for done, 1 for a failed check, 2 for bad input."""
    options = _parser().parse_args(arguments)
    try:
        code = options.run(options)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # whoever read has read enough: `symbolic-sgd gallery | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except SymbolicSGDError as error:
        named = str(error).startswith(f"{options.file}:")  # the reader of the file says where in it
        print("symbolic-sgd: " + ("" if named else f"{options.file}: ") + str(error), file=sys.stderr)
    except UnicodeDecodeError:
        print(f"symbolic-sgd: {options.file} is not UTF-8 text", file=sys.stderr)
    except OSError as error:
        print(f"symbolic-sgd: {error.filename}: {error.strerror}", file=sys.stderr)
    return BAD_INPUT


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="symbolic-sgd", description="Derive and verify the SDE that SGD follows along a manifold of minimizers."
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    derive = commands.add_parser("derive", help="derive the limiting SDE of a problem file")
    derive.add_argument("file", type=Path, metavar="FILE.toml")
    derive.add_argument(
        "--latex", type=Path, metavar="F", help="write the theorem with every block filled in ('-' for stdout)"
    )
    derive.add_argument(
        "--symbols", nargs="+", default=[], metavar="u=\\theta_1", help="with --latex: how symbols are printed"
    )
    derive.add_argument("--line-length", type=int, metavar="N", help="with --latex: characters of a line (default 75)")
    derive.add_argument("--json", action="store_true", help="print the result as JSON")
    derive.add_argument(
        "--flow", action="store_true", help="also find Φ, the limit of the gradient flow, and what it conserves"
    )
    derive.add_argument(
        "--document", type=Path, metavar="F", help=f"write the whole derivation; F ends in {', '.join(WRITERS)}"
    )
    _add_document_options(derive)
    derive.set_defaults(run=_derive)
    check = commands.add_parser("verify", help="derive it, and prove by computation that it is right")
    check.add_argument("file", type=Path, metavar="FILE.toml")
    check.add_argument("--certificate", type=Path, metavar="F", help="write the certificate as JSON ('-' for stdout)")
    check.add_argument("--seed", type=int, default=0, help="seed of the random points of Γ (default 0)")
    check.add_argument(
        "--full", action="store_true", help="also several steps, float64 and its enclosure, and ensembles of SGD"
    )
    check.set_defaults(run=_verify)
    again = commands.add_parser("check", help="repeat what a certificate claims; a changed formula voids it")
    again.add_argument("file", type=Path, metavar="CERTIFICATE")
    again.set_defaults(run=_check)
    add_simulate(commands)
    _add_gallery(commands)
    _add_recovery(commands)
    return parser


def _add_gallery(commands: Any) -> None:
    gallery = commands.add_parser("gallery", help="list the derivations that come with the toolkit, or run one")
    gallery.add_argument("file", nargs="?", metavar="NAME", help="the entry to run (default: list all)")
    gallery.add_argument(
        "--document", type=Path, metavar="F", help=f"write its derivation; F ends in {', '.join(WRITERS)}"
    )
    _add_document_options(gallery)
    gallery.add_argument("--regenerate", action="store_true", help="derive the kept documents anew (NAME, or all)")
    gallery.set_defaults(run=_gallery)


def _add_document_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--plots", action="store_true", help="with --document F.html: pictures (needs matplotlib)")
    command.add_argument("--checks", action="store_true", help="with --document: the table of a certificate")


def _gallery(options: argparse.Namespace) -> int:
    plain = options.regenerate or options.file in (None, "theorem")
    if (plain and (options.plots or options.checks)) or (
        options.document is not None and (options.file is None or options.regenerate)
    ):
        raise BadInput("--document, --plots and --checks are for one entry that is a derivation: name it")
    options.file = options.file or "gallery"  # what messages name
    chosen = gallery.entries() if options.file == "gallery" else (gallery.entry(options.file),)
    if options.regenerate:
        for entry in chosen:
            _progress(entry.name)
            _write(entry.kept, entry.document())
    elif isinstance(chosen[0], gallery.Derivation) and options.file != "gallery":
        options.file, options.latex, options.json, options.flow = chosen[0].path, None, False, False
        options.symbols, options.line_length = [], None
        return _derive(options)
    elif options.file != "gallery":
        return _theorem(chosen[0], options)
    width = max(len(entry.name) for entry in chosen)
    _progress("")
    print("\n".join(f"{entry.name:<{width}}  {entry.result}" for entry in chosen))
    return DONE


def _theorem(entry: gallery.Entry, options: argparse.Namespace) -> int:
    """Its checks are made as its document is."""
    writer = markdown if options.document is None else _document_writer(options.document)
    _progress("checking the identities")
    page = entry.document(writer)
    _progress("")
    if options.document is None:
        print(page)
    else:
        _write(options.document, page)
    return CHECK_FAILED if re.search("FAILS|NOT confirmed", page) else DONE


def _document_writer(path: Path) -> Callable[[Document], str]:
    if path.suffix not in WRITERS:
        raise BadInput(f"--document {path}: the file's name has to end in {', '.join(WRITERS)}")
    return WRITERS[path.suffix]


def _add_recovery(commands: Any) -> None:
    recovery = commands.add_parser(
        "recovery", help="sparse recovery by label-noise SGD: the limiting flow of the OLM over n and d"
    )
    recovery.add_argument(
        "file", type=Path, metavar="DIRECTORY", help="where results go; an interrupted run goes on there"
    )
    recovery.add_argument("--coordinates", type=int, nargs="+", default=[40, 80, 160], metavar="d")
    recovery.add_argument("--sparsity", type=int, nargs="+", default=[2, 4], metavar="κ")
    recovery.add_argument("--data", nargs="+", choices=sorted(DATA), default=["signs"])
    recovery.add_argument("--repeats", type=int, default=10, help="trials for each n (default 10)")
    recovery.add_argument("--seed", type=int, default=0)
    recovery.add_argument("--workers", type=int, default=1, help="processes (default 1); results do not depend on it")
    recovery.set_defaults(run=_recover)


def _recover(options: argparse.Namespace) -> int:
    options.file.mkdir(parents=True, exist_ok=True)
    trials = ladder(options.coordinates, options.sparsity, options.data, options.repeats, options.seed)
    executor = ProcessPoolExecutor(options.workers, mp_context=get_context("spawn")) if options.workers > 1 else None
    report = lambda done, of: _progress(f"trial {done} of {of}")  # noqa: E731
    try:
        outcomes = run_all(trials, options.file / "outcomes.jsonl", executor=executor, progress=report)
    finally:
        if executor is not None:
            executor.shutdown(cancel_futures=True)
    _progress("error bars")
    found = thresholds(outcomes)
    _progress("")
    (options.file / "thresholds.json").write_text(json.dumps([asdict(t) for t in found], indent=1), encoding="utf-8")
    for t in found:
        print(f"{t.data:9} d = {t.coordinates:<5} κ = {t.sparsity:<3} {t.method:7} n = {t.samples:.1f} ± {t.error:.1f}")
    for law in options.data:
        _recovery_fits(law, [t for t in found if t.data == law], options.file)
    return DONE


def _recovery_fits(law: str, found: Sequence[Threshold], directory: Path) -> None:
    limit = [t for t in found if t.method == "limit" and t.samples == t.samples]
    kernel = [t for t in found if t.method == "kernel" and t.samples == t.samples]
    for name, points in (
        ("", limit),
        *(
            (f", κ = {kappa}", [t for t in limit if t.sparsity == kappa])
            for kappa in sorted({t.sparsity for t in limit})
        ),
    ):
        if len(points) > 2:
            line = fit(points, intercept=True)
            print(
                f"{law}: label-noise limit n = ({line.slope:.3f} ± {line.slope_error:.3f}) κ ln d {line.intercept:+.2f}{name}, "
                f"misfit {line.misfit:.1%}"
            )
    if kernel:
        line = fit(kernel, intercept=False)
        print(f"{law}: gradient flow without noise n = ({line.slope:.3f} ± {line.slope_error:.3f}) d")
    try:
        figure = import_module("symbolic_sgd.experiments.figure")
    except ImportError:
        print("no figure: it needs matplotlib, pip install 'symbolic-sgd[plot]'", file=sys.stderr)
        return
    figure.recovery_figure(found, law).savefig(directory / f"recovery_{law}.png", dpi=150)


def _names(stated: Sequence[str]) -> dict[str, str]:
    pairs = [entry.partition("=") for entry in stated]
    if not all(equals for _, equals, _ in pairs):
        raise BadInput("--symbols takes pairs like u=\\theta_1")
    return {symbol: tex for symbol, _, tex in pairs}


def _figures(sde: LimitingSDE) -> Sequence[Figure]:
    _progress("drawing")
    try:
        plots = import_module("symbolic_sgd.plots")
    except ImportError as error:
        raise MissingExtra(f"--plots: {error}") from error
    return plots.report_figures(sde)


def _derive(options: argparse.Namespace) -> int:
    if options.json and str(options.latex) == "-":
        raise BadInput("--latex - and --json both write to standard output: give --latex a file name")
    if (options.symbols or options.line_length is not None) and options.latex is None:
        raise BadInput("--symbols and --line-length are for --latex: give --latex F as well")
    if (options.plots or options.checks) and options.document is None:
        raise BadInput("--plots and --checks are for documents: give --document F as well")
    if options.plots and options.document.suffix != ".html":
        raise BadInput(f"--plots: pictures are in HTML documents only, and --document {options.document} is none")
    writer = None if options.document is None else _document_writer(options.document)
    stated, names = read_problem_file(options.file), _names(options.symbols)
    layout_of(names, options.line_length, stated.problem.symbols)  # refused before anything is derived
    _progress("deriving")
    certificate = None
    sde = derive_limiting_sde(stated.problem)
    if options.document is not None and writer is not None:
        certificate = verify(sde, progress=_progress) if options.checks else None
        figures = _figures(sde) if options.plots else ()
        _progress("writing the document")
        title = stated.title or options.file.stem
        _write(options.document, sde.document(writer, title=title, certificate=certificate, figures=figures))
    _progress("finding Φ" if options.flow else "")
    phi = gradient_flow_limit(stated.problem) if options.flow else None
    _progress("")
    if options.latex is not None:
        text = sde.latex(names=names, line=options.line_length)
        _write(options.latex, text + (phi.latex(names=names, line=options.line_length) if phi else ""))
    if options.json:
        print(json.dumps(_summary(sde) | ({"flow": _flow_summary(phi)} if phi else {}), indent=1))
    elif options.latex is None or str(options.latex) != "-":
        print("\n".join([_report(stated.title, sde), *([_flow_report(phi)] if phi else [])]))
    return DONE if certificate is None or certificate.passed else CHECK_FAILED


def _verify(options: argparse.Namespace) -> int:
    stated = read_problem_file(options.file)
    _progress("deriving")
    methods = FULL if options.full else QUICK
    certificate = verify(derive_limiting_sde(stated.problem), checks=methods, rng=options.seed, progress=_progress)
    _progress("")
    if options.certificate is not None:
        _write(options.certificate, certificate.to_json())
    if options.certificate is None or str(options.certificate) != "-":
        print(stated.title or options.file)
        print(certificate)
    return DONE if certificate.passed else CHECK_FAILED


def _check(options: argparse.Namespace) -> int:
    result = recheck(options.file.read_text(encoding="utf-8"), progress=_progress)
    _progress("")
    print(f"{options.file}: " + ("holds" if result.holds else "VOID"))
    for reason in result.void:
        print(f"  {reason}")
    return DONE if result.holds else CHECK_FAILED


def _progress(doing: str) -> None:
    """What is being done, on one line of a terminal; nothing elsewhere."""
    if sys.stderr.isatty():
        print(f"\r\033[K{doing}{' …' if doing else ''}", end="", file=sys.stderr, flush=True)


def _write(path: Path, text: str) -> None:
    if str(path) == "-":
        print(text)
    else:
        path.write_text(text, encoding="utf-8")


def _written_out(sde: LimitingSDE, name: str) -> list[list[str]] | None:
    try:
        return [[str(entry) for entry in row] for row in getattr(sde, name).tolist()]
    except ExpressionTooLarge:
        return None


def _summary(sde: LimitingSDE) -> dict:
    manifold = sde.manifold
    return {
        "parameters": [s.name for s in sde.problem.parameters],
        "manifold": {
            "equations": [str(e) for e in manifold.equations],
            "dimension": manifold.dimension,
            "codimension": manifold.codimension,
        },
        "valid_where": [str(c) for c in sde.valid_where],
        "terms": {
            term.name: {"operations": sde.program.select(term.name).operations, "matrix": _written_out(sde, term.name)}
            for term in TERMS
        },
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
    lines = [phi.explain()]
    if phi.expression is not None:
        names = zip(phi.problem.parameters, phi.expression.flat(), strict=True)
        lines.extend(f"  Φ_{name}(x) = {entry}" for name, entry in names)
    lines.extend(f"  {equation} = 0" for equation in phi.equations)
    return "\n".join(lines)


def _report(title: str | None, sde: LimitingSDE) -> str:
    lines = [title] if title else []
    lines.append("Γ = {" + ", ".join(f"{e} = 0" for e in sde.manifold.equations) + "}")
    lines.append(sde.explain())
    for name in ("drift", "tangent_noise"):
        rows = _written_out(sde, name)
        if rows is not None and sum(len(entry) for row in rows for entry in row) <= SHOWN:
            lines.append(f"{name} =")
            lines.extend("  [" + ", ".join(row) + "]" for row in rows)
    return "\n".join(lines)
