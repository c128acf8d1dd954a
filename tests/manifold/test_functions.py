"""Losses that are functions of M inner functions: H = F K Fᵀ with K = ∂²h, against the literal theorem, which sees the loss only."""

import pytest
import sympy as sp
from comparison import compare

from symbolic_sgd import IsotropicNoise, Problem, derive_limiting_sde
from symbolic_sgd.algebra.convexity import is_convex
from symbolic_sgd.manifold.rewriting import rewritten
from symbolic_sgd.theorem.normal_space import ComposedFrame
from symbolic_sgd.theorem.structural_lines import agrees

u, v, w, x = sp.symbols("u v w x", real=True)
a, q, r = sp.symbols("a q r", positive=True)
NOISE = sp.Matrix([[1, u], [v, 2], [w, u], [x, v]])


def softmax(labels: tuple[int, ...]) -> list:
    logits = [u * v, u * w, v * x]
    together = sp.log(sum(map(sp.exp, logits)))
    return [together - logits[label] for label in labels]


def mean(losses: list) -> sp.Expr:
    return sp.Add(*losses) / len(losses)


LOSSES = {
    "softmax": (mean(softmax((0, 1, 1, 2))), 2, True),
    "Poisson": (sp.exp(u * v) - 5 * u * v + sp.exp(u * v + w * x) / 2 - 3 * w * x, 2, True),
    "v is no rational": (sp.exp(u * v) + (u * v - w * x) ** 2 / 2 + (u * v - 2) ** 2 / 2, 2, True),
    "two targets": ((u * v - 1) ** 2 + (u * v + w * x - 3) ** 2 / 2 + (u * v - 2) ** 2 + (w * x - 1) ** 2, 2, True),
    "several values of g": (-sp.cos(u * v - 1) + (w * x - u * v) ** 2 / 2, 2, False),
}


@pytest.mark.parametrize("name", LOSSES)
def test_against_the_literal_theorem(name: str) -> None:
    loss, codimension, convex = LOSSES[name]
    problem = Problem(loss=loss, parameters=(u, v, w, x), noise=NOISE)
    derivation = derive_limiting_sde(problem).derivation
    assert isinstance(derivation.normal_space, ComposedFrame) and derivation.normal_space.rigid
    assert derivation.codimension == codimension
    assert derivation.component is None or not convex
    points = [[point[s] for s in (u, v, w, x)] for point in derivation.points[:2]]
    assert compare(problem, NOISE, points, written=("drift",)).precise < 1e-30


@pytest.mark.parametrize("name", LOSSES)
def test_the_formulas_in_vectors_are_those_of_functions(name: str) -> None:
    sde = derive_limiting_sde(Problem(loss=LOSSES[name][0], parameters=(u, v, w, x), noise=NOISE))
    assert sde.structure.third is None and agrees(sde.derivation, sde.structure)


def test_redrawn_labels_of_softmax() -> None:
    """Σ = ∇²L where labels are redrawn with the frequencies of the data: K = diag(p) − ppᵀ, and R = ¼ tr ∇²L."""
    labels = (0, 1, 1, 2)
    problem = Problem.from_sample_losses(softmax(labels), parameters=(u, v, w, x))
    sde = derive_limiting_sde(problem)
    assert sde.regularizer_evidence.words == "R = (c/4) tr ∇²L"
    p = [sp.Rational(labels.count(k), 4) for k in range(3)]
    k = sde.derivation.normal_space.curvature.expand("curvature")
    assert k == sp.Matrix(2, 2, lambda i, j: p[i] * (int(i == j) - p[j]))
    slopes = [sp.Matrix([sp.diff(logit, s) for s in (u, v, w, x)]) for logit in (u * v, u * w, v * x)]
    middle = sum((c * s for c, s in zip(p, slopes, strict=True)), sp.zeros(4, 1))
    trace = sum(c * (s - middle).dot(s - middle) for c, s in zip(p, slopes, strict=True))
    assert sp.expand(sde.regularizer - trace / 4) == 0


