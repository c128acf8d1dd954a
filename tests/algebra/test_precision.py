"""No precision of ours leaks: not to the user's mpmath, and not from one thread to another."""

import pickle
import sys
import threading

import mpmath
import pytest
import sympy as sp

from symbolic_sgd import LabelNoise, MPMath, Problem, derive_limiting_sde, gradient_flow_limit
from symbolic_sgd.algebra.precision import determinant, mp, solved

u, v, w = sp.symbols("u v w")


@pytest.fixture
def hasty_threads():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def test_deriving_in_threads_leaves_the_global_precision_alone_and_gives_one_answer(hasty_threads):
    # Was: mpmath.mp.dps stayed at 55, 105 or 120 for the whole program, and now and then a loss was refused.
    found = []

    def work():
        problem = Problem(
            loss=(u * v + w**2 - 1) ** 2 / 2, parameters=(u, v, w), noise=sp.Matrix([[1, u], [v, 2], [w, 1]])
        )
        sde = derive_limiting_sde(problem)
        found.append((sde.program.fingerprint, mpmath.mp.dps))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3
    assert len(set(found)) == 1
    assert mpmath.mp.dps == 15


def test_a_precision_belongs_to_its_thread():
    seen = {}
    with mp.workdps(77):
        thread = threading.Thread(target=lambda: seen.update(dps=mp.dps))
        thread.start()
        thread.join()
        assert mp.dps == 77
    assert seen == {"dps": 15}


def test_the_users_precision_does_not_matter():
    problem = Problem.least_squares([u * v - 1], parameters=(u, v), noise=LabelNoise(1))
    expected = derive_limiting_sde(problem)
    with mpmath.workdps(3):
        sde = derive_limiting_sde(problem)
        assert sde.program.fingerprint == expected.program.fingerprint
        assert gradient_flow_limit(problem).precisely([2, 1], digits=40)[0] != 0
        assert mpmath.mp.dps == 3


def test_numbers_that_leave_are_mpmaths_own_and_ours_come_back_from_a_pickle():
    sde = derive_limiting_sde(Problem.least_squares([u * v - 1], parameters=(u, v), noise=LabelNoise(1)))
    (drift, _) = sde.lambdify(backend=MPMath(30)).drift([2, "1/2"])
    assert isinstance(drift, mpmath.mpf)
    with mp.workdps(40):
        third = mp.mpf(1) / 3
        assert pickle.loads(pickle.dumps(third)) == third


SINGULAR = {
    "a column of zeros": [[0, 1, 2], [0, 3, 5], [0, 1, 1]],
    "a row of zeros": [[1, 2, 3], [0, 0, 0], [1, 1, 1]],
    "a column that vanishes on the way": [[1, 1, 1], [1, 1, 2], [1, 1, 3]],
    "nothing but zeros": [[0, 0, 0]] * 3,
}


@pytest.mark.parametrize("name", SINGULAR)
def test_a_singular_matrix_is_that_and_no_crash(name):
    """Was: TypeError from mpmath's elimination, which looks for a pivot in a column of zeros and compares None."""
    matrix = mp.matrix(SINGULAR[name])
    assert sp.Matrix(SINGULAR[name]).det() == 0 and determinant(matrix) == 0
    with pytest.raises(ZeroDivisionError):
        solved(matrix, mp.matrix([1, 2, 3]))


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_what_is_not_finite_solves_nothing(value, size):
    """Was: TypeError, or a solution that is none (of a single equation)."""
    matrix = mp.eye(size)
    matrix[0, 0] = mp.mpf(value)
    with pytest.raises(ZeroDivisionError, match="finite"):
        solved(matrix, mp.matrix([1] * size))
    with pytest.raises(ZeroDivisionError, match="finite"):
        solved(mp.eye(size), mp.matrix([mp.mpf(value)] * size))
    assert not mp.isfinite(determinant(matrix))


def test_regular_systems_and_least_squares():
    exact = sp.Matrix([[2, 1, 0], [1, 3, 5], [0, 7, 1]])
    with mp.workdps(50):
        matrix, right = mp.matrix(exact.tolist()), mp.matrix([1, 2, 3])
        expected = exact.LUsolve(sp.Matrix([1, 2, 3]))
        assert all(
            abs(a - mp.mpf(b.p) / b.q) < mp.mpf(10) ** -45 for a, b in zip(solved(matrix, right), expected, strict=True)
        )
        assert abs(determinant(matrix) - exact.det()) < mp.mpf(10) ** -45
        (slope,) = solved(mp.matrix([[1], [2], [3]]), mp.matrix([1, 2, 4]))
        assert abs(slope - mp.mpf(17) / 14) < mp.mpf(10) ** -45
