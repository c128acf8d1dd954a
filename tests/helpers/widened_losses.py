"""Widened random losses, each determined by its seed: what users state, and what its author knows of Γ.

A loss is drawn in four steps: its shape (smooth sums, kinks inside cells, residuals that do not vanish, sample losses,
softmax, logistic and Poisson losses, several components, steep places), its noise, the units of residuals, parameters or
data (10⁻⁶ … 10⁶), and how it is stated (by loss, residuals or sample losses; with near=, manifold= and constants or not).

The loss and σ are written out here; nothing of the package is used for them, so that they are the other road of a test.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import numpy as np
import sympy as sp
from random_losses import OUTER_LOSSES, form, monomial, noise_entry, positive_rational, small, vanishing_sum

from symbolic_sgd import IsotropicNoise, LabelNoise, Problem

WORST_CONDITION = 50
SINGULAR_VALUES = (0.2, 20)

CLEAR = 0.15
"""The argument of a kink at the known point is at least this."""

LARGEST_POWER = 6
"""Units go up to 10 to this power."""

Point = dict[sp.Symbol, Any]


@dataclass(frozen=True)
class Part:
    """A part of Γ: M equations that vanish on it, and starts from which Newton's method finds points of it."""

    equations: tuple[sp.Expr, ...]
    starts: tuple[Point, ...]


@dataclass(frozen=True)
class Shape:
    """A loss without its noise.

    Args:
        kind: in words.
        parts: what is known of Γ; the first start of the first part lies on it exactly.
        residuals: r_1 … r_n with L = Σ r_i²/2n, or ().
        samples: ℓ_ξ with L = Σ p_ξ ℓ_ξ, or ().
        weights: p_ξ.
        redrawn: σ of redrawn labels, where the loss is a negative log-likelihood, else None.
    """

    kind: str
    parameters: tuple[sp.Symbol, ...]
    loss: sp.Expr
    parts: tuple[Part, ...]
    residuals: tuple[sp.Expr, ...] = ()
    samples: tuple[sp.Expr, ...] = ()
    weights: tuple[sp.Rational, ...] = ()
    redrawn: sp.Matrix | None = None


@dataclass(frozen=True)
class WidenedLoss:
    """A problem and the truth about it.

    Args:
        seed: its number.
        kind, noise, units: in words.
        parameters: x_1 … x_D.
        loss: L without constants (they have their values).
        sigma: σ, D×Ξ, likewise.
        parts: what is known of Γ.
        stated: arguments of `Problem`, or of the constructor named in `entry`.
        constants: values of the constants that the statement keeps as symbols.
        told: the start named with near=, or None.
    """

    seed: int
    kind: str
    noise: str
    units: str
    parameters: tuple[sp.Symbol, ...]
    loss: sp.Expr
    sigma: sp.ImmutableDenseMatrix
    parts: tuple[Part, ...]
    entry: str
    stated: dict[str, Any] = field(hash=False)
    constants: dict[sp.Symbol, sp.Rational] = field(hash=False)
    told: Point | None = field(hash=False)

    def problem(self) -> Problem:
        """The problem as it is stated to the package."""
        return {"loss": Problem, "residuals": Problem.least_squares, "samples": Problem.from_sample_losses}[self.entry](
            **self.stated
        )


def widened_loss(seed: int) -> WidenedLoss:
    """The loss number `seed`."""
    rng = Random(f"widened {seed}")
    shape = _chosen(rng, SHAPES)(rng)
    noise = _noise(rng, shape)
    drawn = _in_units(rng, seed, shape, noise)
    return _stated(rng, drawn)


def _chosen(rng: Random, table: Sequence[tuple[float, Any]]) -> Any:
    """A row of a table of (weight, value)."""
    return rng.choices([value for _, value in table], [weight for weight, _ in table])[0]


# --- equations of Γ ---------------------------------------------------------------------------


def _parameters(rng: Random, least: int = 2, most: int = 5) -> tuple[sp.Symbol, ...]:
    return _symbols(rng, f"x1:{rng.randint(least, most) + 1}")


def _symbols(rng: Random, names: str) -> tuple[sp.Symbol, ...]:
    """Symbols as users make them: with the assumption that they are real, or without any."""
    return sp.symbols(names, real=True if rng.random() < 0.4 else None)


def _codimension(rng: Random, parameters: tuple, most: int = 3) -> int:
    return rng.randint(1, min(most, len(parameters) - 1))


