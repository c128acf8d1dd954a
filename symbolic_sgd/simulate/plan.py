"""What a run is told beside its process: starts, seed, moments of recording; and the refusal of what makes no sense."""

import hashlib
import numbers
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import sympy as sp

from symbolic_sgd.errors import BadInput, BadPoint
from symbolic_sgd.numeric.points import as_points, constant_columns
from symbolic_sgd.problems.problem import Problem, real_number
from symbolic_sgd.simulate.run import Run, fresh_entropy, simulated
from symbolic_sgd.simulate.steps import Stepper

MOST = 2**53
"""Steps, at most: beyond, float64 does not count them."""


@dataclass(frozen=True)
class Plan:
    """What a run is told beside its process: starts (R×D), seed, marks, and the caller's wishes."""

    start: np.ndarray
    marks: tuple[int, ...]
    entropy: int
    stated_seed: bool
    wishes: dict[str, Any]

    def run(self, stepper: Stepper, times: np.ndarray, identity: Sequence[Any]) -> Run:
        """The run of this stepper; `identity` is what a checkpoint of it is known by."""
        seed = f"{self.entropy}" if self.stated_seed else "any"
        text = "\n".join([*map(str, identity), seed])
        seeds = np.random.SeedSequence(self.entropy)
        return simulated(
            stepper,
            self.start,
            self.marks,
            times,
            seeds,
            identity=_digest(text),
            stated_seed=self.stated_seed,
            **self.wishes,
        )


def plan_of(
    problem: Any,
    start: Any,
    steps: Any,
    replicas: Any,
    rng: Any,
    records: Any,
    *,
    executor: Any,
    paths: Any,
    progress: Any,
    checkpoint: Any,
) -> Plan:
    """The plan for what the caller states, or `BadInput`, `BadPoint`."""
    if executor is not None and not callable(getattr(executor, "submit", None)):
        raise BadInput(f"executor is {executor!r}; give an object with the protocol of concurrent.futures.Executor")
    if progress is not None and not callable(progress):
        raise BadInput(f"progress is {progress!r}; give a function of the fraction that is done")
    if not isinstance(paths, (bool, np.bool_)):
        raise BadInput(f"paths is {paths!r}; give True or False")
    if checkpoint is not None:
        writable_place(checkpoint, "checkpoint")
    total, entropy = count(steps, "steps"), entropy_of(rng)
    marks = np.unique(np.linspace(0, total, min(count(records, "records"), total) + 1).round().astype(int))
    return Plan(
        _starts(problem, start, count(replicas, "replicas")),
        tuple(marks.tolist()),
        entropy,
        rng is not None,
        {
            "keep_paths": bool(paths),
            "executor": executor,
            "progress": progress,
            "checkpoint": None if checkpoint is None else Path(checkpoint),
        },
    )


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


def writable_place(path: Any, name: str) -> None:
    """The name of a file in a folder that is there, or `BadInput`: before a long run, not after it."""
    if not isinstance(path, (str, Path)):
        raise BadInput(f"{name} is {path!r}; give the name of a file")
    if not Path(path).absolute().parent.is_dir():
        raise BadInput(f"{name} is {str(path)!r}, and its folder is not there: make it first")


def steps_of(duration: float, step: float, name: str) -> int:
    """How many steps make a time, or `BadInput` where they could never be done."""
    if not duration / step <= MOST:
        raise BadInput(
            f"{name} of {step:.3g} takes {duration / step:.3g} steps to t = {duration:.6g}: that many can never be done"
        )
    return max(1, int(np.ceil(duration / step - 1e-9)))


def positive(value: Any, name: str) -> float:
    """A positive finite number, or `BadInput`."""
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    try:
        number = float(value) if real else float("nan")
    except OverflowError:
        raise BadInput(f"{name} is a number beyond float64; it has to be smaller") from None
    if not 0 < number < float("inf"):
        raise BadInput(f"{name} is {value!r}; it has to be a positive number")
    return number


def learning_rate_of(value: Any) -> float:
    """η, whose square is the time of a step."""
    rate = positive(value, "learning_rate")
    if not 0 < rate * rate < float("inf"):
        raise BadInput(f"learning_rate is {value!r}, and η², the time of a step, is no number of float64")
    return rate


def count(value: Any, name: str) -> int:
    """A whole number from 1 to 2⁵³, or `BadInput`."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or int(value) < 1:
        raise BadInput(f"{name} is {value!r}; it has to be a whole number, at least 1")
    if int(value) > MOST:
        raise BadInput(f"{name} is {_short(int(value))}; that many can never be done")
    return int(value)


def _short(value: int) -> str:
    return f"{value:.3g}" if value.bit_length() < 1000 else f"a number of {value.bit_length()} bits"


def entropy_of(rng: Any) -> int:
    """The seed that a Generator, a seed, or None stands for."""
    if rng is None:
        return fresh_entropy()
    if isinstance(rng, np.random.Generator):
        return int.from_bytes(rng.bytes(16), "little")
    if isinstance(rng, numbers.Integral) and not isinstance(rng, bool) and int(rng) >= 0:
        return int(rng)
    raise BadInput(f"rng is {rng!r}; give a NumPy Generator or a seed (an integer ≥ 0)")


def values_of(problem: Any, constants: Mapping[str, Any]) -> dict[sp.Symbol, Fraction]:
    """Values of the constants as the exact rationals that their floats are."""
    if not isinstance(problem, Problem):
        raise BadInput(f"this takes a Problem, not a {type(problem).__name__}")
    columns = constant_columns(problem.constants, constants, ())
    return {s: Fraction(float(column[0, 0])) for s, column in zip(problem.constants, columns, strict=True)}


def rows_of(problem: Problem, points: np.ndarray, values: Mapping[sp.Symbol, Fraction]) -> np.ndarray:
    """Points with the values of the constants behind them."""
    constants = np.array([float(values[s]) for s in problem.constants])
    return np.concatenate([points, np.tile(constants, (len(points), 1))], axis=1)


def identity_of(problem: Problem, values: Mapping[sp.Symbol, Fraction]) -> list[Any]:
    """What a problem is known by."""
    residuals = [sp.srepr(r) for r in problem.residuals or ()]  # label noise draws one of them
    stated = sorted((s.name, a) for s, a in values.items())
    return [sp.srepr(problem.loss), residuals, problem.parameters, problem.noise, stated]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
