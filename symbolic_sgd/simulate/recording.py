"""What is recorded of a run, and how it is run: said once, for every process."""

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from symbolic_sgd.errors import BadInput
from symbolic_sgd.simulate.arguments import count, entropy_of, writable_place


@dataclass(frozen=True)
class Recording:
    """What is recorded of a run, and how it is run: the keywords that all processes share.

    Args:
        replicas: R, how many.
        rng: a NumPy Generator, a seed, or None for a fresh seed (kept in `run.seed`).
        executor: computes the chunks, with the protocol of `concurrent.futures`: processes, Dask's
            `Client.get_executor()`, …; the result has the same bits for any. None computes them here.
        records: moments after the start at which means and covariances are recorded.
        paths: also keep the positions at those moments.
        progress: told the fraction that is done.
        checkpoint: a file, written about twenty times; if it exists, the run is resumed from it.
    """

    replicas: int = 1000
    rng: np.random.Generator | int | None = None
    executor: Executor | None = None
    records: int = 100
    paths: bool = False
    progress: Callable[[float], None] | None = None
    checkpoint: str | Path | None = None
    entropy: int = field(init=False, repr=False)
    """What all random numbers come from; a Generator is asked once."""

    def __post_init__(self) -> None:
        if self.executor is not None and not callable(getattr(self.executor, "submit", None)):
            raise BadInput(
                f"executor is {self.executor!r}; give an object with the protocol of concurrent.futures.Executor"
            )
        if self.progress is not None and not callable(self.progress):
            raise BadInput(f"progress is {self.progress!r}; give a function of the fraction that is done")
        if not isinstance(self.paths, (bool, np.bool_)):
            raise BadInput(f"paths is {self.paths!r}; give True or False")
        if self.checkpoint is not None:
            writable_place(self.checkpoint, "checkpoint")
        count(self.replicas, "replicas")
        count(self.records, "records")
        object.__setattr__(self, "entropy", entropy_of(self.rng))

    def marks(self, steps: int) -> list[int]:
        """Numbers of steps at which to record, ascending from 0."""
        return np.unique(np.linspace(0, steps, min(self.records, steps) + 1).round().astype(int)).tolist()
