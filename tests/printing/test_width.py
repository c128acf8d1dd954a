"""The width that a formula is believed to have, beside the one that TeX gives it."""

import re

import sympy as sp
from derived import NAMES, gallery_sde
from latex_document import compiled_snippet, needs_tex

from symbolic_sgd.printing.displays import expression_latex
from symbolic_sgd.printing.width import POINTS, visible_length

x, y = sp.symbols("x y1")
FORMULAS = (
    r"S = \mathcal{L}_{\nabla^2 L}^{-1}[U F^{\top} \Sigma F U^{\top}]",
    r"\left[\begin{matrix}a & b\\[6pt]\frac{x}{y} & c\end{matrix}\right]",
    r"\left[\begin{array}{cc}a & b\\c & d\end{array}\right]",
    r"\sqrt[3]{x}\,\mathrm{sign}(x) + \ln\left(\frac{1}{x}\right)",
    *(
        expression_latex(e)
        for e in (x**2 / (1 + sp.sqrt(x * y)), sp.exp(x * y) - sp.atan(x), sp.Abs(x) ** sp.Rational(3, 2))
    ),
)


def test_a_script_is_narrower_than_a_letter_and_a_fraction_as_wide_as_its_wider_part():
    assert visible_length("x_{1}") < visible_length("x y") < visible_length("x + y")
    assert visible_length(r"\frac{x + y}{2}") == visible_length(r"\frac{2}{x + y}")


@needs_tex
def test_no_formula_is_much_wider_than_it_is_believed_to_be(tmp_path):
    lines = {
        line.replace("&", "").strip()
        for name in NAMES
        for body in re.findall(
            r"\\begin\{(?:align|equation)\*\}\n(.*?)\n\\end\{(?:a|e)", gallery_sde(name).latex(), re.DOTALL
        )
        if "matrix" not in body and "array" not in body
        for line in body.split(" \\\\\n")
    }
    formulas = sorted({*FORMULAS, *lines})
    measured = "".join(
        rf"\setbox0\hbox{{$\displaystyle {formula}$}}\typeout{{width {k} \the\wd0}}" + "\n"
        for k, formula in enumerate(formulas)
    )
    done = compiled_snippet(measured, tmp_path)
    assert done.returncode == 0, done.stdout[-2000:]
    widths = {int(k): float(points) for k, points in re.findall(r"width (\d+) ([\d.]+)pt", done.stdout)}
    assert len(widths) == len(formulas) > 150
    for k, formula in enumerate(formulas):
        assert visible_length(formula) * POINTS >= 0.97 * widths[k] - 1, formula
        assert visible_length(formula) * POINTS <= 1.4 * widths[k] + 5, formula