def _equations(
    rng: Random, parameters: tuple, count: int, draw: Callable[[Random, tuple, Point], sp.Expr] = vanishing_sum
) -> tuple[Point, tuple[sp.Expr, ...]]:
    """A rational point and equations that vanish there, with every parameter in one of them and a well-conditioned ∂g."""
    while True:
        near = {p: sp.Rational(rng.choice((-1, 1)) * rng.randint(1, 4), 3) for p in parameters}
        equations = tuple(draw(rng, parameters, near) for _ in range(count))
        if sp.Tuple(*equations).free_symbols == set(parameters) and _well_conditioned(parameters, near, equations):
            return near, equations


def _well_conditioned(parameters: tuple, near: Point, equations: tuple[sp.Expr, ...]) -> bool:
    """∂g at the point, by differences, has singular values of order one with condition at most 50."""
    function, x = sp.lambdify(parameters, list(equations), "math"), np.array([float(near[p]) for p in parameters])
    rows = np.array([np.subtract(function(*(x + e)), function(*(x - e))) / 2e-6 for e in 1e-6 * np.eye(len(x))])
    singular = np.linalg.svd(rows, compute_uv=False)
    smallest, largest = SINGULAR_VALUES
    return largest >= singular[0] and singular[-1] >= max(smallest, singular[0] / WORST_CONDITION)


def _polynomial(rng: Random, parameters: tuple, near: Point) -> sp.Expr:
    """A sum of two or three monomials of degree at most 3, less its value at the point."""
    total = sum(
        rng.choice((-1, 1)) * positive_rational(rng, 1, 4, 2) * monomial(rng, parameters, rng.randint(1, 3))
        for _ in range(rng.randint(2, 3))
    )
    return sp.expand(total - total.subs(near))


def _kinked_sum(rng: Random, parameters: tuple, near: Point) -> sp.Expr:
    """p(x) + c k(x) less its value at the point, where k has a kink elsewhere."""
    while True:
        inside, other = form(rng, parameters), form(rng, parameters) + small(rng)
        if abs(inside.subs(near)) > CLEAR and abs((inside - other).subs(near)) > CLEAR:
            break
    kink = rng.choice(
        (
            lambda: sp.Max(0, inside),
            lambda: sp.Abs(inside),
            lambda: sp.Max(0, inside) * rng.choice(parameters),
            lambda: sp.Min(inside, other),
            lambda: sp.Max(inside, other),
            lambda: sp.Abs(inside) * rng.choice(parameters),
            lambda: sp.Max(inside, inside / 10),
            lambda: sp.sign(inside) * other,
        )
    )()
    total = vanishing_sum(rng, parameters, near) + rng.choice((-1, 1)) * positive_rational(rng, 1, 3, 2) * kink
    return total - total.subs(near)


# --- shapes -----------------------------------------------------------------------------------


def _of_equations(
    rng: Random, kind: str, parameters: tuple, near: Point, equations: tuple[sp.Expr, ...], others: tuple = ()
) -> Shape:
    """Σ w ℓ(g), or Σ g²/2n, with Γ = {g = 0}."""
    parts = (Part(equations, (near,)), *others)
    if rng.random() < 0.35:
        return Shape(kind, parameters, _half_mean_square(equations), parts, residuals=equations)
    loss = sum(positive_rational(rng, 1, 6, 2) * rng.choice(OUTER_LOSSES)(g) for g in equations)
    return Shape(kind, parameters, loss, parts)


def _half_mean_square(residuals: Sequence[sp.Expr]) -> sp.Expr:
    return sp.Add(*[r**2 for r in residuals]) / (2 * len(residuals))


def _smooth(rng: Random) -> Shape:
    parameters = _parameters(rng)
    return _of_equations(rng, "smooth", parameters, *_equations(rng, parameters, _codimension(rng, parameters)))


def _kinked(rng: Random) -> Shape:
    parameters = _parameters(rng)
    near, equations = _equations(rng, parameters, _codimension(rng, parameters), _kinked_sum)
    return _of_equations(rng, "kinks", parameters, near, equations)


def _network(rng: Random) -> Shape:
    """Σ_j a_j φ(w_j·z_i) = y_i, φ = ReLU, leaky ReLU or |·|: data so that a rational point lies in a cell's inside."""
    neurons, inputs = rng.choice(((1, 1), (2, 1), (1, 2), (1, 3), (1, 4)))
    parameters = _symbols(rng, f"a1:{neurons + 1} w1:{neurons + 1}_1:{inputs + 1}")
    outer, rest = parameters[:neurons], parameters[neurons:]
    inner = [rest[j * inputs : (j + 1) * inputs] for j in range(neurons)]
    activation = rng.choice((lambda a: sp.Max(0, a), lambda a: sp.Max(a, a / 10), sp.Abs))
    while True:
        samples = _codimension(rng, parameters, 2)
        near = {p: sp.Rational(rng.choice((-1, 1)) * rng.randint(1, 4), 3) for p in parameters}
        data = [[rng.choice((-2, -1, 1, 2)) for _ in range(inputs)] for _ in range(samples)]
        slots = [[sum(z * x for z, x in zip(row, ws, strict=True)) for ws in inner] for row in data]
        if any(abs(slot.subs(near)) < CLEAR for row in slots for slot in row):
            continue
        outputs = [sum(a * activation(slot) for a, slot in zip(outer, row, strict=True)) for row in slots]
        equations = tuple(output - output.subs(near) for output in outputs)
        if _well_conditioned(parameters, near, equations):
            break
    return Shape("network", parameters, _half_mean_square(equations), (Part(equations, (near,)),), residuals=equations)


