"""Certificates of other optimizers: what replaces the methods of plain SGD, wrong formulas it rejects, and what it cannot run."""

import json
from dataclasses import replace

import pytest
import sympy as sp

from symbolic_sgd import (
    FULL,
    QUICK,
    SGD,
    ColouredNoise,
    GradientNoise,
    HeavyBall,
    LabelNoise,
    LocalSGD,
    Nesterov,
    Problem,
    derive_limiting_sde,
    recheck,
    verify,
)
from symbolic_sgd.checks import methods
from symbolic_sgd.checks.certificate import signed
from symbolic_sgd.checks.iteration_road import OwnIteration
from symbolic_sgd.checks.methods import OF_PLAIN_SGD
from symbolic_sgd.checks.one_step import OneStep
from symbolic_sgd.problems.as_data import document_hash

u, v, w = sp.symbols("u v w")
eta, beta = sp.symbols("eta beta", positive=True)
HYPERBOLA = Problem.least_squares([u * v - 1], parameters=(u, v), noise=LabelNoise(1))
CURVED = Problem(
    loss=(u * v - 1) ** 2 / 2 + (w - u**2 / 4) ** 2 * (1 + v**2) / 2,
    parameters=(u, v, w),
    noise=GradientNoise(sp.Matrix([[1, u / 2], [w, v], [u * v / 2, 1]])),
)
SAMPLES = Problem.least_squares([u * v - 1, 2 * (u * v - 1)], parameters=(u, v), noise=LabelNoise(1))


@pytest.mark.parametrize(
    ("problem", "optimizer"),
    [
        (CURVED, SGD(learning_rate=sp.Rational(1, 32), weight_decay=1, slow_potential=u * w)),
        (CURVED, HeavyBall(momentum=sp.Rational(1, 2), learning_rate=sp.Rational(1, 64))),
        (CURVED, Nesterov(momentum=sp.Rational(3, 4), learning_rate=sp.Rational(1, 128))),
        (CURVED, LocalSGD(workers=2, steps=2, learning_rate=sp.Rational(1, 32))),
        (CURVED, Nesterov(momentum=sp.Rational(1, 2))),
        (HYPERBOLA, HeavyBall(friction=2)),
        (HYPERBOLA, ColouredNoise(correlation=sp.Rational(1, 2), learning_rate=sp.Rational(1, 16))),
        (SAMPLES, SGD(learning_rate=sp.Rational(1, 64))),
    ],
    ids=str,
)
def test_the_limit_of_an_optimizer_is_what_its_iteration_does(problem, optimizer):
    certificate = verify(derive_limiting_sde(problem, optimizer=optimizer), checks=[OwnIteration()])
    assert certificate.passed, str(certificate)
    assert {check.verdict for check in certificate.checks} == {"measured"}
    assert len(certificate.checks) == 2 * (5 + optimizer.has_slow_field)


@pytest.mark.parametrize(
    ("right", "wrong", "seen"),
    [
        (SGD(learning_rate=sp.Rational(1, 32)), SGD(), "normal regularization"),
        (HeavyBall(sp.Rational(1, 2), sp.Rational(1, 64)), SGD(sp.Rational(1, 32)), "mixed regularization"),
        (LocalSGD(2, 2, sp.Rational(1, 32)), SGD(sp.Rational(1, 32)), "diffusion"),
        (SGD(sp.Rational(1, 32), weight_decay=1), SGD(sp.Rational(1, 32)), "drift"),
    ],
    ids=str,
)
def test_the_formulas_of_another_optimizer_are_rejected(right, wrong, seen):
    sde = derive_limiting_sde(CURVED, optimizer=wrong)
    claimed = replace(sde, derivation=replace(sde.derivation, optimizer=right))
    failed = {check.name for check in verify(claimed, checks=[OwnIteration()]).checks if check.verdict == "failed"}
    assert f"own iteration: {seen} at point 1" in failed and "own iteration: drift at point 1" in failed


def test_it_takes_the_place_of_what_knows_plain_sgd_only():
    plain = derive_limiting_sde(HYPERBOLA).derivation
    other = replace(plain, optimizer=SGD(learning_rate=eta))
    assert methods._for(plain, QUICK) == QUICK
    for asked in (QUICK, FULL, (OneStep(),)):
        run = methods._for(other, asked)
        assert run[0] == OwnIteration() and not any(isinstance(method, OF_PLAIN_SGD) for method in run)
        assert methods._for(other, run) == run
    assert methods._for(other, QUICK[:1]) == QUICK[:1]


def test_plain_sgd_may_be_held_against_its_own_iteration_too():
    certificate = verify(derive_limiting_sde(HYPERBOLA), checks=[OwnIteration()])
    assert certificate.passed and max(check.error for check in certificate.checks) < 1e-7


def test_a_certificate_states_the_optimizer_and_is_repeated():
    certificate = verify(derive_limiting_sde(HYPERBOLA, optimizer=HeavyBall(momentum=beta, learning_rate=eta)))
    assert certificate.passed
    assert certificate.problem["optimizer"] == {"kind": "heavy_ball", "momentum": "beta", "learning_rate": "eta"}
    assert certificate.methods[0] == {"method": "OwnIteration", "sequences": 20}
    assert recheck(certificate.to_json()).holds


def test_a_certificate_of_another_optimizer_is_void():
    text = verify(derive_limiting_sde(HYPERBOLA, optimizer=SGD(learning_rate=eta)), checks=QUICK[:1]).to_json()
    assert recheck(text).holds
    content = json.loads(text)
    content["problem"]["optimizer"] = {"kind": "nesterov", "momentum": "1/2", "learning_rate": "eta"}
    content["problem_hash"] = document_hash(content["problem"])
    assert "the formulas are others" in recheck(signed(content)).void[0]


def test_what_cannot_be_followed_is_not_run():
    problem = Problem.least_squares([u * v - 1, w - u, u * v + w - u - 1], parameters=(u, v, w), noise=LabelNoise(1))
    sde = derive_limiting_sde(problem, optimizer=SGD(learning_rate=sp.Rational(1, 64)))
    checks = verify(sde, checks=[OwnIteration()]).checks
    assert {check.verdict for check in checks} == {"not run"}
    assert "one of 3 samples, and there are 729 sequences, more than 20" in checks[0].detail


def test_parameters_outside_the_edge_are_refused_by_the_callables_and_that_is_checked():
    """Random constants: η is beyond the edge at some of the points that were derived from."""
    certificate = verify(derive_limiting_sde(HYPERBOLA, optimizer=SGD(learning_rate=eta)), checks=QUICK[6:7])
    (accepted,) = [check for check in certificate.checks if "points of Γ accepted" in check.name]
    assert accepted.verdict == "measured"


def test_a_certificate_holds_whatever_was_derived_before():
    """Γ was found by another derivation first: programs are the same all the same."""
    stated = lambda: Problem.least_squares([u * v - 1], parameters=(u, v), noise=LabelNoise(1))  # noqa: E731
    optimizer = SGD(learning_rate=eta)
    first, again = (derive_limiting_sde(problem, optimizer=optimizer) for problem in [stated()] * 2)
    assert first.program.fingerprint == again.program.fingerprint
    assert recheck(verify(again, checks=QUICK[:1]).to_json()).holds
