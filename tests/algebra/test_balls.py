"""Ball arithmetic contains the truth, function by function, and rationals are quotients, not floats."""

import threading
import time
from fractions import Fraction

import mpmath
import numpy as np
import pytest
import sympy as sp
from working_precision import working_digits

from symbolic_sgd import LabelNoise, Problem, derive_limiting_sde, verify
from symbolic_sgd.algebra.arithmetic import FLOAT64, PRECISE
from symbolic_sgd.algebra.functions import FUNCTIONS
from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.algebra.translation import from_sympy
from symbolic_sgd.checks.enclosures import Enclosures

balls = pytest.importorskip("symbolic_sgd.algebra.balls", reason="needs python-flint")
ARGUMENTS = {"acosh": 1.7}


def contains(ball, exact) -> bool:
    middle, radius = mpmath.mpf(ball.mid().str(120, radius=False)), mpmath.mpf(ball.rad().str(20, radius=False))
    return abs(middle - exact) <= radius * (1 + mpmath.mpf("1e-15")) + mpmath.mpf("1e-110")


def test_every_operation_has_its_ball():
    assert set(balls.BALLS.operations) == set(FLOAT64.operations)


@pytest.mark.parametrize("name", sorted(balls.BALLS.operations))
def test_every_operation_encloses_the_value_to_120_digits(name):
    row = FUNCTIONS.get(name)
    count = {"neg": 1, "pi": 0, "E": 0}.get(name, 2) if row is None else row.arity
    given = [ARGUMENTS.get(name, 0.3), 0.7][:count]
    with working_digits(120), balls.at_precision():
        exact = PRECISE.operations[name](*map(mpmath.mpf, given))
        ball = balls.BALLS.operations[name](*map(balls.exact_ball, given))
        assert contains(ball, exact) and ball.rad() < 1e-90


def test_a_rational_is_not_rounded_to_float64():
    """x/3 + 2/7 through floats has an enclosure of radius 0 that misses the truth."""
    x = sp.Symbol("x")
    graph = Graph()
    program = Program.of({"f": Matrix.column([from_sympy(x / 3 + sp.Rational(2, 7), graph)])})
    with working_digits(120), balls.at_precision():
        (ball,) = program.run(balls.BALLS, {x: balls.exact_ball(0.1)})["f"]
        exact = mpmath.mpf(0.1) / 3 + mpmath.mpf(2) / 7
        assert contains(ball, exact) and not ball.contains(balls.exact_ball(0.1 / 3 + 2 / 7))
        distance = abs(mpmath.mpf(0.1 / 3 + 2 / 7) - exact)
        assert distance <= balls.farthest(ball, 0.1 / 3 + 2 / 7) <= float(distance) * (1 + 1e-9) + 1e-300


def test_what_is_not_finite_bounds_nothing():
    with balls.at_precision():
        zero = balls.BALLS.constant(Fraction(0))
        assert balls.farthest(balls.BALLS.operations["div"](balls.exact_ball(1.0), zero), 1.0) == np.inf
        assert balls.farthest(balls.BALLS.operations["log"](balls.exact_ball(-1.0)), 1.0) == np.inf


@pytest.fixture
def coarse_balls():
    """A user's own precision of python-flint."""
    flint = pytest.importorskip("flint")
    with flint.ctx.workprec(70):
        yield flint.ctx


def test_the_users_precision_is_put_back_after_an_error(coarse_balls):
    with pytest.raises(KeyError), balls.at_precision():
        assert coarse_balls.prec == balls.PRECISION
        raise KeyError
    assert coarse_balls.prec == 70


def test_threads_do_not_leave_their_precision_behind(coarse_balls):
    """Was: of two threads that overlap, the first to end took the other's 333 bits away, and the other left them for ever."""
    inside, leave, narrowest = threading.Event(), threading.Event(), []

    def first():
        with balls.at_precision():
            inside.set()
            leave.wait(10)
            narrowest.append(coarse_balls.prec)

    def second():
        inside.wait(10)
        threading.Timer(0.2, leave.set).start()
        with balls.at_precision(), balls.at_precision():
            for _ in range(100):
                time.sleep(0.001)
                narrowest.append(coarse_balls.prec)

    threads = [threading.Thread(target=work) for work in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(narrowest) == {balls.PRECISION} and len(narrowest) == 101
    assert coarse_balls.prec == 70


def test_enclosures_in_threads(coarse_balls):
    """Every enclosure is as narrow as that of a thread alone, and the precision is put back."""
    u, v = sp.symbols("u v")
    sde = derive_limiting_sde(Problem.least_squares([u * v - 1], parameters=(u, v), noise=LabelNoise(1)))
    alone, found = verify(sde, checks=[Enclosures(points=2)], rng=0).checks, []
    threads = [
        threading.Thread(target=lambda: found.append(verify(sde, checks=[Enclosures(points=2)], rng=0).checks))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [alone] * 4 and coarse_balls.prec == 70
