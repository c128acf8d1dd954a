"""SAM, normalised gradient descent and √L against the methods themselves, iterated; their potentials; what they refuse."""

import numpy as np
import pytest
import sympy as sp
from graph_losses import random_problem

from symbolic_sgd import (
    SAM,
    LabelNoise,
    NormalizedGD,
    Problem,
    RootLoss,
    derive_limiting_sde,
    iteration_limit,
    simulate_sde,
    verify,
)
from symbolic_sgd.api.limiting_sde import LimitingSDE
from symbolic_sgd.checks.iteration_road import OwnIteration
from symbolic_sgd.checks.literal_road import LiteralRoad
from symbolic_sgd.errors import BadInput, BadSymbol, ProblemTooLarge, Unstable
from symbolic_sgd.optimizers.stated import optimizer_document, optimizer_of
from symbolic_sgd.problems.problem_file import StatedOptimizer

R = sp.Rational
u, v, w, z, q = sp.symbols("u v w z q")
HYPERBOLA = Problem.least_squares([u * v - 1], parameters=(u, v), noise=LabelNoise(1))
TWO = Problem.least_squares([u * v - 1, w + u**2 / 2 - v], parameters=(u, v, w), noise=LabelNoise(1))
THREE = Problem.least_squares(
    [u * v - 1, w + u**2 / 2 - v, 2 * z - w * u], parameters=(u, v, w, z), noise=LabelNoise(1)
)
AT = {u: sp.Integer(2), v: R(1, 2)}
EXACT = {
    SAM(R(1, 4)): (R(-2048, 255), R(512, 255)),
    SAM(): (R(-30, 17), R(15, 34)),
    NormalizedGD(): (R(-60, 289), R(15, 289)),
    RootLoss(): (R(-15, 34), R(15, 136)),
}


def numeric(problem):
    slope = [sp.diff(problem.loss, s) for s in problem.parameters]
    return sp.lambdify(problem.parameters, [problem.loss, *slope], "numpy")


def sam(gradient, x, eta, rho):
    g = gradient(x)
    return x - eta * gradient(x + rho * g / np.linalg.norm(g))


def moved(problem, step, x, steps):
    """Where so many steps lead."""
    f = numeric(problem)
    gradient = lambda p: np.array(f(*p)[1:], dtype=np.longdouble)  # noqa: E731
    x = np.array(x, dtype=np.longdouble)
    for _ in range(steps):
        x = step(gradient, x)
    return x


def onto(problem, x):
    """The point of Γ beside x, by Newton steps."""
    x = np.array(x, dtype=float)
    jacobian = sp.lambdify(problem.parameters, sp.Matrix(problem.residuals).jacobian(problem.parameters), "numpy")
    values = sp.lambdify(problem.parameters, list(problem.residuals), "numpy")
    for _ in range(8):
        x = x - np.linalg.pinv(np.array(jacobian(*x), dtype=float)) @ np.array(values(*x), dtype=float)
    return x


@pytest.mark.parametrize("optimizer", EXACT, ids=str)
def test_the_worked_numbers_are_exact(optimizer):
    sde = derive_limiting_sde(HYPERBOLA, optimizer=optimizer)
    assert tuple(sde.drift.subs(AT)) == EXACT[optimizer]
    assert sde.diffusion.is_zero_matrix
    certificate = verify(sde, rng=0)
    assert certificate.passed
    assert any(check.name.startswith("regularizer") and check.verdict == "measured" for check in certificate.checks)


@pytest.mark.parametrize(
    ("problem", "start"), [(HYPERBOLA, [2.0, 0.5]), (TWO, [1.4, 1 / 1.4, 1 / 1.4 - 0.98])], ids=["M = 1", "M = 2"]
)
def test_sam_itself_follows_the_flow(problem, start):
    """η fixed, ρ = 2⁻⁹: after the cycle has formed, 4000 steps move along Γ as the flow does in t = 4000ηρ², to 1 %."""
    eta, rho = 0.125, 2.0**-9
    sde = derive_limiting_sde(problem, optimizer=SAM(R(1, 8)))
    before = moved(problem, lambda g, x: sam(g, x, eta, rho), np.array(start) + 1e-4, 400)
    after = moved(problem, lambda g, x: sam(g, x, eta, rho), before, 4000)
    begin, end = onto(problem, before), onto(problem, after)
    time = 4000 * eta * rho**2
    flow = simulate_sde(sde, begin, time=time, step=time / 200, replicas=1, rng=0).final[0]
    assert np.linalg.norm(end - flow) < 0.01 * np.linalg.norm(flow - begin)
    slow = simulate_sde(
        derive_limiting_sde(problem, optimizer=SAM()), begin, time=time, step=time / 200, replicas=1, rng=0
    ).final[0]
    assert np.linalg.norm(end - slow) > 0.1 * np.linalg.norm(flow - begin)  # that of η → 0 is rejected


