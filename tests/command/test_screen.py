"""What `derive` shows: the result on a screen, in lines of a terminal, and nothing that says nothing."""

import json
import re

import pytest
import sympy as sp
from derived import DERIVATIONS, gallery_sde, shared_derivation

from symbolic_sgd.command import derive as command
from symbolic_sgd.command.main import main
from symbolic_sgd.command.screen import screen
from symbolic_sgd.errors import Undecided
from symbolic_sgd.printing.plain import WIDTH, plain
from symbolic_sgd.problems.expressions import parse_expression
from symbolic_sgd.problems.problem_file import read_problem_file
from symbolic_sgd.regularizer.regularizer import Regularizer

FILES = sorted(DERIVATIONS.glob("*.toml"))
SCREEN = 36
"""Lines of the longest result of the gallery; most have less than 30."""


def shown(name):
    sde = gallery_sde(name)
    return screen(read_problem_file(DERIVATIONS / f"{name}.toml").title, sde, sde.find_regularizer())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_result_fits_a_screen(path):
    title, *lines = shown(path.stem).splitlines()
    result = lines[: lines.index("How it was found")]
    assert title == read_problem_file(path).title
    assert len(result) <= SCREEN and all(len(line) <= WIDTH for line in lines)
    assert [line[0] for line in result if line.startswith(("L =", "Γ =", "dY ="))] == ["L", "Γ", "d"]
    assert any("R = " in line or "There is no R" in line for line in result)
    assert not any(re.fullmatch(r"  \w+ +0(, 0)*", line) for line in result)


def test_the_overparametrised_model():
    """Was: ten rows of zeros, and neither the drift nor R."""
    text = shown("olm_label")
    assert "L = (f₁² + f₂² + f₃²)/6\n" in text
    assert "  f₁ = u₁² + u₂² - u₃² + u₄² - u₅² - v₁² - v₂² + v₃² - v₄² + v₅² - 1\n" in text
    assert re.search(r"^  σ_∥ = 0 +tangent noise$", text, re.M)
    assert f"= {plain(gallery_sde('olm_label').regularizer)}\n" in text
    assert re.search(r"^b entry by entry is long \(\d+ operations\): --latex F writes it out$", text, re.M)


def test_the_noise_and_that_there_is_no_regularizer():
    text = shown("quadric_dense")
    assert "  σ = [u/3 + 1, v/2 - 1/5, w/4, 1/2]\n" in text
    assert "dY = b dt + σ_∥ dW on Γ" in text and "There is no R with b_⊥∥ + b_⊥ = -∂Φ∇R:" in text


def test_entries_follow_where_they_are_short():
    text = shown("hyperbola_label")
    rows = [f"  {x}  {plain(entry)}" for x, entry in zip("uv", gallery_sde("hyperbola_label").drift, strict=True)]
    assert "\n".join(["b, entry by entry:", *rows, ""]) in text
    assert "all other rows are zero" in shown("motor")


def test_equations_where_the_formulas_are_in_the_hessian():
    assert "Γ = {k₁q₁ = 1, k₁q₂ = 2, k₂q₁ = 2}, dimension 1, codimension 3\n" in shown("attention")


def test_a_coefficient_that_is_too_large_says_what_to_do(monkeypatch):
    """On a whole derivation, of which no more than the limits change."""
    monkeypatch.setattr("symbolic_sgd.command.screen.NAMED", 10)
    assert "b entry by entry is too long to be read (100 operations): sde.lambdify() computes it" in shown("olm_label")


def test_a_regularizer_that_is_undecided():
    text = screen(None, gallery_sde("hyperbola_label"), Undecided("nobody knows"))
    assert "R is undecided: nobody knows" in text


# --- JSON -----------------------------------------------------------------------------------------


def as_json(path, capsys, *options):
    assert main(["derive", str(path), "--json", *options]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("name", ["hyperbola_label", "quadric_dense", "sphere"])
def test_json_holds_the_regularizer(name, capsys, monkeypatch):
    monkeypatch.setattr(command, "derive_limiting_sde", shared_derivation)
    found, sde = as_json(DERIVATIONS / f"{name}.toml", capsys)["regularizer"], gallery_sde(name)
    known = sde.find_regularizer()
    assert found["reason"] == known.words
    if known.expression is None:
        assert (found["status"], found["expression"]) == ("none", None)
    else:
        names = {s.name: s for s in sde.problem.symbols}
        assert found["status"] == "found"
        assert parse_expression(found["expression"], names, where="JSON") == known.expression


def test_json_says_why_a_regularizer_is_undecided(capsys, monkeypatch):
    """By a budget that is too small for anything but the structure of the noise."""
    path = DERIVATIONS / "quadric_dense.toml"
    found = as_json(path, capsys, "--seconds", "1e-9")["regularizer"]
    assert found["status"] == "undecided" and found["expression"] is None and "1e-09 s" in found["reason"]


def test_json_holds_the_formulas_in_vectors(capsys, monkeypatch):
    monkeypatch.setattr(command, "derive_limiting_sde", shared_derivation)
    lines = as_json(DERIVATIONS / "quadric_dense.toml", capsys)["structure"]
    terms = {line["term"]: line for line in lines if line["term"]}
    structure = gallery_sde("quadric_dense").structure
    assert terms.keys() >= structure.terms.keys() - {"hessian_pinv"}
    assert all(terms[name]["formula"] == str(value) for name, value in structure.terms.items())
    assert lines[0] == {"name": "n", "formula": "∇f", "latex": r"n = \nabla f", "term": None}
    assert terms["mixed_regularization"]["latex"].startswith(r"b_{\perp\parallel} = ")


def test_a_regularization_that_vanishes():
    assert "R = 0: everywhere" in screen(None, gallery_sde("sphere"), Regularizer(sp.S.Zero, "everywhere"))


def test_another_optimizer_and_its_time_are_named(capsys):
    """t = kγ²ε² with γ = η/(1 − β), not kη²."""
    options = ["--optimizer", "heavy_ball", "--momentum", "1/2", "--learning-rate", "1/8"]
    assert main(["derive", str(DERIVATIONS / "hyperbola_label.toml"), *options]) == 0
    shown = capsys.readouterr().out
    assert "The optimizer is the heavy ball, η = 1/8, β = 1/2." in shown
    assert "the time t = k ϵ²/16" in shown and "kη²" not in shown
