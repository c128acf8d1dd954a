"""The command `symbolic-sgd`."""

import argparse
import json
import re
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor
from dataclasses import asdict
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any

from symbolic_sgd import files
from symbolic_sgd.api.gradient_flow_limit import GradientFlowLimit, gradient_flow_limit
from symbolic_sgd.api.limiting_sde import LimitingSDE, derive_limiting_sde, verify
from symbolic_sgd.checks.certificate import written
from symbolic_sgd.checks.methods import FULL, QUICK
from symbolic_sgd.checks.recheck import MAX_CHARACTERS, recheck
from symbolic_sgd.command import console, gallery
from symbolic_sgd.command.console import complain, progress, say
from symbolic_sgd.command.simulate import add_simulate
from symbolic_sgd.documents.document import Document, Figure
from symbolic_sgd.documents.markdown import markdown
from symbolic_sgd.documents.writers import WRITERS
from symbolic_sgd.errors import BadInput, ExpressionTooLarge, MissingExtra, SymbolicSGDError
from symbolic_sgd.experiments.sparse_recovery import DATA, ladder, run_all
from symbolic_sgd.experiments.thresholds import Threshold, fit, measured, thresholds
from symbolic_sgd.printing.layout import layout_of
from symbolic_sgd.problems.problem_file import read_problem_file
from symbolic_sgd.regularizer.regularizer import SECONDS
from symbolic_sgd.simulate.plan import writable_place
from symbolic_sgd.theorem.derivation import TERMS

DONE, CHECK_FAILED, BAD_INPUT, FAULT, INTERRUPTED = 0, 1, 2, 3, 130
"""Exit codes. A fault is the toolkit's own, and says nothing of the problem."""

SHOWN = 6000
"""Characters of a matrix that is printed."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        0 for done, 1 for a failed check, 2 for bad input (or a file that cannot be read or written), 3 for a fault of the
        toolkit itself, 130 for an interruption.
    """
    console.escape_what_cannot_be_shown()
    try:
        return _run(arguments)
    except OSError as error:
        progress("")
        complain(f"{error.filename}: {error.strerror}" if error.filename is not None else str(error))
        return BAD_INPUT
    except KeyboardInterrupt:
        progress("")
        complain("interrupted")
        return INTERRUPTED
    except Exception:
        progress("")
        complain(
            f"{traceback.format_exc()}this is a fault of symbolic-sgd, and says nothing of the problem: please report it with "
            "these lines"
        )
        return FAULT


def _run(arguments: Sequence[str] | None) -> int:
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except SymbolicSGDError as error:
        named = str(error).startswith(f"{options.file}:")  # the reader of the file says where in it
        message = ("" if named else f"{options.file}: ") + str(error)
    except UnicodeDecodeError:
        message = f"{options.file} is not UTF-8 text"
    except BrokenExecutor:
        message = f"{options.file}: a worker process was ended from outside; run the command again, with fewer of them"
    progress("")
    complain(message)
    return BAD_INPUT


class _Parser(argparse.ArgumentParser):
    """It says its help as results are said; argparse itself takes no notice of a disk that is full."""

    def print_help(self, file: Any = None) -> None:
        if file is None:
            say(self.format_help().rstrip("\n"))
        else:
            super().print_help(file)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="symbolic-sgd",
        description="Derive and verify the SDE that SGD follows along a manifold of minimizers.",
        epilog="exit codes: 0 done; 1 a check failed; 2 bad input, or a file that cannot be read or written; 3 a fault of "
        "symbolic-sgd itself; 130 interrupted",
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
    command.add_argument(
        "--seconds",
        type=float,
        default=SECONDS,
        metavar="N",
        help=f"with --document: processor time for the search for the regularizer (default {SECONDS:g})",
    )


def _gallery(options: argparse.Namespace) -> int:
    options.file = options.file or "gallery"  # what messages name
    plain = options.regenerate or options.file in ("gallery", "theorem")
    if (plain and (options.plots or options.checks)) or (
        options.document is not None and (options.file == "gallery" or options.regenerate)
    ):
        raise BadInput("--document, --plots and --checks are for one entry that is a derivation: name it")
    chosen = gallery.entries() if options.file == "gallery" else (gallery.entry(options.file),)
    if options.regenerate:
        for entry in chosen:
            progress(entry.name)
            _write(entry.kept, entry.document())
    elif isinstance(chosen[0], gallery.Derivation) and options.file != "gallery":
        options.file, options.latex, options.json, options.flow = chosen[0].path, None, False, False
        options.symbols, options.line_length = [], None
        return _derive(options)
    elif options.file != "gallery":
        return _theorem(chosen[0], options)
    width = max(len(entry.name) for entry in chosen)
    progress("")
    say("\n".join(f"{entry.name:<{width}}  {entry.result}" for entry in chosen))
    return DONE


