"""The gallery's derivations, each made once in a process: many tests look at them, and their formulas are written when asked for."""

from functools import cache
from pathlib import Path

from symbolic_sgd import LimitingSDE, Problem, derive_limiting_sde
from symbolic_sgd.optimizers.optimizer import Optimizer
from symbolic_sgd.problems.problem_file import read_problem
from symbolic_sgd.theorem.derivation import PLAIN

DERIVATIONS = Path(__file__).parents[2] / "derivations"
NAMES = sorted(path.stem for path in DERIVATIONS.glob("*.toml"))


@cache
def gallery_problem(name: str) -> Problem:
    return read_problem(DERIVATIONS / f"{name}.toml")


@cache
def gallery_sde(name: str) -> LimitingSDE:
    return derive_limiting_sde(gallery_problem(name))


def shared_derivation(problem: Problem, optimizer: Optimizer = PLAIN, progress: object = None) -> LimitingSDE:
    """`derive_limiting_sde`, but that problems of the gallery are not derived twice."""
    known = (name for name in NAMES if gallery_problem(name) == problem and optimizer == PLAIN)
    name = next(known, None)
    return derive_limiting_sde(problem, optimizer=optimizer) if name is None else gallery_sde(name)
