"""Sentences: their letters and formulas are mathematics, their words are not."""

import pytest

from symbolic_sgd.printing.blocks import Math
from symbolic_sgd.printing.prose import sentence


def formulas(text: str) -> list[str]:
    return [part.tex for part in sentence(text).parts if isinstance(part, Math)]


@pytest.mark.parametrize(
    "text, found",
    [
        ("Γ has dimension D − M = 2, and is a curve.", [r"\Gamma", "D - M = 2"]),
        ("at the time t = kη² converges", [r"t = k\eta^{2}"]),
        ("Σ_⊥ = c∇²L on Γ with c = 1", [r"\Sigma_{\perp} = c\nabla^{2}L", r"\Gamma", "c = 1"]),
        ("S = ½ ∇²L† Σ_⊥.", [r"S = \tfrac12 \nabla^{2}L{}^{\dagger} \Sigma_{\perp}"]),
        ("R = (s²/4) ln |∇²L|₊", [r"R = (s^{2}/4) \ln |\nabla^{2}L|{}_{+}"]),
        ("it is (c/4) tr ∇²L", [r"(c/4) \mathrm{tr}\, \nabla^{2}L"]),
        ("A word, I and a letter; at 5 points", []),
        ("Li, Wang and Arora (2022)", []),
        ("it behaves like |u|**(-1) there", ["|u|^{-1}"]),
        ("it behaves like |x|**(1) there", ["|x|"]),
        ("interval=(low, high) (sympy.oo for infinity)", []),
        ("solved exactly for v in (0, oo): none", ["v", r"\infty"]),
        ("at (u = 0.5, w1 = 0).", ["u = 0.5", "w_{1} = 0"]),
        ("S = (c/2)(I − ∂Φ), and", [r"S = (c/2)(I - \partial \Phi)"]),
        ("x = (0.5, 1, 2), stable", ["x"]),
        ("2*x1**2*x2 and 3*y", [r"2x_{1}^{2}\cdot x_{2}", "3y"]),
    ],
)  # fmt: skip
def test_what_is_mathematics(text, found):
    assert formulas(text) == found


def test_a_long_sum_can_be_broken():
    terms = [f"{k}*w{k}**2" for k in range(2, 14)]
    assert len(formulas("it has the factor " + " + ".join(terms))) == len(terms)


def test_the_words_stay_as_they_are():
    text = "As η → 0, SGD at the time t = kη² converges (on Γ): see Lemma 2."
    assert sentence(text).plain == text