@pytest.mark.parametrize(
    ("loss", "written"),
    [
        (sp.expand((u * v - 1) ** 2 / 2), (u * v - 1) ** 2 / 2),
        (u**2 * v**2 - u * v, (u * v - sp.Rational(1, 2)) ** 2 - sp.Rational(1, 4)),
        (sp.expand((u**2 + v**2 - 1) ** 2), (u**2 + v**2 - 1) ** 2),
        (sp.expand((u * v - 1) ** 2 + (w * x - 2) ** 2 / 2), (u * v - 1) ** 2 + (w * x - 2) ** 2 / 2),
        (sp.expand((u * v - a) ** 2), (u * v - a) ** 2),
        (u**2 * v**2 + u, u**2 * v**2 + u),  # lowest nowhere
        ((1 + u**2 + v**2) * w**2, (1 + u**2 + v**2) * w**2),  # one term, and three squares
        (u**2 * v**2 - u**2, u**2 * v**2 - u**2),  # no sum of squares
        (u**4 + 2 * u**3 + u**2, u**4 + 2 * u**3 + u**2),  # (u² + u)²: u² is u·u, or itself
        (sp.log(sp.exp(u) + sp.exp(v)) - u, sp.log(sp.exp(u - v) + 1) - u + v),
        (sp.log(1 + sp.exp(u * v) + sp.exp(w)) - u, sp.log(1 + sp.exp(u * v) + sp.exp(w)) - u),
    ],
)
def test_a_problem_is_rewritten_as_the_same_function(loss: sp.Expr, written: sp.Expr) -> None:
    constants = (a,) if loss.has(a) else ()
    problem = Problem(loss=loss, parameters=(u, v, w, x), constants=constants, noise=IsotropicNoise(1))
    found = rewritten(problem).loss
    assert sp.expand(found - written) == 0 and found == written
    at = {u: sp.Rational(1, 3), v: sp.Rational(2, 5), w: sp.Rational(-1, 7), x: 2, a: 3}
    assert abs(sp.N((found - loss).xreplace(at), 40)) < 1e-38


SQUARES = [
    ([u * v - 1], (u, v)),
    ([u**2 + v**2 - 1], (u, v)),
    ([u**2 * v - 1], (u, v)),
    ([u * v * w - 1], (u, v, w)),
    ([u * v - 1, u * w - 2], (u, v, w)),
    ([u**2 - v**2 - 1, v * w - 2], (u, v, w)),
    ([u * v + w * x - 1], (u, v, w, x)),
    ([u**2 + v**2 - w**2 - 1], (u, v, w)),
    ([u * v - 1, w * x - 2], (u, v, w, x)),
    ([u**2 + 2 * v**2 + 3 * w**2 - 1], (u, v, w)),
]


@pytest.mark.parametrize(("residuals", "parameters"), SQUARES)
def test_squares_multiplied_out_give_the_same_formulas(residuals: list, parameters: tuple) -> None:
    stated = sp.Add(*(r**2 for r in residuals)) / 2
    sdes = [
        derive_limiting_sde(Problem(loss=loss, parameters=parameters, noise=IsotropicNoise(1)))
        for loss in (stated, sp.expand(stated))
    ]
    assert str(sdes[0].drift) == str(sdes[1].drift)
    assert sdes[0].structure == sdes[1].structure


@pytest.mark.parametrize(
    ("expression", "convex"),
    [
        (a * u**2 + sp.exp(-u) - 3 * u, True),
        (u**2 - 3 * u * v + 3 * v**2, True),
        (u**2 - 3 * u * v + v**2, False),
        (-sp.log(1 - u) - 2 * sp.log(u + v), True),
        (sp.log(1 + sp.exp(u - v) + 3 * sp.exp(v)) - u, True),
        (sp.log(1 - sp.exp(u)), False),
        (sp.log(u), False),
        (sp.exp(u) * v, False),
        (u**3, False),
        (sp.cosh(2 * u - v), True),
        (sp.log(sp.cosh(2 * u - v)), True),
        (sp.sqrt((u - v) ** 2 + 3 * u**2 + 1), True),
        (sp.sqrt((u - v) ** 2 - 3 * u**2 + 1), False),
        (sp.sqrt(u), False),
        (-sp.log(sp.cosh(u)), False),
        (-sp.exp(u), False),
        ((1 + u) ** 4, True),
        (1 / u**2, False),
    ],
)
def test_convexity(expression: sp.Expr, convex: bool) -> None:
    assert is_convex(expression, [u, v]) == convex
