"""A term is one row: what is added to the list is derived, printed, explained, evaluated and documented."""

import numpy as np
import pytest
import sympy as sp

from symbolic_sgd import LLVM, SGD, WRITERS, Problem, derive_limiting_sde, verify
from symbolic_sgd.errors import BadInput
from symbolic_sgd.theorem.terms import TERMS, THEOREM, Term

u, v, w = sp.symbols("u v w")
NOISE = sp.Matrix([[1, u], [0, 2], [v, 1]])


@pytest.fixture
def added():
    """The normal part of the noise, (I − ∂Φ)σ."""
    row = Term(
        "normal_noise",
        r"\Sigma_{\perp}^{1/2}",
        r"(I - \partial\Phi)\,\sigma",
        "not in the theorem",
        lambda normal, noise, drift: noise.stated.factor - noise.tangent.factor,
    )
    TERMS.append(row)
    yield derive_limiting_sde(Problem.least_squares([u * v + w**2 - 2], parameters=(u, v, w), noise=NOISE))
    TERMS.remove(row)


def test_the_list_of_the_theorem_itself_is_what_it_was():
    assert [term.name for term in TERMS] == [*THEOREM]


def test_formulas_and_numbers(added):
    gradient = sp.Matrix([v, u, 2 * w])
    truth = gradient * (gradient.T * NOISE) / (gradient.T * gradient)[0]
    point = {u: 2, v: sp.Rational(1, 2), w: 1}
    assert sp.simplify(added.term("normal_noise").subs(point) - truth.subs(point)) == sp.zeros(3, 2)
    numbers = np.array(truth.subs(point), dtype=float)
    row = [2.0, 0.5, 1.0]
    np.testing.assert_allclose(added.lambdify().term("normal_noise", row), numbers, rtol=1e-14)
    np.testing.assert_allclose(added.at(point)["normal_noise"], numbers, rtol=1e-14)
    assert added.lambdify().digits("normal_noise", row) > 14


def test_another_back_end(added):
    pytest.importorskip("llvmlite")
    one, other = (added.lambdify(**k).term("normal_noise", [2.0, 0.5, 1.0]) for k in ({}, {"backend": LLVM()}))
    np.testing.assert_allclose(one, other, rtol=1e-14)


def test_words_latex_and_documents(added):
    assert "normal_noise: " in added.explain()
    assert r"\Sigma_{\perp}^{1/2} " in added.latex()
    for suffix, writer in WRITERS.items():
        page = added.document(writer)
        assert "Normal noise" in page and "not in the theorem" in page, suffix


def test_verification_checks_the_theorem_and_lets_the_rest_be(added):
    certificate = verify(added)
    assert certificate.passed and not any("normal_noise" in check.name for check in certificate.checks)


def test_an_unknown_term_is_named_with_those_there_are(added):
    with pytest.raises(BadInput, match=r"'absent' is no term.*normal_noise"):
        added.term("absent")
    with pytest.raises(BadInput, match=r"'absent' is no term.*normal_noise"):
        added.lambdify().term("absent", [2.0, 0.5, 1.0])


def test_what_an_optimizer_adds_belongs_to_the_drift(added):
    """A further row behind the drift takes nothing of its definition."""
    decayed = derive_limiting_sde(added.problem, optimizer=SGD(learning_rate=sp.Rational(1, 64), weight_decay=1))
    definitions = {term.name: term.definition for term in decayed.derivation.terms}
    assert definitions["drift"].endswith(r"+ b_{\mathrm{own}}")
    assert definitions["normal_noise"] == r"(I - \partial\Phi)\,\sigma"
