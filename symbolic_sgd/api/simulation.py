"""The façade: SGD, its canonical SDE and its limit as ensembles of replicas."""

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from symbolic_sgd.api.limiting_sde import LimitingSDE
from symbolic_sgd.errors import BadInput, OffManifold
from symbolic_sgd.numeric.guard import check_starts
from symbolic_sgd.problems.problem import Problem
from symbolic_sgd.simulate.limit import Scheme, WeakOrderOne, WeakOrderTwo
from symbolic_sgd.simulate.plan import (
    count,
    identity_of,
    learning_rate_of,
    plan_of,
    positive,
    rows_of,
    steps_of,
    values_of,
)
from symbolic_sgd.simulate.run import Run
from symbolic_sgd.simulate.sgd import GaussianLaw, Law, StatedLaw, TrueLaw, canonical_sde
from symbolic_sgd.simulate.stability import check_basin_and_stability

RECORDS = 100
"""Moments after the start at which a run is recorded, unless told otherwise."""


def simulate_sgd(
    problem: Problem,
    start: Any,
    *,
    learning_rate: float,
    steps: int,
    replicas: int = 1000,
    rng: np.random.Generator | int | None = None,
    executor: Executor | None = None,
    law: Law | None = None,
    records: int = RECORDS,
    paths: bool = False,
    progress: Callable[[float], None] | None = None,
    checkpoint: str | Path | None = None,
    **constants: Any,
) -> Run:
    """SGD itself: x(k+1) = x(k) − η(∇L(x(k)) + noise), many replicas at once.

    Args:
        problem: the loss and the noise.
        start: x(0), shape (D,), or (replicas, D) for one each; in the basin of Γ.
        learning_rate: η.
        steps: how many.
        replicas: R.
        rng: a NumPy Generator, a seed, or None for a fresh seed (kept in `run.seed`).
        executor: computes the chunks, with the protocol of `concurrent.futures`: processes, Dask's
            `Client.get_executor()`, …; the result has the same bits for any.
        law: TrueLaw() (default; uniform samples, signs of labels), GaussianLaw(), or StatedLaw(steps, probabilities).
        records: moments after the start at which means and covariances are recorded.
        paths: also keep the positions at those moments.
        progress: told the fraction that is done.
        checkpoint: a file, written about twenty times; if it exists, the run is resumed from it.
        constants: values of the problem's constants.

    Returns:
        A `Run`: `times` (t = kη²), `mean`, `covariance`, `final`, `paths`.

    Raises:
        BadInput: a learning rate, number or start that makes no sense; a law with another covariance than the problem's.
        FlowDidNotConverge: a start outside the basin of Γ.
        BadCheckpoint: the file belongs to another run.
        Diverged: a replica left the range of float64.

    Warns:
        StabilityWarning: η is above 2/(the largest curvature of a single sample).

    >>> import sympy as sp
    >>> from symbolic_sgd import LabelNoise
    >>> u, v = sp.symbols("u v")
    >>> problem = Problem.least_squares([u*v - 1], parameters=(u, v), noise=LabelNoise(1))
    >>> run = simulate_sgd(problem, [2, 0.5], learning_rate=0.05, steps=400, replicas=2000, rng=0)
    >>> run.final.shape, run.mean[-1].round(1)
    ((2000, 2), array([1.3, 0.7]))
    """
    rate = learning_rate_of(learning_rate)
    values = values_of(problem, constants)
    plan = plan_of(
        problem,
        start,
        steps,
        replicas,
        rng,
        records,
        executor=executor,
        paths=paths,
        progress=progress,
        checkpoint=checkpoint,
    )
    descent = _law(law).descent(problem, Fraction(rate), values)
    check_basin_and_stability(problem, descent, rate, plan.start, values)
    times = np.array(plan.marks) * rate**2
    return plan.run(descent, times, ["SGD", *identity_of(problem, values), _law(law).identity, rate, steps])


def simulate_canonical_sde(
    problem: Problem,
    start: Any,
    *,
    learning_rate: float,
    steps: int,
    substeps: int = 1,
    replicas: int = 1000,
    rng: np.random.Generator | int | None = None,
    executor: Executor | None = None,
    records: int = RECORDS,
    paths: bool = False,
    progress: Callable[[float], None] | None = None,
    checkpoint: str | Path | None = None,
    **constants: Any,
) -> Run:
    """dX = −η∇L dt + ησ dW by Euler's and Maruyama's scheme; one step of SGD takes time 1, cut into `substeps`.

    Arguments and errors otherwise as in `simulate_sgd`; `times` are kη² as there.
    """
    rate, pieces = learning_rate_of(learning_rate), count(substeps, "substeps")
    values = values_of(problem, constants)
    total = count(steps, "steps") * pieces
    plan = plan_of(
        problem,
        start,
        total,
        replicas,
        rng,
        records,
        executor=executor,
        paths=paths,
        progress=progress,
        checkpoint=checkpoint,
    )
    stepper = canonical_sde(problem, Fraction(rate), Fraction(1, pieces), values)
    check_basin_and_stability(problem, stepper, rate / pieces, plan.start, values)
    times = np.array(plan.marks) * rate**2 / pieces
    return plan.run(stepper, times, ["canonical SDE", *identity_of(problem, values), rate, steps, pieces])


