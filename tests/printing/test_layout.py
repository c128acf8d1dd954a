"""Snippets in the user's names and line lengths: what is let through compiles, and nothing else is let through."""

from itertools import pairwise

import pytest
import sympy as sp
from latex_document import compiled_document, needs_tex

from symbolic_sgd import SGD, IsotropicNoise, LabelNoise, Problem, derive_limiting_sde, gradient_flow_limit
from symbolic_sgd.command.main import main
from symbolic_sgd.documents.writers import WRITERS
from symbolic_sgd.errors import BadInput
from symbolic_sgd.printing.width import visible_length

u, v, w, a, b = sp.symbols("u v w a b")
NAMES = {u: r"\theta_1", v: r"\mathbf{W}_{ij}^{\ast}", w: r"\hat{\omega}"}


@pytest.fixture(scope="module")
def sde():
    residuals = [u * v + w**2 - 1, a * b + u**2 - 2]
    return derive_limiting_sde(Problem.least_squares(residuals, parameters=(u, v, w, a, b), noise=LabelNoise(1)))


def test_names_are_printed_everywhere(sde):
    plain, named = sde.latex(), sde.latex(names=NAMES)
    for symbol, tex in NAMES.items():
        assert tex in named and f" {symbol.name} " not in named
    assert sde.latex(names={"u": r"\theta_1"}, entries=True).count(r"\theta_1") > 5
    assert sde.latex() == plain, "a layout does not outlive its snippet"


@needs_tex
@pytest.mark.parametrize("line", [30, 60, 200])
def test_what_is_let_through_compiles(sde, tmp_path, line):
    page = "\\documentclass{article}\n\\usepackage{amsmath}\n\\begin{document}\n%s\\end{document}\n"
    done = compiled_document(page % sde.latex(names=NAMES, line=line), tmp_path)
    assert done.returncode == 0, done.stdout[-2000:]


def test_lines_are_no_longer_than_asked(sde):
    longest = {}
    for line in (40, 75, 150):
        rows = [r for r in sde.latex(line=line).splitlines() if "&" in r and "bmatrix" not in r and r"\quad" in r[:8]]
        longest[line] = max((visible_length(r) for r in rows), default=0)
        assert longest[line] <= line + 12
    assert sde.latex(line=40).count("\n") > sde.latex(line=150).count("\n")


@pytest.mark.parametrize(
    "tex",
    ["", "12", r"\input{x}", r"\write18", "x$y", "x}{", r"\theta_{\input{x}}", "u_1_2", "u^a^b", r"\mathbf{\input x}", "a b", "é", 3,
     r"\thetax", r"\def\x{}", "u_{1}%", "u\n"],
)  # fmt: skip
def test_nothing_else_is_let_through(sde, tex):
    with pytest.raises(BadInput, match="give a letter"):
        sde.latex(names={u: tex})


def test_names_have_to_belong_to_one_symbol_each(sde):
    with pytest.raises(BadInput, match="names has z"):
        sde.latex(names={"z": "x"})
    for names in ({u: "x", v: "x"}, {u: "v"}):
        with pytest.raises(BadInput, match="two symbols"):
            sde.latex(names=names)
    assert sde.latex(names={u: "v", v: "u"})
    for line in (10, 10_000, 60.0, True):
        with pytest.raises(BadInput, match="characters"):
            sde.latex(line=line)


def test_on_the_command_line(tmp_path, capsys):
    source = tmp_path / "p.toml"
    source.write_text('parameters = ["u", "v"]\nresiduals = ["u*v - 1"]\nnoise = { kind = "label" }')
    assert main(["derive", str(source), "--latex", "-", "--symbols", r"u=\theta", "--line-length", "60"]) == 0
    assert r"\theta v - 1" in capsys.readouterr().out
    for arguments in (["--symbols", "u"], ["--symbols", r"u=\input{x}"], ["--line-length", "1"]):
        assert main(["derive", str(source), "--latex", "-", *arguments]) == 2
    assert main(["derive", str(source), "--line-length", "60"]) == 2
    assert "give one of them as well" in capsys.readouterr().err
    assert main(["derive", str(source), "--entries"]) == 2
    assert "give --latex F as well" in capsys.readouterr().err


def definitions(latex):
    """Left sides of the lines that define something."""
    return [line.split("&=")[0].strip() for line in latex.splitlines() if "&=" in line]


