"""R̂ where the generic argument is at its edge: β = 0, β that no x predicts, branches, R that sees signs, logarithms."""

from typing import Any

import numpy as np
import pytest
import sympy as sp

from symbolic_sgd import LabelNoise, Problem, SymbolicSGDError, derive_limiting_sde, induced_regularizer

u, v, w, z, b, b1, b2 = sp.symbols("u v w z b b1 b2")


def squares(matrix: Any) -> Any:
    return sp.Add(*[e**2 for e in matrix])


def matrix_of(name: str, rows: int = 2, cols: int = 2) -> sp.Matrix:
    return sp.Matrix(rows, cols, sp.symbols(f"{name}1:{rows * cols + 1}"))


U, V = matrix_of("u"), matrix_of("v")


def assert_attained(found: Any, beta: list[Any], value: float) -> None:
    """The minimizer is on the fibre of β, and R there is the value of the formula, and of the numeric minimum."""
    point = found.minimizer(beta)
    assert [float(f.xreplace(point)) for f in found.predictor] == pytest.approx([float(e) for e in beta], abs=1e-12)
    assert float(sp.N(found.regularizer.xreplace(point))) == pytest.approx(value, abs=1e-12)
    assert float(found.value(beta)) == pytest.approx(value, abs=1e-12)
    assert found.numeric(beta, starts=12).value == pytest.approx(value, abs=1e-9)


def test_each_branch_has_its_own_conditions() -> None:
    """u² = b1, uv = b2, v > 0: u has the sign of b2, and either sign is on a fibre."""
    found = induced_regularizer([u**2, u * v], u**2 + v**2, (u, v), domain=[v > 0])
    for beta in ([4, 2], [4, -2]):
        assert_attained(found, beta, 5)
    assert found.value([-1, 1]) == sp.oo


def test_one_branch_is_enough() -> None:
    """v = ±√(b2 ∓ √b1): for |b2| < √b1 one of the two u is on the fibre."""
    found = induced_regularizer([u**2, v**2 + u], u**2, (u, v))
    assert_attained(found, [4, 1], 4)
    assert_attained(found, [4, 3], 4)
    assert found.value([4, -3]) == sp.oo


@pytest.mark.parametrize(
    ("regularizer", "values"),
    [
        ((u + sp.Abs(u)) ** 2 + v**2, (0, 0)),
        (u**2 + v**2 * sp.exp(u / sp.Abs(u)), (2 * np.exp(-0.5), 2 * np.exp(-0.5))),
    ],
)
def test_a_regularizer_that_sees_signs(regularizer: Any, values: tuple[float, float]) -> None:
    """u and v may both change their sign on a fibre of uv, and R then is another."""
    found = induced_regularizer([u * v], regularizer, (u, v), symbols=(b,))
    for beta, value in zip((1, -1), values, strict=True):
        if found.expression is not None:
            assert float(found.value([beta])) == pytest.approx(value)
        assert found.numeric([beta], starts=24).value == pytest.approx(value, abs=1e-4)


def test_zero_is_attained_at_zero() -> None:
    """A term that vanishes on the fibre lets the others of its group go to 0 with parameters that need not grow."""
    assert_attained(induced_regularizer([u * v], u**2 + v**2, (u, v)), [0], 0)
    assert_attained(induced_regularizer([u * v * w], squares([u * v, u * w, v * w]), (u, v, w)), [0], 0)
    assert_attained(induced_regularizer([u * v, w * z], squares([u, v, w, z]), (u, v, w, z)), [0, 3], 6)
    W = [matrix_of(name) for name in "xyz"]
    deep = squares(W[0] * W[1]) * 2 + squares(W[1] * W[2]) * 2 + squares(W[0]) * squares(W[2])
    chain = induced_regularizer(W[0] * W[1] * W[2], deep, [e for m in W for e in m])
    assert not any(float(value) for value in chain.minimizer([0, 0, 0, 0]).values())


def test_a_logarithm_of_matrices() -> None:
    """ln(‖U‖² + ‖V‖²) is least where ‖U‖² + ‖V‖² is: ln 2‖β‖_*."""
    found = induced_regularizer(U * V.T, sp.log(squares(U) + squares(V)) + 1, (*U, *V))
    assert_attained(found, [2, 0, 0, 1], float(np.log(6) + 1))


