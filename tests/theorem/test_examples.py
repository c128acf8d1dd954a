"""Losses with a known limit, one row each: drift, diffusion and regularizer, all written by hand.

The second road: the normals of Γ, tr ∇²L or ln|∇²L|₊, and the projection are stated here; nothing is derived. Rows that
others test: the motor, in test_regularizer.py; Φ and first integrals, in flow/test_known_limits.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import mpmath
import pytest
import sympy as sp
from working_precision import working_digits

from symbolic_sgd import IsotropicNoise, LabelNoise, LimitingSDE, Problem, derive_limiting_sde
from symbolic_sgd.algebra.arithmetic import PRECISE, Valuation
from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.translation import from_sympy
from symbolic_sgd.errors import NoManifold, OffManifold

u, v, w, x, y, z, k = sp.symbols("u v w x y z k")
s = sp.Symbol("s", positive=True)

DRIFTS = ("tangent_noise_compensation", "mixed_regularization", "normal_regularization")


@dataclass(frozen=True)
class Row:
    """What is known of one loss.

    Args:
        name: its number and name.
        problem: as stated.
        normals: expressions whose gradients span the normal space of Γ.
        regularizer: R with mixed + normal = −∂Φ∇R, by hand.
        diffusion: ∂Φ σ by hand: "zero", "projection" (times s), or None where it is not asked for.
        drift: all of the drift by hand where the compensation is not zero.
    """

    name: str
    problem: Problem
    normals: Sequence[sp.Expr]
    regularizer: sp.Expr
    diffusion: str | None = "zero"
    drift: Sequence[sp.Expr] | None = None


def squares(residuals: Sequence[sp.Expr], parameters: Any, noise: Any = None) -> Problem:
    return Problem.least_squares(list(residuals), parameters=tuple(parameters), noise=noise or LabelNoise())


def labelled(name: str, residuals: Sequence[sp.Expr], parameters: Any, trace: sp.Expr) -> Row:
    """Label noise, c = 1: R = ¼ tr ∇²L."""
    return Row(name, squares(residuals, parameters), residuals, trace / 4)


def features(z_rows: Sequence[Sequence[int]], us: Sequence[sp.Expr], vs: Sequence[sp.Expr], p: int) -> list[sp.Expr]:
    return [sum(c * (a**p - b**p) for c, a, b in zip(row, us, vs, strict=True)) - 1 for row in z_rows]


def norm(matrix: sp.Matrix) -> sp.Expr:
    return sum(e**2 for e in matrix)


us, vs = sp.symbols("u1:4"), sp.symbols("v1:4")
pu, pv = sp.symbols("u1:3", positive=True), sp.symbols("v1:3", positive=True)
U, V = sp.Matrix(2, 2, sp.symbols("a1:5")), sp.Matrix(2, 2, sp.symbols("b1:5"))
A, X = sp.Matrix([[2, 1], [1, 3]]), sp.Matrix([[1, 2], [0, 1]])
ROWS_OF_DATA = [[1, 2, -1], [3, -1, 1]]
SYMMETRIC = U * U.T - A
ATTENTION = X * U.T * V * X.T - A
LOGITS = (u * v + x * y, u * v - x * y)
RADIUS = u**2 + v**2

LABELLED = [
    labelled("1 hyperbola", [u * v - 1], (u, v), RADIUS),
    labelled("3 u²v", [u**2 * v - 1], (u, v), 4 * v + v**-2),
    labelled("7 OLM, n = 1", features([[1, -1, 1]], us, vs, 2), (*us, *vs), 4 * sum(a**2 for a in (*us, *vs))),
    labelled(
        "8 OLM, n = 2",
        features(ROWS_OF_DATA, us, vs, 2),
        (*us, *vs),
        2 * (10 * (us[0] ** 2 + vs[0] ** 2) + 5 * (us[1] ** 2 + vs[1] ** 2) + 2 * (us[2] ** 2 + vs[2] ** 2)),
    ),
    labelled(
        "9 squares only",
        [sum(c * a**2 for c, a in zip(row, vs, strict=True)) - 1 for row in ([1, 1, 1], [1, -1, 2])],
        vs,
        2 * (2 * vs[0] ** 2 + 2 * vs[1] ** 2 + 5 * vs[2] ** 2),
    ),
    labelled(
        "10 depth 3",
        features([[1, 2]], pu, pv, 3),
        (*pu, *pv),
        9 * (pu[0] ** 4 + pv[0] ** 4 + 4 * pu[1] ** 4 + 4 * pv[1] ** 4),
    ),
    labelled("11 product", [u * v * w - 1], (u, v, w), u**-2 + v**-2 + w**-2),
    labelled("12 a⟨w, x⟩", [k * (u + 2 * v) - 1], (k, u, v), (u + 2 * v) ** 2 + 5 * k**2),
    labelled("13 matrix factorisation", list(U * V.T - A), (*U, *V), (2 * norm(U) + 2 * norm(V)) / 4),
    labelled("18 attention", list(U.T * V - A), (*U, *V), (2 * norm(U) + 2 * norm(V)) / 4),
    labelled(
        "18 attention with logits",
        list(ATTENTION),
        (*U, *V),
        norm(X) * ((U * X.T * X * U.T).trace() + (V * X.T * X * V.T).trace()) / 4,
    ),
]

OTHERS = [
    Row(
        "1 hyperbola, isotropic",
        squares([u * v - 1], (u, v), IsotropicNoise(2)),
        [u * v - 1],
        sp.log(RADIUS),
        "projection",
    ),
    Row(
        "2 ½vu², noise across",
        Problem(loss=v * u**2 / 2, parameters=(u, v), noise=sp.Matrix([s, 0]), domain=[v > 0], constants=(s,)),
        [u],
        s**2 * sp.log(v) / 4,
        drift=[sp.Integer(0), -(s**2) / (4 * v)],
    ),
    Row(
        "4 sphere, isotropic",
        Problem(loss=(x**2 + y**2 + z**2 - 1) ** 2 / 8, parameters=(x, y, z), noise=IsotropicNoise()),
        [x**2 + y**2 + z**2],
        sp.Integer(0),
        "projection",
        drift=[-x, -y, -z],
    ),
    Row(
        "16 logistic, labels redrawn",
        Problem.from_sample_losses(
            [sp.log(1 + sp.exp(sign * f)) for f in LOGITS for sign in (-1, 1)],
            parameters=(u, x, v, y),
            weights=[sp.Rational(*p) for p in ((3, 8), (1, 8), (1, 5), (3, 10))],
        ),
        LOGITS,
        # ½ p(1 − p)|∇f|² for each of the two samples, with p = 3/4 and p = 2/5
        (sp.Rational(3, 32) + sp.Rational(3, 25)) * (u**2 + v**2 + x**2 + y**2) / 4,
    ),
]


def numbers(expressions: Sequence[Any], point: Any) -> mpmath.matrix:
    graph = Graph()
    nodes = [from_sympy(sp.sympify(e), graph) for e in expressions]
    return mpmath.matrix(Valuation(PRECISE, point)(nodes))


def projection(row: Row, point: Any) -> mpmath.matrix:
    """I − N(NᵀN)⁻¹Nᵀ for the gradients N of what is stated."""
    d, m = row.problem.dimension, len(row.normals)
    slopes = sp.Matrix(row.normals).jacobian(row.problem.parameters)
    n = numbers(list(slopes), point)
    normal = mpmath.matrix(d, m)
    for i in range(d):
        for j in range(m):
            normal[i, j] = n[j * d + i]
    return mpmath.eye(d) - normal * mpmath.inverse(normal.T * normal) * normal.T


ROWS = {row.name: row for row in (*LABELLED, *OTHERS)}


@cache
def derived(name: str) -> LimitingSDE:
    return derive_limiting_sde(ROWS[name].problem)


@pytest.mark.parametrize("name", ROWS)
def test_the_limit(name):
    row, sde = ROWS[name], derived(name)
    assert sde.manifold.codimension == len(row.normals)
    slope = [sp.diff(row.regularizer, q) for q in row.problem.parameters]
    drift = None if row.drift is None else row.drift
    for point in sde.derivation.points:
        with working_digits(60):
            tangent = projection(row, point)
            values = sde.program.run(PRECISE, point)
            regularization = mpmath.matrix([a + b for a, b in zip(*(values[t] for t in DRIFTS[1:]), strict=True)])
            assert close(regularization, -tangent * numbers(slope, point))
            if drift is not None:
                assert close(mpmath.matrix(values["drift"]), numbers(drift, point))
            if row.diffusion == "projection":
                scale = mpmath.mpf(int(row.problem.noise.scale))
                assert close(mpmath.matrix(values["tangent_noise"]), mpmath.matrix(list(scale * tangent)))
    if row.diffusion == "zero":
        assert sde.tangent_noise.is_zero_matrix and sde.tangent_noise_compensation.is_zero_matrix


@pytest.mark.parametrize("name", ROWS)
def test_the_regularizer_up_to_a_constant(name):
    """R of the package and R of the table differ by the same number at all points of Γ, and have the same tangent slope."""
    row, sde = ROWS[name], derived(name)
    found = sde.regularizer
    assert found is not None
    difference = found - row.regularizer
    for point in sde.derivation.points:
        with working_digits(60):
            slope = [sp.diff(difference, q).replace(sp.sign, lambda _: sp.Integer(0)) for q in row.problem.parameters]
            assert close(projection(row, point) * numbers(slope, point), mpmath.zeros(len(slope), 1))


def close(a: mpmath.matrix, b: mpmath.matrix) -> bool:
    return mpmath.norm(a - b) <= mpmath.mpf(10) ** -45 * (1 + mpmath.norm(b))


# --- rows whose answer is trivial: exactly zero -----------------------------------------------------

DENSE = sp.Matrix(3, 2, [1, x, y * z, 2, sp.Rational(1, 3), x - y])
NEURONS = (sp.tanh(x + 2 * y) - sp.Rational(1, 2), (y + z) + (y + z) ** 3 - 1)
PHASES = ((x + 2 * y) ** 2 - 3, (y - z) ** 2 - 2)
INTERPOLATED = (u * v - 1, u**2 * v - 1 + w)
DISGUISED = [sp.expand(f**2) for f in INTERPOLATED]
SOFT = [p * sp.log(1 + sp.exp(-f)) + (1 - p) * sp.log(1 + sp.exp(f)) for p, f in zip((s, s / 2), LOGITS, strict=True)]
ORBIT = sum(e**2 for e in SYMMETRIC) / 4

TRIVIAL = [
    ("5 linear regression", squares([x + 2 * y - 1], (x, y, z), DENSE), DRIFTS),
    ("6 monotone neurons", squares(NEURONS, (x, y, z), DENSE), DRIFTS),
    ("14 ¼‖XXᵀ − A‖², label", squares(SYMMETRIC, tuple(U)), DRIFTS),
    ("14 ¼‖XXᵀ − A‖², isotropic", Problem(loss=ORBIT, parameters=tuple(U), noise=IsotropicNoise()), DRIFTS[1:]),
    (
        "15 phase retrieval",
        Problem(loss=sum(f**2 for f in PHASES) / 8, parameters=(x, y, z), noise=DENSE),
        DRIFTS,
    ),
    (
        "16 fixed soft labels",
        Problem.from_sample_losses(
            [f.subs(s, sp.Rational(3, 5)) for f in SOFT], parameters=(u, x, v, y), weights=[sp.Rational(1, 2)] * 2
        ),
        ("tangent_noise", *DRIFTS),
    ),
    (
        "20 interpolation",
        Problem.from_sample_losses([f**2 / 2 for f in INTERPOLATED], parameters=(u, v, w)),
        ("tangent_noise", *DRIFTS),
    ),
    (
        "20 interpolation, squares multiplied out",
        Problem.from_sample_losses(DISGUISED, parameters=(u, v, w)),
        ("tangent_noise", "lyapunov_solution", *DRIFTS),
    ),
]


@pytest.mark.parametrize(("problem", "zeros"), [row[1:] for row in TRIVIAL], ids=[row[0] for row in TRIVIAL])
def test_what_is_trivial_is_exactly_zero(problem, zeros):
    sde = derive_limiting_sde(problem)
    assert [name for name in zeros if not getattr(sde, name).is_zero_matrix] == []


def test_noise_that_vanishes_on_the_manifold_is_not_taken_to_vanish_beside_it():
    """The drift is exactly 0 on Γ; a point off Γ is refused as ever."""
    f = derive_limiting_sde(Problem.from_sample_losses(DISGUISED, parameters=(u, v, w))).lambdify()
    assert not f.drift([2, 0.5, -1]).any() and not f.diffusion([[1, 1, 0], [0.5, 2, 0.5]]).any()
    with pytest.raises(OffManifold):
        f.drift([2, 0.5, -0.9])


def test_example_16_is_recognised():
    """Σ = ∇²L holds on Γ only, where e^f are rational numbers that solve ∇L = 0 exactly."""
    sde = derived(OTHERS[-1].name)
    assert "c = 1:" in sde.explain()
    assert set(sde.manifold.equations) == {LOGITS[0] - sp.log(3), LOGITS[1] - sp.log(sp.Rational(2, 3))}
    other = Problem.from_sample_losses(
        [sp.log(1 + sp.exp(sign * f)) for f in LOGITS for sign in (-1, 1)],
        parameters=(u, x, v, y),
        weights=[sp.Rational(*p) for p in ((3, 8), (1, 8), (1, 4), (1, 4))],
    )
    assert "c = 1:" in derive_limiting_sde(other).explain()


def test_redrawn_labels_in_the_wrong_proportion_are_not_proportional_to_the_hessian():
    """Samples drawn with other weights than the labels' variances: Σ ≠ cH, and the Lyapunov equation or commutation is used."""
    noise = sp.Matrix([v, x, u, y])
    loss = OTHERS[-1].problem.loss
    sde = derive_limiting_sde(Problem(loss=loss, parameters=(u, x, v, y), noise=noise))
    assert "c =" not in sde.explain().splitlines()[3]