@pytest.mark.parametrize("name", ["t_1", "t1"])
def test_parts_are_not_called_like_a_parameter(name):
    """Named parts would be t_1, t_2, …, and t_1 is a parameter: no line may define it."""
    t, x, y = sp.Symbol(name), *sp.symbols("x y")
    problem = Problem.least_squares([t * x * y - 1], parameters=(t, x, y), noise=LabelNoise(1))
    sde = derive_limiting_sde(problem)
    for text in (sde.latex(), sde.latex(line=30), gradient_flow_limit(problem).latex(), sde.document(WRITERS[".md"])):
        assert "t_{1}" not in definitions(text)
    other = derive_limiting_sde(Problem.least_squares([u * v * w - 1], parameters=(u, v, w), noise=LabelNoise(1)))
    assert "t_{2}" not in definitions(other.latex(names={u: "t_2"}))


def test_sums_within_sums_are_named_from_the_inside():
    a = sp.symbols("alpha1:7")
    x, r = sp.symbols("x r_1")
    inner = sum(p * q for p, q in pairwise(a))
    problem = Problem.least_squares(
        [x * (r + (sum(a) + inner + 7) ** 2) - 1], parameters=(x, r, *a), noise=LabelNoise(1)
    )
    text = derive_limiting_sde(problem).latex(line=40)
    names = [n for n in definitions(text) if n.startswith("r_")]
    assert names and "r_{1}" not in names
    assert all(text.count(n) > 1 for n in names), "each name is used"


@pytest.mark.parametrize(
    "names",
    [{u: "x_{1}", v: "x_1"}, {u: "x_ {1}", v: "x_1"}, {u: r"\Sigma"}, {u: "b"}, {u: "x^2"}, {u: "x^{2}"}, {u: "x_{ }"}],
)
def test_names_that_read_as_something_else(sde, names):
    with pytest.raises(BadInput):
        sde.latex(names=names)


def test_symbols_that_are_printed_alike_are_refused_in_documents():
    one, other = sp.symbols("x1 x_1")
    sde = derive_limiting_sde(Problem.least_squares([one * other - 1], parameters=(one, other), noise=LabelNoise(1)))
    for write in (sde.latex, lambda: sde.document(WRITERS[".md"])):
        with pytest.raises(BadInput, match="printed as x_1"):
            write()
    assert "y" in sde.latex(names={other: "y"})


def test_the_flow_has_the_same_names(tmp_path, capsys):
    source = tmp_path / "p.toml"
    source.write_text('parameters = ["u", "v"]\nresiduals = ["u*v - 1"]\nnoise = { kind = "label" }')
    assert main(["derive", str(source), "--flow", "--latex", "-", "--symbols", r"u=\theta", r"v=\omega"]) == 0
    shown = capsys.readouterr().out
    assert r"\theta^{2} - \omega^{2}" in shown and "u^{2}" not in shown
    target = tmp_path / "out.md"
    assert main(["derive", str(source), "--document", str(target), "--latex", "-", "--symbols", "zz=a"]) == 2
    assert not target.exists(), "names are refused before anything is written"


def test_names_reach_what_is_written_in_vectors():
    """s² of the noise, ξ = Xx, κ and the step; κ has letters that are none of the problem's."""
    a, s, d, w = sp.symbols("a s delta w", positive=True)
    named = {s: r"\hat{s}", a: r"\alpha", d: r"\epsilon", u: r"\theta_1"}
    one = Problem(loss=(u * v - a) ** 2 / 2, parameters=(u, v), noise=IsotropicNoise(s), constants=(s, a))
    text = derive_limiting_sde(one).latex(names={key: named[key] for key in (s, a, u)})
    assert r"S &= \frac{\hat{s}^{2}}{2}\,\nabla^2 L^{\dagger}" in text and "s^{2}" not in text.replace(r"\hat{s}", "")
    loss = (a * (u * v - 1) ** 2 + (w - u) ** 2) / 2
    two = Problem(loss=loss, parameters=(u, v, w), noise=IsotropicNoise(s + 1), constants=(s, a))
    text = derive_limiting_sde(two, optimizer=SGD(learning_rate=d)).latex(names=named)
    assert r"\xi &= Xx = (\theta_1,\ - v,\ \theta_1)" in text and r"\eta = \epsilon" in text and r"\delta" not in text
    assert r"\kappa(l, m) &=" in text and r"\kappa(a" not in text