def test_a_logarithm_of_a_convolution() -> None:
    """The same by frequencies."""
    a, c = sp.symbols("a0:3"), sp.symbols("c0:3")
    outputs = [sp.Add(*[a[i] * c[(k - i) % 3] for i in range(3)]) for k in range(3)]
    plain = induced_regularizer(outputs, squares(a) + squares(c), (*a, *c))
    logarithm = induced_regularizer(outputs, sp.log(squares(a) + squares(c)), (*a, *c))
    assert float(logarithm.value([1, 2, 4])) == pytest.approx(float(sp.log(plain.value([1, 2, 4]))))


@pytest.mark.parametrize(
    "regularizer",
    [sp.sqrt(u) + sp.sqrt(v), u ** sp.Rational(2, 3) + v ** sp.Rational(2, 3), sp.log(u) + sp.log(v)],
)
def test_what_is_not_real_is_refused(regularizer: Any) -> None:
    """√u says nothing of u < 0; with a domain it is no question."""
    with pytest.raises(SymbolicSGDError, match="is not real at"):
        induced_regularizer([u * v], regularizer, (u, v))
    with pytest.raises(SymbolicSGDError, match="is not real at"):
        induced_regularizer([regularizer], u**2 + v**2, (u, v))
    assert induced_regularizer([u * v], regularizer, (u, v), domain=[u > 0, v > 0]).expression is not None


def test_parameters_that_nothing_depends_on() -> None:
    """They are free, and 0 or of their sign in a minimizer."""
    found = induced_regularizer([u**3 - v**3], 9 * u**4 + 9 * v**4, (u, v, z), domain=[z < 0])
    assert found.expression is not None and found.minimizer([1])[z] < 0
    p, q = sp.symbols("p q")
    blocks = induced_regularizer([u * v + w**3, p * q], squares([u, v, p, q]) + 9 * w**4, (u, v, w, p, q, z))
    assert_attained(blocks, [1, 1], 2 - 1 / 432 + 2)


def test_zero_at_the_edge_of_the_image() -> None:
    """−(u² + 2v²) = 0 at 0, where R is 0."""
    found = induced_regularizer([-(u**2) - 2 * v**2], u**2 + v**2, (u, v))
    assert_attained(found, [0], 0)
    assert_attained(found, [-1], 0.5)
    assert found.value([1]) == sp.oo


def test_balance_with_an_irrational_coefficient() -> None:
    """√2 uv = β: |u| = |v| = (|β|/√2)^½."""
    found = induced_regularizer([sp.sqrt(2) * u * v], u**2 + v**2 + u**4 + v**4, (u, v))
    assert_attained(found, [-3], 3 * 2**0.5 + 9)


@pytest.mark.parametrize(
    ("found", "beta"),
    [
        (induced_regularizer([u * v], u**2 + v**2, (u, v), domain=[u > 0, v > 0]), [-2]),
        (induced_regularizer([u**4 * v**2], u**2 + v**2, (u, v)), [-1]),
        (induced_regularizer([u**2 + v**2], u**2 + 2 * v**2, (u, v)), [-1]),
        (induced_regularizer([u, u**2], u**4, (u,)), [1, 2]),
        (
            induced_regularizer(U[:, :1] * V[:, :1].T, squares(U[:, :1]) + squares(V[:, :1]), (*U[:, 0], *V[:, 0])),
            [1, 0, 0, 1],
        ),
        (
            induced_regularizer(
                U[:, :1] * U[:, :1].T - V[:, :1] * V[:, :1].T,
                squares(U[:, :1]) + squares(V[:, :1]),
                (*U[:, 0], *V[:, 0]),
            ),
            [1, 0, 0, 1],
        ),
    ],
)
def test_what_no_x_predicts(found: Any, beta: list[Any]) -> None:
    """R̂ is ∞, or refused; there is no minimizer."""
    try:
        assert found.value(beta) == sp.oo
    except SymbolicSGDError as error:
        assert "does not predict" in str(error)
    with pytest.raises(SymbolicSGDError):
        found.minimizer(beta)


def test_division_by_zero_is_said() -> None:
    """F = u/v, R = 1/u² + v²: R̂ = 2/|β|, and nothing at 0."""
    found = induced_regularizer([u / v], 1 / u**2 + v**2, (u, v))
    for ask in (found.value, found.minimizer):
        with pytest.raises(SymbolicSGDError):
            ask([0])


def test_assumptions_are_a_domain() -> None:
    """positive=True says what u > 0 says."""
    x, y = sp.symbols("x y", positive=True)
    found = induced_regularizer([x * y], x + y, (x, y))
    assert_attained(found, [4], 4)
    assert found.value([-4]) == sp.oo


