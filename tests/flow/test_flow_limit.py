"""Limits of gradient flows against closed forms, conserved quantities and integrations to more digits."""

import re
import tracemalloc

import mpmath
import numpy as np
import pytest
from mpmath import mpf
from working_precision import working_digits

from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.errors import BadShape, FlowDidNotConverge
from symbolic_sgd.flow.numerics.many_points import limits_of_flow
from symbolic_sgd.flow.numerics.one_point import precise_limit
from symbolic_sgd.flow.numerics.radau import radau
from symbolic_sgd.flow.numerics.state import SmoothLoss


def stacked(*rows):
    """A matrix of arrays (B) and numbers, as B×D×D."""
    entries = np.broadcast_arrays(*(entry for row in rows for entry in row))
    return np.stack(entries, axis=1).reshape(-1, len(rows), len(rows))


def no_third(rows, spread):
    raise AssertionError("third derivatives are only for directions")


# --- losses, by hand --------------------------------------------------------------------------


def hyperbola():
    """(uv − c)²/2 with one constant c."""

    def gradient(rows):
        u, v, c = rows.T
        return np.stack([(u * v - c) * v, (u * v - c) * u], axis=1)

    def hessian(rows):
        u, v, c = rows.T
        return stacked((v * v, 2 * u * v - c), (2 * u * v - c, u * u))

    def third(rows, spread):
        u, v, _ = rows.T
        cross = spread[:, 0, 1] + spread[:, 1, 0]
        return np.stack([2 * v * cross + 2 * u * spread[:, 1, 1], 2 * u * cross + 2 * v * spread[:, 0, 0]], axis=1)

    return SmoothLoss(2, gradient, hessian, third)


def hyperbola_limit(u, v, c=1):
    """u² − v² is conserved; exact at any precision."""
    k, sign = u * u - v * v, mpmath.sign(u + v)
    root = mpmath.sqrt(k * k + 4 * c * c)
    return [sign * mpmath.sqrt((root + k) / 2), sign * mpmath.sqrt((root - k) / 2)]


def exact_hyperbola(rows):
    with working_digits(40):
        return np.array([[float(a) for a in hyperbola_limit(*map(mpf, row))] for row in rows])


def parabolic_trough():
    """v u²/2."""

    def third(rows, spread):
        return np.stack([spread[:, 0, 1] + spread[:, 1, 0], spread[:, 0, 0]], axis=1)

    return SmoothLoss(
        2,
        lambda rows: np.stack([rows[:, 0] * rows[:, 1], rows[:, 0] ** 2 / 2], axis=1),
        lambda rows: stacked((rows[:, 1], rows[:, 0]), (rows[:, 0], np.zeros(len(rows)))),
        third,
    )


def sphere(dimension):
    """(|x|² − 1)²/8."""

    def height(rows):
        return (rows * rows).sum(1, keepdims=True) - 1

    def hessian(rows):
        return rows[:, :, None] * rows[:, None, :] + height(rows)[:, :, None] / 2 * np.eye(dimension)

    def third(rows, spread):
        both = spread + spread.transpose(0, 2, 1)
        return np.einsum("bij,bj->bi", both, rows) + rows * np.trace(spread, axis1=1, axis2=2)[:, None]

    return SmoothLoss(dimension, lambda rows: height(rows) * rows / 2, hessian, third)


def quadratic(matrix, center):
    return SmoothLoss(
        len(matrix),
        lambda rows: (rows - center) @ matrix,
        lambda rows: np.broadcast_to(matrix, (len(rows), *matrix.shape)),
        lambda rows, spread: np.zeros_like(rows),
    )


def overparametrised(inputs, targets):
    """Σ_i (z_i·(u² − v²) − y_i)²/2n."""
    count, half = inputs.shape
    place = np.arange(2 * half)

    def force(rows):
        return ((rows[:, :half] ** 2 - rows[:, half:] ** 2) @ inputs.T - targets) @ inputs * (2 / count)

    def gradient(rows):
        return np.concatenate([force(rows) * rows[:, :half], -force(rows) * rows[:, half:]], axis=1)

    def hessian(rows):
        signed = np.concatenate([rows[:, :half], -rows[:, half:]], axis=1)
        result = signed[:, :, None] * np.tile(inputs.T @ inputs, (2, 2)) * (4 / count) * signed[:, None, :]
        result[:, place, place] += np.concatenate([force(rows), -force(rows)], axis=1)
        return result

    return SmoothLoss(2 * half, gradient, hessian, no_third)