@pytest.mark.parametrize("optimizer", [NormalizedGD(), RootLoss()], ids=lambda o: o.label)
@pytest.mark.parametrize(
    ("problem", "start"), [(HYPERBOLA, [2.0, 0.5]), (TWO, [1.4, 1 / 1.4, 1 / 1.4 - 0.98])], ids=["M = 1", "M = 2"]
)
def test_the_methods_of_vanishing_rate_follow_their_flows(problem, start, optimizer):
    """η = 2⁻⁹, t = 4000η², to 2 %."""
    eta, f = 2.0**-9, numeric(problem)

    def step(gradient, x):
        g = gradient(x)
        scale = np.linalg.norm(g) if isinstance(optimizer, NormalizedGD) else 2 * np.sqrt(np.longdouble(f(*x)[0]))
        return x - eta * g / scale

    before = moved(problem, step, np.array(start) + 1e-3, 4000)
    after = moved(problem, step, before, 4000)
    begin, end = onto(problem, before), onto(problem, after)
    sde, time = derive_limiting_sde(problem, optimizer=optimizer), 4000 * eta**2
    flow = simulate_sde(sde, begin, time=time, step=time / 200, replicas=1, rng=0).final[0]
    assert np.linalg.norm(end - flow) < 0.02 * np.linalg.norm(flow - begin)


@pytest.mark.parametrize("problem", [TWO, THREE], ids=["M = 2", "M = 3"])
@pytest.mark.parametrize("optimizer", [SAM(R(1, 64)), SAM(), NormalizedGD(), RootLoss()], ids=str)
def test_several_curvatures_against_eigenvectors(problem, optimizer):
    """Roots of the characteristic polynomial, written out, against eigenvectors to 60 digits."""
    sde = derive_limiting_sde(problem, optimizer=optimizer)
    certificate = verify(sde, checks=(LiteralRoad(),), rng=0)
    assert certificate.passed, [check for check in certificate.checks if check.verdict == "failed"]


@pytest.mark.parametrize("seed", [1, *(pytest.param(k, marks=pytest.mark.campaign) for k in range(2, 11))])
def test_random_losses(seed):
    problem, *_ = random_problem(seed)
    sde = derive_limiting_sde(problem, optimizer=SAM(R(1, 256)))
    assert verify(sde, checks=(LiteralRoad(),), rng=seed).passed


def test_wrong_formulas_are_rejected():
    right = derive_limiting_sde(TWO, optimizer=SAM(R(1, 64)))
    for other in (SAM(), SAM(R(1, 32)), NormalizedGD(), RootLoss()):
        wrong = derive_limiting_sde(TWO, optimizer=other)
        mutant = LimitingSDE(right.derivation.with_program(wrong.derivation.program))
        assert not verify(mutant, checks=(LiteralRoad(),), rng=0).passed


def test_no_iteration_from_rest_is_made_even_where_it_is_asked_for():
    certificate = verify(derive_limiting_sde(HYPERBOLA, optimizer=SAM()), checks=(OwnIteration(), LiteralRoad()), rng=0)
    assert {check.method for check in certificate.checks} == {"LiteralRoad"} and certificate.passed


def test_limits_and_units():
    eta = sp.Symbol("eta", positive=True)
    sde = derive_limiting_sde(HYPERBOLA, optimizer=SAM(eta))
    assert sde.time_unit == eta * sp.Symbol("rho", positive=True) ** 2
    assert sde.noise_scale == sp.Symbol("rho", positive=True)
    assert (sde.drift.subs(eta, 0) - derive_limiting_sde(HYPERBOLA, optimizer=SAM()).drift).applyfunc(
        sp.simplify
    ) == sp.zeros(2, 1)
    assert sde.valid_where == (eta * (u**2 + v**2) < 2,)


REFUSED = [
    (lambda: derive_limiting_sde(HYPERBOLA, optimizer=SAM(2)), Unstable, "Γ"),
    (
        lambda: derive_limiting_sde(
            Problem(loss=HYPERBOLA.loss + 1, parameters=(u, v), noise=sp.eye(2)), optimizer=RootLoss()
        ),
        BadInput,
        "only where L = 0",
    ),
    (
        lambda: derive_limiting_sde(
            Problem(loss=(u**2 + v**2) / 2 + 0 * w, parameters=(u, v, w), noise=sp.eye(3)), optimizer=SAM()
        ),
        BadInput,
        "curvatures of Γ are equal",
    ),
    (
        lambda: derive_limiting_sde(
            Problem.least_squares([u * v - 1, w - u, z - v, q - u**2], parameters=(u, v, w, z, q), noise=LabelNoise(1)),
            optimizer=SAM(),
        ),
        ProblemTooLarge,
        "here M = 4",
    ),
    (
        lambda: derive_limiting_sde(HYPERBOLA, optimizer=SAM(sp.Symbol("rho", positive=True))),
        BadSymbol,
        "one of the unit of time",
    ),
    (lambda: iteration_limit(HYPERBOLA, SAM(R(1, 4)))([2, 0.5]), BadInput, "simulate_sde"),
]


@pytest.mark.parametrize(("state", "kind", "words"), REFUSED, ids=[words for *_, words in REFUSED])
def test_what_is_not_covered_is_refused(state, kind, words):
    with pytest.raises(kind, match=words):
        state()


@pytest.mark.parametrize("optimizer", EXACT, ids=str)
def test_files_and_print(optimizer):
    document = optimizer_document(optimizer)
    values = {key: sp.sympify(value) for key, value in document.items() if key != "kind"}
    assert optimizer_of(StatedOptimizer(document["kind"], values, "the test")) == optimizer
    sde = derive_limiting_sde(TWO, optimizer=optimizer)
    assert r"s(\lambda_1)\,u_1 u_1^{\top}" in sde.latex()
    assert "cycle of two steps" in sde.explain()