def simulate_sde(
    sde: LimitingSDE,
    start: Any,
    *,
    time: float,
    step: float,
    replicas: int = 1000,
    rng: np.random.Generator | int | None = None,
    executor: Executor | None = None,
    scheme: Scheme | None = None,
    records: int = RECORDS,
    paths: bool = False,
    progress: Callable[[float], None] | None = None,
    checkpoint: str | Path | None = None,
    **constants: Any,
) -> Run:
    """The limiting SDE dY = ∂Φ σ dW + ½∂²Φ[Σ] dt on Γ; each step ends with Newton steps back to Γ.

    A step that is long beside the curvature of Γ may lead a path to another branch of Γ: halve it, and compare.

    Args:
        sde: from derive_limiting_sde.
        start: Y(0) on Γ, shape (D,), or (replicas, D).
        time: T, on the scale t = kη² of SGD.
        step: h; made a little smaller where it does not divide T.
        scheme: WeakOrderTwo() (default) or WeakOrderOne().

    Other arguments as in `simulate_sgd`.

    Raises:
        OffManifold: a start that is not on Γ: begin at Φ(start), `gradient_flow_limit(problem)(start)`.
        BadInput, BadCheckpoint, Diverged: as in `simulate_sgd`.

    >>> import sympy as sp
    >>> from symbolic_sgd import LabelNoise, derive_limiting_sde
    >>> u, v = sp.symbols("u v")
    >>> sde = derive_limiting_sde(Problem.least_squares([u*v - 1], parameters=(u, v), noise=LabelNoise(1)))
    >>> simulate_sde(sde, [2, 0.5], time=1, step=0.01, replicas=1).final.round(3).tolist()
    [[1.38, 0.725]]
    """
    if not isinstance(sde, LimitingSDE):
        raise BadInput(f"simulate_sde takes a LimitingSDE (from derive_limiting_sde), not a {type(sde).__name__}")
    duration, longest = positive(time, "time"), positive(step, "step")
    if longest > duration:
        raise BadInput(f"step = {longest:g} is longer than time = {duration:g}: make it a small part of it")
    steps = steps_of(duration, longest, "step")
    values = values_of(sde.problem, constants)
    plan = plan_of(
        sde.problem,
        start,
        steps,
        replicas,
        rng,
        records,
        executor=executor,
        paths=paths,
        progress=progress,
        checkpoint=checkpoint,
    )
    try:
        check_starts(sde.derivation, rows_of(sde.problem, np.unique(plan.start, axis=0), values))
    except OffManifold as error:
        raise OffManifold(
            f"the limiting SDE starts on Γ: {error}; gradient_flow_limit(problem)(start) is the point where SGD's limit begins"
        ) from error
    chosen = WeakOrderTwo() if scheme is None else scheme
    if not isinstance(chosen, Scheme):
        raise BadInput(f"scheme is {scheme!r}; give WeakOrderTwo() or WeakOrderOne()")
    stepper = chosen.stepper(sde.derivation, duration / steps, values)
    times = np.array(plan.marks) * (duration / steps)
    identity = ["limit", *identity_of(sde.problem, values), sde.program.fingerprint, chosen, duration, steps]
    alike = stepper.noise is None and bool((plan.start == plan.start[0]).all())
    if not alike:
        return plan.run(stepper, times, identity)
    # Nothing is random: one replica stands for all.
    return _repeated(replace(plan, start=plan.start[:1]).run(stepper, times, identity), len(plan.start))


def _repeated(run: Run, replicas: int) -> Run:
    return replace(
        run,
        covariance=np.zeros_like(run.covariance) if replicas > 1 else run.covariance,
        final=np.repeat(run.final, replicas, axis=0),
        paths=None if run.paths is None else np.repeat(run.paths, replicas, axis=1),
    )


def _law(law: Any) -> Law:
    if law is not None and not isinstance(law, Law):
        raise BadInput(f"law is {law!r}; give TrueLaw(), GaussianLaw() or StatedLaw(steps, probabilities)")
    return TrueLaw() if law is None else law


__all__ = [
    "GaussianLaw",
    "Run",
    "StatedLaw",
    "TrueLaw",
    "WeakOrderOne",
    "WeakOrderTwo",
    "simulate_canonical_sde",
    "simulate_sde",
    "simulate_sgd",
]