def valley(ratio, sine=np.sin, cosine=np.cos):
    """½(a − sin p)² + ½ ratio (b − cos 2p)² and its gradient on lists, for mpmath."""

    def slopes(p, a, b):
        near, steep = a - sine(p), ratio * (b - cosine(2 * p))
        return [-cosine(p) * near + 2 * sine(2 * p) * steep, near, steep]

    def hessian(rows):
        p, a, b = rows.T
        corner = np.cos(p) ** 2 + (a - np.sin(p)) * np.sin(p) + 4 * ratio * np.sin(2 * p) ** 2
        corner = corner + 4 * ratio * (b - np.cos(2 * p)) * np.cos(2 * p)
        double = 2 * ratio * np.sin(2 * p)
        return stacked((corner, -np.cos(p), double), (-np.cos(p), 1.0, 0.0), (double, 0.0, ratio))

    loss = SmoothLoss(3, lambda rows: np.stack(slopes(*rows.T), axis=1), hessian, no_third)
    return loss, slopes


def separable(power):
    """y²/2 + x^power/power: flatter than quadratic in x."""
    return SmoothLoss(
        2,
        lambda rows: np.stack([rows[:, 0] ** (power - 1), rows[:, 1]], axis=1),
        lambda rows: stacked(((power - 1) * rows[:, 0] ** (power - 2), 0.0), (0.0, 1.0)),
        no_third,
    )


def slope_to_infinity():
    """e^{−x} + y²/2."""
    return SmoothLoss(
        2,
        lambda rows: np.stack([-np.exp(-rows[:, 0]), rows[:, 1]], axis=1),
        lambda rows: stacked((np.exp(-rows[:, 0]), 0.0), (0.0, 1.0)),
        no_third,
    )


def half_plane():
    """x + y²/2 for x > 0 only."""
    return SmoothLoss(
        2,
        lambda rows: np.stack([np.where(rows[:, 0] > 0, 1.0, np.nan), rows[:, 1]], axis=1),
        lambda rows: stacked((0 * rows[:, 0], 0.0), (0.0, 1.0)),
        no_third,
    )


def crossing():
    """(uv)²/2: Γ is two lines without the point where they cross, and on u = ±v the flow leads there."""
    return SmoothLoss(
        2,
        lambda rows: np.stack([rows[:, 0] * rows[:, 1] ** 2, rows[:, 0] ** 2 * rows[:, 1]], axis=1),
        lambda rows: stacked(
            (rows[:, 1] ** 2, 2 * rows[:, 0] * rows[:, 1]), (2 * rows[:, 0] * rows[:, 1], rows[:, 0] ** 2)
        ),
        no_third,
    )


def turned(loss, angle):
    """The loss of two parameters in turned coordinates, and the turn from the old to the new ones."""
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return SmoothLoss(
        2,
        lambda rows: loss.gradient(rows @ turn) @ turn.T,
        lambda rows: turn @ loss.hessian(rows @ turn) @ turn.T,
        no_third,
    ), turn


def funnel(rate):
    """t²/2 + rate u²(t − ½)/2 + (rate u²)²/4: where t > ½ the flow goes to u = 0, below it leaves again."""

    def gradient(rows):
        u, t = rows.T
        return np.stack([rate * u * (t - 0.5) + rate**2 * u**3, t + rate * u**2 / 2], axis=1)

    def hessian(rows):
        u, t = rows.T
        return stacked((rate * (t - 0.5) + 3 * rate**2 * u**2, rate * u), (rate * u, 1.0))

    return SmoothLoss(2, gradient, hessian, no_third)


def with_constant(points, constant=1.0):
    return np.column_stack([points, np.full(len(points), constant)])


# --- the method -------------------------------------------------------------------------------


