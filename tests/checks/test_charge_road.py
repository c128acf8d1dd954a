"""The check of charges: right formulas pass, wrong drifts and noises are rejected, and it is silent where there are no charges."""

import pytest
import sympy as sp
from charged_models import MODELS, problem
from derived import gallery_sde
from mutants import MUTANTS, Theorem, mutant

from symbolic_sgd import SGD, IsotropicNoise, LimitingSDE, Preconditioned, Problem, derive_limiting_sde, verify
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.checks.charge_road import ChargeRoad

u, v, w = sp.symbols("u v w")


def seen(sde):
    return {check.name: check for check in verify(sde, checks=[ChargeRoad()]).checks}


def two_charges():
    """Noise with all three terms of the drift, and two charges."""
    noise = sp.Matrix([[u + 2, 1], [v, w - 1], [1, u * v]])
    return derive_limiting_sde(Problem(loss=(u * v * w - 1) ** 2 / 2, parameters=(u, v, w), noise=noise))


@pytest.mark.parametrize("model", MODELS)
def test_right_formulas_pass_to_thirty_digits(model):
    checks = seen(derive_limiting_sde(problem(model, "dense")))
    assert all(check.verdict == "measured" and check.error < 1e-30 for check in checks.values())
    assert len(checks) >= 3 * MODELS[model]().algebra[1]


@pytest.mark.parametrize("term", ["tangent_noise_compensation", "mixed_regularization", "normal_regularization"])
def test_a_term_that_is_off_by_a_millionth_is_rejected(term):
    sde = two_charges()
    theorem = Theorem(sde)
    change = sp.Rational(1, 10**6)
    terms = dict(theorem.terms)
    off = terms[term].map(lambda e: e * (int(change.q) + 1) / int(change.q))
    terms["drift"] = terms["drift"] + off - terms[term]
    checks = seen(LimitingSDE(sde.derivation.with_program(Program.of(terms))))
    # The compensation is normal to Γ, and charges have gradients along Γ: it is needed to stay on Γ, and cannot be seen here.
    wrong = {name for name, check in checks.items() if check.verdict == "failed"}
    assert bool(wrong) == (term != "tangent_noise_compensation")
    assert all(name.endswith(": drift") for name in wrong)


def test_mutants_are_rejected_by_one_number_each():
    """Of the wrong formulas those that change the drift along Γ, or the noise there."""
    sde = two_charges()
    rejected = {name for name in MUTANTS if "failed" in {check.verdict for check in seen(mutant(sde, name)).values()}}
    silent = set(MUTANTS) - rejected
    along = {name for name in MUTANTS if name.startswith(("normal", "mixed"))}
    assert len(rejected) >= 20 and {"mixed: ½ for 1 (the poster)", "normal: ¼ for ½"} <= rejected
    assert len(along & silent) <= 4, along & silent


def test_the_noise_is_compared_too():
    sde = two_charges()
    terms = dict(Theorem(sde).terms)
    terms["tangent_noise"] = terms["tangent_noise"].map(lambda e: -e)
    checks = seen(LimitingSDE(sde.derivation.with_program(Program.of(terms))))
    assert {name for name, check in checks.items() if check.verdict == "failed"} == {
        name for name in checks if name.endswith(": noise")
    }


def test_without_charges_there_is_nothing_to_check():
    stated = Problem(loss=(u * v - 1) ** 2 / 2, parameters=(u, v), noise=IsotropicNoise(1))
    assert seen(derive_limiting_sde(problem("two tanh", "label"))) == {}
    assert seen(derive_limiting_sde(stated, optimizer=SGD(learning_rate=0.1))) == {}
    assert seen(derive_limiting_sde(stated, optimizer=Preconditioned(sp.diag(2, 1)))) == {}


def test_it_is_part_of_every_certificate():
    names = {check.name for check in verify(gallery_sde("hyperbola_label")).checks}
    assert {"charge u**2 - v**2: drift", "charge u**2 - v**2: law"} <= names
