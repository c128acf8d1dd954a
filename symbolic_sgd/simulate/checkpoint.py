"""A run on disk: arrays and one line of JSON in an npz file, written whole or not at all, and read without pickle."""

import json
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from symbolic_sgd.errors import BadCheckpoint
from symbolic_sgd.simulate.ensemble import CHUNK, Chunk, Ensemble
from symbolic_sgd.simulate.statistics import Moments

FORMAT = 1


def save(path: Path, ensemble: Ensemble, *, fingerprint: str, seed: str) -> None:
    """Write an ensemble; `fingerprint` says which run it belongs to."""
    moments = ensemble.moments
    arrays: dict[str, Any] = {f"x{i}": chunk.x for i, chunk in enumerate(ensemble.chunks)}
    arrays |= {} if moments is None else {"mean": moments.mean, "scatter": moments.scatter}
    arrays |= {} if ensemble.paths is None else {"paths": ensemble.paths}
    head = {
        "format": FORMAT,
        "fingerprint": fingerprint,
        "seed": seed,
        "count": 0 if moments is None else moments.count,
        "chunks": [{"generator": c.generator, "done": c.done} for c in ensemble.chunks],
    }
    beside = path.with_name(f"{path.name}.{os.getpid()}.part")
    with open(beside, "wb") as file:
        np.savez(file, head=np.array(json.dumps(head)), **arrays)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)


def load(path: Path, *, fingerprint: str, shape: tuple[int, int], marks: Sequence[int]) -> tuple[Ensemble, str]:
    """The ensemble in a file, and the seed of its run.

    Args:
        path: the file.
        fingerprint: of the run that is wanted.
        shape: (R, D) of its replicas.
        marks: where it is recorded.

    Raises:
        BadCheckpoint: not a checkpoint, of another version, or of another run.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            head = json.loads(str(file["head"]))
            if head["format"] != FORMAT:
                raise BadCheckpoint(f"{path} has format {head['format']!r}, not {FORMAT}: remove it, and run again")
            if head["fingerprint"] != fingerprint:
                raise BadCheckpoint(
                    f"{path} is the checkpoint of another run (another problem, start, learning rate, step, number of replicas or "
                    "of steps, or another seed): give checkpoint= another name, or remove the file"
                )
            chunks = tuple(
                Chunk(file[f"x{i}"], entry["generator"], int(entry["done"])) for i, entry in enumerate(head["chunks"])
            )
            moments = Moments(int(head["count"]), file["mean"], file["scatter"]) if head["count"] else None
            ensemble = Ensemble(chunks, moments, file.get("paths"))
            _check(ensemble, shape, marks)
            return ensemble, str(head["seed"])
    except BadCheckpoint:
        raise
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        EOFError,
        OverflowError,
        AttributeError,
        zipfile.BadZipFile,
    ) as error:
        raise BadCheckpoint(f"{path} is no checkpoint of a run ({error}): remove it, or give another name") from error


def _check(ensemble: Ensemble, shape: tuple[int, int], marks: Sequence[int]) -> None:
    """`ValueError` where a file of the right run holds what no such run writes."""
    replicas, dimension = shape
    sizes = [min(CHUNK, replicas - first) for first in range(0, replicas, CHUNK)]
    if [chunk.x.shape for chunk in ensemble.chunks] != [(dimension, size) for size in sizes]:
        raise ValueError("its replicas have other shapes than the run's")
    done = {chunk.done for chunk in ensemble.chunks}
    if len(done) != 1 or not done <= set(marks) or ensemble.moments is None:
        raise ValueError("its chunks are not all at one recorded moment of the run")
    passed = sum(mark <= max(done) for mark in marks)
    moments, arrays = ensemble.moments, [chunk.x for chunk in ensemble.chunks]
    if (moments.count, moments.mean.shape, moments.scatter.shape) != (
        replicas,
        (passed, dimension),
        (passed, dimension, dimension),
    ):
        raise ValueError("its statistics have other shapes than the run's")
    if ensemble.paths is not None and ensemble.paths.shape != (passed, replicas, dimension):
        raise ValueError("its paths have another shape than the run's")
    arrays += [moments.mean, moments.scatter, *([] if ensemble.paths is None else [ensemble.paths])]
    if not all(a.dtype == np.float64 and np.isfinite(a).all() for a in arrays):
        raise ValueError("it holds what is no finite number")
    for chunk in ensemble.chunks:
        np.random.PCG64(0).state = chunk.generator  # type: ignore[assignment]  # refuses what is no state
