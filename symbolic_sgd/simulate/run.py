"""From a stepper and starts to the record of a run: the outermost loop, which owns the seed."""

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from symbolic_sgd.simulate.checkpoint import load, save
from symbolic_sgd.simulate.ensemble import SEGMENTS, Ensemble, advanced, started
from symbolic_sgd.simulate.statistics import Moments
from symbolic_sgd.simulate.steps import Stepper


@dataclass(frozen=True)
class Run:
    """The record of a simulation of R replicas.

    Args:
        times: t at the T recorded moments, from 0; of SGD t = kη².
        mean: T×D.
        covariance: T×D×D, unbiased (nan of a single replica).
        final: the positions at the end, R×D.
        paths: the positions at the recorded moments, T×R×D; None unless asked for.
        steps: how many steps were made.
        seed: the entropy that the random numbers come from.
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


def simulated(
    stepper: Stepper,
    start: np.ndarray,
    marks: Sequence[int],
    times: np.ndarray,
    seed: np.random.SeedSequence,
    *,
    keep_paths: bool = False,
    executor: Executor | None = None,
    progress: Callable[[float], None] | None = None,
    checkpoint: Path | None = None,
    identity: str = "",
    stated_seed: bool = False,
) -> Run:
    """Run a stepper from its starts, and record it.

    Args:
        stepper: how replicas move.
        start: R×D.
        marks: numbers of steps at which to record, ascending from 0.
        times: the time at each mark.
        seed: where the chunks' seeds come from.
        keep_paths: whether positions are kept at each mark.
        executor: who computes the chunks; None computes them here.
        progress: told the fraction that is done.
        checkpoint: a file that is written now and then, and read first if it exists.
        identity: what makes the run this one (and its seed, where it was stated); a checkpoint of another is refused.
        stated_seed: whether a checkpoint has to have this seed, or may bring its own.

    Raises:
        Diverged: a replica is no longer finite.
        BadCheckpoint: the file is no checkpoint, or another run's.
        OSError: a checkpoint cannot be written; the one before is still there, and the run goes on from it when it is run again.
    """
    entropy = str(seed.entropy)
    print_of_run = _fingerprint(identity, start, marks, keep_paths)
    if checkpoint is not None and checkpoint.exists():
        ensemble, entropy = load(
            checkpoint, fingerprint=print_of_run, start=start, marks=marks, seed=seed, stated=stated_seed
        )
    else:
        ensemble = started(start, seed, keep_paths=keep_paths)
    left = [mark for mark in marks if mark > ensemble.chunks[0].done or ensemble.moments is None]
    for part in _segments(left, SEGMENTS if checkpoint is not None or progress is not None else 1):
        ensemble = _segment(stepper, ensemble, part, marks[-1], executor, progress)
        if checkpoint is not None:
            save(checkpoint, ensemble, fingerprint=print_of_run, seed=entropy)
    return _record(ensemble, times, marks[-1], int(entropy))


def _segment(
    stepper: Stepper,
    ensemble: Ensemble,
    part: Sequence[int],
    steps: int,
    executor: Executor | None,
    progress: Callable[[float], None] | None,
) -> Ensemble:
    done, count = ensemble.chunks[0].done, len(ensemble.chunks)
    finished = [0]

    def told() -> None:
        finished[0] += 1
        if progress is not None:
            progress((done + (part[-1] - done) * finished[0] / count) / max(steps, 1))

    return advanced(stepper, ensemble, part, executor=executor, told=told)


def _segments(marks: Sequence[int], count: int) -> list[Sequence[int]]:
    length = -(-len(marks) // count) or 1
    return [marks[i : i + length] for i in range(0, len(marks), length)]


def _record(ensemble: Ensemble, times: np.ndarray, steps: int, seed: int) -> Run:
    moments: Moments | None = ensemble.moments
    assert moments is not None
    return Run(times, moments.mean, moments.covariance, ensemble.final, ensemble.paths, steps, seed)


def _fingerprint(identity: str, start: np.ndarray, marks: Sequence[int], keep_paths: bool) -> str:
    digest = hashlib.sha256(identity.encode())
    digest.update(np.ascontiguousarray(start, dtype="<f8").tobytes())
    digest.update(repr((start.shape, list(marks), keep_paths)).encode())
    return digest.hexdigest()


def fresh_entropy() -> int:
    """A seed from the operating system."""
    return int.from_bytes(os.urandom(16), "little")
