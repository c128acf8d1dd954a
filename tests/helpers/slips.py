"""Slips outside the formulas of the theorem: wrong regularizers, guards, simulators and schemes, each with its problem.

A slip is made where users meet it (a function or method of the package is exchanged while it lasts), and a method of
`verify` is named that has to see it.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import Any
from unittest.mock import patch

import numpy as np
import sympy as sp
from mutants import two_equations

import symbolic_sgd
from symbolic_sgd import LimitingSDE, Problem, derive_limiting_sde
from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.charges.charge import motions_of
from symbolic_sgd.charges.conserved import Conserved, conserved
from symbolic_sgd.charges.laws import Decay, law_of
from symbolic_sgd.errors import OffManifold, SingularPoint
from symbolic_sgd.numeric import guard
from symbolic_sgd.numeric.acceptance import doubt_program
from symbolic_sgd.numeric.guard import check_points
from symbolic_sgd.numeric.random_step import sde_step, sgd_step
from symbolic_sgd.problems.noise import IsotropicNoise
from symbolic_sgd.problems.problem_file import read_problem
from symbolic_sgd.regularizer.regularizer import Regularizer
from symbolic_sgd.simulate.increments import Outcomes
from symbolic_sgd.simulate.limit import WeakOrderTwo
from symbolic_sgd.simulate.sgd import GaussianLaw, TrueLaw
from symbolic_sgd.simulate.steps import EulerMaruyama, NinomiyaVictoir
from symbolic_sgd.theorem.stratonovich import stratonovich_program

DERIVATIONS = Path(__file__).parents[2] / "derivations"
u, v, w, x, y, z = sp.symbols("u v w x y z")

Wrong = Callable[[LimitingSDE], AbstractContextManager[LimitingSDE]]
"""A context in which the package is wrong, and the derivation as it then is."""


@dataclass(frozen=True)
class Slip:
    """What is wrong, for which problem, and the method that has to see it."""

    problem: Callable[[], Problem]
    method: str
    wrong: Wrong


# --- how a slip is made -------------------------------------------------------------------------


def _everything_loaded() -> None:
    """Modules that are loaded later would keep what is exchanged now."""
    for module in walk_packages(symbolic_sgd.__path__, "symbolic_sgd."):
        with suppress(ImportError):
            import_module(module.name)


def exchanged(*pairs: tuple[Any, Any]) -> Wrong:
    """Functions of the package exchanged wherever they are imported."""

    @contextmanager
    def wrong(sde: LimitingSDE) -> Iterator[LimitingSDE]:
        _everything_loaded()
        with ExitStack() as stack:
            for function, other in pairs:
                for module in [m for name, m in sys.modules.items() if name.startswith("symbolic_sgd.")]:
                    for name, value in list(vars(module).items()):
                        if value is function:
                            stack.enter_context(patch.object(module, name, other))
            yield sde

    return wrong


def attribute(owner: Any, name: str, make: Callable[[Any], Any]) -> Wrong:
    """A method of a class, or a constant of a module, exchanged for what is made of it."""

    @contextmanager
    def wrong(sde: LimitingSDE) -> Iterator[LimitingSDE]:
        with patch.object(owner, name, make(getattr(owner, name))):
            yield sde

    return wrong


def claiming(change: Callable[[LimitingSDE], Regularizer]) -> Wrong:
    """The derivation with another regularizer."""

    @contextmanager
    def wrong(sde: LimitingSDE) -> Iterator[LimitingSDE]:
        other = LimitingSDE(sde.derivation)
        vars(other)["_regularizers"] = [change(sde)]
        yield other

    return wrong


# --- regularizers -------------------------------------------------------------------------------


def times(factor: sp.Expr) -> Wrong:
    return claiming(lambda sde: Regularizer(factor * sde.regularizer, "said"))


def plus(coordinate: int) -> Wrong:
    return claiming(lambda sde: Regularizer(sde.regularizer + sde.problem.parameters[coordinate], "said"))


def ruled_out(*point: float) -> Wrong:
    """No R, by a curl of 0.1 at a point."""
    return claiming(
        lambda sde: Regularizer(None, "said", curl=0.1, where=dict(zip(sde.problem.parameters, point, strict=True)))
    )


def evidence(**changes: Any) -> Wrong:
    return claiming(lambda sde: replace(sde.regularizer_evidence, **changes))


# --- the Stratonovich drift ---------------------------------------------------------------------


def stratonovich_with(half: int) -> Wrong:
    """b − c Σ(∂A_k)A_k with c = half/2."""

    def wrong(derivation: Any) -> Program:
        graph = Graph()
        right = stratonovich_program(derivation).on(graph)["stratonovich_drift"]
        drift = derivation.program.select("drift").on(graph)["drift"]
        return Program.of({"stratonovich_drift": half * right + (1 - half) * drift})

    return exchanged((stratonovich_program, wrong))


# --- charges ------------------------------------------------------------------------------------


def twice_the_drift(derivation: Any, expressions: Any) -> list[Program]:
    """⟨∇²I, Σ⟩ for ½⟨∇²I, Σ⟩."""
    right = [motion.on(Graph()) for motion in motions_of(derivation, expressions)]
    return [Program.of({"drift": 2 * terms["drift"], "diffusion": terms["diffusion"]}) for terms in right]


def one_too_many(derivation: Any, **settings: Any) -> tuple[Conserved, ...]:
    """The square of the first parameter with what is conserved."""
    return (*conserved(derivation, **settings), Conserved(derivation.problem.parameters[0] ** 2, None, ""))


def faster(*arguments: Any) -> Any:
    """A rate larger by 10⁻⁹ of it."""
    law = law_of(*arguments)
    return replace(law, rate=law.rate * (1 + sp.Rational(1, 10**9))) if isinstance(law, Decay) else law


# --- guards -------------------------------------------------------------------------------------


def forgiving(*words: str) -> Wrong:
    """A guard that lets pass what it refuses in these words."""

    def wrong(derivation: Any, points: np.ndarray) -> Any:
        try:
            return check_points(derivation, points)
        except (OffManifold, SingularPoint) as refusal:
            if not any(word in str(refusal) for word in words):
                raise
        return {}

    return exchanged((check_points, wrong))


def any_frame(_: Any) -> Any:
    """A guard that leaves to float64 points where the columns of the frame are dependent."""
    return lambda rank, here: np.ones(len(here.points), dtype=bool)


def refusing(derivation: Any, points: np.ndarray) -> None:
    raise OffManifold("no point is good enough")


def four_ellipses() -> Problem:
    """D = 8, M = 4, expanded: the columns of ∇²L that span the normal space are dependent where 2p + q = 0."""
    pairs = [sp.symbols(f"p{k} q{k}") for k in range(4)]
    start = {s: a for pair in pairs for s, a in zip(pair, (1, 0), strict=True)}
    loss = sp.expand(sum((p**2 + p * q + q**2 - 1) ** 2 for p, q in pairs))
    return Problem(loss=loss, parameters=tuple(s for pair in pairs for s in pair), noise=IsotropicNoise(), near=start)


def branch() -> Problem:
    return Problem(loss=(u * v - 1) ** 2 / 2, parameters=(u, v), noise=sp.eye(2), domain=(u > 0,))


def circle_and_line() -> Problem:
    """Near the circle: the line is another part of Γ."""
    loss = (u - 3) ** 2 * (u**2 + v**2 - 1) ** 2
    return Problem(loss=loss, parameters=(u, v), noise=IsotropicNoise(1), near={u: 1, v: 0})


def wells() -> Problem:
    """Between the wells there are saddles, at which the formulas have values."""
    return Problem(loss=(u**2 - 1) ** 2 / 4 + (v - w) ** 2 / 2, parameters=(u, v, w), noise=IsotropicNoise(1))


# --- simulators ---------------------------------------------------------------------------------


def outcomes(change: Callable[[Outcomes], Outcomes]) -> Wrong:
    """SGD by its true law, with other outcomes or odds."""

    def make(right: Any) -> Any:
        def descent(self: Any, *settings: Any) -> Any:
            found = right(self, *settings)
            return replace(found, increments=change(found.increments))

        return descent

    return attribute(TrueLaw, "descent", make)


def weighted_samples() -> Problem:
    r, half = u * v - 1, sp.Rational(1, 2)
    return Problem.from_sample_losses(
        [(r + 1) ** 2 / 2, (r - 1) ** 2 / 2, (r**2 + 1) / 2], parameters=(u, v), weights=[half / 2, half / 2, half]
    )


def unequal_signs(drawn: Outcomes) -> Outcomes:
    """The labels of a residual move up three times as often as down."""
    return Outcomes(drawn.table, tuple(c * (3, 1)[k % 2] for k, c in enumerate(drawn.counts)))


def one_sign(drawn: Outcomes) -> Outcomes:
    return Outcomes(drawn.table[:, ::2], drawn.counts[::2])


def equal_odds(drawn: Outcomes) -> Outcomes:
    return Outcomes(drawn.table, (1,) * len(drawn.counts))


def one_forgotten(drawn: Outcomes) -> Outcomes:
    return Outcomes(drawn.table[:, 1:], drawn.counts[1:])


def gaussian(factor: float) -> Wrong:
    """Noise of another size, as if √h or Ξ had been forgotten."""

    def make(right: Any) -> Any:
        def descent(self: Any, *settings: Any) -> Any:
            found = right(self, *settings)
            return replace(found, move=lambda x, a, out: found.move(x, factor * a, out))

        return descent

    return attribute(GaussianLaw, "descent", make)


def compiled_sgd(problem: Problem) -> Any:
    """A compiled step whose table has lost its last row."""
    step = sgd_step(problem)
    return replace(step, table=step.table[:-1])


# --- schemes for the limit ----------------------------------------------------------------------


def bound(kind: Any, change: Callable[[np.ndarray], np.ndarray]) -> Wrong:
    """A scheme that changes its increments."""

    def make(right: Any) -> Any:
        def bind(self: Any, replicas: int, done: int = 0) -> Any:
            step = right(self, replicas, done)
            return lambda x, a: step(x, change(a))

        return bind

    return attribute(kind, "bind", make)


def forward(a: np.ndarray) -> np.ndarray:
    """Always the order V₀ A_1 … A_Ξ V₀, never its inverse."""
    return np.concatenate([np.ones((1, a.shape[1])), a[1:]])


def larger(a: np.ndarray) -> np.ndarray:
    return 1.01 * a


def stepper(change: Callable[[Any, Any, Any], Any]) -> Wrong:
    def make(right: Any) -> Any:
        def wrong(self: Any, derivation: Any, step: float, values: Any) -> Any:
            return change(right(self, derivation, step, values), derivation, values)

        return wrong

    return attribute(WeakOrderTwo, "stepper", make)


def ito_drift(found: NinomiyaVictoir, derivation: Any, values: Any) -> NinomiyaVictoir:
    """Itô's drift where Stratonovich's belongs."""
    graph = Graph()
    drift = derivation.program.select("drift").on(graph)["drift"]
    program = Program.of({"drift": drift})
    return replace(found, drift=replace(found.drift, program=program))


def half_step(found: NinomiyaVictoir, derivation: Any, values: Any) -> NinomiyaVictoir:
    """The flow of V₀ once for ½h, where it belongs at both ends."""
    drift = found.drift
    return replace(found, drift=lambda x, out: (drift(x, out), np.multiply(out, 0.5, out=out))[0])


def long_compiled_step(derivation: Any, **settings: Any) -> Any:
    """√h for h in the drift."""
    step = sde_step(derivation, **settings)
    return replace(step, parameters=(step.parameters[1], step.parameters[0], *step.parameters[2:]))


def gallery(name: str) -> Callable[[], Problem]:
    return partial(read_problem, DERIVATIONS / f"{name}.toml")


SLIPS: Mapping[str, Slip] = {
    "R: 2R": Slip(gallery("hyperbola_label"), "RegularizerRoad", times(sp.Integer(2))),
    "R: −R": Slip(gallery("hyperbola_isotropic"), "RegularizerRoad", times(sp.Integer(-1))),
    "R: ½R": Slip(gallery("squared_parameters"), "RegularizerRoad", times(sp.Rational(1, 2))),
    "R: (1 + 10⁻⁹)R": Slip(gallery("two_layer_neuron"), "RegularizerRoad", times(1 + sp.Rational(1, 10**9))),
    "R: R + u": Slip(gallery("hyperbola_label"), "RegularizerRoad", plus(0)),
    "R where there is none": Slip(
        gallery("motor"), "RegularizerRoad", claiming(lambda sde: Regularizer(sp.S.Zero, ""))
    ),
    "no R where there is one": Slip(gallery("product_of_three"), "RegularizerRoad", ruled_out(1, 1, 1)),
    "no R by a point outside the domain": Slip(branch, "RegularizerRoad", ruled_out(-1, -1)),
    "no R by a wrong curl": Slip(gallery("quadric_dense"), "RegularizerRoad", evidence(curl=0.5)),
    "no R by a wrong integral": Slip(gallery("motor"), "RegularizerRoad", evidence(loop_integral=1.26)),
    "Stratonovich: 1 for ½": Slip(two_equations, "StratonovichRoad", stratonovich_with(2)),
    "Stratonovich: Itô's drift": Slip(gallery("sphere"), "StratonovichRoad", stratonovich_with(0)),
    "Stratonovich: sign": Slip(gallery("quadric_dense"), "StratonovichRoad", stratonovich_with(-1)),
    "charges: 1 for ½": Slip(gallery("squared_parameters"), "ChargeRoad", exchanged((motions_of, twice_the_drift))),
    "charges: one that is none": Slip(
        gallery("hyperbola_isotropic"), "ChargeRoad", exchanged((conserved, one_too_many))
    ),
    "charges: (1 + 10⁻⁹) times the rate": Slip(gallery("hyperbola_label"), "ChargeRoad", exchanged((law_of, faster))),
    "guard: 10⁻² off Γ": Slip(
        gallery("hyperbola_label"), "GuardedPoints", attribute(guard, "ON_MANIFOLD", lambda _: 1e-2)
    ),
    "guard: 2·10⁻⁵ off Γ": Slip(two_equations, "GuardedPoints", attribute(guard, "ON_MANIFOLD", lambda _: 2e-5)),
    "guard: 10⁻¹² off Γ": Slip(
        gallery("depth_three"), "GuardedPoints", attribute(guard, "ON_MANIFOLD", lambda _: 1e-12)
    ),
    "guard: everything": Slip(gallery("sphere"), "GuardedPoints", forgiving("")),
    "guard: nothing": Slip(
        gallery("quadric_dense"), "GuardedPoints", exchanged((check_points, refusing), (doubt_program, lambda _: None))
    ),
    "guard: any rank": Slip(wells, "GuardedPoints", forgiving("not positive semidefinite")),
    "guard: outside the domain": Slip(branch, "GuardedPoints", forgiving("the condition")),
    "guard: singular frames": Slip(four_ellipses, "GuardedPoints", attribute(guard, "_has_frame", any_frame)),
    "guard: other parts of Γ": Slip(circle_and_line, "LiteralRoad", forgiving("another part of Γ")),
    "labels: unequal signs": Slip(gallery("hyperbola_label"), "DrawnNoise", outcomes(unequal_signs)),
    "labels: one sign": Slip(gallery("squared_parameters"), "DrawnNoise", outcomes(one_sign)),
    "samples: equal odds": Slip(weighted_samples, "DrawnNoise", outcomes(equal_odds)),
    "columns: one left out": Slip(gallery("quadric_dense"), "DrawnNoise", outcomes(one_forgotten)),
    "Gaussian noise: 1 + 10⁻⁶": Slip(gallery("sphere"), "DrawnNoise", gaussian(1 + 1e-6)),
    "compiled SGD: one row left out": Slip(
        gallery("squared_parameters"), "DrawnNoise", exchanged((sgd_step, compiled_sgd))
    ),
    "Ninomiya and Victoir: no inverse order": Slip(
        gallery("quadric_dense"), "SchemeOrders", bound(NinomiyaVictoir, forward)
    ),
    "Ninomiya and Victoir: Itô's drift": Slip(gallery("sphere"), "SchemeOrders", stepper(ito_drift)),
    "Ninomiya and Victoir: V₀ once": Slip(gallery("hyperbola_isotropic"), "SchemeOrders", stepper(half_step)),
    "Ninomiya and Victoir: 1 for ½ in V₀": Slip(two_equations, "SchemeOrders", stratonovich_with(2)),
    "Euler and Maruyama: 1 + 10⁻² in the noise": Slip(gallery("sphere"), "SchemeOrders", bound(EulerMaruyama, larger)),
    "Euler and Maruyama, compiled: √h for h": Slip(
        gallery("sphere"), "SchemeOrders", exchanged((sde_step, long_compiled_step))
    ),
}
"""name → what is wrong, where, and who has to see it."""


def derived(slip: Slip) -> LimitingSDE:
    """The right derivation of a slip's problem."""
    return derive_limiting_sde(slip.problem())
