"""Pictures: what is drawn lies on Γ, is coloured by R, and goes where the drift goes; read back from the SVG alone."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest
import sympy as sp

from symbolic_sgd import IsotropicNoise, LabelNoise, Problem, derive_limiting_sde
from symbolic_sgd.serve.picture import ARROWS, HIGH, LOW, picture

u, v, w, s = sp.symbols("u v w s", real=True)
NAMESPACE = "{http://www.w3.org/2000/svg}"


def drawn(problem, potential=None):
    (figure,) = picture(derive_limiting_sde(problem), potential)
    return figure, ElementTree.fromstring(figure.svg)


def hyperbola():
    return Problem.least_squares([u * v - 1], parameters=(u, v), noise=LabelNoise(1), near={u: 1, v: 1})


def segments(path):
    numbers = np.array([float(n) for n in re.findall(r"-?\d+\.\d+", path.get("d"))])
    return numbers.reshape(-1, 2, 2)


def reader(figure, root):
    """From pixels to (u, v): the corners of the frame are those that the description states."""
    frame = segments(root.findall(f"{NAMESPACE}path")[0]).reshape(-1, 2)
    bounds = np.array(
        [[float(a), float(b)] for a, b in re.findall(r"(-?[\d.]+) ≤ \w+ ≤ (-?[\d.]+)", figure.description)]
    )
    low, high = frame.min(axis=0), frame.max(axis=0)
    scale = (bounds[:, 1] - bounds[:, 0]) / (high - low)

    def read(pixels):
        right, up = (pixels[..., 0] - low[0]) * scale[0], (high[1] - pixels[..., 1]) * scale[1]
        return bounds[0, 0] + right, bounds[1, 0] + up

    return read


def test_a_curve_is_where_it_is_and_coloured_by_r():
    figure, root = drawn(hyperbola(), (u**2 + v**2) / 4)
    read = reader(figure, root)
    coloured = [p for p in root.iter(f"{NAMESPACE}path") if (p.get("stroke") or "").startswith("rgb")]
    assert len(coloured) > 10
    heights = {}
    for path in coloured:
        x, y = read(segments(path))
        assert np.abs(x * y - 1).max() < 0.03
        red = int(path.get("stroke")[4:].split(",")[0])
        heights[red] = ((x**2 + y**2) / 4).mean()
    reds = sorted(heights)
    assert reds[0] == LOW[0] and reds[-1] == HIGH[0]
    assert np.all(np.diff([heights[red] for red in reds]) > 0)
    x, y = read(np.concatenate([segments(path) for path in coloured]))
    assert np.abs(x[:, 0] - x[:, 1]).max() < 0.1, "no line jumps"
    assert x.min() < 0.5 and x.max() > 2


def test_arrows_descend_r():
    figure, root = drawn(hyperbola())
    read = reader(figure, root)
    arrows = segments(next(p for p in root.iter(f"{NAMESPACE}path") if p.get("stroke-width") == "1.8"))
    x, y = read(arrows)
    assert 3 <= len(arrows) <= ARROWS
    long = np.hypot(np.diff(x), np.diff(y))[:, 0] > 0.03
    assert long.sum() >= 3
    # R = (u² + v²)/4 has its minimum on uv = 1 at (1, 1): u grows below it, and falls beyond.
    assert np.all(np.sign(x[long, 1] - x[long, 0]) == np.sign(1 - x[long, 0]))


def test_without_r_nothing_is_coloured():
    for potential in (None, sp.Integer(3)):
        figure, root = drawn(hyperbola(), potential)
        assert "rgb" not in figure.svg and "coloured" not in figure.description
        assert root.findall(f"{NAMESPACE}rect") == []


def test_a_surface_is_a_cloud():
    problem = Problem(loss=(u**2 + v**2 + w**2 - 1) ** 2 / 8, parameters=(u, v, w), noise=IsotropicNoise(1))
    _, root = drawn(problem, u)
    dots = root.findall(f"{NAMESPACE}circle")
    assert len(dots) > 500 and len({dot.get("fill") for dot in dots}) > 10
    at = np.array([[float(d.get("cx")), float(d.get("cy"))] for d in dots])
    middle = (at.max(axis=0) + at.min(axis=0)) / 2
    radius = np.linalg.norm(at - middle, axis=1)
    # Seen from any side a sphere is a disc, full to its edge.
    assert np.ptp(at[:, 0]) == pytest.approx(np.ptp(at[:, 1]), rel=0.03)
    assert radius.max() == pytest.approx(np.ptp(at[:, 0]) / 2, rel=0.03)


@pytest.mark.parametrize(
    "problem",
    [
        Problem.least_squares([u * v * w * s - 1], parameters=(u, v, w, s), noise=LabelNoise(1)),
        Problem(loss=(u * v - 1) ** 2 / 2, parameters=(u, v), noise=IsotropicNoise(s), constants=(s,)),
    ],
    ids=["four parameters", "a constant without a value"],
)
def test_what_has_no_picture(problem):
    assert picture(derive_limiting_sde(problem), None) == ()