def _regression(rng: Random) -> Shape:
    """Residuals Ag − e with more samples than equations and Aᵀe = 0, so that Γ = {g = 0} though they do not vanish."""
    parameters = _parameters(rng, 2, 4)
    near, equations = _equations(rng, parameters, _codimension(rng, parameters, 2))
    rows = len(equations) + rng.randint(1, 2)
    while True:
        matrix = sp.Matrix(rows, len(equations), lambda i, j: rng.randint(-3, 3))
        kernel = matrix.T.nullspace()
        if matrix.rank() == len(equations):
            break
    rest = sum((rng.choice((-1, 1)) * positive_rational(rng, 1, 2, 2) * column for column in kernel), sp.zeros(rows, 1))
    residuals = tuple(matrix * sp.Matrix(equations) - rest)
    return _half_fitted(rng, "regression", parameters, (Part(equations, (near,)),), residuals)


def _half_fitted(rng: Random, kind: str, parameters: tuple, parts: tuple[Part, ...], residuals: tuple) -> Shape:
    """Squares of residuals as a loss, as residuals, or as samples; expanded now and then."""
    if rng.random() < 0.3:
        residuals = tuple(map(sp.expand, residuals))
    loss = _half_mean_square(residuals)
    samples = tuple(r**2 / 2 for r in residuals)
    if rng.random() < 0.2:
        loss, samples = sp.expand(loss), tuple(map(sp.expand, samples))
    uniform = (sp.Rational(1, len(residuals)),) * len(residuals)
    return Shape(kind, parameters, loss, parts, residuals if rng.random() < 0.6 else (), samples, uniform)


def _two_targets(rng: Random) -> Shape:
    """Samples ℓ(f − t_k) of each f, with targets about the value that f has on Γ: the residuals do not vanish."""
    parameters = _parameters(rng, 2, 4)
    near, equations = _equations(
        rng, parameters, _codimension(rng, parameters, 2), rng.choice((vanishing_sum, _polynomial))
    )
    part = Part(equations, (near,))
    if rng.random() < 0.5:  # squares: any targets with a weighted mean of zero
        weights = _weights(rng, rng.randint(2, 3))
        targets = [_centred(rng, weights) for _ in equations]
        samples = [
            sum((g - row[k]) ** 2 / 2 for g, row in zip(equations, targets, strict=True)) for k in range(len(weights))
        ]
    else:  # an even loss: targets that come in pairs
        weights = (sp.Rational(1, 2),) * 2
        outer = rng.choice((lambda r: sp.cosh(r), lambda r: sp.log(sp.cosh(r)), lambda r: sp.sqrt(1 + r**2)))
        shifts = [positive_rational(rng, 1, 2, 4) for _ in equations]
        samples = [sum(outer(g - sign * s) for g, s in zip(equations, shifts, strict=True)) for sign in (1, -1)]
    if rng.random() < 0.3:
        samples = [sp.expand(sample) for sample in samples]
    loss = sp.Add(*[w * sample for w, sample in zip(weights, samples, strict=True)])
    return Shape("two targets", parameters, loss, (part,), (), tuple(samples), weights)


def _weights(rng: Random, count: int) -> tuple[sp.Rational, ...]:
    """Positive rationals with sum 1, equal half of the time."""
    parts = [1 if rng.random() < 0.5 else rng.randint(1, 4) for _ in range(count)]
    return tuple(sp.Rational(part, sum(parts)) for part in parts)


def _centred(rng: Random, weights: Sequence[sp.Rational]) -> list[sp.Rational]:
    """Numbers of weighted mean zero."""
    numbers = [rng.choice((-1, 1)) * positive_rational(rng, 1, 3, 2) for _ in weights]
    mean = sum(w * t for w, t in zip(weights, numbers, strict=True))
    return [t - mean for t in numbers]


