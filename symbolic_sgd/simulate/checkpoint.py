"""A run on disk: arrays and one line of JSON in an npz file, written whole or not at all, and read without pickle."""

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from symbolic_sgd.errors import BadCheckpoint
from symbolic_sgd.simulate.ensemble import Chunk, Ensemble
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
    beside = path.with_name(path.name + ".part")
    with open(beside, "wb") as file:
        np.savez(file, head=np.array(json.dumps(head)), **arrays)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)


def load(path: Path, *, fingerprint: str) -> tuple[Ensemble, str]:
    """The ensemble in a file, and the seed of its run.

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
            return Ensemble(chunks, moments, file.get("paths")), str(head["seed"])
    except BadCheckpoint:
        raise
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise BadCheckpoint(f"{path} is no checkpoint of a run ({error}): remove it, or give another name") from error