@pytest.mark.parametrize("stages", [2, 3, 5, 7])
def test_radau_satisfies_its_order_conditions(stages):
    table = radau(stages)
    for n in range(1, stages + 1):
        assert np.allclose(table.matrix @ table.nodes ** (n - 1), table.nodes**n / n, atol=1e-15)
    for n in range(1, 2 * stages):
        assert np.isclose(table.matrix[-1] @ table.nodes ** (n - 1), 1 / n, atol=1e-15)


def test_radau_3_is_the_published_one():
    root = np.sqrt(6)
    assert np.allclose(radau(3).nodes, [(4 - root) / 10, (4 + root) / 10, 1], atol=1e-16)
    assert np.allclose(radau(3).matrix[-1], [(16 - root) / 36, (16 + root) / 36, 1 / 9], atol=1e-15)


# --- closed forms -----------------------------------------------------------------------------


def test_hyperbola_in_all_quadrants():
    rows = with_constant(2 * np.random.default_rng(0).normal(size=(400, 2)))
    found = limits_of_flow(hyperbola(), rows, 1)
    assert found.reached.all() and found.reasons == ("",) * 400 and found.steps < 60
    assert np.abs(found.points - exact_hyperbola(rows)).max() < 1e-12


@pytest.mark.parametrize("gap", [1e-3, -1e-3, 1e-6])
def test_hyperbola_beside_the_way_into_the_saddle(gap):
    rows = with_constant(np.array([[1.0, -1 + gap], [-0.3, 0.3 + gap], [2.0, -2 + gap]]))
    found = limits_of_flow(hyperbola(), rows, 1)
    assert np.abs(found.points - exact_hyperbola(rows)).max() < 1e-12 + 1e-14 / abs(gap)


def test_parabolic_trough():
    u = np.linspace(-2, 2, 41)
    rows = np.column_stack([u, np.abs(u) / np.sqrt(2) + np.geomspace(1e-3, 3, 41)])
    found = limits_of_flow(parabolic_trough(), rows, 1)
    exact = np.sqrt(rows[:, 1] ** 2 - u**2 / 2)
    assert np.abs(found.points - np.column_stack([0 * u, exact])).max() < 1e-12 / exact.min()


def test_sphere_from_near_the_center_and_from_afar():
    rows = np.random.default_rng(1).normal(size=(60, 3))
    rows *= np.repeat([1e-3, 1.0, 30.0], 20)[:, None]
    found = limits_of_flow(sphere(3), rows, 1)
    assert np.abs(found.points - rows / np.linalg.norm(rows, axis=1)[:, None]).max() < 1e-13


@pytest.mark.parametrize("ratio", [1.0, 1e3, 1e6])
def test_quadratic(ratio):
    rng = np.random.default_rng(2)
    axes, center, rows = np.linalg.qr(rng.normal(size=(4, 4)))[0][:, :2], rng.normal(size=4), rng.normal(size=(30, 4))
    matrix = axes * np.array([1, ratio]) @ axes.T
    found = limits_of_flow(quadratic(matrix, center), rows, 2, first=True, directions=np.tile(np.eye(4), (30, 1, 1)))
    assert np.abs(found.points - (rows - (rows - center) @ axes @ axes.T)).max() < 5e-15 * ratio + 1e-13
    assert np.abs(found.jacobian - (np.eye(4) - axes @ axes.T)).max() < 5e-15 * ratio + 1e-13
    assert np.abs(found.second).max() == 0


def test_overparametrised_against_what_it_conserves():
    rng = np.random.default_rng(3)
    inputs, targets, rows = rng.normal(size=(2, 4)), rng.normal(size=2), rng.normal(size=(200, 8))
    found = limits_of_flow(overparametrised(inputs, targets), rows, 2)
    (u, v), (start_u, start_v) = np.split(found.points, 2, axis=1), np.split(rows, 2, axis=1)
    assert found.reached.all()
    assert np.abs((u * u - v * v) @ inputs.T - targets).max() < 1e-14
    assert np.abs(u * v - start_u * start_v).max() < 1e-12
    kernel = np.linalg.svd(inputs)[2][2:].T
    assert np.abs(np.log(np.abs(u / start_u)) @ kernel).max() < 1e-10


# --- stiff and curved -------------------------------------------------------------------------


