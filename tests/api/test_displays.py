"""What a notebook and a terminal show of the objects that users hold: short, and the formula where there is one."""

import re
from functools import cache
from typing import Any

import numpy as np
import pytest
import sympy as sp
from derived import DERIVATIONS, gallery_sde

from symbolic_sgd import (
    AnyNoise,
    Exact,
    Family,
    IsotropicNoise,
    LabelNoise,
    Problem,
    derive_limiting_sde,
    gradient_flow_limit,
    recheck,
    simulate_sgd,
    verify,
)
from symbolic_sgd.api.manifold_summary import ManifoldSummary
from symbolic_sgd.charts.fixed_points import FixedPoints
from symbolic_sgd.problems.noise import Noise
from symbolic_sgd.problems.problem_file import read_problem_file
from symbolic_sgd.simulate.run import COLUMNS, ROWS

u, v, s = sp.symbols("u v s")
(i, j), (n, d) = sp.symbols("i j", integer=True), sp.symbols("n d", integer=True, positive=True)
a, b, y, z = map(sp.IndexedBase, "abyz")


def family(noise):
    residual = sp.Sum(z[i, j] * (a[j] ** 2 - b[j] ** 2), (j, 1, d)) - y[i]
    return Family(residual=residual, sample=(i, 1, n), parameters=(a, b), noise=noise)


@cache
def objects() -> dict[str, Any]:
    """One of each kind."""
    sde = gallery_sde("hyperbola_label")
    chart, limit = sde.in_chart(), derive_limiting_sde(family(LabelNoise()))
    certificate = verify(sde)
    return {
        "problem": sde.problem,
        "manifold": sde.manifold,
        "structure": sde.structure,
        "formula": sde.structure.terms["normal_regularization"],
        "program": sde.program,
        "derivation": sde.derivation,
        "evidence": sde.regularizer_evidence,
        "arc": sde.regularizer_along(dict.fromkeys(sde.problem.parameters, 1), length=0.5),
        "chart": chart,
        "charge": sde.charges[0],
        "noisy charge": gallery_sde("quadric_dense").charges[0],
        "symmetries": sde.symmetries,
        "fixed points": chart.fixed_points,
        "fixed point": chart.fixed_points[0],
        "limit of the flow": gradient_flow_limit(sde.problem),
        "its pipeline": gradient_flow_limit(sde.problem).limit,
        "callables": sde.lambdify(),
        "certificate": certificate,
        "check": certificate.checks[0],
        "recheck": recheck(certificate.to_json()),
        "run": simulate_sgd(sde.problem, [2, 0.5], learning_rate=0.01, steps=30, replicas=5, rng=0),
        "family": limit.family,
        "family's SDE": limit,
        "family's drift": limit.drift,
        "family's arrays": limit.lambdify(z=np.ones((2, 3)), y=np.ones(2)),
    }


def test_representations_are_short():
    """Was: 18,668 characters of a certificate, 32,941 of a limit of the flow, 5,561 of callables."""
    assert {name: text for name, shown in objects().items() if len(text := repr(shown)) > 400} == {}


FORMULAS = {
    "problem", "manifold", "structure", "formula", "evidence", "chart", "charge", "noisy charge", "symmetries",
    "limit of the flow", "family's SDE", "family's drift",
}  # fmt: skip
TABLES = {"fixed points", "fixed point", "certificate", "check", "run"}


@pytest.mark.parametrize("name", sorted(FORMULAS))
def test_a_formula_is_one_for_every_mathjax(name):
    """One inline formula, whose braces and environments are closed, and nothing that a display is made of."""
    text = objects()[name]._repr_latex_()
    assert text.startswith(r"$\displaystyle") and text.endswith("$")
    inside = re.sub(r"\\text\{.*?\}\n|\\text\{.*\}$", "", text[1:-1], flags=re.M).replace(r"\{", "").replace(r"\}", "")
    assert inside.count("{") == inside.count("}")
    assert text.count(r"\begin{") == text.count(r"\end{") and "equation" not in text and "align*" not in text


@pytest.mark.parametrize("name", sorted(TABLES))
def test_a_table_is_html(name):
    page = objects()[name]._repr_html_()
    assert page.count("<table>") == page.count("</table>") >= 1 and "<script" not in page


