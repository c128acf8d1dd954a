"""A run on disk: arrays and one line of JSON in an npz file, written whole or not at all, and read without pickle.

Several runs may write to one file at once: it is one of theirs at every moment. What is read is believed only as far as it
agrees with itself: the digest, the seed with the streams of random numbers, the statistics with the positions.
"""

import hashlib
import json
import struct
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np

from symbolic_sgd.errors import BadCheckpoint
from symbolic_sgd.files import opened, remove_abandoned_parts, replace
from symbolic_sgd.simulate.ensemble import CHUNK, Chunk, Ensemble, started
from symbolic_sgd.simulate.increments import BLOCK
from symbolic_sgd.simulate.statistics import Moments
from symbolic_sgd.simulate.steps import NUMPY

FORMAT = 2

ALIKE = 1e-9
"""Relative difference of moments that another processor may make."""

UNREADABLE = (
    OSError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
    EOFError,
    RuntimeError,
    MemoryError,
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
)
"""What reading raises where a file is none of ours."""


def save(path: Path, ensemble: Ensemble, *, fingerprint: str, seed: str, arithmetic: str = NUMPY) -> None:
    """Write an ensemble; `fingerprint` says which run it belongs to, `arithmetic` what has computed it.

    Raises:
        BadCheckpoint: another run has written there since this one began.
        OSError: it cannot be written; the file is what it was.
    """
    remove_abandoned_parts(path)
    if path.exists():
        _refuse_another_run(path, fingerprint, arithmetic)
    moments = ensemble.moments
    arrays: dict[str, Any] = {f"x{i}": chunk.x for i, chunk in enumerate(ensemble.chunks)}
    arrays |= {} if moments is None else {"mean": moments.mean, "scatter": moments.scatter}
    arrays |= {} if ensemble.paths is None else {"paths": ensemble.paths}
    head = {
        "format": FORMAT,
        "fingerprint": fingerprint,
        "arithmetic": arithmetic,
        "seed": seed,
        "count": 0 if moments is None else moments.count,
        "chunks": [{"generator": c.generator, "done": c.done} for c in ensemble.chunks],
    }
    text = json.dumps({**head, "digest": digest_of(head, arrays)})
    replace(path, lambda file: np.savez(file, head=np.array(text), **arrays))


def load(
    path: Path,
    *,
    fingerprint: str,
    start: np.ndarray,
    marks: Sequence[int],
    seed: np.random.SeedSequence,
    stated: bool,
    memory: int = 0,
    arithmetic: str = NUMPY,
) -> tuple[Ensemble, str]:
    """The ensemble in a file, and the seed of its run.

    Args:
        path: the file.
        fingerprint: of the run that is wanted.
        start: R×D, where its replicas begin.
        marks: where it is recorded.
        seed: of the run that is wanted.
        stated: whether it was the caller's; else a file with any seed will do.
        memory: rows of a replica that are no positions.
        arithmetic: what computes the run.

    Raises:
        BadCheckpoint: not a checkpoint, of another version, of another run or arithmetic, or one that does not agree with itself.
    """
    try:
        with opened(path) as stored, np.load(stored, allow_pickle=False) as file:
            head = _head(path, file, fingerprint, arithmetic)
            arrays = {name: file[name] for name in file if name != "head"}
        if head.pop("digest") != digest_of(head, arrays):
            raise ValueError("it was changed after it was written: its digest differs")
        chunks = tuple(
            Chunk(arrays[f"x{i}"], entry["generator"], int(entry["done"])) for i, entry in enumerate(head["chunks"])
        )
        moments = Moments(int(head["count"]), arrays["mean"], arrays["scatter"]) if head["count"] else None
        ensemble = Ensemble(chunks, moments, arrays.get("paths"), memory)
        _check_shapes(ensemble, start.shape, marks)
        _check_streams(ensemble, start, _seed_of(head["seed"], seed, stated), moving=arithmetic == NUMPY)
        _check_moments(ensemble, start, marks)
        return ensemble, head["seed"]
    except BadCheckpoint:
        raise
    except UNREADABLE as error:
        raise _no_checkpoint(path, error) from error


def _refuse_another_run(path: Path, fingerprint: str, arithmetic: str) -> None:
    try:
        with opened(path) as stored, np.load(stored, allow_pickle=False) as file:
            _head(path, file, fingerprint, arithmetic)
    except BadCheckpoint:
        raise
    except UNREADABLE as error:
        raise _no_checkpoint(path, error) from error