@pytest.mark.parametrize("ratio", [1e2, 1e4, 1e6])
def test_steep_curved_valley(ratio):
    loss, _ = valley(ratio)
    _, precise = valley(ratio, mp.sin, mp.cos)
    rows = np.random.default_rng(4).normal(size=(3, 3))
    found = limits_of_flow(loss, rows, 2)
    for row, point in zip(rows, found.points, strict=True):
        exact = precise_limit(
            lambda x: precise(*x), lambda x: loss.hessian(x[None])[0], list(map(mpf, map(float, row))), 2, 20
        )
        assert np.abs(point - [float(value) for value in exact]).max() < 1e-11


def test_curvature_that_varies_by_millions_along_the_way():
    rows = with_constant(np.array([[1e3, 2.0], [1e3, 1e-3], [30.0, -2.0], [-500.0, 400.0], [1e-3, -700.0]]))
    exact = exact_hyperbola(rows)
    found = limits_of_flow(hyperbola(), rows, 1)
    assert found.reached.all()
    assert (np.abs(found.points - exact).max(1) / (1 + np.abs(exact).max(1))).max() < 1e-12


# --- derivatives ------------------------------------------------------------------------------


def test_derivatives_on_the_sphere():
    rng = np.random.default_rng(5)
    rows = rng.normal(size=(40, 3)) * np.repeat([1e-2, 1.0], 20)[:, None]
    spread = rng.normal(size=(40, 3, 3))
    found = limits_of_flow(sphere(3), rows, 1, directions=spread)
    size = np.linalg.norm(rows, axis=1)[:, None]
    unit, both = rows / size, (spread + spread.transpose(0, 2, 1)) / 2
    tangent = np.eye(3) - unit[:, :, None] * unit[:, None, :]
    along = np.einsum("bij,bj->bi", both, unit)
    inner = (along * unit).sum(1, keepdims=True)
    second = -2 * along - unit * np.trace(both, axis1=1, axis2=2)[:, None] + 3 * unit * inner
    assert found.jacobian is not None and found.second is not None
    assert np.abs(found.jacobian * size[:, :, None] - tangent).max() < 1e-11
    assert np.abs(found.second * size**2 - second).max() < 1e-10


def test_derivatives_on_the_hyperbola_against_differences_of_the_closed_form():
    rng = np.random.default_rng(6)
    points = rng.normal(size=(60, 2))
    points = points[np.abs(points.sum(1)) > 0.2]
    spread = rng.normal(size=(len(points), 2, 2))
    found = limits_of_flow(hyperbola(), with_constant(points), 1, directions=spread)
    assert found.jacobian is not None and found.second is not None
    for row, jacobian, second, direction in zip(points, found.jacobian, found.second, spread, strict=True):
        first, curved = differences(row, direction)
        assert np.abs(jacobian - first).max() < 1e-10 * np.abs(first).max()
        assert np.abs(second - curved).max() < 1e-9 * np.abs(curved).max()


def differences(row, direction):
    """∂Φ and ∂²Φ[B] of the hyperbola, by central differences to 20 digits."""
    with working_digits(60):
        u, v, step = mpf(float(row[0])), mpf(float(row[1])), mpf(10) ** -15
        at = {(i, j): hyperbola_limit(u + i * step, v + j * step) for i in (-1, 0, 1) for j in (-1, 0, 1)}
        first, second = np.zeros((2, 2)), np.zeros(2)
        for n in range(2):
            value = {place: point[n] for place, point in at.items()}
            first[n] = [
                float((value[1, 0] - value[-1, 0]) / (2 * step)),
                float((value[0, 1] - value[0, -1]) / (2 * step)),
            ]
            pure = [value[1, 0] - 2 * value[0, 0] + value[-1, 0], value[0, 1] - 2 * value[0, 0] + value[0, -1]]
            cross = (value[1, 1] - value[1, -1] - value[-1, 1] + value[-1, -1]) / 4
            total = direction[0, 0] * pure[0] + direction[1, 1] * pure[1] + (direction[0, 1] + direction[1, 0]) * cross
            second[n] = float(total / step**2)
    return first, second


