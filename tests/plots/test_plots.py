"""Pictures: what is drawn lies on Γ and has the formulas' directions; what cannot be drawn is refused."""

import subprocess
import sys

import numpy as np
import pytest
import sympy as sp

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

from symbolic_sgd import IsotropicNoise, LabelNoise, Problem, derive_limiting_sde  # noqa: E402
from symbolic_sgd.errors import BadInput, BadShape  # noqa: E402
from symbolic_sgd.plots import plot_manifold  # noqa: E402

u, v, w, s = sp.symbols("u v w s")


def hyperbola(noise):
    return derive_limiting_sde(Problem.least_squares([u * v - 1], parameters=(u, v), noise=noise))


def test_the_points_are_on_both_branches_and_the_arrows_point_to_balance():
    axes = plot_manifold(hyperbola(LabelNoise(1)), window=[(-3, 3), (-3, 3)])
    points = np.asarray(axes.collections[0].get_offsets())
    assert np.allclose(points.prod(axis=1), 1) and (points[:, 0] > 0).any() and (points[:, 0] < 0).any()
    arrows = axes.collections[1]
    x, y = np.asarray(arrows.get_offsets()).T
    imbalance = (x**2 - y**2) * (x * np.asarray(arrows.U) - y * np.asarray(arrows.V))
    assert (imbalance < 1e-12).all()
    assert [t.get_text() for t in axes.get_legend().get_texts()] == ["Γ", "noise σ", "drift ½∂²Φ[Σ]"]


def test_noise_along_a_curve_is_a_segment_of_its_tangent():
    axes = plot_manifold(hyperbola(IsotropicNoise()), window=[(0.2, 3), (0.2, 3)], flow=False, samples=5)
    x, y = axes.lines[0].get_data()
    middle = np.array([x[:-1].mean(), y[:-1].mean()])
    assert np.isclose(middle.prod(), 1)
    assert np.allclose((x - middle[0]) * middle[1] + (y - middle[1]) * middle[0], 0, atol=1e-9)


def test_a_sphere_in_three_dimensions_with_a_constant():
    problem = Problem(
        loss=(u**2 + v**2 + w**2 - 1) ** 2 / 8, parameters=(u, v, w), noise=IsotropicNoise(s), constants=(s,)
    )
    sde = derive_limiting_sde(problem)
    axes = plot_manifold(sde, constants={s: 2}, window=[(-1.2, 1.2)] * 3, flow=False)
    for line in axes.lines:
        ring = np.array(line.get_data_3d())
        middle = ring[:, :-1].mean(axis=1)
        assert np.isclose(np.linalg.norm(middle), 1)
        assert np.allclose((ring - middle[:, None]).T @ middle, 0, atol=1e-9)
    with pytest.raises(BadInput, match="no value for s"):
        plot_manifold(sde)


def test_what_cannot_be_drawn_is_refused():
    four = sp.symbols("x1:5")
    sde = derive_limiting_sde(Problem(loss=(sum(four) - 1) ** 2, parameters=four, noise=IsotropicNoise()))
    with pytest.raises(BadShape, match="has 4"):
        plot_manifold(sde)
    with pytest.raises(BadShape, match="low < high"):
        plot_manifold(hyperbola(LabelNoise(1)), window=[(0, 1), (3, 2)])
    with pytest.raises(BadInput, match="no point of Γ"):
        plot_manifold(hyperbola(LabelNoise(1)), window=[(5, 6), (5, 6)])


def test_axes_are_returned_and_may_be_given():
    figure = matplotlib.figure.Figure()
    axes = figure.add_subplot()
    assert plot_manifold(hyperbola(LabelNoise(1)), axes=axes, window=[(0.2, 2), (0.2, 2)]) is axes


def test_without_matplotlib_the_error_has_the_line_that_installs_it():
    code = "import sys; sys.modules['matplotlib.pyplot'] = None\nimport symbolic_sgd.plots"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 1
    assert "pip install 'symbolic-sgd[plot]'" in done.stderr