def _head(path: Path, file: Mapping[str, np.ndarray], fingerprint: str, arithmetic: str) -> dict[str, Any]:
    head = json.loads(str(file["head"]))
    if head["format"] != FORMAT:
        raise BadCheckpoint(f"{path} has format {head['format']!r}, not {FORMAT}: remove it, and run again")
    written = head.get("arithmetic", NUMPY)  # files from before there was a choice do not say it
    if written != arithmetic:
        raise BadCheckpoint(
            f"{path} is the checkpoint of a run by {written}, and this one is by {arithmetic}, which draws other random numbers: "
            f"{_remedy(written)}give checkpoint= another name, or remove the file"
        )
    if head["fingerprint"] != fingerprint:
        raise BadCheckpoint(
            f"{path} is the checkpoint of another run (another problem, start, learning rate, step, number of replicas or "
            "of steps, or another seed): give checkpoint= another name, or remove the file"
        )
    return head


def _remedy(written: Any) -> str:
    """How to go on with a file, where its arithmetic is one that there is."""
    return {NUMPY: "leave backend= out, ", "LLVM": "give backend=LLVM(), "}.get(str(written), "")


def _no_checkpoint(path: Path, error: BaseException) -> BadCheckpoint:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or type(error).__name__
    if "allow_pickle" in reason:  # NumPy's own words advise to run what is stored
        reason = "it is no archive of arrays"
    return BadCheckpoint(f"{path} is no checkpoint of a run ({reason}): remove it, or give another name")


def digest_of(head: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 of everything else in a file."""
    digest = hashlib.sha256(json.dumps(head, sort_keys=True).encode())
    for name, array in sorted(arrays.items()):
        digest.update(repr((name, array.dtype.str, array.shape)).encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


# --- does it agree with itself: `ValueError` where a file of the right run holds what no such run writes --------------------


def _check_shapes(ensemble: Ensemble, shape: tuple[int, ...], marks: Sequence[int]) -> None:
    replicas, dimension = shape
    sizes = [min(CHUNK, replicas - first) for first in range(0, replicas, CHUNK)]
    if [chunk.x.shape for chunk in ensemble.chunks] != [(dimension + ensemble.memory, size) for size in sizes]:
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


def _seed_of(entropy: Any, seed: np.random.SeedSequence, stated: bool) -> np.random.SeedSequence:
    if not isinstance(entropy, str) or not entropy.isdecimal() or entropy != str(int(entropy)):
        raise ValueError(f"its seed is {entropy!r}, which is none")
    if stated and entropy != str(seed.entropy):
        raise ValueError(f"its seed is {entropy}, and the run's {seed.entropy}")
    return np.random.SeedSequence(int(entropy), spawn_key=seed.spawn_key, pool_size=seed.pool_size)


def _check_streams(ensemble: Ensemble, start: np.ndarray, seed: np.random.SeedSequence, *, moving: bool) -> None:
    """Every chunk draws from the stream of its seed: the increment of its generator never changes, and its state only at
    every `BLOCK`th step, or never, where replicas have generators of their own."""
    for chunk, first in zip(ensemble.chunks, started(start, seed, keep_paths=False).chunks, strict=True):
        bits = np.random.PCG64(0)
        bits.state = chunk.generator  # type: ignore[assignment]  # refuses what is no state
        own = bits.state["state"]["inc"] == first.generator["state"]["inc"]
        moved = moving and chunk.done >= BLOCK
        if bits.state != chunk.generator or not own or not (moved or chunk.generator == first.generator):
            raise ValueError("its random numbers are not those of its seed")


def _check_moments(ensemble: Ensemble, start: np.ndarray, marks: Sequence[int]) -> None:
    """The statistics are those of the positions, wherever these are known."""
    recorded, known = ensemble.moments, {}
    assert recorded is not None
    last = len(recorded.mean) - 1
    if marks[0] == 0:
        known[0] = start.T
    if ensemble.paths is not None:
        known |= {t: positions.T for t, positions in enumerate(ensemble.paths)}
        if not np.array_equal(ensemble.paths[last], ensemble.final):
            raise ValueError("its paths do not end where its replicas are")
    known[last] = ensemble.final.T
    with np.errstate(all="ignore"):
        if not all(_are_of(x, recorded.mean[t], recorded.scatter[t]) for t, x in known.items()):
            raise ValueError("its statistics are not those of its replicas")


def _are_of(x: np.ndarray, mean: np.ndarray, scatter: np.ndarray) -> bool:
    moments = _merged(Moments.of(x[:, i : i + CHUNK]) for i in range(0, x.shape[1], CHUNK))
    size, (count, means, scatters) = np.abs(x).max(axis=1), (x.shape[1], moments.mean[0], moments.scatter[0])
    near = np.abs(means - mean) <= ALIKE * size
    return bool(near.all() and (np.abs(scatters - scatter) <= ALIKE * count * np.outer(size, size)).all())


def _merged(parts: Iterable[Moments]) -> Moments:
    return reduce(Moments.merged, parts)
