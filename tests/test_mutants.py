"""Every wrong formula is rejected without randomness; the ensembles reject the poster's; the right formulas pass."""

import re
from pathlib import Path

import numpy as np
import pytest
from mutants import MUTANTS, mutant, two_equations

from symbolic_sgd import QUICK, derive_limiting_sde, verify
from symbolic_sgd.problems.problem_file import read_problem
from symbolic_sgd.verify.ensembles import Ensembles
from symbolic_sgd.verify.float_errors import FloatErrors

DERIVATIONS = Path(__file__).parents[1] / "derivations"
EXACT = (*QUICK, FloatErrors(points=6))


@pytest.fixture(scope="module")
def sde():
    return derive_limiting_sde(two_equations())


def test_the_right_formulas_pass(sde):
    for right in (sde, derive_limiting_sde(read_problem(DERIVATIONS / "quadric_dense.toml"))):
        certificate = verify(right, checks=EXACT)
        assert certificate.passed
        assert {check.verdict for check in certificate.checks} == {"proved", "measured"}


@pytest.mark.parametrize("name", MUTANTS)
def test_every_mutant_is_rejected_without_randomness(sde, name):
    certificate = verify(mutant(sde, name), checks=EXACT)
    assert "failed" in {check.verdict for check in certificate.checks}


def test_ensembles_reject_the_posters_mixed_term_and_accept_the_right_one():
    sde = derive_limiting_sde(read_problem(DERIVATIONS / "quadric_dense.toml"))
    ensembles = Ensembles(replicas=2**15)
    assert verify(sde, checks=[ensembles], rng=2).passed
    wrong = verify(mutant(sde, "mixed: ½ for 1 (the poster)"), checks=[ensembles], rng=2)
    assert "failed" in {check.verdict for check in wrong.checks}


def test_ensembles_say_what_they_could_have_seen():
    sde = derive_limiting_sde(read_problem(DERIVATIONS / "hyperbola_label.toml"))
    certificate = verify(sde, checks=[Ensembles(replicas=2**12, alpha=1e-4)], rng=5)
    assert certificate.passed and len(certificate.checks) == 4
    for check in certificate.checks:
        assert check.verdict == "consistent"
        assert "α = 0.0001" in check.detail and "would have been seen" in check.detail
        assert check.tolerance == pytest.approx(4.2149, abs=1e-3)  # the two-sided quantile of 10⁻⁴/4


@pytest.mark.campaign
def test_false_alarms_have_the_stated_rate():
    sde = derive_limiting_sde(read_problem(DERIVATIONS / "hyperbola_label.toml"))
    method, reruns = Ensembles(replicas=2**13, alpha=0.05), 200
    alarms = sum(not verify(sde, checks=[method], rng=np.random.default_rng(seed)).passed for seed in range(reruns))
    assert (
        alarms <= 20
    )  # P(Binomial(200, 0.05) > 20) = 0.001; the tests depend on each other, so that fewer are expected


def test_the_number_of_mutants_is_what_is_told():
    root = Path(__file__).parents[1]
    for told in ("README.md", "docs/trust.md", "notebooks/verification.py"):
        words = " ".join((root / told).read_text(encoding="utf-8").split())
        assert f"{len(MUTANTS)} of" not in words and re.search(rf"\b{len(MUTANTS)} wrong formulas", words), told
