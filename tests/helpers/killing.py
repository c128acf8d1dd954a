"""A vector field that kills its process the first time it is called: a worker that is lost."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class KillsOnce:
    """m(x, a) = x/10 + a, after the death of one process that is not the one of `parent`."""

    marker: Path
    parent: int

    def __call__(self, x: np.ndarray, a: np.ndarray, out: np.ndarray) -> None:
        if os.getpid() != self.parent and not self.marker.exists():
            self.marker.touch()
            os._exit(1)
        np.multiply(x, 0.1, out=out)
        np.add(out, a, out=out)
