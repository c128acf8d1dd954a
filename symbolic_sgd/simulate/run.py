"""From a way to move and starts to the record of a run: the outermost loop, which owns the seed."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from symbolic_sgd.printing.blocks import Math
from symbolic_sgd.printing.tables import Table, html_table
from symbolic_sgd.simulate.checkpoint import load, save
from symbolic_sgd.simulate.ensemble import SEGMENTS, Ensemble, advanced, started
from symbolic_sgd.simulate.recording import Recording
from symbolic_sgd.simulate.statistics import Moments
from symbolic_sgd.simulate.steps import Mover, arithmetic_of

ROWS, COLUMNS = 11, 8
"""Moments and parameters of a run that a table shows."""


@dataclass(frozen=True)
class Run:
    """The record of a simulation of R replicas.

    Args:
        times: t at the T recorded moments, from 0; of SGD t = kη², of another optimizer k times its unit of time.
        mean: T×D.
        covariance: T×D×D, unbiased (nan of a single replica).
        final: the positions at the end, R×D.
        paths: the positions at the recorded moments, T×R×D; None unless asked for.
        steps: how many steps were made.
        seed: the entropy that the random numbers come from.

    >>> import sympy as sp
    >>> from symbolic_sgd import LabelNoise, Problem, simulate_sgd
    >>> u, v = sp.symbols("u v")
    >>> problem = Problem.least_squares([u*v - 1], parameters=(u, v), noise=LabelNoise(1))
    >>> run = simulate_sgd(problem, [1, 1], learning_rate=0.1, steps=100, replicas=3, rng=0)
    >>> float(run.times[-1].round(9)), run.final.shape, run.mean.shape[1], run.paths
    (1.0, (3, 2), 2, None)
    """

    times: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray
    final: np.ndarray
    paths: np.ndarray | None
    steps: int
    seed: int

    def __repr__(self) -> str:
        return f"Run({len(self.final)} replicas, {self.steps} steps to t = {self.times[-1]:.6g}, seed {self.seed})"

    def _repr_html_(self) -> str:
        return html_table(self.table)

    @property
    def table(self) -> Table:
        """Mean ± standard deviation of the first parameters, at some of the recorded moments."""
        shown = range(min(COLUMNS, self.mean.shape[1]))
        rows = tuple(
            (f"{self.times[i]:.4g}", *(f"{self.mean[i, j]:.5f} ± {self.covariance[i, j, j] ** 0.5:.1e}" for j in shown))
            for i in np.unique(np.linspace(0, len(self.times) - 1, ROWS).astype(int))
        )
        more = (
            "" if len(shown) == self.mean.shape[1] else f"; the first {len(shown)} of {self.mean.shape[1]} parameters"
        )
        caption = f"{len(self.final)} replicas, seed {self.seed}: mean ± standard deviation{more}"
        return Table(caption, (Math("t", "t"), *(Math(f"x_{{{j + 1}}}", f"x_{j + 1}") for j in shown)), rows)


def simulated(
    mover: Mover,
    start: np.ndarray,
    marks: Sequence[int],
    times: np.ndarray,
    recording: Recording,
    *,
    identity: Sequence[object] = (),
) -> Run:
    """Run replicas from their starts, and record them.

    Args:
        mover: how they move.
        start: R×D.
        marks: numbers of steps at which to record, ascending from 0.
        times: the time at each mark.
        recording: who computes, what is kept, and the seed, without which a checkpoint may bring its own.
        identity: what makes the run this one; a checkpoint of another is refused.

    Raises:
        Diverged: a replica is no longer finite.
        BadCheckpoint: the file is no checkpoint, or another run's.
        OSError: a checkpoint cannot be written; the one before is still there, and the run goes on from it when it is run again.
    """
    seed, keep_paths, stated = (
        np.random.SeedSequence(recording.entropy),
        bool(recording.paths),
        recording.rng is not None,
    )
    memory = mover.dimension - start.shape[1]
    entropy, arithmetic = str(recording.entropy), arithmetic_of(mover)
    print_of_run = _fingerprint([*identity, entropy if stated else "any"], start, marks, keep_paths)
    checkpoint = None if recording.checkpoint is None else Path(recording.checkpoint)
    if checkpoint is not None and checkpoint.exists():
        ensemble, entropy = load(
            checkpoint,
            fingerprint=print_of_run,
            start=start,
            marks=marks,
            seed=seed,
            stated=stated,
            memory=memory,
            arithmetic=arithmetic,
        )
    else:
        ensemble = started(start, seed, keep_paths=keep_paths, memory=memory)
    left = [mark for mark in marks if mark > ensemble.chunks[0].done or ensemble.moments is None]
    for part in _segments(left, SEGMENTS if checkpoint is not None or recording.progress is not None else 1):
        ensemble = _segment(mover, ensemble, part, marks[-1], recording)
        if checkpoint is not None:
            save(checkpoint, ensemble, fingerprint=print_of_run, seed=entropy, arithmetic=arithmetic)
    return _record(ensemble, times, marks[-1], int(entropy))


def _segment(mover: Mover, ensemble: Ensemble, part: Sequence[int], steps: int, recording: Recording) -> Ensemble:
    done, count = ensemble.chunks[0].done, len(ensemble.chunks)
    finished = [0]

    def told() -> None:
        finished[0] += 1
        if recording.progress is not None:
            recording.progress((done + (part[-1] - done) * finished[0] / count) / max(steps, 1))

    return advanced(mover, ensemble, part, executor=recording.executor, told=told)


def _segments(marks: Sequence[int], count: int) -> list[Sequence[int]]:
    length = -(-len(marks) // count) or 1
    return [marks[i : i + length] for i in range(0, len(marks), length)]


def _record(ensemble: Ensemble, times: np.ndarray, steps: int, seed: int) -> Run:
    moments: Moments | None = ensemble.moments
    assert moments is not None
    return Run(times, moments.mean, moments.covariance, ensemble.final, ensemble.paths, steps, seed)


def _fingerprint(identity: Sequence[object], start: np.ndarray, marks: Sequence[int], keep_paths: bool) -> str:
    known_by = hashlib.sha256("\n".join(map(str, identity)).encode()).hexdigest()
    digest = hashlib.sha256(known_by.encode())
    digest.update(np.ascontiguousarray(start, dtype="<f8").tobytes())
    digest.update(repr((start.shape, list(marks), keep_paths)).encode())
    return digest.hexdigest()