def _sampled(rng: Random) -> Shape:
    """Samples that all vanish on Γ (interpolation), or that differ there by fluctuations c_ξ h with E c = 0."""
    parameters = _parameters(rng, 2, 5)
    near, equations = _equations(rng, parameters, _codimension(rng, parameters))
    part = Part(equations, (near,))
    count = rng.randint(max(2, len(equations)), len(equations) + 2)
    weights = _weights(rng, count)
    if rng.random() < 0.4:
        while True:
            mixture = sp.Matrix(count, len(equations), lambda i, j: rng.randint(-2, 2))
            if mixture.rank() == len(equations) and not any(mixture.row(i).is_zero_matrix for i in range(count)):
                break
        outer = rng.choice(OUTER_LOSSES)
        samples = [outer(sum(c * g for c, g in zip(mixture.row(i), equations, strict=True))) for i in range(count)]
        kind = "interpolating samples"
    else:
        base = sum(positive_rational(rng, 1, 4, 2) * rng.choice(OUTER_LOSSES)(g) for g in equations)
        rest = vanishing_sum(rng, parameters, near)
        samples = [base + c * rest for c in _centred(rng, weights)]
        kind = "fluctuating samples"
    loss = sp.Add(*[w * sample for w, sample in zip(weights, samples, strict=True)])
    return Shape(kind, parameters, loss, (part,), (), tuple(samples), weights)


def _softmax(rng: Random) -> Shape:
    """−Σ p_k log softmax_k(z), z_k = g_k + log(p_k/p_0), z_0 = 0: labels are redrawn with probabilities p."""
    parameters = _parameters(rng, 2, 4)
    near, equations = _equations(rng, parameters, _codimension(rng, parameters, 2))
    shares = _weights(rng, len(equations) + 1)
    slots = [sp.S.Zero, *(g + sp.log(p / shares[0]) for g, p in zip(equations, shares[1:], strict=True))]
    total = sp.log(sp.Add(*[sp.exp(z) for z in slots]))
    samples = tuple(total - z for z in slots)
    loss = sp.Add(total, *[-p * z for p, z in zip(shares, slots, strict=True)])
    return Shape("softmax", parameters, loss, (Part(equations, (near,)),), (), samples, shares)


def _logistic(rng: Random) -> Shape:
    """Σ log(1 + e^z) − p z: labels with probability p, redrawn: σ_i = √(p(1 − p)) ∇z_i."""
    parameters = _parameters(rng, 2, 4)
    near, equations = _equations(rng, parameters, _codimension(rng, parameters))
    loss, columns = sp.S.Zero, []
    for g in equations:
        p = sp.Rational(rng.randint(1, 4), 5) if rng.random() < 0.6 else sp.Rational(1, 2)
        z = g + sp.log(p / (1 - p))
        softplus = sp.log(1 + sp.exp(z)) if rng.random() < 0.7 else sp.log(1 + sp.exp(-z)) + z
        loss += softplus - p * z
        columns.append(sp.sqrt(p * (1 - p)) * slope(g, parameters))
    return Shape("logistic", parameters, loss, (Part(equations, (near,)),), redrawn=sp.Matrix.hstack(*columns))


def _poisson(rng: Random) -> Shape:
    """Σ e^z − λz, or Σ r − λ log r with a rate r: counts of mean λ, redrawn."""
    parameters = _parameters(rng, 2, 4)
    near, equations = _equations(rng, parameters, _codimension(rng, parameters))
    loss, columns = sp.S.Zero, []
    for g in equations:
        mean = positive_rational(rng, 1, 4, 2)
        if rng.random() < 0.6:
            loss += sp.exp(g + sp.log(mean)) - mean * (g + sp.log(mean))
            columns.append(sp.sqrt(mean) * slope(g, parameters))
        else:
            rate = g + mean
            loss += rate - mean * sp.log(rate)
            columns.append(sp.sqrt(mean) * slope(g, parameters) / rate)
    return Shape("Poisson", parameters, loss, (Part(equations, (near,)),), redrawn=sp.Matrix.hstack(*columns))


