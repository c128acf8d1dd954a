"""A loss whose limit turns forever: L = (r² − 1)²/8 + ½ Σ_j a_j y_j² in five dimensions, noise variance s_j on y_j."""

import sympy as sp

from symbolic_sgd import Problem


def motor(theta):
    """The problem, and its circle as a parametrisation in θ.

    a_j = 2 + cos φ_j and s_j = 1 + sin φ_j with φ_j = θ − 2πj/3, as functions of x = r cos θ and y = r sin θ that are
    smooth at r = 0 and right at r = 1; the columns cos φ_j/√2 and (1 + sin φ_j)/√2 have squares that add up to s_j.
    """
    x, y, *rest = sp.symbols("x y y1:4")
    loss, noise = (x**2 + y**2 - 1) ** 2 / 8, sp.zeros(5, 6)
    for j, height in enumerate(rest):
        shift = 2 * sp.pi * (j + 1) / 3
        cosine, sine = x * sp.cos(shift) + y * sp.sin(shift), y * sp.cos(shift) - x * sp.sin(shift)
        loss += (2 + cosine) * height**2 / 2
        noise[2 + j, 2 * j] = cosine / sp.sqrt(2)
        noise[2 + j, 2 * j + 1] = (1 + sine) / sp.sqrt(2)
    embedding = {x: sp.cos(theta), y: sp.sin(theta), **dict.fromkeys(rest, sp.S.Zero)}
    return Problem(loss=loss, parameters=(x, y, *rest), noise=noise), embedding
