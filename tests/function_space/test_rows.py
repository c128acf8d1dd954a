"""R̂ of models of the literature: the closed form that is found, the formula of the papers in NumPy, and numeric minima on fibres."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import sympy as sp
from function_models import fitted

from symbolic_sgd import (
    InducedRegularizer,
    IsotropicNoise,
    LabelNoise,
    Problem,
    RMSprop,
    derive_limiting_sde,
    induced_regularizer,
)
from symbolic_sgd.function_space.natural import _agrees

DATA = ((1, 2, 1), (1, -1, 2))


def nuclear(matrix: np.ndarray, power: float = 1.0) -> float:
    return float((np.linalg.svd(matrix, compute_uv=False) ** power).sum())


def half(matrix: Any) -> np.ndarray:
    values, vectors = np.linalg.eigh(np.array(matrix, dtype=float))
    return (vectors * np.sqrt(values)) @ vectors.T


def letters(name: str, count: int) -> tuple[sp.Symbol, ...]:
    return sp.symbols(f"{name}1:{count + 1}")


def matrix_of(name: str, rows: int, cols: int) -> sp.Matrix:
    return sp.Matrix(rows, cols, letters(name, rows * cols))


def mixed(predictor: Sequence[Any], data: Sequence[Sequence[int]]) -> list[Any]:
    return [sp.Add(*[z * f for z, f in zip(row, predictor, strict=True)]) for row in data]


def assert_is(
    found: InducedRegularizer,
    formula: Callable[[np.ndarray], float],
    *,
    tier: str,
    numeric: float = 1e-9,
    count: int = 3,
) -> None:
    """The closed form is the formula, and the numeric minimum, at random β of the image of F."""
    assert found.expression is not None and tier in str(found.evidence), str(found)
    rng = np.random.default_rng(1)
    for _ in range(count):
        x = {
            p: found.fibres.signs.get(p, 1) * abs(rng.standard_normal())
            if p in found.fibres.signs
            else rng.standard_normal()
            for p in found.fibres.parameters
        }
        beta = np.array([float(sp.sympify(f).xreplace(x)) for f in found.predictor])
        closed = float(found.value(beta.tolist()))
        assert closed == pytest.approx(formula(beta), rel=1e-12)
        assert found.numeric(beta.tolist(), starts=12, rng=1).value == pytest.approx(closed, rel=numeric)


@pytest.mark.parametrize("depth", [2, 3])
def test_products_of_numbers(depth: int) -> None:
    """Π u_k: depth·Σ a_j|β_j|^{2−2/depth} in units of c/4n, a_j = Σ_i z_ij²."""
    parts = [letters(name, 3) for name in "uvw"[:depth]]
    predictor = [sp.Mul(*entries) for entries in zip(*parts, strict=True)]
    sde = derive_limiting_sde(fitted(mixed(predictor, DATA), [p for part in parts for p in part]))
    a = (np.array(DATA) ** 2).sum(axis=0)
    assert_is(
        sde.induced_regularizer(predictor),
        lambda beta: depth * float((a * np.abs(beta) ** (2 - 2 / depth)).sum()) / 8,
        tier="scalings",
    )


def test_difference_of_squares() -> None:
    """u² − v²: 4Σ a_j|β_j|."""
    u, v = letters("u", 3), letters("v", 3)
    predictor = [a**2 - b**2 for a, b in zip(u, v, strict=True)]
    a = (np.array(DATA) ** 2).sum(axis=0)
    sde = derive_limiting_sde(fitted(mixed(predictor, DATA), (*u, *v)))
    assert_is(
        sde.induced_regularizer(predictor), lambda beta: float((a * np.abs(beta)).sum()) / 2, tier="separate parts"
    )


def test_settled_second_moments() -> None:
    """Adam and RMSprop on u∘v: Σ √a_j |β_j|^½ (R = (√κ/2√n) tr Diag(JᵀJ)^½)."""
    u, v = letters("u", 3), letters("v", 3)
    predictor = [a * b for a, b in zip(u, v, strict=True)]
    a = (np.array(DATA) ** 2).sum(axis=0)
    sde = derive_limiting_sde(fitted(mixed(predictor, DATA), (*u, *v)), optimizer=RMSprop(second_moment_rate=1))
    formula = lambda beta: float((np.sqrt(a / 2) * np.sqrt(np.abs(beta))).sum())  # noqa: E731
    assert_is(sde.induced_regularizer(predictor), formula, tier="scalings")


def test_isotropic_noise() -> None:
    """u∘v: (s²/4) ln det(Z diag(2|β|) Zᵀ), with the caveat that there is noise along Γ."""
    u, v = letters("u", 3), letters("v", 3)
    predictor = [a * b for a, b in zip(u, v, strict=True)]
    z = np.array(DATA, dtype=float)
    found = derive_limiting_sde(fitted(mixed(predictor, DATA), (*u, *v), IsotropicNoise(1))).induced_regularizer(
        predictor
    )
    assert_is(found, lambda beta: float(np.log(np.linalg.det(z * (2 * np.abs(beta)) @ z.T))) / 4, tier="balance")
    assert any("noise along Γ" in caveat for caveat in found.caveats)


def test_two_factors() -> None:
    """UVᵀ seen through A_i: 2‖C^½ M B^½‖_* with C = ΣA_iA_iᵀ, B = ΣA_iᵀA_i."""
    u, v = matrix_of("u", 3, 2), matrix_of("v", 2, 2)
    data = [sp.Matrix(3, 2, entries) for entries in ((1, 0, 2, 1, 0, 1), (0, 1, 1, 1, 2, 0), (1, 1, 0, 2, 1, -1))]
    sde = derive_limiting_sde(fitted([(a.T * u * v.T).trace() for a in data], (*u, *v)))
    arrays = [np.array(a, dtype=float) for a in data]
    c, b = half(sum(a @ a.T for a in arrays)), half(sum(a.T @ a for a in arrays))
    assert_is(
        sde.induced_regularizer(u * v.T),
        lambda beta: 2 * nuclear(c @ beta.reshape(3, 2) @ b) / 12,
        tier="pair of matrices",
    )


def test_two_factors_under_settled_second_moments() -> None:
    """UVᵀ in full under Adam: 2√(d1d2) Σσ_k^½ / (2√n) with n = d1d2."""
    u, v = matrix_of("u", 2, 2), matrix_of("v", 2, 2)
    sde = derive_limiting_sde(fitted(list(u * v.T), (*u, *v)), optimizer=RMSprop(second_moment_rate=1))
    assert_is(
        sde.induced_regularizer(u * v.T),
        lambda beta: nuclear(beta.reshape(2, 2), 0.5) * 2 * 2 / (2 * 2),
        tier="pair of matrices",
    )


def test_three_factors() -> None:
    """W3W2W1 in full: 3(d_0d_3)^{1/3}‖M‖_*^{4/3} in units of c/4n."""
    factors = [matrix_of(name, 2, 2) for name in "abc"]
    product = factors[2] * factors[1] * factors[0]
    sde = derive_limiting_sde(fitted(list(product), [e for factor in factors for e in factor]))
    assert_is(
        sde.induced_regularizer(product),
        lambda beta: 3 * 4 ** (1 / 3) * nuclear(beta.reshape(2, 2)) ** (4 / 3) / 16,
        tier="chain of matrices",
        count=2,
    )


def test_signed_squares() -> None:
    """WᵀDW with quadratic forms of it: 4‖B^½ M B^½‖_*, B = Σ‖x_i‖²x_ix_iᵀ."""
    w, signs = matrix_of("w", 4, 2), sp.diag(1, 1, -1, -1)
    points = [sp.Matrix([1, 2]), sp.Matrix([2, -1])]
    output = w.T * signs * w
    sde = derive_limiting_sde(fitted([(x.T * output * x)[0, 0] for x in points], list(w)))
    b = half(sum((np.array(x, dtype=float) @ np.array(x.T, dtype=float)) * 5 for x in points))
    formula = lambda beta: 4 * nuclear(b @ beta.reshape(2, 2) @ b) / 8  # noqa: E731
    assert_is(sde.induced_regularizer(output), formula, tier="signed squares")


def test_symmetric_factorisation() -> None:
    """XXᵀ: linear in M, the same all along a fibre."""
    x = matrix_of("x", 2, 2)
    a = sp.Matrix([[1, 2], [0, -1]])
    sde = derive_limiting_sde(fitted([(a * x * x.T).trace()], list(x)))
    symmetric = np.array((a + a.T) / 2, dtype=float)
    formula = lambda beta: 4 * float(np.trace(beta.reshape(2, 2) @ symmetric @ symmetric)) / 4  # noqa: E731
    assert_is(sde.induced_regularizer(x * x.T), formula, tier="constant on fibres")


def test_groups() -> None:
    """u_gV_g: 2Σ_g √(tr S_g β_gᵀS_gβ_g): the group lasso, weighted by the data."""
    u, v = letters("u", 2), matrix_of("v", 2, 2)
    predictor = [u[g] * v[g, j] for g in range(2) for j in range(2)]
    data = ((1, 2, 0, 1), (1, -1, 1, 1))
    sde = derive_limiting_sde(fitted(mixed(predictor, data), (*u, *v)))
    z = np.array(data, dtype=float).reshape(2, 2, 2)
    s = [z[:, g].T @ z[:, g] for g in range(2)]

    def lasso(beta: np.ndarray) -> float:
        return (
            sum(
                2 * float(np.sqrt(np.trace(s[g]) * beta[2 * g : 2 * g + 2] @ s[g] @ beta[2 * g : 2 * g + 2]))
                for g in range(2)
            )
            / 8
        )

    assert_is(sde.induced_regularizer(predictor), lasso, tier="scalings")


def test_convolution() -> None:
    """u ⊛ v in full: 2Σ_k|DFT(β)_k|."""
    u, v = sp.symbols("u0:3"), sp.symbols("v0:3")
    predictor = [sp.Add(*[u[i] * v[(k - i) % 3] for i in range(3)]) for k in range(3)]
    sde = derive_limiting_sde(fitted(predictor, (*u, *v)))
    assert_is(
        sde.induced_regularizer(predictor),
        lambda beta: 2 * float(np.abs(np.fft.fft(beta)).sum()) / 12,
        tier="frequencies",
    )


def test_rank_one_tensor() -> None:
    """a⊗b⊗c in full: 3(d1d2d3)^{1/3}λ^{4/3}, λ the norm of β."""
    a, b, c = (letters(name, 2) for name in "abc")
    predictor = [x * y * z for x in a for y in b for z in c]
    sde = derive_limiting_sde(fitted(predictor, (*a, *b, *c)))
    formula = lambda beta: 3 * 8 ** (1 / 3) * float(np.linalg.norm(beta)) ** (4 / 3) / 32  # noqa: E731
    assert_is(sde.induced_regularizer(predictor), formula, tier="scalings", count=2)


def test_neuron_with_a_square() -> None:
    """a(w·x)²: 3·2^{−2/3}P^{1/3}Q^{2/3}, P = Σ(wx_i)⁴, Q = 4a²Σ(wx_i)²‖x_i‖²."""
    a, w = sp.Symbol("a"), letters("w", 2)
    predictor = [a * w[0] ** 2, a * w[0] * w[1], a * w[1] ** 2]
    points = np.array([[1.0, 2.0], [2.0, -1.0]])
    outputs = [a * (int(x[0]) * w[0] + int(x[1]) * w[1]) ** 2 for x in points]
    sde = derive_limiting_sde(fitted(outputs, (a, *w)))

    def formula(beta: np.ndarray) -> float:
        scale, first = beta[0], np.array([1.0, beta[1] / beta[0]])
        seen = points @ first
        p, q = (seen**4).sum(), 4 * scale**2 * (seen**2 * (points**2).sum(axis=1)).sum()
        return 3 * 2 ** (-2 / 3) * float(p) ** (1 / 3) * float(q) ** (2 / 3) / 8

    assert_is(sde.induced_regularizer(predictor), formula, tier="scalings")


# --- branches, width, and what is not attained ----------------------------------------------------

U, V, W, B = sp.symbols("u v w b")


def test_huber() -> None:
    """uv + w³: 9|β|^{4/3} up to 1/216, then 2|β| − 1/432."""
    found = induced_regularizer([U * V + W**3], U**2 + V**2 + 9 * W**4, (U, V, W), symbols=(B,))

    def formula(beta: np.ndarray) -> float:
        size = abs(float(beta[0]))
        return 9 * size ** (4 / 3) if size <= 1 / 216 else 2 * size - 1 / 432

    assert_is(found, formula, tier="shares")
    for beta in (0.001, -0.004, 0.0047):
        assert float(found.value([beta])) == pytest.approx(formula(np.array([beta])), rel=1e-12)
        assert found.numeric([beta], starts=24).value == pytest.approx(formula(np.array([beta])), rel=1e-9)


def test_signs_decide() -> None:
    """u³ − v³: 9·2^{−1/3}|β|^{4/3}, and 9|β|^{4/3} on the boundary where u, v > 0 (a degenerate minimum: 1e-5)."""
    free = induced_regularizer([U**3 - V**3], 9 * U**4 + 9 * V**4, (U, V), symbols=(B,))
    assert_is(free, lambda beta: 9 * 2 ** (-1 / 3) * abs(float(beta[0])) ** (4 / 3), tier="shares")
    kept = induced_regularizer([U**3 - V**3], 9 * U**4 + 9 * V**4, (U, V), symbols=(B,), domain=[U > 0, V > 0])
    assert_is(kept, lambda beta: 9 * abs(float(beta[0])) ** (4 / 3), tier="shares", numeric=1e-5)
    assert kept.attainment.kind == "boundary" and free.attainment.kind == "attained"


@pytest.mark.parametrize("copies", [1, 2, 3])
def test_falls_with_the_width(copies: int) -> None:
    """Σ of m copies of uvw: 3m^{−1/3}|β|^{4/3}."""
    x = letters("x", 3 * copies)
    output = sp.Add(*[sp.Mul(*x[3 * k : 3 * k + 3]) for k in range(copies)])
    sde = derive_limiting_sde(fitted([output], x))
    formula = lambda beta: 3 * copies ** (-1 / 3) * abs(float(beta[0])) ** (4 / 3) / 4  # noqa: E731
    assert_is(sde.induced_regularizer([output]), formula, tier="scalings" if copies == 1 else "shares")


def test_weight_normalisation_attains_nothing() -> None:
    """g w/‖w‖: Σ(x·β)²/‖β‖² is approached as ‖w‖ → ∞, and R is above it at every point."""
    norm = sp.sqrt(U**2 + V**2)
    predictor = [W * U / norm, W * V / norm]
    sde = derive_limiting_sde(fitted([2 * predictor[0] + predictor[1]], (W, U, V)))
    found = sde.induced_regularizer(predictor)
    formula = lambda beta: (2 * beta[0] + beta[1]) ** 2 / float(beta @ beta) / 4  # noqa: E731
    assert_is(found, formula, tier="scalings", numeric=1e-5, count=2)
    assert found.attainment.kind == "infinity" and set(found.attainment.direction or ()) == {U, V}
    with pytest.raises(ValueError, match="no minimizer"):
        found.minimizer([1, 2])


def test_isotropic_rank_one_falls_without_bound() -> None:
    """5 × 3 of rank one: |H|₊ = (‖u‖² + ‖v‖²)‖u‖⁴‖v‖⁸, and R → −∞."""
    u, v = letters("u", 5), letters("v", 3)
    short = lambda x: sp.Add(*[e**2 for e in x])  # noqa: E731
    r = sp.log(short(u) + short(v)) / 4 + sp.log(short(u)) / 2 + sp.log(short(v))
    found = induced_regularizer([a * b for a in u for b in v], r, (*u, *v))
    assert found.expression == -sp.oo and found.attainment.kind == "infinity"
    at = dict(zip((*u, *v), (1, 2, 1, -1, 1, 1, 1, 2), strict=True))
    values = []
    for s in (0, 4, 8):
        moved = {p: x * sp.exp((found.attainment.direction or {}).get(p, 0) * s) for p, x in at.items()}
        values.append(float(sp.N(r.xreplace(moved))))
    assert values[0] > values[1] + 1 > values[2] + 2


def test_image_of_the_predictor() -> None:
    """u²v²: no x predicts a negative β."""
    found = induced_regularizer([U**2 * V**2], 4 * U**2 * V**4 + 4 * U**4 * V**2, (U, V), symbols=(B,))
    assert float(found.value([4])) == 64 and found.value([-1]) == sp.oo


def test_negative_terms_are_not_taken_for_positive_ones() -> None:
    """R = −u² on uv = b has no lower bound, and u² − 2uv + v² + … may fall below its weighted means."""
    falling = induced_regularizer([U * V], -(U**2), (U, V))
    assert falling.expression is None and falling.invariant is None
    mixed = induced_regularizer([U * V], (U - V) ** 2 - V**2, (U, V))
    assert mixed.expression is None and mixed.evidence.status == "numeric"


def test_one_sided_parts() -> None:
    """u² takes no negative share, whatever R is as a function of it; w ↦ u + vw has a part whose R is constant, but not where u > 0."""
    both = induced_regularizer([U**2 + V**2], U**4 + V**4, (U, V), symbols=(B,))
    assert both.value([-1]) == sp.oo and float(both.value([2])) == 2
    mixed = induced_regularizer([U**2 + V * W], 9 * U**2 + V**2 + W**2, (U, V, W), symbols=(B,))
    for beta in (-2.0, 0.5, 3.0):
        assert float(mixed.value([beta])) == pytest.approx(2 * abs(beta), rel=1e-12)
        assert mixed.numeric([beta], starts=24).value == pytest.approx(2 * abs(beta), rel=1e-9)
    x = sp.Symbol("x")
    flat = derive_limiting_sde(fitted([x + V * W], (x, V, W))).induced_regularizer([x + V * W])
    assert flat.expression == sp.Rational(1, 4)
    kept = induced_regularizer(
        [U * x + V * W], U**2 + x**2 + V**2 + W**2, (U, V, W, x), symbols=(B,), domain=[U > 0, x > 0]
    )
    assert float(kept.value([-1])) == 2 == pytest.approx(kept.numeric([-1], starts=24).value, rel=1e-5)


def test_quotients_have_no_limit_at_zero() -> None:
    """u/v: R = u² + v² falls to 0 along the fibre, and attains it nowhere, since F has no value there."""
    found = induced_regularizer([U / V], U**2 + V**2, (U, V), symbols=(B,))
    assert found.expression == 0 and found.attainment.kind == "infinity"
    other = induced_regularizer([U / V], U**2 / V**2 + U**2, (U, V), symbols=(B,))
    assert other.attainment.kind == "infinity"
    free = induced_regularizer([U * V], W**2, (U, V, W), symbols=(B,))
    assert free.expression == 0 and free.attainment.kind == "attained"


def test_predictors_with_relations() -> None:
    """Entries that depend on each other: the formula is for β that some x predicts."""
    found = induced_regularizer([U * V, 2 * U * V], U**2 + V**2, (U, V))
    assert float(found.value([3, 6])) == 6 and any("not empty" in s for s in found.evidence.statements)


def test_what_was_divided_by_is_named() -> None:
    """(u − v)w is solved for w where b1 ≠ b2, and for no fewer β."""
    found = induced_regularizer([U, V, (U - V) * W], U**2 + W**2, (U, V, W))
    assert any("b1 - b2 ≠ 0" in s and "b1 ≠ 0" not in s for s in found.evidence.statements)
    assert float(found.value([3, 1, 4])) == 13


def test_a_misread_composition_is_seen() -> None:
    """Weights that are twice as large are not those of ∇²L."""
    derivation = derive_limiting_sde(fitted([U * V * W], (U, V, W))).derivation
    levels = derivation.problem.residuals
    assert _agrees(derivation, levels, [sp.S.One]) and not _agrees(derivation, levels, [sp.Integer(2)])


# --- refusals -------------------------------------------------------------------------------------


def test_refusals() -> None:
    """What is wrong is named."""
    sde = derive_limiting_sde(fitted([U * V * W], (U, V, W)))
    for predictor, message in (
        ([U * V], "does not determine the loss"),
        ([], "empty"),
        ([sp.Integer(2)], r"predictor\[0\]"),
        ({U * V}, "predictor is a set"),
        ([U * B], "b"),
    ):
        with pytest.raises(ValueError, match=message):
            sde.induced_regularizer(predictor)
    with pytest.raises(ValueError, match="symbols has 2"):
        sde.induced_regularizer([U * V * W], symbols=sp.symbols("b c"))
    with pytest.raises(ValueError, match="names u"):
        sde.induced_regularizer([U * V * W], symbols=(U,))
    found = sde.induced_regularizer([U * V * W])
    with pytest.raises(ValueError, match="2 values for the 1"):
        found.value([1, 2])
    with pytest.raises(ValueError, match="starts"):
        found.numeric([1], starts=0)
    with pytest.raises(ValueError, match="domain holds"):
        induced_regularizer([U * V], U**2 + V**2, (U, V), domain=[U + V > 1])


def test_constants_stay() -> None:
    """A constant of the noise is in the formula, which is verified with numbers for it."""
    s = sp.Symbol("s", positive=True)
    problem = Problem.least_squares([U * V - 1], parameters=(U, V), noise=LabelNoise(s), constants=(s,))
    found = derive_limiting_sde(problem).induced_regularizer([U * V], symbols=(B,))
    assert sp.simplify(found.expression - s**2 * sp.Abs(B) / 2) == 0 and found.evidence.verified == 24
    with pytest.raises(ValueError, match="numbers for s"):
        found.numeric([1])