def test_example_14_of_too_low_rank_is_refused():
    loss = sum(e**2 for e in U * U.T - sp.Matrix([[1, 0], [0, 0]])) / 4
    with pytest.raises(NoManifold):
        derive_limiting_sde(Problem(loss=loss, parameters=tuple(U), noise=IsotropicNoise()))


def test_example_17_scale_invariance_makes_the_square_of_the_radius_grow_by_the_trace():
    """2⟨x, b⟩ + tr Σ_∥ = tr Σ for L(x/|x|) and noise of any kind that is tangent to spheres, as gradients of L are."""
    square = x**2 + y**2 + z**2
    position = sp.Matrix([x, y, z])
    columns = [sp.Matrix([1, y, x * z]), sp.Matrix([z, 2, x])]
    sigma = sp.Matrix.hstack(*(c - position * (position.T * c)[0] / square for c in columns))
    loss = z**2 * (2 + x * y / square) / square
    sde = derive_limiting_sde(Problem(loss=loss, parameters=(x, y, z), noise=sigma, domain=[x > sp.Rational(1, 4)]))
    for point in sde.derivation.points:
        with working_digits(60):
            values = sde.program.run(PRECISE, point)
            place = numbers((x, y, z), point)
            growth = 2 * mpmath.fdot(place, values["drift"]) + mpmath.fsum(a**2 for a in values["tangent_noise"])
            assert abs(growth - mpmath.fsum(a**2 for a in numbers(list(sigma), point))) < mpmath.mpf(10) ** -45
