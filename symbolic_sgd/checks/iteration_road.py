"""The drift of an optimizer, each of its terms, and the diffusion, beside what its own iteration does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from symbolic_sgd.checks.certificate import Check, not_run, undecided
from symbolic_sgd.checks.epoch_iteration import observed_of_epochs
from symbolic_sgd.checks.exact_steps import covariance, natural_sizes
from symbolic_sgd.checks.fresh_points import Point, floats
from symbolic_sgd.checks.map_iteration import observed_of_map
from symbolic_sgd.checks.observation import Observation, measured, most_accurate
from symbolic_sgd.checks.own_iteration import SEQUENCES, observed
from symbolic_sgd.checks.witness import Witness
from symbolic_sgd.errors import FlowDidNotConverge, NoClosedForm, ProblemTooLarge
from symbolic_sgd.optimizers.iterated_map import IteratedMap
from symbolic_sgd.optimizers.random_reshuffling import RandomReshuffling
from symbolic_sgd.simulate.arguments import count
from symbolic_sgd.theorem.derivation import Derivation

TOLERANCE = 1e-9
"""At a learning rate that stays."""

VANISHING = 1e-6
"""Where the learning rate is extrapolated to 0, or the length of sequences of samples to infinity."""

REACHES = (1.0, 2.0**-4)
"""Displacements beside the largest, tried in turn: the loss is not all that bends, second moments may be nearly singular."""

NAMES = {
    "drift": "drift",
    "tangent_noise_compensation": "tangent-noise compensation",
    "mixed_regularization": "mixed regularization",
    "normal_regularization": "normal regularization",
    "imposed_drift": "imposed drift",
    "noise_curvature_drift": "noise-curvature drift",
}
"""Of the terms, in words; those that the derivation has are compared."""


@dataclass(frozen=True)
class OwnIteration:
    """The iteration of the optimizer itself, averaged over the noise exactly; `verify` takes it in the place of the methods that know
    plain SGD only.

    Args:
        sequences: of samples, that are followed at most, where each step draws one; where more are needed it is not run.
    """

    sequences: int = SEQUENCES
    name: ClassVar[str] = "the optimizer's own iteration"

    def __post_init__(self) -> None:
        count(self.sequences, "sequences")

    def __call__(self, witness: Witness, rng: np.random.Generator) -> list[Check]:
        checks = []
        for number, point in enumerate(witness.points, start=1):
            checks.extend(self._at(witness, point, f"at point {number}"))
        return checks

    def _at(self, witness: Witness, point: Point, where: str) -> list[Check]:
        derivation, terms = witness.derivation, witness.terms(point)
        optimizer, problem = derivation.optimizer, derivation.stated
        source = optimizer.noise_source(problem)
        drawn = optimizer.is_finite and source.noise.samples(source) is not None
        tolerance = TOLERANCE if optimizer.is_finite and not drawn else VANISHING
        compared = {term: f"own iteration: {words} {where}" for term, words in NAMES.items() if term in terms}
        names = [*compared.values(), f"own iteration: diffusion {where}"]
        size, diffusion_size = natural_sizes(witness, point, [terms[term] for term in compared])
        length = witness.length(floats(derivation.problem.symbols, point))
        scales = dict.fromkeys(compared, size) | {"covariance": diffusion_size}
        try:
            seen = self._seen(derivation, point, length, scales, tolerance, (1.0,) if drawn else REACHES)
        except (ProblemTooLarge, NoClosedForm) as reason:
            return [not_run(name, tolerance, str(reason)) for name in names]
        except FlowDidNotConverge as failure:
            return [undecided(name, tolerance, str(failure)) for name in names]
        if drawn and seen["drift"][1] > tolerance * size:
            reason = (
                f"so few steps with samples tell the limit to {seen['drift'][1] / size:.1e} only, at this learning rate"
            )
            return [not_run(name, tolerance, reason) for name in names]
        pairs = [(terms[term].ravel(), *seen[term], size) for term in compared]
        pairs.append((covariance(terms["tangent_noise"]), *seen["covariance"], diffusion_size))
        return [
            measured(name, predicted, value, scale, accuracy / scale, tolerance)
            for name, (predicted, value, accuracy, scale) in zip(names, pairs, strict=True)
        ]

    def _seen(
        self,
        derivation: Derivation,
        point: Point,
        length: float,
        scales: Mapping[str, float],
        tolerance: float,
        reaches: Sequence[float],
    ) -> dict[str, Observation]:
        """What is seen of everything that has a scale, from as far as it takes to be accurate."""

        def observe(reach: float) -> list[Observation]:
            seen = self._observed(derivation, point, reach * length)
            return [seen[name] for name in scales]

        found = most_accurate(observe, reaches, list(scales.values()), tolerance)
        return dict(zip(scales, found, strict=True))

    def _observed(self, derivation: Derivation, point: Point, length: float) -> dict[str, Observation]:
        optimizer, problem, rank = derivation.optimizer, derivation.stated, derivation.codimension
        if isinstance(optimizer, IteratedMap):
            return observed_of_map(problem, optimizer, point, rank, length)
        if isinstance(optimizer, RandomReshuffling):
            return observed_of_epochs(problem, optimizer, point, rank, length)
        return observed(problem, optimizer, point, rank, length, self.sequences)
