"""What a process is told beside its own numbers: the problem, its constants, where replicas start, how they are recorded."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from inspect import Parameter, getdoc, signature
from typing import Any, TypeVar

import numpy as np
import sympy as sp

from symbolic_sgd.errors import BadInput, BadPoint
from symbolic_sgd.numeric.points import as_points, constant_columns
from symbolic_sgd.problems.problem import Problem, real_number
from symbolic_sgd.simulate.recording import Recording
from symbolic_sgd.simulate.run import Run, simulated
from symbolic_sgd.simulate.steps import Mover

KEYWORDS = tuple(p.replace(kind=Parameter.KEYWORD_ONLY) for p in signature(Recording).parameters.values())
"""Those of `Recording`, which every process takes."""

CONSTANTS = Parameter("constants", Parameter.VAR_KEYWORD, annotation=Any)

PLACE = "recording: see `Recording`."
"""Where a process's docstring goes on with the arguments of `Recording`."""

VALUES = "\n    constants: values of the problem's constants."

Process = TypeVar("Process", bound=Callable[..., Run])


@dataclass(frozen=True)
class Plan:
    """What a process is told beside its own numbers.

    Args:
        problem: whose parameters move.
        values: of its constants, the exact rationals that their floats are.
        start: R×D.
        recording: what is recorded, and how it is run.
    """

    problem: Problem
    values: dict[sp.Symbol, Fraction]
    start: np.ndarray
    recording: Recording

    @staticmethod
    def of(process: Callable[..., Run], problem: Any, start: Any, keywords: Mapping[str, Any]) -> "Plan":
        """The plan that a process is given, by keywords of `Recording` and values of constants.

        Raises:
            BadInput, BadPoint: there is no such keyword, or it makes no sense.
        """
        if not isinstance(problem, Problem):
            raise BadInput(f"this takes a Problem, not a {type(problem).__name__}")
        told = {p.name: keywords[p.name] for p in KEYWORDS if p.name in keywords}
        values = _values(process, problem, {name: value for name, value in keywords.items() if name not in told})
        recording = Recording(**told)
        return Plan(problem, values, _starts(problem, start, recording.replicas), recording)

    def run(
        self, mover: Mover, steps: int, time: Callable[[np.ndarray], np.ndarray], name: str, *identity: object
    ) -> Run:
        """The record of so many steps.

        Args:
            mover: how replicas move.
            steps: how many times.
            time: t after k steps.
            name: of the process.
            identity: by what a checkpoint is known beside the process's name, problem and constants.
        """
        marks = self.recording.marks(steps)
        known_by = [name, *_identity(self.problem, self.values), *identity]
        return simulated(mover, self.start, marks, time(np.array(marks)), self.recording, identity=known_by)


def recorded(process: Process) -> Process:
    """A process that hands its further keywords to `Plan.of`, shown with the signature and the words of `Recording`."""
    *own, _ = signature(process).parameters.values()
    shown = signature(process).replace(parameters=[*own, *KEYWORDS, CONSTANTS])
    process.__signature__ = shown  # type: ignore[attr-defined]
    words = (getdoc(Recording) or "").partition("Args:\n")[2].strip() + VALUES
    process.__doc__ = (getdoc(process) or "").replace(PLACE, words)
    return process


def _values(process: Callable[..., Run], problem: Problem, given: Mapping[str, Any]) -> dict[sp.Symbol, Fraction]:
    names = [s.name for s in problem.constants]
    unknown = [name for name in given if name not in names]
    if unknown:
        known = f"the constants are {', '.join(names)}" if names else "the problem has no constants"
        own = [p.name for p in signature(process).parameters.values() if p.kind is Parameter.KEYWORD_ONLY]
        raise BadInput(
            f"{unknown[0]!r} is no constant of this problem: {known}; the keywords of {process.__name__} are {', '.join(own)}"
        )
    columns = constant_columns(problem.constants, given, ())
    return {s: Fraction(float(column[0, 0])) for s, column in zip(problem.constants, columns, strict=True)}


def _starts(problem: Problem, start: Any, replicas: int) -> np.ndarray:
    if isinstance(start, Mapping):
        missing = [s for s in problem.parameters if s not in start]
        unknown = [s for s in start if s not in problem.parameters]
        if missing or unknown:
            words = [f"no value for {s}" for s in missing] + [
                f"a value for {s}, which is no parameter" for s in unknown
            ]
            raise BadPoint(f"start has {', and '.join(words)}")
        start = [real_number(start[s], where=f"start[{s}]") for s in problem.parameters]
    points = as_points(start, problem.dimension)
    if points.ndim > 2 or (points.ndim == 2 and len(points) not in (1, replicas)):
        raise BadPoint(
            f"start has shape {points.shape}; give one point ({problem.dimension},), or one a replica, "
            f"({replicas}, {problem.dimension})"
        )
    return np.broadcast_to(points, (replicas, problem.dimension)).copy()


def rows_of(problem: Problem, points: np.ndarray, values: Mapping[sp.Symbol, Fraction]) -> np.ndarray:
    """Points with the values of the constants behind them."""
    constants = np.array([float(values[s]) for s in problem.constants])
    return np.concatenate([points, np.tile(constants, (len(points), 1))], axis=1)


def _identity(problem: Problem, values: Mapping[sp.Symbol, Fraction]) -> list[Any]:
    """What a problem is known by."""
    residuals = [sp.srepr(r) for r in problem.residuals or ()]  # label noise draws one of them
    stated = sorted((s.name, a) for s, a in values.items())
    return [sp.srepr(problem.loss), residuals, problem.parameters, problem.noise, stated]
