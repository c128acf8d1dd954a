"""Many replicas of a process: chunks of a fixed size, each with its own seed, advanced by whoever is free.

A task is a pure function of its chunk's state, so that the result has the same bits for any number of workers, for a chunk
that was lost and done again, and for a run that was interrupted and resumed.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Executor
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from symbolic_sgd.errors import BadInput, Diverged
from symbolic_sgd.simulate.increments import BLOCK
from symbolic_sgd.simulate.lanes import lanes
from symbolic_sgd.simulate.statistics import Moments
from symbolic_sgd.simulate.steps import ManySteps, Mover, Stepper

CHUNK = 2048
"""Replicas in one chunk: their arrays stay in a core's cache."""

SEGMENTS = 20
"""Into how many parts a run is cut that reports its progress or keeps checkpoints."""


@dataclass(frozen=True)
class Chunk:
    """Some replicas on their way: x (D×N, with the rows of a memory below), their generator's state at the last multiple of BLOCK
    steps (of compiled steps at the first, since replicas have their own), the steps done."""

    x: np.ndarray
    generator: dict[str, Any]
    done: int


@dataclass(frozen=True)
class Ensemble:
    """All replicas at one moment, and what has been recorded of them so far.

    Args:
        chunks: where they are.
        moments: at the marks passed; None before the first.
        paths: the positions at the marks passed, T×R×D; None unless they are kept.
        memory: how many of the rows of chunks are no positions.
    """

    chunks: tuple[Chunk, ...]
    moments: Moments | None
    paths: np.ndarray | None
    memory: int = 0

    @property
    def final(self) -> np.ndarray:
        """The positions, R×D."""
        return np.concatenate([positions(chunk.x, self.memory) for chunk in self.chunks], axis=1).T.copy()


def positions(x: np.ndarray, memory: int) -> np.ndarray:
    """The rows of a state that are no memory."""
    return x[: len(x) - memory]


def started(start: np.ndarray, seed: np.random.SeedSequence, *, keep_paths: bool, memory: int = 0) -> Ensemble:
    """Replicas at their starts (R×D) with an empty memory of so many rows, in chunks with seeds spawned from one."""
    pieces = [start[i : i + CHUNK] for i in range(0, len(start), CHUNK)]
    seeds = seed.spawn(len(pieces))
    chunks = tuple(
        Chunk(np.concatenate([piece.T, np.zeros((memory, len(piece)))]), np.random.PCG64(own).state, 0)  # type: ignore[arg-type]
        for piece, own in zip(pieces, seeds, strict=True)
    )
    return Ensemble(chunks, None, np.empty((0, *start.shape)) if keep_paths else None, memory)


def advanced(
    mover: Mover,
    ensemble: Ensemble,
    marks: Sequence[int],
    *,
    executor: Executor | None = None,
    told: Callable[[], None] = lambda: None,
) -> Ensemble:
    """The ensemble after the last of the marks (numbers of steps done), recorded at each of them.

    Args:
        mover: how replicas move.
        ensemble: where they are.
        marks: ascending, none before what is done.
        executor: any executor with the protocol of `concurrent.futures`; None computes here, and so does a lost chunk.
        told: called once for each chunk that is done.

    Raises:
        Diverged: a replica is no longer finite.
    """
    keep = ensemble.paths is not None
    chunks, moments, pieces = [], None, []
    for chunk, recorded, path in _results(mover, ensemble, marks, keep, executor):
        chunks.append(chunk)
        moments = recorded if moments is None else moments.merged(recorded)
        pieces.append(path)
        told()
    assert moments is not None
    joined = moments if ensemble.moments is None else Moments.joined([ensemble.moments, moments])
    paths = np.concatenate([ensemble.paths, np.concatenate(pieces, axis=1)]) if ensemble.paths is not None else None
    return Ensemble(tuple(chunks), joined, paths, ensemble.memory)


Result = tuple[Chunk, Moments, np.ndarray | None]


