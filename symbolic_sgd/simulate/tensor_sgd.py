"""SGD on residuals that are forms in parameters and data of any size, with its true law, many replicas at once.

Nothing is known here but the residuals: f and ∇f of the samples that each replica draws.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp

from symbolic_sgd.errors import Diverged
from symbolic_sgd.tensors.derivative import derivative
from symbolic_sgd.tensors.evaluation import Arrays
from symbolic_sgd.tensors.forms import Form, Index, Tensor
from symbolic_sgd.tensors.replicas import REPLICA, over_replicas

Blocks = tuple[np.ndarray, ...]
"""An array for each parameter, with the replicas in front."""

DRAWN = Index("drawn", sp.Symbol("drawn", integer=True, positive=True))
"""The samples that a step draws."""

WEIGHTS = "λ"
"""The tensor of slopes ℓ′ at the residuals of a step."""


class Labels(ABC):
    """What a step draws for the residuals of its samples."""

    @abstractmethod
    def slopes(self, residuals: np.ndarray, samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """∂ℓ at residuals.

        Args:
            residuals: R×b×…, or the outputs of classes.
            samples: R×b, which they are of.
            rng: what draws.
        """


@dataclass(frozen=True)
class DrawnLosses(Labels):
    """One of several losses for each residual by itself.

    Args:
        probabilities: of each.
        derivatives: ℓ_k′ of an array.
    """

    probabilities: tuple[float, ...]
    derivatives: tuple[Callable[[np.ndarray], np.ndarray], ...]

    def slopes(self, residuals: np.ndarray, samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        chosen = rng.choice(len(self.probabilities), size=residuals.shape, p=self.probabilities)
        return np.choose(chosen, [slope(residuals) + 0 * residuals for slope in self.derivatives])


@dataclass(frozen=True)
class DrawnClasses(Labels):
    """A class for each sample, with the probabilities of the sample; residuals are outputs before the softmax.

    Args:
        probabilities: n×C.
        drawn: whether one is drawn; else the probabilities themselves are what the outputs are compared with.
    """

    probabilities: np.ndarray
    drawn: bool = True

    def slopes(self, residuals: np.ndarray, samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        found = np.exp(residuals - residuals.max(axis=-1, keepdims=True))
        found = found / found.sum(axis=-1, keepdims=True)
        if not self.drawn:
            return found - self.probabilities[samples]
        reached = np.cumsum(self.probabilities[samples], axis=-1)
        drawn = (rng.random(samples.shape)[..., None] >= reached).sum(axis=-1)
        here = np.minimum(drawn, residuals.shape[-1] - 1)[..., None]
        np.put_along_axis(found, here, np.take_along_axis(found, here, -1) - 1, -1)
        return found


@dataclass(frozen=True)
class TensorSGD:
    """x⁺ = x − (η/b) Σ_{i∈B} ∂ℓ_i(f_i)∇f_i − ηsξ, for b of n samples drawn without replacement, and ξ standard normal.

    Args:
        residual: f, with its labels as free indices, of which the first is the sample where data carry it.
        parameters: what moves.
        data: arrays by name.
        carried: the names of data whose first index is the sample; () where every entry of f is a sample of its own.
        count: n.
        batch: b.
        labels: what is drawn for a residual.
        numbers: values of sizes and constants.
        additive: s.
    """

    residual: Form
    parameters: tuple[Tensor, ...]
    data: Mapping[str, np.ndarray]
    carried: tuple[str, ...]
    count: int
    batch: int
    labels: Labels
    numbers: Mapping[Any, Any]
    additive: float = 0.0

    def step(self, x: Blocks, rate: float, rng: np.random.Generator) -> Blocks:
        """One step of every replica."""
        slopes = self.gradient(x, rng)
        moved = tuple(a - rate * g for a, g in zip(x, slopes, strict=True))
        if self.additive == 0:
            return moved
        return tuple(a - rate * self.additive * rng.standard_normal(a.shape) for a in moved)

    def gradient(self, x: Blocks, rng: np.random.Generator) -> Blocks:
        """The mean of the gradients of the samples that are drawn."""
        replicas = len(x[0])
        samples = self._samples(replicas, rng)
        arrays = self._arrays(x, samples)
        residuals = arrays.value(self._forms[0])
        if self.carried:
            slopes = self.labels.slopes(residuals, samples, rng)
        else:
            flat = residuals.reshape(replicas, -1)
            drawn = self.labels.slopes(np.take_along_axis(flat, samples, 1), samples, rng)
            slopes = np.zeros_like(flat)
            np.put_along_axis(slopes, samples, drawn, 1)
            slopes = slopes.reshape(residuals.shape)
        weighted = Arrays({**arrays.tensors, WEIGHTS: slopes / self.batch}, arrays.numbers, np)
        return tuple(weighted.value(form) for form in self._forms[1:])

    def _samples(self, replicas: int, rng: np.random.Generator) -> np.ndarray:
        if self.batch == self.count:
            return np.broadcast_to(np.arange(self.count), (replicas, self.count))
        if self.batch == 1:
            return rng.integers(self.count, size=(replicas, 1))
        return np.argpartition(rng.random((replicas, self.count)), self.batch, axis=1)[:, : self.batch]

    def _arrays(self, x: Blocks, samples: np.ndarray) -> Arrays:
        drawn = {name: array[samples] if name in self.carried else array for name, array in self.data.items()}
        moving = {p.name: a for p, a in zip(self.parameters, x, strict=True)}
        numbers = {**self.numbers, REPLICA.size: len(x[0]), DRAWN.size: samples.shape[1]}
        return Arrays({**drawn, **moving}, numbers, np)

    @cached_property
    def _forms(self) -> tuple[Form, ...]:
        """f, and then Jᵀλ by parameter, at every replica."""
        f = self.residual
        if self.carried:
            f = f.renamed({f.free[0]: DRAWN})
        weights = Tensor(WEIGHTS, tuple(i.size for i in f.free)).entry(*f.free)
        differing = [*(p.name for p in self.parameters), *self.carried, WEIGHTS]
        found = [f]
        for p in self.parameters:
            slots = tuple(Index(f"{p.name}.{k}", s) for k, s in enumerate(p.shape))
            found.append((derivative(f, p, slots) * weights).summed(*f.free))
        return tuple(over_replicas(form, differing) for form in found)


@dataclass(frozen=True)
class TensorRun:
    """The record of R replicas of SGD on a family.

    Args:
        times: t = kη² at the T recorded moments, from 0.
        observed: what was observed at them, T×R×…; empty where nothing was.
        final: the parameters at the end, an array for each with the replicas in front.
        steps: how many were made.
        seed: of the random numbers.

    >>> from symbolic_sgd import derive_limiting_sde, models, simulate_family_sgd
    >>> arrays = derive_limiting_sde(models.full_factorization()).lambdify(Y=np.eye(2))
    >>> simulate_family_sgd(arrays, (np.eye(2), np.eye(2)), learning_rate=0.1, steps=100, replicas=2, rng=0)
    TensorRun(2 replicas, 100 steps to t = 1, seed 0)
    """

    times: np.ndarray
    observed: np.ndarray
    final: Blocks
    steps: int
    seed: int

    def __repr__(self) -> str:
        return f"TensorRun({len(self.final[0])} replicas, {self.steps} steps to t = {self.times[-1]:.6g}, seed {self.seed})"


def run_tensor_sgd(
    process: TensorSGD,
    start: Blocks,
    rate: float,
    marks: Sequence[int],
    seed: int,
    observe: Callable[..., Any] | None = None,
) -> TensorRun:
    """Replicas from their starts, observed at marks, ascending numbers of steps from 0.

    Raises:
        Diverged: a replica left the range of float64.
    """
    rng, x, seen = np.random.default_rng(seed), start, []
    with np.errstate(all="ignore"):
        for mark, before in zip(marks, (0, *marks), strict=False):
            for _ in range(mark - before):
                x = process.step(x, rate, rng)
            if not all(np.isfinite(a).all() for a in x):
                raise Diverged(
                    f"a replica has left the range of float64 by step {mark}: make the learning rate smaller, or start nearer to Γ"
                )
            if observe is not None:
                seen.append(np.asarray(observe(*x)))
    return TensorRun(rate**2 * np.array(marks, dtype=float), np.array(seen), x, marks[-1], seed)
