"""The façade: SGD, its canonical SDE and its limit as ensembles of replicas."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from symbolic_sgd.api.limiting_sde import LimitingSDE
from symbolic_sgd.errors import BadInput, Diverged, OffManifold
from symbolic_sgd.numeric.backend import Backend
from symbolic_sgd.numeric.guard import check_starts
from symbolic_sgd.optimizers.optimizer import Optimizer, with_symbols_of
from symbolic_sgd.optimizers.sgd import SGD
from symbolic_sgd.problems.problem import Problem
from symbolic_sgd.simulate.arguments import count, learning_rate_of, positive, steps_of
from symbolic_sgd.simulate.compiled import compiling
from symbolic_sgd.simulate.limit import Scheme, WeakOrderOne, WeakOrderTwo, within_stability
from symbolic_sgd.simulate.optimizers import Tuned, check_law_of, law_of
from symbolic_sgd.simulate.plan import Plan, recorded, rows_of
from symbolic_sgd.simulate.run import Run
from symbolic_sgd.simulate.sgd import GaussianLaw, Law, NoNoise, StatedLaw, TrueLaw, canonical_sde
from symbolic_sgd.simulate.stability import Bounds, check_basin_and_stability, check_first_step
from symbolic_sgd.theorem.perturbed import fitted


@recorded
def simulate_sgd(
    problem: Problem,
    start: Any,
    *,
    learning_rate: float | None = None,
    steps: int,
    optimizer: Optimizer | None = None,
    noise_scale: float | None = None,
    law: Law | None = None,
    backend: Backend | None = None,
    **recording: Any,
) -> Run:
    """SGD itself, x(k+1) = x(k) − η(∇L(x(k)) + ε·noise), or another optimizer; many replicas at once.

    Args:
        problem: the loss and the noise.
        start: x(0), shape (D,), or (replicas, D) for one each; in the basin of Γ. A memory of the optimizer is 0 there. SAM,
            NormalizedGD and RootLoss begin beside Γ and not on it, where they divide by 0, and their limit begins where they have
            fallen to it: of a start at a distance O(ρ) (O(η)) at the point of Γ beside it.
        learning_rate: η, unless the optimizer has one of its own (γ of HeavyBall(friction=c)).
        steps: how many; of Local SGD those of a worker, whole rounds; of RandomReshuffling whole epochs.
        optimizer: SGD() (default), HeavyBall(momentum, …), Nesterov(…), LocalSGD(…), ColouredNoise(…), RandomReshuffling(…); every draw
            is by the same law. SAM and its kin draw nothing: replicas from one start are all the same.
        noise_scale: ε (default 1). Labels move by ±εδ, of the sample that is drawn; any other noise is ε times the stated one. It is
            the radius ρ of SAM, which has to be given.
        law: TrueLaw() (default; uniform samples, signs of labels), GaussianLaw(), or StatedLaw(steps, probabilities); of a
            NonlinearUpdate its own.
        backend: NumPy() (default), or LLVM(), which compiles the step with its random numbers into one loop, ten times as fast and more.
            Its random numbers are others, reproducible from `rng` by themselves; a sample is drawn with odds that differ by n/2³² at
            most from those stated, n the rows of its table, and not at all where n is a power of 2. It draws no batches of samples.
        recording: see `Recording`.

    Returns:
        A `Run`: `times` (t = k times the optimizer's unit: kη² of SGD, kη²ε² at a learning rate of its own, kηρ² of SAM), `mean`,
        `covariance`, `final`, `paths`, of x alone.

    Raises:
        BadInput: a learning rate, number or start that makes no sense; a learning rate or a scale too many or too few; a law with
            another covariance than the problem's, or for an optimizer that draws nothing; a back end that does not simulate; batches, or
            samples without replacement, for LLVM().
        ProblemTooLarge: probabilities for LLVM() whose common denominator is above 2¹⁶.
        UnsupportedExpression: LLVM() has not a function of the loss.
        BadPoint: (a BadInput) a start on Γ, of an optimizer that divides by 0 there.
        FlowDidNotConverge: a start outside the basin of Γ.
        BadCheckpoint: the file belongs to another run.
        Diverged: a replica left the range of float64.

    Warns:
        StabilityWarning: η is above 2/(the largest curvature of a single sample), or beyond the optimizer's edge.

    >>> import sympy as sp
    >>> from symbolic_sgd import HeavyBall, LabelNoise
    >>> u, v = sp.symbols("u v")
    >>> problem = Problem.least_squares([u*v - 1], parameters=(u, v), noise=LabelNoise(1))
    >>> run = simulate_sgd(problem, [2, 0.5], learning_rate=0.05, steps=400, replicas=2000, rng=0)
    >>> run.final.shape, run.mean[-1].round(1)
    ((2000, 2), array([1.3, 0.7]))
    >>> ball = HeavyBall(momentum=0.9, learning_rate=0.05)
    >>> run = simulate_sgd(problem, [2, 0.5], optimizer=ball, noise_scale=0.1, steps=1000, replicas=100, rng=0)
    >>> float(run.times[-1].round(6))
    2.5
    """
    chosen, compiler = _optimizer(optimizer), compiling(backend)
    moved = _law(law, chosen)
    stated = with_symbols_of(chosen, problem, iterated=True) if isinstance(problem, Problem) else problem
    plan = Plan.of(simulate_sgd, stated, start, recording)
    chosen = chosen.on(plan.problem)
    tuned = Tuned.of(fitted(chosen, plan.problem), learning_rate, noise_scale, plan.values)
    check_law_of(chosen, moved, tuned.scale)
    total, local = count(steps, "steps"), tuned.local_steps
    if total % local:
        raise BadInput(f"steps is {total}, and {chosen.label} makes them {local} at a time: give a multiple of {local}")
    stepper, unit = tuned.stepper(plan.problem, moved), tuned.time_unit
    mover = stepper if compiler is None else tuned.compiled(plan.problem, moved, compiler)
    check_basin_and_stability(plan, tuned.bounds(plan.problem, moved))
    identity = moved.identity, float(tuned.rate), steps, *tuned.identity
    if chosen.cycles:
        check_first_step(stepper, plan.start, chosen.label)
    followed = _once(plan, still=chosen.cycles)
    try:
        run = followed.run(mover, total // local, lambda k: k * local * unit, "SGD", *identity)
    except Diverged as error:
        if not chosen.cycles:
            raise
        raise Diverged(
            f"{error}; or it has met Γ itself, where {chosen.label} divides by 0: move the start a little"
        ) from error
    return replace(_repeated(run, len(plan.start)), steps=total)


@recorded
def simulate_canonical_sde(
    problem: Problem,
    start: Any,
    *,
    learning_rate: float,
    steps: int,
    substeps: int = 1,
    **recording: Any,
) -> Run:
    """dX = −η∇L dt + ησ dW by Euler's and Maruyama's scheme; one step of SGD takes time 1, cut into `substeps`.

    Args:
        problem: the loss and its noise.
        start: of all replicas, (D,).
        learning_rate: η.
        steps: of SGD, each of which takes the time 1 of X and η² of the limit.
        substeps: of the scheme in one step of SGD.
        recording: see `Recording`.

    Errors and warnings are those of `simulate_sgd`; `times` are kη² as there.

    >>> import sympy as sp
    >>> from symbolic_sgd import LabelNoise, Problem
    >>> u, v = sp.symbols("u v")
    >>> problem = Problem.least_squares([u*v - 1], parameters=(u, v), noise=LabelNoise(1))
    >>> simulate_canonical_sde(problem, [1, 1], learning_rate=0.1, steps=20, replicas=5, rng=0).final.shape
    (5, 2)
    """
    plan = Plan.of(simulate_canonical_sde, problem, start, recording)
    rate, pieces = learning_rate_of(learning_rate), count(substeps, "substeps")
    total = count(count(steps, "steps") * pieces, "steps")
    stepper = canonical_sde(problem, Fraction(rate), Fraction(1, pieces), plan.values)
    check_basin_and_stability(plan, Bounds("SGD", rate / pieces, stepper))
    return plan.run(stepper, total, lambda k: k * rate**2 / pieces, "canonical SDE", rate, steps, pieces)


@recorded
def simulate_sde(
    sde: LimitingSDE,
    start: Any,
    *,
    time: float,
    step: float,
    scheme: Scheme | None = None,
    **recording: Any,
) -> Run:
    """The limiting SDE dY = ½∂²Φ[Σ] dt + ∂Φ σ dW on Γ; each step ends with Newton steps back to Γ.

    A step that is long beside the curvature of Γ may lead a path to another branch of Γ: halve it, and compare.

    Args:
        sde: from derive_limiting_sde.
        start: Y(0) on Γ, shape (D,), or (replicas, D).
        time: T, on the scale t = kη² of SGD.
        step: h; made a little smaller where it does not divide T.
        scheme: WeakOrderTwo() (default) or WeakOrderOne().
        recording: see `Recording`.

    Raises:
        OffManifold: a start that is not on Γ: begin at Φ(start), `gradient_flow_limit(problem)(start)`.
        BadInput, BadCheckpoint, Diverged: as in `simulate_sgd`; Diverged also where a path comes to the edge of stability.

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
    plan = Plan.of(simulate_sde, sde.problem, start, recording)
    try:
        check_starts(sde.derivation, rows_of(sde.problem, np.unique(plan.start, axis=0), plan.values))
    except OffManifold as error:
        raise OffManifold(
            f"the limiting SDE starts on Γ: {error}; gradient_flow_limit(problem)(start) is the point where SGD's limit begins"
        ) from error
    chosen = WeakOrderTwo() if scheme is None else scheme
    if not isinstance(chosen, Scheme):
        raise BadInput(f"scheme is {scheme!r}; give WeakOrderTwo() or WeakOrderOne()")
    along = chosen.stepper(sde.derivation, duration / steps, plan.values)
    stepper = within_stability(along, sde.derivation, plan.values)
    followed = _once(plan, still=stepper.noise is None)
    identity = sde.derivation.fingerprint, chosen, duration, steps
    run = followed.run(stepper, steps, lambda k: k * (duration / steps), "limit", *identity)
    return _repeated(run, len(plan.start))


def _once(plan: Plan, *, still: bool) -> Plan:
    """Where nothing is random, and all starts are the same, one replica stands for all."""
    return replace(plan, start=plan.start[:1]) if still and bool((plan.start == plan.start[0]).all()) else plan


def _repeated(run: Run, replicas: int) -> Run:
    """The record of all replicas, by that of one which stands for them."""
    if len(run.final) == replicas:
        return run
    return replace(
        run,
        covariance=np.zeros_like(run.covariance),
        final=np.repeat(run.final, replicas, axis=0),
        paths=None if run.paths is None else np.repeat(run.paths, replicas, axis=1),
    )


def _optimizer(optimizer: Any) -> Optimizer:
    if optimizer is not None and not isinstance(optimizer, Optimizer):
        raise BadInput(f"optimizer is {optimizer!r}; give SGD(), HeavyBall(momentum=…) or another optimizer")
    return SGD() if optimizer is None else optimizer


def _law(law: Any, optimizer: Optimizer) -> Law:
    if law is not None and not isinstance(law, Law):
        raise BadInput(f"law is {law!r}; give TrueLaw(), GaussianLaw() or StatedLaw(steps, probabilities)")
    if optimizer.cycles:
        if law is not None:
            raise BadInput(f"law is {law!r}, and {optimizer.label} draws nothing: leave law= out")
        return NoNoise()
    return law_of(optimizer) if law is None else law


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