def _results(
    mover: Mover, ensemble: Ensemble, marks: Sequence[int], keep: bool, executor: Executor | None
) -> Iterator[Result]:
    chunks, told = ensemble.chunks, (marks, keep, ensemble.memory)
    if executor is None:
        for chunk in chunks:
            yield advance_chunk(mover, chunk, *told)
        return
    futures: list[Any] = []
    with suppress(BrokenExecutor):  # its workers are gone: what was not handed over is computed here
        try:
            futures.extend(executor.submit(advance_chunk, mover, chunk, *told) for chunk in chunks)
        except BrokenExecutor:
            raise
        except RuntimeError as error:
            raise BadInput(f"the executor takes no work: {error}") from error
    try:
        for number, chunk in enumerate(chunks):
            try:
                result = futures[number].result() if number < len(futures) else None
            except Diverged:
                raise
            except (
                Exception
            ):  # however an executor says that it lost a chunk: computed here it gives its bits, or its error
                result = None
            yield advance_chunk(mover, chunk, *told) if result is None else result
    finally:
        for future in futures:
            future.cancel()


def advance_chunk(mover: Mover, chunk: Chunk, marks: Sequence[int], keep: bool, memory: int = 0) -> Result:
    """One chunk up to the last mark, with its moments (and on request its positions) at each."""
    x = chunk.x.copy()
    walk: _Walk = _ManyAtOnce(mover, chunk, x) if isinstance(mover, ManySteps) else _OneByOne(mover, chunk, x)
    moments, passed = [], []
    place = positions(x, memory)
    with np.errstate(all="ignore"):
        for mark in marks:
            walk.to(mark)
            _check_finite(x, mark)
            moments.append(Moments.of(place))
            passed.extend([place.T.copy()] if keep else [])
    after = replace(chunk, x=x, generator=dict(walk.generator), done=walk.done)
    return after, Moments.joined(moments), np.stack(passed) if keep else None


class _Walk(Protocol):
    """Replicas on their way, in place."""

    done: int

    @property
    def generator(self) -> Mapping[str, Any]:
        """What a chunk keeps of the random numbers."""
        ...

    def to(self, mark: int) -> None:
        """Make the steps up to so many."""
        ...


class _OneByOne:
    """Steps with increments that the chunk's generator draws in blocks."""

    def __init__(self, stepper: Stepper, chunk: Chunk, x: np.ndarray):
        self.x, self.done, replicas = x, chunk.done, x.shape[1]
        self._bits = np.random.PCG64()
        self._bits.state = self._block_start = chunk.generator  # type: ignore[assignment]
        self._fill = stepper.increments.stream(np.random.Generator(self._bits), replicas)
        self._increments = np.empty((stepper.increments.rows, replicas))
        self._step = stepper.bind(replicas, self.done)
        for _ in range(self.done % BLOCK):  # what the steps already done have used of the block
            self._fill(self._increments)

    @property
    def generator(self) -> Mapping[str, Any]:
        return self._block_start if self.done % BLOCK else self._bits.state

    def to(self, mark: int) -> None:
        for number in range(self.done, mark):
            if number % BLOCK == 0:
                self._block_start = self._bits.state
            self._fill(self._increments)
            self._step(self.x, self._increments)
        self.done = mark


class _ManyAtOnce:
    """Steps that draw by the replicas' own generators, which the chunk's has seeded."""

    def __init__(self, steps: ManySteps, chunk: Chunk, x: np.ndarray):
        self.x, self.done, self.generator = x, chunk.done, chunk.generator
        self._steps, self._rows = steps, np.ascontiguousarray(x.T)
        self._states = lanes(chunk.generator, len(self._rows), steps.words * chunk.done)

    def to(self, mark: int) -> None:
        if mark > self.done:
            self._steps.run(self._rows, self._states, mark - self.done)
            self.x[:] = self._rows.T
        self.done = mark


def _check_finite(x: np.ndarray, mark: int) -> None:
    lost = int((~np.isfinite(x)).any(axis=0).sum())
    if lost:
        raise Diverged(
            f"{lost} of {x.shape[1]} replicas have left the range of float64 by step {mark}: the step is beyond stability, or "
            "the start is beyond the basin of Γ; make the learning rate (the step) smaller, or start nearer to Γ"
        )
