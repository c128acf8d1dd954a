"""The command `symbolic-sgd verify`."""

import argparse
from pathlib import Path

from symbolic_sgd.api.limiting_sde import derive_limiting_sde
from symbolic_sgd.api.verification import verify
from symbolic_sgd.checks.methods import FULL, QUICK
from symbolic_sgd.command.console import progress, say
from symbolic_sgd.command.exits import CHECK_FAILED, DONE
from symbolic_sgd.command.optimizers import add_optimizer, stated_optimizer
from symbolic_sgd.command.targets import add_problem_file, check_places, write
from symbolic_sgd.problems.problem_file import read_problem_file

EXAMPLES = (
    "symbolic-sgd verify my_loss.toml",
    "symbolic-sgd verify my_loss.toml --verbose",
    "symbolic-sgd verify my_loss.toml --optimizer heavy_ball --momentum 9/10 --learning-rate 1/8",
    "symbolic-sgd verify my_loss.toml --full --certificate my_loss.json",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    add_problem_file(parser)
    parser.add_argument("--certificate", type=Path, metavar="F", help="write the certificate as JSON ('-' for stdout)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the random points of Γ (default 0)")
    parser.add_argument("--verbose", action="store_true", help="show every check, not a line for each method")
    parser.add_argument(
        "--full",
        action="store_true",
        help="also several steps, float64 and its enclosure, and ensembles of SGD (minutes)",
    )
    add_optimizer(parser)


def run(options: argparse.Namespace) -> int:
    """Derive, verify, and write the certificate."""
    check_places(("--certificate", options.certificate))
    stated = read_problem_file(options.file)
    optimizer = stated_optimizer(options, stated)
    progress("deriving")
    methods = FULL if options.full else QUICK
    sde = derive_limiting_sde(stated.problem, optimizer=optimizer, progress=progress)
    certificate = verify(sde, checks=methods, rng=options.seed, progress=progress)
    progress("")
    if options.certificate is None or str(options.certificate) != "-":
        found = certificate.details if options.verbose else str(certificate)
        say(f"{stated.title or options.file}\n\n{found}")
    if options.certificate is not None:
        write(options.certificate, certificate.to_json())
    return DONE if certificate.passed else CHECK_FAILED