def test_on_the_manifold_the_derivative_is_the_tangent_projection():
    u = np.array([0.3, 1.0, -2.0])
    rows = with_constant(np.column_stack([u, 1 / u]))
    spread = np.random.default_rng(7).normal(size=(3, 2, 2))
    found = limits_of_flow(hyperbola(), rows, 1, directions=spread)
    tangent = np.column_stack([u, -1 / u])
    tangent /= np.linalg.norm(tangent, axis=1)[:, None]
    assert np.abs(found.points - rows[:, :2]).max() < 1e-15
    assert found.jacobian is not None and found.second is not None
    assert np.abs(found.jacobian - tangent[:, :, None] * tangent[:, None, :]).max() < 1e-12
    for row, second, direction in zip(rows, found.second, spread, strict=True):
        assert np.abs(second - differences(row[:2], direction)[1]).max() < 1e-11


def test_derivative_in_the_steep_valley_is_the_difference_quotient():
    loss, _ = valley(1e6)
    row, step = np.array([[0.4, -0.3, 0.5]]), 1e-4
    found = limits_of_flow(loss, row, 2, first=True)
    ends = limits_of_flow(loss, np.concatenate([row + step * np.eye(3), row - step * np.eye(3)]), 2, tolerance=1e-13)
    quotient = ((ends.points[:3] - ends.points[3:]) / (2 * step)).T
    assert found.jacobian is not None
    assert np.abs(found.jacobian[0] - quotient).max() < 1e-5


# --- batches ----------------------------------------------------------------------------------


def test_a_batch_is_its_rows():
    rng = np.random.default_rng(8)
    rows = with_constant(rng.normal(size=(25, 2)))
    spread = rng.normal(size=(25, 2, 2))
    together = limits_of_flow(hyperbola(), rows, 1, directions=spread)
    assert together.jacobian is not None and together.second is not None
    for n in range(25):
        alone = limits_of_flow(hyperbola(), rows[n : n + 1], 1, directions=spread[n : n + 1])
        assert alone.jacobian is not None and alone.second is not None
        assert np.abs(alone.points[0] - together.points[n]).max() < 1e-13
        assert np.abs(alone.jacobian[0] - together.jacobian[n]).max() < 1e-12
        assert np.allclose(alone.second[0], together.second[n], rtol=1e-10)


def test_a_refused_row_leaves_the_others_alone():
    rows = with_constant(np.array([[2.0, 1.0], [1.0, -1.0], [np.nan, 0.0], [0.5, 0.5]]))
    found = limits_of_flow(hyperbola(), rows, 1, first=True)
    assert found.reached.tolist() == [True, False, False, True]
    assert np.abs(found.points[[0, 3]] - exact_hyperbola(rows[[0, 3]])).max() < 1e-13
    assert found.jacobian is not None
    assert np.isnan(found.points[[1, 2]]).all() and np.isnan(found.jacobian[[1, 2]]).all()


def test_constants_stay_with_their_rows():
    rng = np.random.default_rng(9)
    rows = np.column_stack([rng.normal(size=(50, 2)), rng.uniform(0.1, 4, size=50)])
    found = limits_of_flow(hyperbola(), rows, 1)
    assert np.abs(found.points - exact_hyperbola(rows)).max() < 1e-11


def test_no_rows():
    found = limits_of_flow(hyperbola(), np.zeros((0, 3)), 1, first=True)
    assert found.points.shape == (0, 2) and found.reasons == () and found.steps == 0


