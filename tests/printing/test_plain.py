"""Expressions as characters: every kind of operation, names that would be alike, and lines that are broken."""

import pytest
import sympy as sp

from symbolic_sgd.printing.plain import WIDTH, filled, plain, wrapped

u, v, w, u1, width, theta = sp.symbols("u v w u1 width theta", real=True)
HALF = sp.Rational(1, 2)


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (2 * u1**2 * v - v / (3 * theta) + sp.log(u1 * v), "2u₁²v + ln(u₁v) - v/(3θ)"),
        (-(u + v) / (v * w), "-(u + v)/(vw)"),
        (-2 * (u + v) ** -2, "-2/(u + v)²"),
        ((u + v) ** 2 / 2, "(u + v)²/2"),
        (-(u + v) * w**2, "-w²(u + v)"),
        (1 / v**12, "1/v¹²"),
        (1 / (2 * v), "1/(2v)"),
        (sp.sqrt(3) * v / 2, "√3 v/2"),
        (v / sp.sqrt(u**2 + 1), "v/√(u² + 1)"),
        (v ** sp.Rational(3, 2), "v^(3/2)"),
        (v**theta, "v^θ"),
        (HALF**v, "2^(-v)"),
        (3 * width * v, "3v width"),
        (2 * sp.sin(v) ** 2 * w, "2w sin(v)²"),
        (sp.exp(-v) / 3, "exp(-v)/3"),
        (abs(v) ** 3, "v² |v|"),
        (sp.pi * v, "πv"),
        (sp.Rational(-1, 3), "-1/3"),
        (-HALF * u + 1, "1 - u/2"),
        (sp.S.Zero, "0"),
        (sp.sqrt(1 - u**2 - v**2), "√(1 - u² - v²)"),
        (u * (v**2 - u**2) / 4 - v / 4, "(u(v² - u²) - v)/4"),
        (-u / 2 - v / 2, "-(u + v)/2"),
        (sp.Ne(u, 0), "u ≠ 0"),
        (u >= v, "u ≥ v"),
        (sp.Max(u, 0), "Max(0, u)"),
    ],
    ids=str,
)
def test_expressions(expression, text):
    assert plain(expression) == text


def test_names_that_would_be_alike_stay_as_they_are():
    """u1 and u_1 are two symbols."""
    one, other, greek = sp.symbols("u1 u_1 alpha_2")
    assert plain(one + greek) == "u₁ + α₂" or plain(one + greek) == "α₂ + u₁"
    assert plain(one * other) == "u1 u_1"
    assert plain(sp.Symbol("x_1_2") + 1) == "x_1_2 + 1"


def test_lines_are_broken_before_signs_and_stay_within_the_width():
    text = "f = " + " - ".join(f"u{k}v{k}" for k in range(40))
    lines = wrapped(f"  {text}", indent="      ")
    assert len(lines) > 2 and all(len(line) <= WIDTH for line in lines)
    assert " ".join(line.strip() for line in lines) == text
    assert all(line.startswith("      - ") for line in lines[1:])


def test_what_has_no_space_stays_whole():
    long = "x" * (WIDTH + 5)
    assert wrapped(f"a {long} b", indent=" ") == ["a", f" {long}", " b"]
    assert filled(["A = ∇²f,", "b"], "  with ", "    ") == ["  with A = ∇²f, b"]
