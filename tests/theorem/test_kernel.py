"""The stationary covariance by a kernel: closed forms against eigenvectors, and a kernel that is added."""

from fractions import Fraction

import mpmath
import numpy as np
import pytest
import sympy as sp
from working_precision import working_digits

from symbolic_sgd import Problem
from symbolic_sgd.algebra.arithmetic import PRECISE, Valuation
from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.lyapunov import closed_form, elementary_symmetric, rational_form
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.manifold.manifold import find_manifold
from symbolic_sgd.optimizers.kernel import LYAPUNOV, A, B, Kernel
from symbolic_sgd.optimizers.momentum import HeavyBall
from symbolic_sgd.optimizers.sgd import SGD
from symbolic_sgd.theorem.drift import drift_terms
from symbolic_sgd.theorem.geometry import FramelessGeometry, geometry_of
from symbolic_sgd.theorem.noise_on_manifold import noise_on_manifold
from symbolic_sgd.theorem.normal_frame import normal_frame
from symbolic_sgd.theorem.response import KernelResponse

ETA, BETA = Fraction(1, 4), Fraction(1, 2)
STEP = SGD(learning_rate=ETA).kernel
HEAVY_BALL = HeavyBall(momentum=BETA, learning_rate=ETA).kernel
INJECTION = Kernel.of("injected noise", (A + B) / (A + B - sp.Rational(1, 4) * A * B))
KERNELS = [LYAPUNOV, STEP, HEAVY_BALL, INJECTION]

u, v, w, z = parameters = sp.symbols("u v w z")


def by_eigenvectors(b, y, kernel):
    """Z_ab = k(λ_a, λ_b) Y_ab where B = V diag(λ) V⁻¹."""
    values, vectors = np.linalg.eig(b)
    inverse = np.linalg.inv(vectors)
    inner = inverse @ y @ inverse.T * kernel.weight(values[:, None], values[None, :])
    return (vectors @ inner @ vectors.T).real


def by_hessian(problem, noise, point, rank, kernel):
    """Σ_⊥∘k by the eigenvectors of ∇²L at a point."""
    numbers = {s: float(a) for s, a in point.items()}
    h = np.array(sp.hessian(problem.loss, problem.parameters).subs(numbers), dtype=float)
    sigma = np.array(noise.subs(numbers), dtype=float)
    values, vectors = np.linalg.eigh(h)
    normal, steep = vectors[:, -rank:], values[-rank:]
    inner = normal.T @ sigma @ sigma.T @ normal * kernel.weight(steep[:, None], steep)
    return normal @ inner @ normal.T


def evaluated(matrix):
    return np.array([float(a) for a in Valuation(PRECISE, {})(matrix.entries)]).reshape(matrix.shape)


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.name)
@pytest.mark.parametrize("m", [1, 2, 3])
def test_rational_kernels_have_closed_forms(m, kernel):
    rng, graph = np.random.default_rng(m), Graph()
    root, y = rng.integers(1, 5, (m, m)), rng.integers(-3, 4, (m, m))
    gram, curvature = np.diag(rng.integers(1, 4, m)), root @ root.T + np.eye(m, dtype=int)
    nodes = lambda a: Matrix.of([graph.constant(Fraction(int(e), 64)) for e in row] for row in a)  # noqa: E731
    b, y = curvature @ gram, y + y.T  # no symmetric matrix, with positive eigenvalues
    with working_digits(50):
        made = nodes(b)
        ours = evaluated(rational_form(made, elementary_symmetric(made, m), nodes(y), *kernel.on(graph)))
        if kernel is LYAPUNOV:
            same = evaluated(closed_form(made, elementary_symmetric(made, m), nodes(y)))
            np.testing.assert_allclose(ours, same, rtol=1e-13)
    np.testing.assert_allclose(ours, by_eigenvectors(b / 64, y / 64, kernel), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("kernel", [STEP, HEAVY_BALL], ids=lambda kernel: kernel.name)
def test_a_kernel_is_added_at_run_time(kernel):
    """S of a derivation with and without a frame, against eigenvectors of H."""
    noise = sp.Matrix(4, 2, lambda i, j: parameters[(i + j) % 4] + (i - j) / 2)
    problem = Problem.least_squares([u * v - 1, w * z + u - 2], parameters=parameters, noise=noise)
    manifold = find_manifold(problem)
    frame = normal_frame(manifold)
    hessian = manifold.restrict(manifold.landscape.hessian)
    framed = geometry_of(frame)
    frameless = FramelessGeometry(frame, hessian, elementary_symmetric(hessian, 2))
    with working_digits(50):
        point = {s: mpmath.mpf(a) for s, a in manifold.points[-1].assignment.items()}
        found = []
        for geometry in (framed, frameless):
            terms = drift_terms(geometry, noise_on_manifold(geometry), KernelResponse(kernel))
            assert kernel.name in terms.normal_noise.words
            program = Program.of({"S": terms.normal_noise.solution, "b": terms.normal_regularization})
            values = program.run(PRECISE, point)
            found.append((np.array(values["S"], dtype=float).reshape(4, 4), np.array(values["b"], dtype=float)))
    expected = by_hessian(problem, noise, point, 2, kernel)
    for solution, _ in found:
        np.testing.assert_allclose(solution, expected, atol=1e-10 * np.abs(expected).max())
    np.testing.assert_allclose(found[0][1], found[1][1], atol=1e-12 * np.abs(found[0][1]).max())


def test_four_normal_directions_by_elimination():
    """S of M = 4, for which there is no closed form: by a system with positive pivots, against eigenvectors of H."""
    a = sp.symbols("a1:9")
    residuals = [a[2 * i] * a[2 * i + 1] + a[(2 * i + 3) % 8] / 3 - i - 1 for i in range(4)]
    noise = sp.Matrix(8, 2, lambda i, j: a[(3 * i + j) % 8] + (i - j) / sp.Integer(2))
    problem = Problem.least_squares(residuals, parameters=a, noise=noise)
    geometry = geometry_of(normal_frame(find_manifold(problem)))
    for kernel in (STEP, HEAVY_BALL, INJECTION):
        terms = drift_terms(geometry, noise_on_manifold(geometry), KernelResponse(kernel))
        with working_digits(50):
            point = {s: mpmath.mpf(x) for s, x in geometry.frame.manifold.points[-1].assignment.items()}
            solution = Program.of({"S": terms.normal_noise.solution}).run(PRECISE, point)["S"]
        expected = by_hessian(problem, noise, point, 4, kernel)
        np.testing.assert_allclose(
            np.array(solution, dtype=float).reshape(8, 8), expected, atol=1e-9 * np.abs(expected).max()
        )
