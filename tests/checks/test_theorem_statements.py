"""The theorem's identities hold for every loss, against a flow that was integrated; a wrong factor is noticed."""

import numpy as np
import pytest
import sympy as sp
from theorem_literal import literal_terms

from symbolic_sgd.checks import theorem_statements
from symbolic_sgd.checks.jets import Jet, vanishes
from symbolic_sgd.checks.theorem_statements import ERRATA, HALF, STATEMENTS, Statement, blocks, mixed
from symbolic_sgd.command import gallery
from symbolic_sgd.command.main import main
from symbolic_sgd.documents import theorem_document


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda s: s.name)
def test_an_identity_holds(statement):
    assert statement.holds


@pytest.mark.parametrize("erratum", ERRATA, ids=lambda e: e.name)
def test_an_erratum_is_confirmed(erratum):
    assert erratum.confirmed


@pytest.mark.parametrize("factor", [HALF, 2 * HALF + HALF, -2 * HALF, 0])
def test_another_factor_of_the_mixed_term_fails(factor):
    assert not Statement("", "", lambda jet: mixed(jet, sp.sympify(factor))).holds


@pytest.mark.parametrize("size", [(3, 1), (3, 2), (4, 2)])
def test_the_jet_is_that_of_a_loss(size):
    """L = ½ Σ λ_i x_i² + T[x, x, x]/6 at the origin, with numbers: the literal theorem has the jet's ∂²Φ."""
    jet, rng = Jet(*size), np.random.default_rng(0)
    numbers = {a: sp.Rational(int(rng.integers(1, 9)), 4) for a in jet.curvatures if a}
    numbers |= {t: sp.Rational(int(rng.integers(-8, 9)), 3) for t in jet.third_derivatives.values() if t}
    x = sp.symbols(f"x1:{jet.dimension + 1}")
    vector = sp.Matrix(x)
    loss = (vector.T * jet.hessian * vector)[0] / 2 + (vector.T * jet.third(vector * vector.T))[0] / 6
    sigma = sp.Matrix(jet.dimension, 2, [sp.Rational(int(a), 2) for a in rng.integers(-4, 5, 2 * jet.dimension)])
    literal = literal_terms(loss.xreplace(numbers), x, sigma, [0] * jet.dimension)
    ours = jet.second_derivative(sigma * sigma.T).xreplace(numbers) / 2
    theirs = [
        sum(parts)
        for parts in zip(
            literal.tangent_noise_compensation, literal.mixed_regularization, literal.normal_regularization, strict=True
        )
    ]
    np.testing.assert_allclose(np.array(list(ours), float), np.array(theirs, float), rtol=1e-12, atol=1e-12)


def test_the_blocks_add_up():
    along, across, normal = blocks(Jet(4, 2))
    assert vanishes(along + across + across.T + normal - Jet(4, 2).covariance())


def test_a_document_says_what_fails(monkeypatch, capsys):
    wrong = (*STATEMENTS[:4], Statement("mixed", "x = y", lambda jet: mixed(jet, HALF)))
    monkeypatch.setattr(theorem_document, "STATEMENTS", wrong)
    assert main(["gallery", "theorem"]) == 1
    shown = capsys.readouterr().out
    assert "4 of 5 identities hold" in shown and "FAILS" in shown


def test_the_entry_runs_on_the_command_line(capsys, tmp_path):
    assert main(["gallery", "theorem"]) == 0
    assert capsys.readouterr().out == gallery.entry("theorem").kept.read_text(encoding="utf-8") + "\n"
    target = tmp_path / "theorem.html"
    assert main(["gallery", "theorem", "--document", str(target)]) == 0
    assert "<math" in target.read_text(encoding="utf-8")


def test_every_identity_is_checked_in_several_dimensions():
    assert len(theorem_statements.DIMENSIONS) >= 4 and {m for _, m in theorem_statements.DIMENSIONS} >= {1, 2, 3}
