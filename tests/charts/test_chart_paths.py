"""Paths: the SDE in a chart and the one in ambient space, driven by the same Brownian motion, come together.

Euler–Maruyama on θ and Euler–Maruyama in R^D (put back on Γ after each step by Newton steps along the normal frame) both
have strong order ½, so that their distance shrinks like √h; it does not shrink where a drift is wrong.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import sympy as sp

from symbolic_sgd import Problem, derive_limiting_sde

TIME, FINEST, LEVELS, PATHS = 0.25, 2**9, 5, 200

u, v, w, z, t1, t2, t3 = sp.symbols("u v w z t1:4")


@dataclass(frozen=True)
class Case:
    """A problem by its equations g (L = ½|g|²), small dense noise, and a chart with a start."""

    name: str
    parameters: tuple
    equations: tuple
    noise: sp.Matrix
    coordinates: tuple
    embedding: dict | None
    start: tuple


def dense(parameters, columns):
    """σ_ij = ±(0.2 … 0.5) + 0.15 x_{i+j}, Ξ columns."""
    d = len(parameters)
    return sp.Matrix(
        d,
        columns,
        lambda i, j: sp.Rational((3 * i + 5 * j) % 7 - 3, 8) + sp.Rational(3, 20) * parameters[(i + j) % d],
    )


CASES = (
    Case(
        "hyperbola by exponentials",
        (u, v),
        (u * v - 1,),
        dense((u, v), 2),
        (t1,),
        {u: sp.exp(t1), v: sp.exp(-t1)},
        (0.3,),
    ),
    Case("quadric as a graph", (u, v, w), (u * v + w**2 - 1,), dense((u, v, w), 2), (u, w), None, (1.5, 0.3)),
    Case(
        "two hyperbolas",
        (u, v, w, z),
        (u * v - 1, w * z - 2),
        dense((u, v, w, z), 3),
        (t1, t2),
        {u: sp.exp(t1), v: sp.exp(-t1), w: sp.exp(t2), z: 2 * sp.exp(-t2)},
        (0.2, 0.4),
    ),
    Case(
        "overparametrised linear model",
        (u, v, w, z),
        (u**2 - v**2 + w**2 - z**2 - 1,),
        dense((u, v, w, z), 2),
        (t1, t2, t3),
        {
            u: sp.cosh(t1) * sp.cos(t2),
            w: sp.cosh(t1) * sp.sin(t2),
            v: sp.sinh(t1) * sp.cos(t3),
            z: sp.sinh(t1) * sp.sin(t3),
        },
        (0.9, 0.7, 0.5),
    ),
    Case(
        "quadric of dimension 3 as a graph",
        (u, v, w, z),
        (u * v + w**2 + z**2 / 2 - u * z / 3 - 1,),
        dense((u, v, w, z), 3),
        (u, w, z),
        None,
        (1.6, 0.3, -0.4),
    ),
)


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case.name)
def pair(request):
    """A case, its SDE, its chart, and the distances of their paths with the chart's own drift."""
    case = request.param
    loss = sum(g**2 for g in case.equations) / 2
    sde = derive_limiting_sde(Problem(loss=loss, parameters=case.parameters, noise=case.noise))
    chart = sde.in_chart(case.coordinates, embedding=case.embedding)
    return case, sde, chart, distances(case, sde, chart, chart.lambdify().drift)


def chart_path(drift: Callable, chart, start, increments, h):
    """θ(T) by Euler–Maruyama, as points of R^D."""
    f = chart.lambdify()
    theta = np.tile(np.array(start, float), (len(increments), 1))
    for k in range(increments.shape[1]):
        step = np.einsum("pij,pj->pi", f.diffusion(theta), increments[:, k])
        theta = theta + h * drift(theta) + step
    return f.embedding(theta)


def ambient_path(case, sde, start, increments, h):
    """Y(T) by Euler–Maruyama in R^D; after each step three Newton steps along the rows of ∂g."""
    f = sde.lambdify(check=False)
    g = sp.lambdify(case.parameters, case.equations)
    slopes = sp.lambdify(case.parameters, sp.Matrix(case.equations).jacobian(case.parameters).tolist())
    y = np.tile(start, (len(increments), 1))
    for k in range(increments.shape[1]):
        y = y + h * f.drift(y) + np.einsum("pij,pj->pi", f.diffusion(y), increments[:, k])
        for _ in range(3):
            value = np.stack([np.broadcast_to(e, len(y)) for e in g(*y.T)], axis=1)
            rows = [[np.broadcast_to(e, len(y)) for e in row] for row in slopes(*y.T)]
            j = np.array(rows).transpose(2, 0, 1)
            gram = j @ j.transpose(0, 2, 1)
            y = y - np.einsum("pmd,pm->pd", j, np.linalg.solve(gram, value[..., None])[..., 0])
    return y


def distances(case, sde, chart, drift):
    """The mean distance of both paths at T, for steps T/2^4 … T/2^8."""
    rng = np.random.default_rng(1)
    columns = case.noise.shape[1]
    fine = rng.standard_normal((PATHS, FINEST, columns)) * np.sqrt(TIME / FINEST)
    start = chart.lambdify().embedding(np.array(case.start))
    found, steps = [], []
    for level in range(LEVELS):
        merged = 2 ** (LEVELS - level)
        increments = fine.reshape(PATHS, FINEST // merged, merged, columns).sum(axis=2)
        h = TIME / (FINEST // merged)
        gap = chart_path(drift, chart, case.start, increments, h) - ambient_path(case, sde, start, increments, h)
        found.append(np.sqrt((gap**2).sum(axis=1)).mean())
        steps.append(h)
    return np.array(steps), np.array(found)


def order(steps, found):
    """The slope of ln distance against ln h."""
    return np.polyfit(np.log(steps), np.log(found), 1)[0]


def test_both_paths_come_together_at_order_one_half(pair):
    case, _, _, (steps, found) = pair
    print(f"{case.name}: order {order(steps, found):.3f}, distances {found.round(5)}")
    assert 0.4 < order(steps, found) < 1.2
    assert found[-1] < found[0] / 3


def test_a_wrong_drift_is_seen(pair):
    """Without ½ψ''[Σ_θ] in a parametrisation; without the rows J of the compensation in a graph chart."""
    case, sde, chart, (_, right) = pair
    steps, found = distances(case, sde, chart, _wrong_drift(case, sde, chart))
    print(f"{case.name}, wrong: order {order(steps, found):.3f}, distances {found.round(5)}")
    assert order(steps, found) < 0.35
    assert found[-1] > 3 * right[-1]


def _wrong_drift(case, sde, chart):
    f, g = sde.lambdify(check=False), chart.lambdify()
    if case.embedding is None:
        rows = [case.parameters.index(x) for x in case.coordinates]
        return lambda theta: (f.drift(x := g.embedding(theta)) - f.tangent_noise_compensation(x))[:, rows]
    slope = sp.lambdify(case.coordinates, chart.embedding.jacobian(case.coordinates).tolist())

    def uncorrected(theta):
        rows = [[np.broadcast_to(e, len(theta)) for e in row] for row in slope(*theta.T)]
        inverse = np.linalg.pinv(np.array(rows).transpose(2, 0, 1))
        return np.einsum("pij,pj->pi", inverse, f.drift(g.embedding(theta)))

    return uncorrected