def test_memory_does_not_grow_with_the_batch():
    rng = np.random.default_rng(10)
    loss, rows = overparametrised(rng.normal(size=(2, 4)), rng.normal(size=2)), rng.normal(size=(3_000, 8))
    tracemalloc.start()
    found = limits_of_flow(loss, rows, 2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.reached.all()
    assert peak < 10e6


def test_what_becomes_of_a_row_does_not_depend_on_the_others():
    """To the last bit: sums over stages once went through a product of matrices that rounds as the batch is long."""
    rng = np.random.default_rng(11)
    beside = np.array([[1.0, -1.0], [0.3, 0.3 + 1e-13], [-2.0, 2.0]])
    for loss, rows, rank in (
        (valley(1e4)[0], rng.normal(size=(12, 3)), 2),
        (crossing(), np.concatenate([rng.normal(size=(9, 2)), beside]), 1),
    ):
        together = limits_of_flow(loss, rows, rank, first=True)
        for n in range(12):
            alone = limits_of_flow(loss, rows[n : n + 1], rank, first=True)
            assert alone.reasons[0] == together.reasons[n]
            assert np.array_equal(alone.points[0], together.points[n], equal_nan=True)
            assert np.array_equal(alone.jacobian[0], together.jacobian[n], equal_nan=True)


# --- separatrices -----------------------------------------------------------------------------


@pytest.mark.parametrize("first", [False, True])
def test_starts_from_which_the_flow_leads_to_a_degenerate_point_are_refused(first):
    """Only u = v was: the twins lay almost along u = −v, and near the crossing every limit is within 10⁻⁶ of any other."""
    size = np.array([2.0, 1.0, 0.5, 0.3, 0.1, 1e-3, 1e-6])[:, None, None]
    rows = (size * np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])).reshape(-1, 2)
    found = limits_of_flow(crossing(), np.concatenate([rows, [[2.0, 1.0]]]), 1, first=first)
    assert not found.reached[:-1].any() and np.isnan(found.points[:-1]).all()
    assert all(("saddle" in words or "degenerate" in words) and "(0, 0)" in words for words in found.reasons[:-1])
    assert np.abs(found.points[-1] - [np.sqrt(3), 0]).max() < 1e-12


def test_starts_beside_them_are_answered():
    gap = np.array([1e-2, 1e-4, 1e-6, 1e-8])[:, None]
    rows = np.concatenate([[1.0, -1.0] + gap * [1, 0], [-0.5, -0.5] + gap * [0, 1], [0.01, 0.01] + 0.01 * gap * [1, 0]])
    rows = rows[:-1]  # 10⁻¹⁰ beside a separatrix, where the flow comes within 10⁻⁶ of the crossing: that may be refused
    found = limits_of_flow(crossing(), rows, 1, first=True)
    exact = np.sign(rows) * np.sqrt(np.maximum(rows**2 - rows[:, ::-1] ** 2, 0))
    assert found.reached.all()
    assert np.abs(found.points - exact).max() < 1e-10
    long = np.abs(rows).argmax(1)
    slope = rows * np.array([1, -1]) * np.where(long == 0, 1, -1)[:, None] / exact[np.arange(11), long][:, None]
    assert (np.abs(found.jacobian[np.arange(11), long] - slope).max(1) < 1e-5 * np.abs(slope).max(1)).all()


@pytest.mark.parametrize("angle", [0.3, 1.1, 2.0])
def test_separatrices_in_other_directions_are_refused(angle):
    """Within rounding of them: the numbers of turned coordinates are not exact."""
    loss, turn = turned(crossing(), angle)
    rows = np.array([[1.0, 1.0], [1.0, -1.0], [-0.2, 0.2], [-3.0, -3.0]]) @ turn.T
    found = limits_of_flow(loss, rows, 1)
    assert not found.reached.any()
    assert all("near (0, 0)" in words or "saddle at (0, 0)" in words for words in found.reasons)


@pytest.mark.parametrize("side", [0.1, -0.1])
def test_errors_on_the_way_into_a_saddle_count_as_well(side):
    """u shrinks to 10⁻¹⁶ before it grows again: errors made there, not at the start, decided its sign, and wrongly."""
    for rate, certain in ((5.0, True), (9.0, False)):
        loss, turn = turned(funnel(rate), 0.3)
        found = limits_of_flow(loss, np.array([[side, 5.0]]) @ turn.T, 2)
        assert found.reached[0] == certain
        assert not certain or np.sign(found.points @ turn)[0, 0] == np.sign(side)


def test_nothing_is_said_of_limits_that_jump_by_little():
    """From u = −v into the saddle of (uv − 10⁻¹⁴)², and out of it to the one side or the other, 3·10⁻⁷ apart."""
    found = limits_of_flow(hyperbola(), np.array([[1.0, -1.0, 1e-14], [2.0, 1.0, 1e-14]]), 1)
    assert found.reached.tolist() == [False, True]


