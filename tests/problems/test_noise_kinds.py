"""A noise model is a class and a row: it is read from a file, written to one, derived, simulated, and its certificate repeated."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import sympy as sp

from symbolic_sgd import Problem, derive_limiting_sde, recheck, simulate_sde, simulate_sgd, verify
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.translation import from_sympy
from symbolic_sgd.checks.one_step import OneStep
from symbolic_sgd.errors import BadShape
from symbolic_sgd.problems.as_data import problem_document
from symbolic_sgd.problems.file_keys import EXPRESSIONS, Key
from symbolic_sgd.problems.noise import GradientNoise, Noise, NoiseColumns
from symbolic_sgd.problems.problem_file import NOISE_KINDS, NoiseKind, problem_from_document, problem_from_text
from symbolic_sgd.problems.symbols import check_expression

u, v = sp.symbols("u v")
TEXT = """
parameters = ["u", "v"]
residuals = ["u*v - 1"]
noise = { kind = "diagonal", scales = ["sinh(u)", "1 + v**2"] }
"""


@dataclass(frozen=True)
class DiagonalNoise(Noise):
    """σ = diag(s(x))."""

    scales: tuple[Any, ...]

    @property
    def expressions(self):
        return self.scales

    def check(self, problem):
        if len(self.scales) != problem.dimension:
            raise BadShape(f"noise: {len(self.scales)} scales for {problem.dimension} parameters")
        for scale in self.scales:
            check_expression(scale, problem.symbols, where="noise: scales")

    def map(self, f):
        return DiagonalNoise(tuple(map(f, self.scales)))

    def columns(self, problem, landscape):
        scales = [from_sympy(scale, landscape.graph) for scale in self.scales]
        return NoiseColumns(Matrix.diagonal(landscape.graph, scales), (Fraction(1),) * len(scales), drawn=False)


@pytest.fixture
def added(monkeypatch):
    row = NoiseKind(
        DiagonalNoise,
        (Key("scales", EXPRESSIONS, "The entries of σ's diagonal.", 'scales = ["1", "1 + v**2"]'),),
        lambda reader, table: DiagonalNoise(
            tuple(reader.exact(s, table.place) for s in table.need("scales", list, "a list"))
        ),
        lambda noise: {"scales": list(map(str, noise.scales))},
    )
    monkeypatch.setitem(NOISE_KINDS, "diagonal", row)
    return problem_from_text(TEXT, source="test")


def test_it_is_read_and_written(added):
    assert isinstance(added.noise, DiagonalNoise)
    document = problem_document(added)
    assert document["noise"] == {"kind": "diagonal", "scales": ["sinh(u)", "v**2 + 1"]}
    assert problem_from_document(document, source="again").noise_factor == added.noise_factor


def test_it_derives_what_its_matrix_does(added):
    named = {s.name: s for s in added.parameters}
    sigma = sp.diag(sp.sinh(named["u"]), 1 + named["v"] ** 2)
    other = Problem.least_squares(added.residuals, parameters=added.parameters, noise=GradientNoise(sigma))
    ours, theirs = (derive_limiting_sde(p).lambdify() for p in (added, other))
    np.testing.assert_allclose(ours.drift([2, 0.5]), theirs.drift([2, 0.5]), rtol=1e-13)


def test_it_is_simulated(added):
    sde = derive_limiting_sde(added)
    run = simulate_sgd(added, [1, 1], learning_rate=0.05, steps=8, replicas=50, rng=0)
    limit = simulate_sde(sde, [1, 1], time=0.02, step=0.01, replicas=50, rng=0)
    assert np.isfinite(run.final).all() and np.isfinite(limit.final).all() and run.covariance[-1].any()


def test_its_certificate_is_repeated(added):
    certificate = verify(derive_limiting_sde(added), checks=[OneStep()])
    assert certificate.passed and recheck(certificate.to_json()).holds


def test_without_a_row_it_is_no_kind():
    with pytest.raises(ValueError, match="the kinds of noise are label, isotropic, matrix"):
        problem_from_text(TEXT, source="test")