def _product(rng: Random) -> Shape:
    """A product of factors, each zero on a part of Γ; multiplied out, or not."""
    parameters = _parameters(rng, 2, 4)
    draw = rng.choice((_polynomial, _polynomial, vanishing_sum))
    near, (first,) = _equations(rng, parameters, 1, draw)
    style = rng.choice(("two", "two", "parallel", "three", "codimensions", "curve"))
    factors = [first]
    if style == "parallel":
        factors.append(first - rng.choice((-1, 1)) * positive_rational(rng, 1, 6, 2))
    elif style == "curve":
        factors.append(_round(rng, parameters))
    else:
        for _ in range(2 if style == "three" else 1):
            factors.append(draw(rng, parameters, near) + rng.choice((-1, 1)) * positive_rational(rng, 1, 8, 3))
    starts = (near, *_elsewhere(rng, parameters))
    parts = tuple(Part((factor,), starts) for factor in factors)
    if style == "codimensions" and len(parameters) > 2:
        second = draw(rng, parameters, near)
        if _well_conditioned(parameters, near, (first, second)):
            parts = (Part((first, second), starts), *parts[1:])
            loss = (first**2 + second**2) * factors[1] ** 2 / 2
            return Shape("parts of different codimension", parameters, loss, parts)
    product = sp.Mul(*factors)
    if draw is _polynomial and rng.random() < 0.6:
        product = sp.expand(product)
    weight = rng.choice((sp.S.One, sp.S.One, positive_rational(rng, 1, 4, 1) + rng.choice(parameters) ** 2))
    if rng.random() < 0.25:
        return Shape(f"product ({style})", parameters, product**2 / 2, parts, residuals=(product,))
    outer = rng.choice((lambda f: f**2 / 2, lambda f: f**2 / 2, lambda f: sp.cosh(f) - 1, lambda f: sp.log(1 + f**2)))
    loss = weight * outer(product)
    if draw is _polynomial and loss.is_polynomial(*parameters) and rng.random() < 0.3:
        loss = sp.expand(loss)
    return Shape(f"product ({style})", parameters, loss, parts)


def _round(rng: Random, parameters: tuple) -> sp.Expr:
    """A sphere, an ellipsoid or a hyperboloid somewhere."""
    squares = [
        rng.choice((1, 1, 2, -1)) * (p - rng.randint(-6, 6)) ** 2
        for p in rng.sample(parameters, rng.randint(2, len(parameters)))
    ]
    return sum(squares) - rng.choice((1, 2, 4))


def _elsewhere(rng: Random, parameters: tuple, count: int = 2) -> tuple[Point, ...]:
    """Points anywhere."""
    return tuple({p: sp.Rational(rng.randint(-60, 60), 10) for p in parameters} for _ in range(count))


def _periodic(rng: Random) -> Shape:
    """sin², tan² or 1 − cos of g: parts g = kπ or 2kπ."""
    parameters = _parameters(rng, 2, 4)
    near, equations = _equations(
        rng, parameters, _codimension(rng, parameters, 2), rng.choice((vanishing_sum, _polynomial))
    )
    outer, period = rng.choice(
        (
            (lambda g: sp.sin(g) ** 2 / 2, sp.pi),
            (lambda g: sp.tan(g) ** 2 / 2, sp.pi),
            (lambda g: 1 - sp.cos(g), 2 * sp.pi),
            (lambda g: sp.sin(g / 2) ** 2, 2 * sp.pi),
        )
    )
    first, *rest = equations
    loss = positive_rational(rng, 1, 4, 2) * outer(first) + sum(rng.choice(OUTER_LOSSES)(g) for g in rest)
    starts = (near, *_elsewhere(rng, parameters, 1))
    parts = tuple(Part((first - k * period, *rest), starts) for k in (0, 1, -1, 2))
    residuals = ()
    if not rest and rng.random() < 0.3:
        residuals = (rng.choice((sp.sin, sp.tan))(first),)
        loss = residuals[0] ** 2 / 2
        parts = tuple(Part((first - k * sp.pi,), starts) for k in (0, 1, -1, 2))
    return Shape("periodic", parameters, loss, parts, residuals=residuals)


def _steep(rng: Random) -> Shape:
    """A connected Γ with a place at u = c where stiffness or position change within 1/20, and flat elsewhere."""
    parameters = u, v, *_ = _parameters(rng, 2, 3)
    centre, rate = rng.choice((-8, 7, 10, 20)), rng.choice((20, 30, 60))
    step = sp.tanh(rate * (u - centre))
    bump = sp.exp(-rate * (u - centre) ** 2)
    stiffness = rng.choice((sp.S.One, 3 + step, 2 + bump, 2 + u**2 / 100, 1 + 1 / (1 + rate * (u - centre) ** 2)))
    position = rng.choice((sp.S.Zero, sp.S.Zero, step, 2 * bump, bump * u / 3))
    if stiffness == 1 and position == 0:
        stiffness = 3 + step
    equations = [v - position]
    loss = stiffness * equations[0] ** 2 / 2
    if len(parameters) == 3 and rng.random() < 0.5:
        equations.append(parameters[2] - small(rng) * u)
        loss += rng.choice((1, 2, 3 + step)) * equations[1] ** 2 / 2
    elif len(parameters) == 3:
        loss = loss * (2 + sp.sin(parameters[2]))
    base = dict.fromkeys(parameters, sp.S.Zero)
    near = sp.Integer(rng.choice((0, 1, centre)))
    starts = []
    for place in (near, sp.Integer(centre), sp.Rational(20 * centre + 1, 20), sp.Integer(centre + 2), sp.Integer(1)):
        at = base | {u: place} | ({parameters[2]: sp.Rational(1, 3)} if len(parameters) == 3 else {})
        starts.append(at | {v: position.subs(at)})
    return Shape("steep", parameters, loss, (Part(tuple(equations), tuple(starts)),))


