"""The façade: where an optimizer's own noiseless iteration ends."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from symbolic_sgd.errors import BadInput, FlowDidNotConverge
from symbolic_sgd.flow.iteration import NoiselessIteration
from symbolic_sgd.manifold.manifold import find_manifold
from symbolic_sgd.numeric.points import as_points, constant_columns
from symbolic_sgd.optimizers.optimizer import Optimizer, with_symbols_of
from symbolic_sgd.problems.problem import Problem


@dataclass(frozen=True)
class IterationLimit:
    """lim_{k→∞} of z(k+1) = G(z(k), 0) from z = (x, 0): the map that `iteration_limit` returns.

    Args:
        problem: the loss.
        optimizer: whose iteration it is, with a learning rate of its own.

    >>> import sympy as sp
    >>> from symbolic_sgd import HeavyBall, LabelNoise, iteration_limit
    >>> u, v = sp.symbols("u v")
    >>> problem = Problem.least_squares([u*v - 1], parameters=(u, v), noise=LabelNoise(1))
    >>> iteration_limit(problem, HeavyBall(momentum=0.5, learning_rate=0.125))([[1, 2], [2, 1]]).shape
    (2, 2)
    """

    problem: Problem
    optimizer: Optimizer

    def __call__(self, x: Any, /, **constants: Any) -> np.ndarray:
        """Where the iterations from x end, (..., D) → (..., D), float64.

        Args:
            x: points, on Γ or off it.
            constants: values of the problem's constants and of the optimizer's symbols, numbers or arrays that broadcast against
                the batch.

        Raises:
            BadPoint: wrong last dimension; not real or not finite.
            FlowDidNotConverge: from one of the points the iteration diverges, cycles, or ends elsewhere than on Γ below the edge.
        """
        points = as_points(x, self.problem.dimension)
        columns = constant_columns(self.problem.constants, constants, points.shape[:-1])
        rows = np.concatenate([points.reshape(-1, points.shape[-1]), *columns], axis=1)
        ends = self._iteration.ends(rows)
        for row, reason in zip(rows, ends.reasons, strict=True):
            if reason:
                where = np.array2string(row[: points.shape[-1]], precision=6, threshold=8)
                raise FlowDidNotConverge(f"the iteration of {self.optimizer.label} from x = {where}: {reason}")
        return ends.points.reshape(points.shape)

    @cached_property
    def _iteration(self) -> NoiselessIteration:
        rank = find_manifold(self.problem, inside_cell=False).codimension
        return NoiselessIteration.of(self.problem, self.optimizer, rank)

    def __repr__(self) -> str:
        return f"IterationLimit({self.optimizer!r})"


def iteration_limit(problem: Problem, optimizer: Optimizer) -> IterationLimit:
    """Where the noiseless iteration of an optimizer ends: at a learning rate that stays this is where its limit begins.

    Args:
        problem: a loss (the noise does not matter here).
        optimizer: with a learning rate of its own. As the rate tends to 0, that of SGD tends to `gradient_flow_limit(problem)`.

    Returns:
        A function of points, (..., D) → (..., D), with values of constants by keyword: the end of z ← G(z, 0) from z = (x, 0), the
        memory being 0 at the start (ι(x) for maps with an embedding). Slow fields, as weight decay, vanish with the noise and take no
        part. Where each step draws a sample it is the limit of the full gradient's iteration: the end of the samples' own depends on
        their order.

    Raises:
        BadInput: an optimizer without a learning rate of its own, or one that ends in a cycle beside Γ (SAM and its kin).
        NoManifold: (and subclasses, when points are given) the minimizers form no manifold that the theorem speaks of.

    >>> import sympy as sp
    >>> from symbolic_sgd import SGD, LabelNoise, gradient_flow_limit
    >>> u, v = sp.symbols("u v")
    >>> problem = Problem.least_squares([u*v - 1], parameters=(u, v), noise=LabelNoise(1))
    >>> iteration_limit(problem, SGD(learning_rate=sp.Rational(1, 4)))([1, 2]).round(4)
    array([0.5653, 1.769 ])
    >>> gradient_flow_limit(problem)([1, 2]).round(4)
    array([0.5503, 1.8174])
    """
    if not isinstance(problem, Problem):
        raise BadInput(f"iteration_limit takes a Problem, not a {type(problem).__name__}")
    if not isinstance(optimizer, Optimizer):
        raise BadInput(f"optimizer is {optimizer!r}; give SGD(learning_rate=…) or another optimizer")
    if optimizer.cycles:
        raise BadInput(
            f"{optimizer.label} comes to no rest: it ends in a cycle of two steps beside Γ, along which simulate_sde(sde, …) follows it, "
            "and which simulate_sgd iterates"
        )
    if not optimizer.is_finite:
        raise BadInput(
            f"the learning rate of {optimizer.label} tends to 0 here, and its iteration to a flow: give it a learning_rate= of its own "
            "(the flow of SGD ends at gradient_flow_limit(problem))"
        )
    return IterationLimit(with_symbols_of(optimizer, problem, iterated=True), optimizer)
