"""The slow drift and covariance of any noisy map, by the derivatives of the map alone (no formula of the package).

z⁺ = G(z, εξ) with a normally attracting manifold of fixed points; B = ∂G, A = I − B, P the projection on ker A along range A, A^# the
group inverse, S = G_ξVG_ξᵀ, and C = E[B_ωCB_ωᵀ] + QSQᵀ on range Q. Then per ε²

    drift = ½A^#G″[PSPᵀ] + PG″[A^#QSPᵀ] + ½PG″[C] + ½P tr G_ξξ,   covariance PSPᵀ

(two derivatives of Φ∘G = Φ, for the limit Φ of the map's own iteration). The maps are written out here once more, with SymPy.
"""

from dataclasses import dataclass

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.differentiate import gradient, jacobian
from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.program import Program, evaluate
from symbolic_sgd.algebra.translation import from_sympy

BETA, RATE, WORKERS, STEPS, CORRELATION = sp.Rational(1, 2), sp.Rational(1, 16), 2, 2, sp.Rational(1, 3)


@dataclass(frozen=True)
class NoisyMap:
    """G as expressions in `state` (the parameters first) and `draws`, which are independent with variance 1."""

    state: tuple
    update: tuple
    draws: tuple


def gradient_at(loss, x, point):
    return [sp.diff(loss, a).xreplace(dict(zip(x, point, strict=True))) for a in x]


def _noise(sigma, x, point, draws):
    at = sigma.xreplace(dict(zip(x, point, strict=True)))
    return list(at * sp.Matrix(draws))


def maps(loss, sigma, x):
    """Name → (the optimizer's map, γ, steps of t in one)."""
    count, eta, beta = sigma.cols, RATE, BETA
    xi = sp.symbols(f"xi0:{count * WORKERS * STEPS}")
    m = sp.symbols(f"m0:{len(x)}")
    first = xi[:count]
    g = [a + b for a, b in zip(gradient_at(loss, x, x), _noise(sigma, x, x, first), strict=True)]
    heavy = [beta * a + b for a, b in zip(m, g, strict=True)]
    n = _noise(sigma, x, x, first)
    coloured = [CORRELATION * a + b for a, b in zip(m, n, strict=True)]
    slope = gradient_at(loss, x, x)
    ends = []
    for worker in range(WORKERS):
        y = list(x)
        for step in range(STEPS):
            own = xi[(worker * STEPS + step) * count : (worker * STEPS + step + 1) * count]
            force = zip(y, gradient_at(loss, x, y), _noise(sigma, x, y, own), strict=True)
            y = [a - eta * (b + c) for a, b, c in force]
        ends.append(y)
    move = lambda directions: [a - eta * b for a, b in zip(x, directions, strict=True)]  # noqa: E731
    return {
        "sgd": (NoisyMap(x, tuple(move(g)), first), eta, 1),
        "heavy_ball": (NoisyMap((*x, *m), (*move(heavy), *heavy), first), eta / (1 - beta), 1),
        "nesterov": (
            NoisyMap((*x, *m), (*move([a + beta * b for a, b in zip(g, heavy, strict=True)]), *heavy), first),
            eta / (1 - beta),
            1,
        ),
        "coloured_noise": (
            NoisyMap((*x, *m), (*move([a + b for a, b in zip(slope, coloured, strict=True)]), *coloured), first),
            eta,
            1,
        ),
        "local_sgd": (
            NoisyMap(x, tuple(sum(pair) / WORKERS for pair in zip(*ends, strict=True)), xi),
            eta,
            STEPS,
        ),
    }


def derivatives(noisy, point):
    """B, G″ (N×N×N), G_ξ and the trace of G_ξξ at a fixed point of G(·, 0), in float64."""
    graph = Graph()
    symbols = (*noisy.state, *noisy.draws)
    z, xi = [graph.symbol(s) for s in noisy.state], [graph.symbol(s) for s in noisy.draws]
    update = [from_sympy(e, graph) for e in noisy.update]
    first = jacobian(update, [*z, *xi])
    second = [e for row in first for e, a in zip(row, z, strict=False) for e in gradient(e, z)]
    curvature = [graph.total(gradient(row[len(z) + k], [a])[0] for k, a in enumerate(xi)) for row in first]
    program = Program.of(
        {"first": Matrix.of(first), "second": Matrix.column(second), "curvature": Matrix.column(curvature)}
    )
    values = dict.fromkeys(symbols, 0) | point
    found = evaluate(program, symbols, np.array([[float(values[s]) for s in symbols]]))
    n = len(z)
    slopes = found["first"].reshape(n, -1)
    return slopes[:, :n], found["second"].reshape(n, n, n), slopes[:, n:], found["curvature"].ravel()


def slow_motion(b, second, noise, curvature, tangent_dimension, further=()):
    """The drift and the covariance; `further` are the B_ω − B of a random map with their probabilities."""
    n = len(b)
    a = np.eye(n) - b
    left, _, right = np.linalg.svd(a)
    kernel, cokernel = right[-tangent_dimension:].T, left[:, -tangent_dimension:]
    p = kernel @ np.linalg.solve(cokernel.T @ kernel, cokernel.T)
    q, group = np.eye(n) - p, np.linalg.inv(a + p) - p
    s = noise @ noise.T
    inner = b - p
    operator = np.kron(inner, inner) + sum((w * np.kron(q @ d, q @ d) for w, d in further), np.zeros((n * n, n * n)))
    c = np.linalg.solve(np.eye(n * n) - operator, (q @ s @ q.T).reshape(-1)).reshape(n, n)
    cross = group @ q @ s @ p.T
    apply = lambda m: np.einsum("kij,ij->k", second, m)  # noqa: E731
    drift = group @ apply(p @ s @ p.T) / 2 + p @ (apply((cross + cross.T) / 2) + apply(c) / 2 + curvature / 2)
    return drift, p @ s @ p.T
