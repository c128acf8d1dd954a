"""What the noise wants: as a value, in documents, and on the command line."""

import json

import pytest
import sympy as sp

from symbolic_sgd import IsotropicNoise, LabelNoise, Problem, derive_limiting_sde
from symbolic_sgd.command.main import main
from symbolic_sgd.documents.wants import MOST_POINTS
from symbolic_sgd.documents.writers import html, latex

U, V, W = sp.symbols("u v w")
FILE = """parameters = ["u", "v"]
residuals = ["u*v - 1"]
[noise]
kind = "label"
amplitude = "1"
"""


def sde_of(noise=None, residual=U * V - 1, parameters=(U, V)):
    return derive_limiting_sde(Problem.least_squares([residual], parameters=parameters, noise=noise or LabelNoise(1)))


def test_three_answers():
    """R̂, the fixed points, and the law of u² − v²."""
    wants = sde_of().what_the_noise_wants([U * V], symbols=(sp.Symbol("b"),))
    assert wants.lines()[:2] == ["R̂(b) = Abs(b)/2", "attained where u**2 = v**2"]
    assert "Fixed points:" in wants.lines() and "u**2 - v**2 decays exactly as exp(-t)." in wants.lines()


def test_each_answer_or_its_reason():
    """With noise along Γ there are no fixed points; a predictor of no use is said, and the rest stays."""
    noisy = sde_of(IsotropicNoise(1)).what_the_noise_wants([U * V])
    assert any(line.startswith("Fixed points: the limit is not deterministic") for line in noisy.lines())
    short = sde_of(None, U * V * W - 1, (U, V, W)).what_the_noise_wants([U * V])
    assert short.lines()[0].startswith("No R̂: the predictor does not determine the loss")
    assert any("w**2" in line for line in short.lines())
    assert any(line.startswith("Fixed points") for line in short.lines())


def test_many_points_are_counted():
    """Of more than eight fixed points the rest are a number."""
    x = sp.symbols("a b c d e")
    wants = sde_of(None, sp.Mul(*x) - 1, x).what_the_noise_wants([sp.Mul(*x)])
    assert not isinstance(wants.attractors, ValueError) and len(wants.attractors) == 16
    listed = [line for line in wants.lines() if line.startswith("  ")]
    assert len(listed) == MOST_POINTS + 1 and listed[-1] == "  and 8 more"


def test_documents():
    """A section where a predictor is given, and none else."""
    sde = sde_of()
    assert "What the noise wants" not in sde.document()
    text = sde.document(predictor=[U * V])
    assert r"\hat R(b) = \inf\{R(x) : u v = b\} = \frac{\left|{b}\right|}{2}" in text and "decays exactly" in text
    assert r"\hat R" in sde.document(latex, predictor=[U * V]) and "What the noise wants" in sde.document(
        html, predictor=[U * V]
    )


def test_command_line(tmp_path, capsys):
    """derive --predictor, on the screen and in JSON; what cannot be read is refused with its place."""
    path = tmp_path / "p.toml"
    path.write_text(FILE)
    assert main(["derive", str(path), "--predictor", "u*v"]) == 0
    assert "R̂(b) = Abs(b)/2" in capsys.readouterr().out
    assert main(["derive", str(path), "--predictor", "u*v", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["what_the_noise_wants"]["induced_regularizer"] == "Abs(b)/2"
    for text in ("u*q", "__import__('os')", "u*v;", ""):
        assert main(["derive", str(path), "--predictor", text]) == 2
        assert "--predictor, entry" in capsys.readouterr().err


def test_seconds_are_checked():
    """A budget of no use is refused."""
    with pytest.raises(ValueError, match="seconds"):
        sde_of().attractors(seconds=-1)