SHAPES: tuple[tuple[float, Callable[[Random], Shape]], ...] = (
    (18, _smooth),
    (10, _kinked),
    (6, _network),
    (6, _regression),
    (8, _two_targets),
    (9, _sampled),
    (6, _softmax),
    (5, _logistic),
    (5, _poisson),
    (12, _product),
    (8, _periodic),
    (7, _steep),
)
"""Shapes and how often they are drawn, in per cent."""


# --- the noise --------------------------------------------------------------------------------


@dataclass(frozen=True)
class DrawnNoise:
    """σ written out, and how it is stated: None as the matrix, else a constructor's name and its argument."""

    words: str
    sigma: sp.Matrix
    stated: tuple[str, Any] | None = None


def _noise(rng: Random, shape: Shape) -> DrawnNoise:
    if shape.samples and (rng.random() < 0.6 or not shape.residuals):
        if rng.random() < 0.75:
            return DrawnNoise("samples", sampling_factor(shape), ("samples", None))
    elif shape.residuals and rng.random() < 0.45:
        amplitude = positive_rational(rng, 1, 3, 2)
        return DrawnNoise("label", label_factor(shape.residuals, shape.parameters, amplitude), ("label", amplitude))
    elif shape.redrawn is not None and rng.random() < 0.6:
        return DrawnNoise("redrawn labels", shape.redrawn)
    return _chosen(rng, NOISES)(rng, shape)


def sampling_factor(shape: Shape) -> sp.Matrix:
    """σ_ξ = √p_ξ (∇ℓ_ξ − ∇L)."""
    slopes = [slope(sample, shape.parameters) for sample in shape.samples]
    mean = sum((p * s for p, s in zip(shape.weights, slopes, strict=True)), sp.zeros(len(shape.parameters), 1))
    return sp.Matrix.hstack(*[sp.sqrt(p) * (s - mean) for p, s in zip(shape.weights, slopes, strict=True)])


def label_factor(residuals: Sequence[sp.Expr], parameters: tuple, amplitude: sp.Expr) -> sp.Matrix:
    """((r_i ± δ)∇r_i − ∇L)/√(2n), one column for each sample and sign."""
    slopes = [slope(r, parameters) for r in residuals]
    mean = sum((r * s for r, s in zip(residuals, slopes, strict=True)), sp.zeros(len(parameters), 1)) / len(residuals)
    columns = [(r + sign * amplitude) * s - mean for r, s in zip(residuals, slopes, strict=True) for sign in (1, -1)]
    return sp.Matrix.hstack(*columns) / sp.sqrt(2 * len(residuals))


def slope(expression: sp.Expr, parameters: Sequence[sp.Symbol]) -> sp.Matrix:
    """∇f, D×1, where the sign of every kink's argument counts as a constant: |a| = sign(a) a, 2 max(a, b) = a + b + |a − b|."""
    signs: dict[sp.Symbol, sp.Expr] = {}

    def sign(argument: sp.Expr) -> sp.Symbol:
        symbol = sp.Dummy("s")
        signs[symbol] = sp.sign(argument.xreplace(signs))
        return symbol

    smooth = (
        sp.sympify(expression)
        .replace(sp.Max, lambda a, b: (a + b + sign(a - b) * (a - b)) / 2)
        .replace(sp.Min, lambda a, b: (a + b - sign(a - b) * (a - b)) / 2)
        .replace(sp.Abs, lambda a: sign(a) * a)
        .replace(sp.sign, sign)
    )
    return sp.Matrix([sp.diff(smooth, p).xreplace(signs) for p in parameters])


def _dense(rng: Random, shape: Shape) -> DrawnNoise:
    matrix = sp.Matrix(len(shape.parameters), rng.randint(1, 4), lambda i, j: noise_entry(rng, shape.parameters))
    return DrawnNoise("dense", matrix)


def _constant(rng: Random, shape: Shape) -> DrawnNoise:
    matrix = sp.Matrix(len(shape.parameters), rng.randint(1, 4), lambda i, j: small(rng) * rng.randint(0, 2))
    return DrawnNoise("constant", matrix)


def _isotropic(rng: Random, shape: Shape) -> DrawnNoise:
    scale = positive_rational(rng, 1, 3, 2)
    matrix = scale * sp.eye(len(shape.parameters))
    return DrawnNoise("isotropic", matrix, ("isotropic", scale) if rng.random() < 0.7 else None)


