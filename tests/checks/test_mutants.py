"""Every wrong formula, regularizer, guard, simulator and scheme is rejected without randomness; what is right passes."""

import re
from pathlib import Path

import numpy as np
import pytest
from derived import gallery_sde
from mutants import MUTANTS, mutant, two_equations
from slips import SLIPS, derived

from symbolic_sgd import FULL, QUICK, derive_limiting_sde, verify
from symbolic_sgd.checks.ensembles import Ensembles
from symbolic_sgd.checks.float_errors import FloatErrors
from symbolic_sgd.checks.flow_road import SecondRoad
from symbolic_sgd.checks.identities import Identities
from symbolic_sgd.checks.methods import METHODS
from symbolic_sgd.checks.one_step import OneStep

EXACT = (Identities(), SecondRoad(), OneStep(), FloatErrors(points=6))


@pytest.fixture(scope="module")
def sde():
    return derive_limiting_sde(two_equations())


def test_the_right_formulas_pass(sde):
    for right, methods in ((sde, EXACT), (gallery_sde("quadric_dense"), (*QUICK, FloatErrors(points=6)))):
        certificate = verify(right, checks=methods)
        assert certificate.passed
        assert {check.verdict for check in certificate.checks} <= {"proved", "measured", "not run"}


@pytest.mark.parametrize("name", MUTANTS)
def test_every_mutant_is_rejected_without_randomness(sde, name):
    certificate = verify(mutant(sde, name), checks=EXACT)
    assert "failed" in {check.verdict for check in certificate.checks}


@pytest.mark.parametrize("name", SLIPS)
def test_every_slip_is_seen_by_its_method_and_what_is_right_passes(name):
    """`verify` passed with R doubled, ½ as 1 in the Stratonovich drift, labels moved up more often than down, and a guard of
    10⁻²; Ninomiya and Victoir's scheme without its inverse order passed every test of the simulation."""
    slip = SLIPS[name]
    right, methods = derived(slip), [METHODS[slip.method]()]
    assert verify(right, checks=methods).passed
    with slip.wrong(right) as wrong:
        assert "failed" in {check.verdict for check in verify(wrong, checks=methods).checks}


def test_every_method_without_chance_is_needed_for_some_slip_or_mutant():
    seen = {slip.method for slip in SLIPS.values()} | {type(method).__name__ for method in EXACT}
    assert {type(method).__name__ for method in QUICK} <= seen
    assert seen <= {type(method).__name__ for method in FULL}


def test_ensembles_reject_the_posters_mixed_term_and_accept_the_right_one():
    sde = gallery_sde("quadric_dense")
    ensembles = Ensembles(replicas=2**15)
    assert verify(sde, checks=[ensembles], rng=2).passed
    wrong = verify(mutant(sde, "mixed: ½ for 1 (the poster)"), checks=[ensembles], rng=2)
    assert "failed" in {check.verdict for check in wrong.checks}


def test_ensembles_say_what_they_could_have_seen():
    sde = gallery_sde("hyperbola_label")
    certificate = verify(sde, checks=[Ensembles(replicas=2**12, alpha=1e-4)], rng=5)
    assert certificate.passed and len(certificate.checks) == 4
    for check in certificate.checks:
        assert check.verdict == "consistent"
        assert "α = 0.0001" in check.detail and "would have been seen" in check.detail
        assert check.tolerance == pytest.approx(4.2149, abs=1e-3)  # the two-sided quantile of 10⁻⁴/4


@pytest.mark.campaign
def test_false_alarms_have_the_stated_rate(sampled):
    sde = gallery_sde("hyperbola_label")
    method, seeds = Ensembles(replicas=2**13, alpha=0.05), sampled(range(200))
    alarms = sum(not verify(sde, checks=[method], rng=np.random.default_rng(seed)).passed for seed in seeds)
    # P(Binomial(200, 0.05) > 20) = 0.001; the tests depend on each other, so that fewer are expected
    assert alarms <= 20 if len(seeds) == 200 else alarms < len(seeds)


def test_the_number_of_mutants_is_what_is_told():
    root = Path(__file__).parents[2]
    for told in ("README.md", "docs/trust.md", "notebooks/verification.py"):
        words = " ".join((root / told).read_text(encoding="utf-8").split())
        assert f"{len(MUTANTS)} of" not in words and re.search(rf"\b{len(MUTANTS)} wrong formulas", words), told
        assert re.search(rf"\b{len(SLIPS)} (other )?slips", words), told
