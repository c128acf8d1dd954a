"""SDEs of optimizers beside the optimizers' own iteration, and with the formulas of others in them. What is sure to be asked for twice is
derived, and compared, once in a process."""

from functools import cache

from symbolic_sgd import LimitingSDE, derive_limiting_sde, verify
from symbolic_sgd.checks.iteration_road import OwnIteration
from symbolic_sgd.checks.literal_road import LiteralRoad
from symbolic_sgd.theorem.derivation import PLAIN

ROADS = (OwnIteration(), LiteralRoad())


@cache
def derived(problem, optimizer=PLAIN):
    """The limiting SDE."""
    return derive_limiting_sde(problem, optimizer=optimizer)


def failed(certificate):
    """The names of the checks that failed."""
    return [check.name for check in certificate.checks if check.verdict == "failed"]


def own_checks(certificate):
    """What the optimizer's own iteration measured."""
    return [check for check in certificate.checks if check.name.startswith("own") and check.verdict == "measured"]


def assert_iterated(sde, rng, tolerance=1e-8, least=5):
    """The optimizer's own iteration finds each block, the drift and the covariance, and the theorem in eigenvectors says the same.

    Args:
        sde: of the optimizer.
        rng: of the points.
        tolerance: of what the iteration measures.
        least: how much it has to measure.
    """
    certificate = verify(sde, checks=ROADS, rng=rng)
    assert certificate.passed, certificate
    own = own_checks(certificate)
    assert len(own) >= least
    assert max(check.error for check in own) < tolerance


def assert_rejected(problem, optimizer, program, methods=ROADS):
    """Each of the methods rejects the program in the place of the optimizer's own, which it does not reject."""
    mutant = LimitingSDE(derived(problem, optimizer).derivation.with_program(program))
    for method in methods:
        assert not _failed_of(problem, optimizer, method)
        assert failed(verify(mutant, checks=(method,), rng=0)), type(method).__name__


@cache
def _failed_of(problem, optimizer, method):
    return failed(verify(derived(problem, optimizer), checks=(method,), rng=0))