# --- what is refused --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "row", "rank", "words"),
    [
        (
            hyperbola(),
            [1.0, -1.0, 1.0],
            1,
            "on the border between two basins, from where the flow leads to a saddle",
        ),
        (
            hyperbola(),
            [0.0, 0.0, 1.0],
            1,
            "ends in a saddle at (0, 0) (the Hessian there has eigenvalues from −1 to 1)",
        ),
        (sphere(3), [0.0, 0.0, 0.0], 1, "ends in a maximum at (0, 0, 0)"),
        (parabolic_trough(), [1.0, 0.5], 1, "the flow diverges: |x| passes "),
        (parabolic_trough(), [1.0, -1.0], 1, "the flow diverges: |x| passes "),
        (parabolic_trough(), [0.0, -1.0], 1, "(0, −1)"),
        (
            parabolic_trough(),
            [0.0, 0.0],
            1,
            "ends at (0, 0), where the Hessian has rank 0 to the digits of float64 and not 1",
        ),
        (
            quadratic(np.diag([1.0, 2, 0]), np.zeros(3)),
            [1.0, 1, 1],
            1,
            "ends at (0, 0, 1), where the Hessian has rank 2",
        ),
        (
            quadratic(np.diag([1.0, 2, 0]), np.zeros(3)),
            [1.0, 1, 1],
            3,
            "ends at (0, 0, 1), where the Hessian has rank 2",
        ),
        (separable(4), [1.0, 1.0], 1, "had not settled after"),
        (separable(6), [1.0, 1.0], 1, "had not settled after"),
        (slope_to_infinity(), [0.0, 1.0], 1, "lies at infinity"),
        (half_plane(), [1.0, 1.0], 1, "the loss is not finite along the flow, near (0"),
        (hyperbola(), [np.nan, 1.0, 1.0], 1, "the loss is not finite along the flow, near (nan, 1)"),
        (hyperbola(), [1e200, 1e200, 1.0], 1, "the loss is not finite along the flow"),
    ],
)
def test_what_is_not_the_manifold_is_refused(loss, row, rank, words):
    for first in (False, True):
        found = limits_of_flow(loss, np.array([row]), rank, first=first)
        assert not found.reached[0] and np.isnan(found.points).all()
        assert words in found.reasons[0]


@pytest.mark.parametrize(
    ("shape", "rank", "words"),
    [((3,), 1, "rows must be"), ((2, 1), 1, "rows must be"), ((2, 3), 0, "rank"), ((2, 3), 3, "rank")],
)
def test_wrong_shapes_are_refused(shape, rank, words):
    with pytest.raises(BadShape, match=words):
        limits_of_flow(hyperbola(), np.ones(shape), rank)


def test_wrong_directions_are_refused():
    with pytest.raises(BadShape, match=re.escape("directions must be 2×2×2, not of shape (2, 3, 3)")):
        limits_of_flow(hyperbola(), np.ones((2, 3)), 1, directions=np.ones((2, 3, 3)))


# --- many digits ------------------------------------------------------------------------------


def precise_hyperbola(u, v, digits):
    return precise_limit(
        lambda x: [(x[0] * x[1] - 1) * x[1], (x[0] * x[1] - 1) * x[0]],
        lambda x: hyperbola().hessian(np.array([[*x, 1.0]]))[0],
        [u, v],
        1,
        digits,
    )


@pytest.mark.parametrize(
    ("start", "digits"), [(("2", "1"), 15), (("2", "1"), 60), (("3", "-0.5"), 30), (("1", "-0.999"), 30)]
)
def test_hyperbola_to_many_digits(start, digits):
    with working_digits(digits + 20):
        u, v = map(mpf, start)
        found = precise_hyperbola(u, v, digits)
        error = max(abs(a - b) for a, b in zip(found, hyperbola_limit(u, v), strict=True))
        assert error < mpf(10) ** -digits


def one_row(loss):
    return lambda x: [mpf(float(v)) for v in loss.gradient(np.array([list(map(float, x))]))[0]]


@pytest.mark.parametrize(
    ("loss", "row", "rank", "words"),
    [
        (sphere(2), [0.0, 0.0], 1, "saddle at (0, 0)"),
        (parabolic_trough(), [1.0, 0.5], 1, "the flow diverges: |x| passes"),
        (quadratic(np.diag([1.0, 2, 0]), np.zeros(3)), [0.0, 0, 1], 1, "(0, 0, 1), where the Hessian has rank 2"),
        (separable(4), [1.0, 1.0], 1, "had not settled after"),
        (sphere(2), [np.nan, 1.0], 1, "the loss is not finite along the flow, near (nan, 1)"),
        (half_plane(), [1.0, 1.0], 1, "the loss is not finite along the flow, near ("),
    ],
)
def test_what_is_not_the_manifold_is_refused_to_many_digits(loss, row, rank, words):
    with pytest.raises(FlowDidNotConverge, match=re.escape(words)):
        precise_limit(one_row(loss), lambda x: loss.hessian(x[None])[0], [mpf(value) for value in row], rank, 15)