def _varying_scale(rng: Random, shape: Shape) -> DrawnNoise:
    scale = noise_entry(rng, shape.parameters)
    return DrawnNoise("isotropic, s(x)", scale * sp.eye(len(shape.parameters)), ("isotropic", scale))


def _zero_columns(rng: Random, shape: Shape) -> DrawnNoise:
    drawn = _dense(rng, shape).sigma
    return DrawnNoise("zero columns", sp.Matrix.hstack(drawn, sp.zeros(drawn.rows, 1)))


def _vanishing(rng: Random, shape: Shape) -> DrawnNoise:
    """Columns times an equation of the first part: zero on it, and perhaps not on the others."""
    drawn, equation = _dense(rng, shape).sigma, rng.choice(shape.parts[0].equations)
    factors = [equation if j == 0 or rng.random() < 0.5 else sp.S.One for j in range(drawn.cols)]
    return DrawnNoise("vanishing on a part", drawn * sp.diag(*factors))


def _vanishing_somewhere(rng: Random, shape: Shape) -> DrawnNoise:
    """Columns that are zero on a slice of Γ through the known point."""
    drawn, parameter = _dense(rng, shape).sigma, rng.choice(shape.parameters)
    zero = parameter - shape.parts[0].starts[0][parameter]
    return DrawnNoise("vanishing on a slice", drawn * sp.diag(*[zero] * drawn.cols))


def _from_a_place_on(rng: Random, shape: Shape) -> DrawnNoise:
    """Columns that are tiny, or zero, on one side of a place."""
    drawn, parameter, centre = _dense(rng, shape).sigma, rng.choice(shape.parameters), rng.choice((-5, 2, 7))
    shifted = parameter - centre
    factor = rng.choice((1 + sp.tanh(60 * shifted), sp.Abs(shifted) + shifted, sp.Max(0, shifted)))
    return DrawnNoise("from a place on", drawn * sp.diag(*[factor] * drawn.cols))


def _normal(rng: Random, shape: Shape) -> DrawnNoise:
    """Multiples of the gradients of the first part's equations."""
    columns = [noise_entry(rng, shape.parameters) * slope(g, shape.parameters) for g in shape.parts[0].equations]
    return DrawnNoise("normal", sp.Matrix.hstack(*columns))


def _proportional(rng: Random, shape: Shape) -> DrawnNoise:
    """√c times the gradients of the first part's equations: Σ = cH where the loss is the sum of their halved squares."""
    root = positive_rational(rng, 1, 3, 2)
    return DrawnNoise(
        "gradients", sp.Matrix.hstack(*[root * slope(g, shape.parameters) for g in shape.parts[0].equations])
    )


NOISES: tuple[tuple[float, Callable[[Random, Shape], DrawnNoise]], ...] = (
    (30, _dense),
    (8, _constant),
    (20, _isotropic),
    (4, _varying_scale),
    (7, _zero_columns),
    (8, _vanishing),
    (7, _vanishing_somewhere),
    (6, _from_a_place_on),
    (6, _normal),
    (4, _proportional),
)


# --- units ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Drawn:
    """Shape and noise in their units."""

    seed: int
    shape: Shape
    noise: DrawnNoise
    units: str


def _in_units(rng: Random, seed: int, shape: Shape, noise: DrawnNoise) -> Drawn:
    power = rng.choice((-1, 1)) * rng.randint(1, LARGEST_POWER)
    factor = sp.Integer(10) ** power
    kind = _chosen(rng, ((64, ""), (12, "residuals"), (11, "parameters"), (6, "one parameter"), (7, "noise")))
    if kind == "" or (kind == "noise" and noise.stated is not None and noise.stated[0] == "samples"):
        return Drawn(seed, shape, noise, "")
    words = f"{kind} × 10^{power}"
    if kind == "residuals":
        scaled = replace(
            shape,
            loss=factor**2 * shape.loss,
            residuals=tuple(factor * r for r in shape.residuals),
            samples=tuple(factor**2 * s for s in shape.samples),
        )
        return Drawn(seed, scaled, _rescaled(noise, factor), words)
    if kind == "noise":
        return Drawn(seed, shape, _louder(noise, shape, factor), words)
    if shape.loss.has(sp.cosh) and not shape.parameters[0].is_real:
        return Drawn(seed, shape, noise, "")  # SymPy needs minutes to substitute in log cosh of complex symbols
    chosen = shape.parameters if kind == "parameters" else (rng.choice(shape.parameters),)
    return _with_parameters_in(seed, shape, noise, {p: p / factor for p in chosen}, words)