def _theorem(entry: gallery.Entry, options: argparse.Namespace) -> int:
    """Its checks are made as its document is."""
    writer = markdown if options.document is None else _document_writer(options.document)
    _check_places(("--document", options.document))
    progress("checking the identities")
    page = entry.document(writer)
    progress("")
    if options.document is None:
        say(page)
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
    for name in ("repeats", "workers"):
        if getattr(options, name) < 1:
            raise BadInput(f"--{name} is {getattr(options, name)}; it has to be at least 1")
    options.file.mkdir(parents=True, exist_ok=True)
    trials = ladder(options.coordinates, options.sparsity, options.data, options.repeats, options.seed)
    report = lambda done, of: progress(f"trial {done} of {of}")  # noqa: E731
    with console.workers(options.workers) as executor:
        outcomes = run_all(trials, options.file / "outcomes.jsonl", executor=executor, progress=report)
    progress("error bars")
    found = thresholds(outcomes)
    progress("")
    files.write(
        options.file / "thresholds.json",
        json.dumps(written([asdict(t) for t in found]), indent=1, allow_nan=False).encode(),
    )
    for t in found:
        say(f"{t.data:9} d = {t.coordinates:<5} κ = {t.sparsity:<3} {t.method:7} n = {t.samples:.1f} ± {t.error:.1f}")
    for law in options.data:
        _recovery_fits(law, [t for t in found if t.data == law], options.file)
    return DONE


def _recovery_fits(law: str, found: Sequence[Threshold], directory: Path) -> None:
    limit, kernel = (measured(t for t in found if t.method == method) for method in ("limit", "kernel"))
    for name, points in (
        ("", limit),
        *(
            (f", κ = {kappa}", [t for t in limit if t.sparsity == kappa])
            for kappa in sorted({t.sparsity for t in limit})
        ),
    ):
        if len(points) > 2:
            line = fit(points, intercept=True)
            say(
                f"{law}: label-noise limit n = ({line.slope:.3f} ± {line.slope_error:.3f}) κ ln d {line.intercept:+.2f}{name}, "
                f"misfit {line.misfit:.1%}"
            )
    if kernel:
        line = fit(kernel, intercept=False)
        say(f"{law}: gradient flow without noise n = ({line.slope:.3f} ± {line.slope_error:.3f}) d")
    try:
        figure = import_module("symbolic_sgd.experiments.figure")
    except ImportError:
        complain("no figure: it needs matplotlib, pip install 'symbolic-sgd[plot]'")
        return
    picture = BytesIO()
    figure.recovery_figure(found, law).savefig(picture, format="png", dpi=150)
    files.write(directory / f"recovery_{law}.png", picture.getvalue())


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
    _check_places(("--latex", options.latex), ("--document", options.document))
    stated, names = read_problem_file(options.file), _names(options.symbols)
    layout_of(names, options.line_length, stated.problem.symbols)  # refused before anything is derived
    progress("deriving")
    certificate = None
    sde = derive_limiting_sde(stated.problem, progress=progress)
    if options.document is not None and writer is not None:
        certificate = verify(sde, progress=progress) if options.checks else None
        figures = _figures(sde) if options.plots else ()
        progress("writing the document")
        title = stated.title or options.file.stem
        parts = {"certificate": certificate, "figures": figures, "seconds": options.seconds, "progress": progress}
        _write(options.document, sde.document(writer, title=title, **parts))
    progress("finding Φ" if options.flow else "")
    phi = gradient_flow_limit(stated.problem) if options.flow else None
    progress("")
    if options.json:
        say(json.dumps(_summary(sde) | ({"flow": _flow_summary(phi)} if phi else {}), indent=1))
    elif options.latex is None or str(options.latex) != "-":
        say("\n".join([_report(stated.title, sde), *([_flow_report(phi)] if phi else [])]))
    if options.latex is not None:
        text = sde.latex(names=names, line=options.line_length)
        _write(options.latex, text + (phi.latex(names=names, line=options.line_length) if phi else ""))
    return DONE if certificate is None or certificate.passed else CHECK_FAILED


def _verify(options: argparse.Namespace) -> int:
    _check_places(("--certificate", options.certificate))
    stated = read_problem_file(options.file)
    progress("deriving")
    methods = FULL if options.full else QUICK
    sde = derive_limiting_sde(stated.problem, progress=progress)
    certificate = verify(sde, checks=methods, rng=options.seed, progress=progress)
    progress("")
    if options.certificate is None or str(options.certificate) != "-":
        say(f"{stated.title or options.file}\n{certificate}")
    if options.certificate is not None:
        _write(options.certificate, certificate.to_json())
    return DONE if certificate.passed else CHECK_FAILED


def _check(options: argparse.Namespace) -> int:
    with files.opened(options.file) as file:
        text = file.read(MAX_CHARACTERS + 1).decode("utf-8")
    result = recheck(text, progress=progress)
    progress("")
    heading = f"{options.file}: " + ("holds" if result.holds else "VOID")
    say("\n".join([heading, *(f"  {words}" for words in (*result.void, *result.remarks))]))
    return DONE if result.holds else CHECK_FAILED


def _write(path: Path, text: str) -> None:
    """To standard output for `-`; in a file, what is no character (of a file's name in a title) is written as an escape."""
    if str(path) == "-":
        say(text)
    else:
        files.write(path, text.encode("utf-8", "backslashreplace"))


def _check_places(*targets: tuple[str, Path | None]) -> None:
    """`BadInput` where a file could not be written in the end: before the work, not after it."""
    for option, path in targets:
        if path is not None and str(path) != "-":
            writable_place(path, option)


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
