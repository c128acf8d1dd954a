"""H = FKFᵀ for functions that are stated, or that vanish on Γ, where the loss is not seen to be composed of them."""

import pytest
import sympy as sp
from comparison import compare

from symbolic_sgd import LabelNoise, Problem, derive_limiting_sde
from symbolic_sgd.theorem.canonical import shared_operations
from symbolic_sgd.theorem.normal_space import ComposedFrame

u, v, w = sp.symbols("u v w")
NOISE = sp.Matrix(3, 2, [1, u, v, 2, w, 1])
f, g, h = u * v - 1, w - u**2, u * v + w**2 - 1


@pytest.mark.parametrize(
    ("loss", "stated", "curvature", "point"),
    [
        (f**2 + f * g + g**2 + u * g**3, [f, g], [[2, 1], [1, 2]], [2, sp.Rational(1, 2), 4]),
        (h**2 + h**4, [h], [[2]], [2, sp.Rational(-3, 2), 2]),
        ((1 + w**2) * h**2, [h], [[2 + 2 * w**2]], [2, sp.Rational(-3, 2), 2]),
        ((1 + w**2) * h**2 + h**3, [h], [[2 + 2 * w**2]], [2, sp.Rational(-3, 2), 2]),
    ],
)
def test_a_loss_that_is_multiplied_out(loss, stated, curvature, point):
    problem = Problem(loss=sp.expand(loss), parameters=(u, v, w), noise=NOISE, manifold=stated)
    derivation = derive_limiting_sde(problem).derivation
    assert isinstance(derivation.normal_space, ComposedFrame)
    at = dict(zip((u, v, w), point, strict=True))
    frame = derivation.equations.expand("levels").jacobian((u, v, w)).T
    found = derivation.normal_space.curvature.expand("curvature")
    assert (frame * found * frame.T).subs(at) == sp.hessian(loss, (u, v, w)).subs(at)
    assert compare(problem, NOISE, [point], written=("drift",)).precise < 1e-30
    if len(stated) > 1:
        assert found == sp.Matrix(curvature)


def test_stated_equations_make_the_formula_short():
    """917 operations before, in powers of ∇²L."""
    loss = sp.expand(f**2 + f * g + g**2 + u * g**3)
    problem = Problem(loss=loss, parameters=(u, v, w), noise=NOISE, manifold=[f, g])
    sde = derive_limiting_sde(problem)
    assert shared_operations(list(sde.drift)) < 400
    assert "A₁" not in str(sde.structure) and "F eᵢ = ∇fᵢ" in str(sde.structure)


def test_more_residuals_than_codimension_leave_no_condition():
    """Six residuals, M = 4: the gradients of four of them were independent under a condition, a determinant of four rows."""
    us, vs = sp.symbols("u1 u2"), sp.symbols("v1 v2 v3")
    residuals = [a * b - (i + 1) * (j + 1) for i, a in enumerate(us) for j, b in enumerate(vs)]
    sde = derive_limiting_sde(Problem.least_squares(residuals, parameters=(*us, *vs), noise=LabelNoise(1)))
    assert sde.valid_where == () and isinstance(sde.derivation.normal_space, ComposedFrame)


def test_a_curvature_that_turns_is_none():
    """∂²h varies along Γ, and is not diagonal: H = FKFᵀ with K(x)."""
    loss = sp.expand(f**2 + u * f * g + (1 + u**2) * g**2)
    problem = Problem(loss=loss, parameters=(u, v, w), noise=NOISE, manifold=[f, g])
    assert not isinstance(derive_limiting_sde(problem).derivation.normal_space, ComposedFrame)
    assert compare(problem, NOISE, [[2, sp.Rational(1, 2), 4]]).precise < 1e-30