def precise_crossing(u, v, digits):
    return precise_limit(
        lambda x: [x[0] * x[1] ** 2, x[0] ** 2 * x[1]], lambda x: crossing().hessian(x[None])[0], [u, v], 1, digits
    )


@pytest.mark.parametrize(("start", "digits"), [((2, -2), 15), ((1, 1), 15), ((0.1, 0.1), 15), ((-0.1, 0.1), 20)])
def test_degenerate_points_are_refused_to_many_digits(start, digits):
    """From (0.1, 0.1) the answer was 10⁻²¹."""
    with pytest.raises(FlowDidNotConverge, match=re.escape("ends in a saddle at (0, 0)")):
        precise_crossing(*map(mpf, start), digits)


@pytest.mark.parametrize("gap", [2.0**-20, 2.0**-49])
def test_the_digits_wanted_are_there_beside_a_degenerate_point(gap):
    """The flow enlarges errors by 10³ and 10⁸; "had not settled", it was said, of the second."""
    with working_digits(60):
        found = precise_crossing(mpf(1), -1 - mpf(gap), 16)
        assert found[0] == 0 or abs(found[0]) < mpf(10) ** -20
        assert abs(found[1] + mpmath.sqrt(2 * mpf(gap) + mpf(gap) ** 2)) < mpf(10) ** -16


def precise_wells(start, approach, departure, digits):
    """departure (p² − 1)²/8 + approach q²/2 with p = (3u + 4v)/5 and q = (4u − 3v)/5: a saddle at 0, p = 0 leads there."""

    def gradient(x):
        p, q = (3 * x[0] + 4 * x[1]) / 5, (4 * x[0] - 3 * x[1]) / 5
        along, across = departure * (p**2 - 1) * p / 2, approach * q
        return [(3 * along + 4 * across) / 5, (4 * along - 3 * across) / 5]

    def hessian(x):
        axes = np.array([[3.0, 4.0], [4.0, -3.0]]) / 5
        steep = departure * (3 * (axes[0] @ x) ** 2 - 1) / 2
        return axes.T @ np.diag([steep, approach]) @ axes

    return precise_limit(gradient, hessian, start, 2, digits)


@pytest.mark.parametrize(("approach", "departure"), [(0.5, 10), (1, 1), (10, 1)])
def test_saddles_that_are_left_faster_than_approached_are_refused_to_many_digits(approach, departure):
    """An error ε passes them at ε^(1/21) of the way for (0.5, 10), which was not near, so that its sign was the answer's."""
    with working_digits(60):
        for seventh in (7, -13):
            with pytest.raises(FlowDidNotConverge, match=re.escape("ends in a saddle at (0, 0)")):
                precise_wells([mpf(4) / seventh, mpf(-3) / seventh], approach, departure, 15)


@pytest.mark.parametrize(("approach", "departure"), [(0.5, 10), (10, 1)])
def test_saddles_are_passed_beside_their_separatrix(approach, departure):
    """At 10⁻¹² from it a saddle that is approached fast is passed at 10⁻¹²; to 20 digits that was taken for the saddle."""
    with working_digits(60):
        shift = mpf(10) ** -12
        for sign in (1, -1):
            start = [4 + sign * 3 * shift, -3 + sign * 4 * shift]
            found = precise_wells([value / 7 for value in start], approach, departure, 20)
            assert max(abs(found[0] - sign * mpf(3) / 5), abs(found[1] - sign * mpf(4) / 5)) < mpf(10) ** -19


def test_saddle_is_refused_to_many_digits():
    with pytest.raises(FlowDidNotConverge, match=re.escape("the flow ends in a saddle at (0, 0)")):
        precise_hyperbola(mpf(1), mpf(-1), 30)
