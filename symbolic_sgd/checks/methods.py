"""All methods of verification, in one table and two sets."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, ClassVar, Protocol

import numpy as np

from symbolic_sgd.algebra.program import EXPANSION_BUDGET
from symbolic_sgd.checks.certificate import Certificate, Check
from symbolic_sgd.checks.charge_road import ChargeRoad
from symbolic_sgd.checks.drawn_noise import DrawnNoise
from symbolic_sgd.checks.enclosures import Enclosures
from symbolic_sgd.checks.ensembles import Ensembles
from symbolic_sgd.checks.exact_steps import ExactSteps
from symbolic_sgd.checks.float_errors import FloatErrors
from symbolic_sgd.checks.flow_road import SecondRoad
from symbolic_sgd.checks.guarded_points import GuardedPoints
from symbolic_sgd.checks.identities import Identities
from symbolic_sgd.checks.iteration_road import OwnIteration
from symbolic_sgd.checks.literal_road import LiteralRoad
from symbolic_sgd.checks.matrix_road import MatrixFlows, MatrixRegularizer, MatrixRoad
from symbolic_sgd.checks.one_step import OneStep
from symbolic_sgd.checks.regularizer_road import RegularizerRoad
from symbolic_sgd.checks.scheme_orders import SchemeOrders
from symbolic_sgd.checks.stratonovich_road import StratonovichRoad
from symbolic_sgd.checks.witness import Witness
from symbolic_sgd.errors import BadInput
from symbolic_sgd.numeric.lowering import lower
from symbolic_sgd.optimizers.stated import stated_document
from symbolic_sgd.problems.as_data import document_hash
from symbolic_sgd.regularizer.regularizer import Regularizer
from symbolic_sgd.theorem.derivation import PLAIN, Derivation

SOURCES = ("drift", "tangent_noise")
"""Terms whose compiled source is named in the certificate."""

POINTS = 2
"""Random points of Γ at which everything is checked."""


class Method(Protocol):
    """One way to check a derivation: a frozen dataclass whose fields are its settings, plain numbers.

    Its class says in `name` what it is called while it runs.
    """

    name: ClassVar[str]

    def __call__(self, witness: Witness, rng: np.random.Generator) -> list[Check]:
        """Its comparisons; every random number comes from `rng`."""
        ...


QUICK: tuple[Method, ...] = (
    Identities(),
    SecondRoad(),
    OneStep(),
    LiteralRoad(),
    StratonovichRoad(),
    RegularizerRoad(),
    GuardedPoints(),
    DrawnNoise(),
    ChargeRoad(),
)
"""Seconds; nothing random but the points of Γ."""

FULL: tuple[Method, ...] = (*QUICK, ExactSteps(), SchemeOrders(), FloatErrors(), Enclosures(), Ensembles())
"""Everything."""

OF_MATRICES: tuple[Method, ...] = (MatrixRoad(), MatrixRegularizer())
"""Those for a large problem, which is computed by matrices: they take the place of QUICK; with `MatrixFlows` that of everything."""

ALL: tuple[Method, ...] = (*FULL, OwnIteration(), *OF_MATRICES, MatrixFlows())

METHODS: dict[str, Callable[..., Method]] = {type(method).__name__: type(method) for method in ALL}
"""Every method, by the name that stands in certificates."""

OF_PLAIN_SGD = (SecondRoad, OneStep, ExactSteps, Ensembles)
"""Those that know what SGD does at a learning rate that tends to 0; for other optimizers that rest on Γ `OwnIteration` takes their
place."""


def verify(
    derivation: Derivation,
    methods: Sequence[Method],
    seed: int,
    progress: Callable[[str], None],
    regularizer: Callable[[], Regularizer] | None = None,
) -> Certificate:
    """Every method, at random points of Γ; `progress` is told what is being done.

    Args:
        derivation: what is tested.
        methods: how.
        seed: of every random number.
        progress: told what is being done.
        regularizer: what is claimed of the regularizer, where that is already known; else it is searched for.
    """
    progress("random points of Γ")
    witness = Witness.of(derivation, np.random.default_rng(seed), POINTS, regularizer)
    methods, done = _for(derivation, methods), list[Check]()
    for number, method in enumerate(methods):
        progress(method.name)
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(number,)))
        done.extend(replace(check, method=type(method).__name__) for check in method(witness, rng))
    return Certificate(
        **stated(derivation),
        seed=seed,
        methods=tuple({"method": type(method).__name__, **_settings(method)} for method in methods),
        checks=tuple(done),
    )


def _for(derivation: Derivation, methods: Sequence[Method]) -> tuple[Method, ...]:
    if derivation.in_matrices is not None:
        named = tuple(method for method in methods if isinstance(method, (MatrixRoad, MatrixRegularizer, MatrixFlows)))
        return named or (OF_MATRICES if set(methods) <= set(QUICK) else (*OF_MATRICES, MatrixFlows()))
    optimizer = derivation.optimizer
    if optimizer == PLAIN:
        return tuple(methods)
    # The steps of a perturbed loss have another mean and covariance than ∇L and Σ, by terms of higher order.
    linear = optimizer.follows_hessian and optimizer.stated is optimizer
    unable = OF_PLAIN_SGD if linear else (*OF_PLAIN_SGD, DrawnNoise)
    if optimizer.cycles:
        return tuple(method for method in methods if not isinstance(method, (*unable, OwnIteration)))
    others = tuple(method for method in methods if not isinstance(method, unable))
    replaced = len(others) < len(methods) and not any(isinstance(method, OwnIteration) for method in methods)
    return (OwnIteration(), *others) if replaced and optimizer.iterates_at_any_rate else others


def stated(derivation: Derivation) -> dict[str, Any]:
    """What a certificate says of the problem and of the formulas."""
    try:
        document: dict[str, Any] | None = stated_document(derivation.stated, derivation.optimizer.stated)
    except BadInput:
        document = None
    return {
        "problem": document,
        "problem_hash": "" if document is None else document_hash(document),
        "formula_hash": derivation.fingerprint,
        "source_hashes": _source_hashes(derivation),
        "assumptions": _assumptions(derivation),
        "valid_where": _valid_where(derivation),
    }


def _source_hashes(derivation: Derivation) -> dict[str, str]:
    if derivation.in_matrices is not None:
        stages = derivation.in_matrices.stages
        return {name: lower([stage.program], stage.inputs).source_hash for name, stage in stages.items()}
    symbols = derivation.problem.symbols
    return {name: lower([derivation.program.select(name)], symbols).source_hash for name in SOURCES}


def methods_named(entries: Sequence[Mapping[str, Any]]) -> tuple[Method, ...]:
    """The methods of a certificate.

    Raises:
        BadInput: an unknown method, or settings that it does not have.
    """
    methods = []
    for entry in entries:
        settings = dict(entry)
        name = settings.pop("method", None)
        known = isinstance(name, str) and name in METHODS
        if not known or not all(isinstance(a, (int, float)) for a in settings.values()):
            raise BadInput(f"there is no method {name!r} with these settings; there are {', '.join(METHODS)}")
        try:
            methods.append(METHODS[name](**settings))
        except TypeError as error:
            raise BadInput(f"the method {name} does not have these settings: {error}") from error
    return tuple(methods)


def _settings(method: Any) -> dict[str, Any]:
    return asdict(method)


def _assumptions(derivation: Derivation) -> tuple[str, ...]:
    conditions = tuple(map(str, derivation.problem.conditions))
    return (
        "every symbol stands for a real number",
        *conditions,
        f"Γ has codimension {derivation.codimension} (found, and confirmed at the points looked at)",
        f"the normal space is spanned by {derivation.frame_origin}",
        *(() if derivation.component is None else (f"the formulas are for {derivation.component}",)),
    )


def _valid_where(derivation: Derivation) -> tuple[str, ...]:
    shown, further = derivation.conditions_within(EXPANSION_BUDGET)
    return (*map(str, shown), *further)
