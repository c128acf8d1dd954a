"""Factors of polynomials multiply to what was factored, whatever the size of the coefficients."""

from fractions import Fraction

import pytest
import sympy as sp

from symbolic_sgd import GradientNoise, IsotropicNoise, Problem, derive_limiting_sde
from symbolic_sgd.algebra.arithmetic import nearest_float
from symbolic_sgd.command.main import main
from symbolic_sgd.errors import SingularPoint, Undecided
from symbolic_sgd.rational import fractions

u, v = sp.symbols("u v")
LARGE = [10, 2**31, 10**10, 2**63, 10**25]


def as_sympy(ring, polynomial, symbols):
    return sum(
        c * sp.prod([x**e for x, e in zip(symbols, exponents, strict=True)]) for exponents, c in ring.terms(polynomial)
    )


@pytest.mark.parametrize("library", ["python-flint", "SymPy"])
@pytest.mark.parametrize("large", LARGE)
def test_factors_multiply_to_the_polynomial(large, library, monkeypatch):
    """Was: OverflowError from the key by which python-flint sorts the factors."""
    if library == "python-flint":
        pytest.importorskip("flint")
    else:
        monkeypatch.setattr(fractions, "flint", None)
    ring = fractions.ring(["x", "y"])
    (x, y), n, symbols = ring.generators, ring.constant(large), sp.symbols("x y")
    for polynomial in (
        (x - y) * (x + n * y),
        (n * x - y) * x,
        n * (n * x - y**3) ** 2 * (x + n * y) * (x - n * y),
        (n * x * x + y) * (x - n),
        n * x - y,
        ring.constant(-large),
        ring.constant(0),
    ):
        content, factors = ring.factors(polynomial)
        product = content * sp.prod([as_sympy(ring, p, symbols) ** k for p, k in factors])
        assert sp.expand(product - as_sympy(ring, polynomial, symbols)) == 0
        if library == "SymPy" or large < 2**31:
            assert len(factors) == len(sp.factor_list(sp.expand(product), *symbols)[1])


EQUATIONS = {
    "cubic": (10**10 * u - v**3, {v: 3, u: sp.Rational(27, 10**10)}),
    "sine": (sp.sin(10**10 * u) - v, {u: sp.Rational(3, 10**10), v: sp.sin(3)}),
    "conic": (10**12 * u * v - u**2 - 10**13, {u: 10**6, v: sp.Rational(11, 10**5)}),
    "hyperbola": (u * v - 10**11, {u: 10**5, v: 10**6}),
    "many digits": (10**20 * u + v * (u - 10**9 * v), {v: 1, u: sp.Rational(10**9, 10**20 + 1)}),
    "two factors": ((u - v) * (u + 2**64 * v) - 1, {v: 0, u: 1}),
}


@pytest.mark.parametrize("name", EQUATIONS)
def test_large_integers_in_a_loss(name):
    """Was: OverflowError when the drift was written, a traceback on the command line. By hand, for L = g²/2, n = ∇g, σ = 1:
    dY = P dW − ½(tr(P∇²g) n + P∇²g n)/|n|² dt."""
    g, point = EQUATIONS[name]
    sde = derive_limiting_sde(Problem(loss=g**2 / 2, parameters=(u, v), noise=IsotropicNoise(), near=point))
    n, curved = sp.Matrix([g.diff(u), g.diff(v)]), sp.hessian(g, (u, v))
    n, curved = (m.subs(point) for m in (n, curved))
    projection = sp.eye(2) - n * n.T / n.dot(n)
    expected = -((projection * curved).trace() * n + projection * curved * n) / (2 * n.dot(n))
    found = sde.drift.subs(point).evalf(40, maxn=500)
    assert all(
        abs(a - b) <= 1e-20 * max(map(abs, expected)) for a, b in zip(found, expected.evalf(60, maxn=500), strict=True)
    )


def test_large_integers_on_the_command_line(tmp_path, capsys):
    file = tmp_path / "p.toml"
    file.write_text(
        'parameters = ["u", "v"]\nloss = "(sin(10**10*u) - v)**2"\nnoise = { kind = "matrix", sigma = [["10**10*v"], ["u"]] }\n'
    )
    assert main(["derive", str(file), "--latex", str(tmp_path / "p.tex")]) == 0
    assert "entry by entry" in capsys.readouterr().out


@pytest.mark.parametrize(("of_loss", "of_noise"), [(-160, 160), (-30, 155), (30, 160), (0, 200)])
def test_constants_beyond_float64(of_loss, of_noise):
    """Was: OverflowError from a constant of the squared noise while deriving. The formula is that of scale 1 times it; float64,
    where it is beyond its range, is refused."""
    loss, noise = (sp.Integer(10) ** power for power in (of_loss, of_noise))

    def limit(loss, noise):
        noise = GradientNoise(noise * sp.Matrix([[v], [u]]))
        return derive_limiting_sde(Problem(loss=loss * (u * v - 1) ** 2 / 2, parameters=(u, v), noise=noise))

    sde, plain = limit(loss, noise), limit(1, 1)
    point = {u: 2, v: sp.Rational(1, 2)}
    assert sde.drift.subs(point) == noise**2 * plain.drift.subs(point)
    assert sde.lambdify().diffusion([2, 0.5]) == pytest.approx(float(noise) * plain.lambdify().diffusion([2, 0.5]))
    with pytest.raises(SingularPoint, match="overflows"):
        sde.lambdify().drift([2, 0.5])
    with pytest.raises((Undecided, SingularPoint)):  # was: ValueError from the largest of no numbers
        assert sde.regularizer is not None


def test_the_nearest_float():
    for value in (Fraction(1, 3), Fraction(-7), Fraction(10**400, 10**399), Fraction(0), 10**308):
        assert nearest_float(value) == float(value)
    assert nearest_float(Fraction(10**400, 3)) == float("inf") and nearest_float(-(10**400)) == float("-inf")