# --- problems -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("problem", "lines"),
    [
        (
            Problem.least_squares(
                [u * v - 1], parameters=(u, v), noise=LabelNoise(s), constants=(s,), near={u: 1, v: 1, s: 2}
            ),
            [
                r"L &= \frac{\left(u v - 1\right)^{2}}{2}",
                r"\text{noise} &:\quad \text{labels} \pm\delta,\quad \delta = s",
                r"(u, v) &\in \mathbb{R}^{2}",
                r"\text{constants} &:\quad s",
                r"\text{near} &:\quad u = 1, v = 1, s = 2",
            ],
        ),
        (
            Problem(
                loss=(u * v - 1) ** 2, parameters=(u, v), noise=IsotropicNoise(3), manifold=[u * v - 1], domain=[v > 0]
            ),
            [
                r"L &= \left(u v - 1\right)^{2}",
                r"\text{noise} &:\quad \sigma = s\,I,\quad s = 3",
                r"(u, v) &\in \mathbb{R}^{2}",
                r"\text{where} &:\quad v > 0",
                r"\Gamma &\subseteq \{u v - 1 = 0\}",
            ],
        ),
        (
            Problem.from_sample_losses([u**2, v**2], parameters=(u, v)),
            [
                r"L &= \frac{u^{2}}{2} + \frac{v^{2}}{2}",
                r"\text{noise} &:\quad \sigma_{\xi} = \sqrt{p_{\xi}}\,\nabla(\ell_{\xi} - L),\quad p = (1/2, 1/2)",
                r"(u, v) &\in \mathbb{R}^{2}",
            ],
        ),
    ],
)
def test_a_problem_shows_what_was_stated(problem, lines):
    text = problem._repr_latex_()
    body = text.removeprefix("$\\displaystyle \\begin{aligned}\n").removesuffix("\n\\end{aligned}$")
    assert body.split(" \\\\\n") == lines


def test_a_matrix_of_noise_is_shown():
    problem = Problem(loss=(u * v - 1) ** 2, parameters=(u, v), noise=sp.Matrix([[1, u], [0, 2]]))
    assert rf"\sigma = {sp.latex(sp.Matrix([[1, u], [0, 2]]))}" in problem._repr_latex_()
    assert repr(problem) == "Problem(L(u, v) = (u*v - 1)**2, GradientNoise)"


def test_a_long_loss_is_shown_by_its_residuals():
    problem = read_problem_file(DERIVATIONS / "olm_label.toml").problem
    text = problem._repr_latex_()
    assert r"L &= \frac{1}{6} \sum_{i=1}^{3} r_i^2" in text and "r_{3} &= - u_{1}^{2}" in text
    assert re.fullmatch(r"Problem\(L\(u1, .*, v5\) = \d+ operations, LabelNoise\)", repr(problem))
    r = sp.Symbol("r1")
    other = Problem.least_squares([(u + k * r) ** 9 - 1 for k in range(20)], parameters=(u, r), noise=LabelNoise())
    assert r"\sum_{i=1}^{20} f_i^2" in other._repr_latex_() and r"\vdots" in other._repr_latex_()


def test_a_noise_model_of_another_is_shown_by_its_name():
    class Mine(Noise):
        def columns(self, problem, landscape):
            return IsotropicNoise(1).columns(problem, landscape)

        def check(self, problem):
            """Fits all."""

    assert Mine().latex == r"\text{Mine}"


# --- the others -----------------------------------------------------------------------------------


def test_a_run_is_a_table_of_its_moments():
    run = objects()["run"]
    table = run.table
    assert len(table.rows) == ROWS and len(table.header) == 3
    assert table.rows[-1][1] == f"{run.mean[-1, 0]:.5f} ± {run.covariance[-1, 0, 0] ** 0.5:.1e}"
    wide = type(run)(
        **{**vars(run), "mean": np.ones((3, 20)), "covariance": np.ones((3, 20, 20)), "times": np.arange(3.0)}
    )
    assert len(wide.table.header) == COLUMNS + 1 and "the first 8 of 20 parameters" in wide.table.caption


def test_fixed_points_and_what_is_known_of_others():
    found = objects()["fixed points"]
    page = found._repr_html_()
    assert repr(found) == "FixedPoints(1 in the chart, complete; 1 elsewhere)"
    assert page.count("<table>") == 2 and "stable" in page and found.reason.split(",")[0] in page
    assert repr(found[0]) == "FixedPoint(x = (1, 1), stable)"
    assert "there may be others" in repr(FixedPoints((), False, "nobody looked"))


def test_a_family_shows_its_equation():
    """Was: its constructor."""
    first, *lines = repr(objects()["family's SDE"]).splitlines()
    assert first.startswith("dY = b dt on Γ = {f_i = 0}, f_i = Sum(")
    assert [line.split(" = ")[0] for line in lines] == ["  b_a[j]", "  b_b[j]", "  R"]
    noisy = repr(derive_limiting_sde(family(AnyNoise())))
    assert noisy.startswith("dY = b dt + ∂Φ σ dW") and "  R = " not in noisy


def test_no_regularizer_and_unguarded_callables():
    sde = gallery_sde("quadric_dense")
    evidence = sde.regularizer_evidence
    assert evidence._repr_latex_() is None and repr(evidence) == f"Regularizer(no regularizer: {evidence.words})"
    assert repr(sde.lambdify(check=False, backend=Exact())).endswith("Exact(), points are not tested)")


def test_the_manifold_is_its_equations():
    assert "0 &= u v - 1" in objects()["manifold"]._repr_latex_()
    assert repr(objects()["manifold"]) == "ManifoldSummary(u*v - 1; dimension=1, codimension=1)"
    long = ManifoldSummary((u + sp.Add(*(k * v**k for k in range(60))),), 1, 1)
    assert re.fullmatch(r"ManifoldSummary\(\d+ operations; dimension=1, codimension=1\)", repr(long))