def test_numeric_goes_around_points_without_derivative() -> None:
    """√(u² + v²) = −1 has no solution, and descents meet its kink."""
    found = induced_regularizer([sp.sqrt(u**2 + v**2)], u**4 + v**4 + u * v, (u, v))
    with pytest.raises(SymbolicSGDError):
        found.numeric([-1], starts=24)


@pytest.mark.parametrize("values", [["1"], [None], "1", None, [object()], [True], [1j]])
def test_values_that_are_no_numbers(values: Any) -> None:
    found = induced_regularizer([u * v], u**2 + v**2, (u, v))
    for ask in (found.value, found.numeric, found.minimizer):
        with pytest.raises(SymbolicSGDError):
            ask(values)


def test_arguments_of_a_wrong_kind() -> None:
    found = induced_regularizer([u * v], u**2 + v**2, (u, v))
    for digits in ("a", None, 2.5, 0, True):
        for ask in (found.value, found.minimizer):
            with pytest.raises(SymbolicSGDError, match="digits"):
                ask([2], digits=digits)
    for rng in ("a", -1, 2.5, object()):
        with pytest.raises(SymbolicSGDError, match="rng"):
            found.numeric([2], starts=2, rng=rng)
    for domain in (u > 0, None, 5, [u > 0, u < 0]):
        with pytest.raises(SymbolicSGDError, match="domain"):
            induced_regularizer([u * v], u**2 + v**2, (u, v), domain=domain)


def test_no_minimizer_where_r_falls_without_bound() -> None:
    """ln(‖U‖² + ‖V‖²) at β = 0 goes to −∞."""
    found = induced_regularizer(U * V.T, sp.log(squares(U) + squares(V)), (*U, *V))
    assert found.value([0, 0, 0, 0]) == -sp.oo
    with pytest.raises(SymbolicSGDError, match="without bound"):
        found.minimizer([0, 0, 0, 0])


def test_a_part_that_takes_nothing_is_on_the_boundary_of_its_domain() -> None:
    """2wz is cheaper than uv: u, v → 0. With one cost both take a share. Where w and z may be 0, it depends on the sign of β."""
    inside = [u > 0, v > 0, w > 0, z > 0]
    total = squares([u, v, w, z])
    dearer = induced_regularizer([u * v + 2 * w * z], total, (u, v, w, z), domain=inside)
    assert dearer.attainment.kind == "boundary" and float(dearer.value([3])) == pytest.approx(3)
    assert_attained(induced_regularizer([u * v + w * z], total, (u, v, w, z), domain=inside), [3], 6)
    free = induced_regularizer([2 * u * v - w * z], total, (u, v, w, z), domain=[u > 0, v > 0])
    assert free.attainment.kind == "conditional"
    assert_attained(free, [3], 3)
    assert float(free.value([-3])) == pytest.approx(6)


def test_numeric_goes_around_kinks_of_f() -> None:
    """|u|^½ has no derivative at 0."""
    found = induced_regularizer([sp.sqrt(sp.Abs(u)) * v], u**2 + v**2, (u, v))
    assert found.numeric([1], starts=8).value == pytest.approx(3 / 2 ** (2 / 3))
    assert found.numeric([0], starts=8).value >= 0


@pytest.mark.parametrize("other", [w * z, w**3])
def test_constants_in_a_sum_of_parts(other: Any) -> None:
    """Which part is cheaper depends on a: the formula with a is the one that is found with its number."""
    a = sp.Symbol("a", positive=True)
    parameters = (u, v, w, z) if other.has(z) else (u, v, w)

    def found(scale: Any, constants: tuple[Any, ...]) -> Any:
        output = scale * u * v + other
        problem = Problem.least_squares(
            [output - 2],
            parameters=parameters,
            constants=constants,
            noise=LabelNoise(1),
            near=dict.fromkeys((*parameters, *constants), 1),
        )
        return derive_limiting_sde(problem).induced_regularizer([output], symbols=(b,)).expression

    general = found(a, (a,))
    for number in (sp.Rational(1, 3), sp.Integer(2)):
        special = found(number, ())
        for beta in (-3, sp.Rational(1, 100), 5):
            assert float(general.subs({a: number, b: beta})) == pytest.approx(float(special.subs(b, beta)))


def test_attractors_refuse_a_seed_that_is_none() -> None:
    problem = Problem.least_squares([u * v - 1], parameters=(u, v), noise=LabelNoise(1))
    for rng in ("a", -1, 2.5):
        with pytest.raises(SymbolicSGDError, match="rng"):
            derive_limiting_sde(problem).attractors(rng=rng)