def _rescaled(noise: DrawnNoise, factor: sp.Rational) -> DrawnNoise:
    """σ times the factor; its square where samples or labels make the noise, since the loss is scaled by it."""
    name, argument = noise.stated or ("", None)
    followed = factor**2 if name in ("samples", "label") else factor
    stated = None if noise.stated is None else (name, None if argument is None else factor * argument)
    return replace(noise, sigma=followed * noise.sigma, stated=stated)


def _louder(noise: DrawnNoise, shape: Shape, factor: sp.Rational) -> DrawnNoise:
    """The same noise with a larger amplitude; the loss stays."""
    name, argument = noise.stated or ("", None)
    if name == "label":
        sigma = label_factor(shape.residuals, shape.parameters, factor * argument)
        return replace(noise, sigma=sigma, stated=("label", factor * argument))
    return _rescaled(noise, factor)


def _with_parameters_in(seed: int, shape: Shape, noise: DrawnNoise, units: dict, words: str) -> Drawn:
    """x for x/unit everywhere: a parameter in other units."""
    put = lambda e: sp.sympify(e).xreplace(units)  # noqa: E731
    size = {p: p / e for p, e in units.items()}
    parts = tuple(
        Part(
            tuple(map(put, part.equations)),
            tuple({p: a * size.get(p, 1) for p, a in start.items()} for start in part.starts),
        )
        for part in shape.parts
    )
    moved = replace(
        shape,
        loss=put(shape.loss),
        parts=parts,
        residuals=tuple(map(put, shape.residuals)),
        samples=tuple(map(put, shape.samples)),
    )
    name, argument = noise.stated or ("", None)
    sigma = noise.sigma.applyfunc(put)
    if name in ("samples", "label"):  # gradients with respect to x in the new units
        sigma = sp.diag(*[units.get(p, p) / p for p in shape.parameters]) * sigma
    stated = (name, put(argument)) if name == "isotropic" else noise.stated
    return Drawn(seed, moved, replace(noise, sigma=sigma, stated=stated), words)


# --- how it is stated -------------------------------------------------------------------------


def _stated(rng: Random, drawn: Drawn) -> WidenedLoss:
    shape, noise = drawn.shape, drawn.noise
    kind, argument = noise.stated or ("matrix", None)
    further: dict[str, Any] = {"parameters": shape.parameters}
    constants: dict[sp.Symbol, sp.Rational] = {}
    loss = shape.loss
    if kind in ("matrix", "isotropic") and rng.random() < 0.1:
        symbol, value = sp.Symbol("c", positive=True), positive_rational(rng, 1, 3, 2)
        constants[symbol] = value
        further["constants"] = (symbol,)
    if rng.random() < 0.5:
        told: Point | None = _rounded(rng, rng.choice(_nearest(shape)))
        further["near"] = {**told, **(constants if rng.random() < 0.5 else {})}
    else:
        told = None
        if len(shape.parts) == 1 and not shape.samples and rng.random() < 0.2:
            further["manifold"] = shape.parts[0].equations
    if kind == "samples":
        entry = "samples"
        further["losses"] = list(shape.samples)
        further["weights"] = None if len(set(shape.weights)) == 1 else list(shape.weights)
    else:
        entry = "residuals" if shape.residuals and (kind == "label" or rng.random() < 0.5) else "loss"
        further["residuals" if entry == "residuals" else "loss"] = (
            list(shape.residuals) if entry == "residuals" else loss
        )
        scale, plain = sp.S.One, sp.S.One
        for symbol, value in constants.items():
            if entry == "loss" and rng.random() < 0.5:
                further["loss"], loss = symbol * loss, value * loss
            else:
                scale, plain = symbol, value
        noise = replace(noise, sigma=plain * noise.sigma)
        further["noise"] = {
            "matrix": lambda: scale / plain * noise.sigma,
            "isotropic": lambda: IsotropicNoise(scale * argument),
            "label": lambda: LabelNoise(argument),
        }[kind]()
    return WidenedLoss(
        drawn.seed,
        shape.kind,
        noise.words,
        drawn.units,
        shape.parameters,
        loss,
        sp.ImmutableDenseMatrix(noise.sigma),
        shape.parts,
        entry,
        further,
        constants,
        told,
    )


def _nearest(shape: Shape) -> tuple[Point, ...]:
    """The starts that lie on Γ exactly: all of a connected Γ, the first of several parts."""
    return shape.parts[0].starts if len(shape.parts) == 1 else shape.parts[0].starts[:1]


def _rounded(rng: Random, point: Point) -> Point:
    """A point, or one that is near it as a user would write it."""
    if rng.random() < 0.6:
        return dict(point)
    return {p: sp.Rational(f"{float(a):.3g}") for p, a in point.items()}
