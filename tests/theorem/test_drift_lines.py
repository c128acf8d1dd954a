"""The theorem's three lines stand once, and are run by every geometry: framed, frameless, composed, batches, families."""

import ast
from fractions import Fraction
from pathlib import Path

import mpmath
import numpy as np
import pytest
import sympy as sp
from family_members import CASES, HALF, Member
from working_precision import working_digits

import symbolic_sgd
from symbolic_sgd import GradientNoise, IsotropicNoise, LabelNoise, NumPy, Problem, derive_limiting_sde
from symbolic_sgd.algebra.arithmetic import PRECISE
from symbolic_sgd.algebra.lyapunov import elementary_symmetric
from symbolic_sgd.algebra.program import Program, evaluate
from symbolic_sgd.algebra.solvers import by_elimination
from symbolic_sgd.manifold.manifold import find_manifold
from symbolic_sgd.numeric.structured import Structured
from symbolic_sgd.theorem.composed import composed_formulas
from symbolic_sgd.theorem.drift import drift_terms
from symbolic_sgd.theorem.geometry import FramedGeometry, FramelessGeometry, geometry_of
from symbolic_sgd.theorem.noise_on_manifold import noise_on_manifold
from symbolic_sgd.theorem.normal_frame import normal_frame

a, b, c, d, e = parameters = sp.symbols("a b c d e")
LINES = ("tangent_noise_compensation", "mixed_regularization", "normal_regularization")
PACKAGE = Path(symbolic_sgd.__file__).parent

DENSE = sp.Matrix(5, 2, lambda i, j: parameters[(i + j) % 5] * (1 + i) / 3 + (i - j) / 2)
TWO, ONE = [a * b - 1, c**2 + d * e - 2], [a * b + c * sp.tanh(d) + e**2 - 2]
PROBLEMS = {
    "two residuals, label": (TWO, LabelNoise(HALF)),
    "two residuals, isotropic": (TWO, IsotropicNoise(2)),
    "two residuals, dense": (TWO, DENSE),
    "one residual, label": (ONE, LabelNoise(1)),
    "one residual, dense": (ONE, GradientNoise(DENSE)),
    "three residuals, dense": ([a * b - 1, c * d - 2, e + a * d - 3], DENSE),
}
MEMBERS = ("OLM label halved", "OLM isotropic as printed", "OLM dense halved", "tanh, data inside, dense")


def stated(name):
    residuals, noise = PROBLEMS[name]
    return Problem.least_squares(residuals, parameters=parameters, noise=noise)


def by_nodes(geometry):
    """The lines of a geometry of nodes, as a program."""
    terms = drift_terms(geometry, noise_on_manifold(geometry))
    return Program.of({line: getattr(terms, line) for line in LINES})


def geometries(problem):
    """The framed and the frameless geometry of the same Γ."""
    manifold = find_manifold(problem)
    frame = normal_frame(manifold)
    hessian = manifold.restrict(manifold.landscape.hessian)
    yield FramelessGeometry(frame, hessian, elementary_symmetric(hessian, manifold.codimension))
    if frame.raw is not None:
        framed = geometry_of(frame)
        assert isinstance(framed, FramedGeometry)
        yield framed


def roads(sde, row):
    """Each road's three lines at a float64 point of Γ: the programs to 50 digits, arrays in float64."""
    problem = sde.problem
    programs = [by_nodes(geometry) for geometry in geometries(problem)]
    formulas = composed_formulas(sde.derivation, by_elimination)
    if formulas is not None:  # where the residuals themselves make the frame
        graph = formulas.normal[0, 0].graph
        programs.append(Program.of({line: formulas.program(line).on(graph)[line] for line in LINES}))
    with working_digits(50):
        assignment = {s: mpmath.mpf(float(x)) for s, x in zip(problem.symbols, row, strict=True)}
        for program in programs:
            values = program.run(PRECISE, assignment)
            yield {line: np.array([float(v) for v in values[line]]) for line in LINES}
    yield {line: structured(sde, line, row) for line in LINES}


def structured(sde, line, row):
    result = np.empty((1, sde.problem.dimension))
    Structured(sde.derivation, line, NumPy().function).rows(row[None, :], [result])
    return result[0]


def condition_and_size(sde, row):
    """The condition of H on the normal space, and |H†||T||Σ|, of which the lines are sums."""
    x, values = sde.problem.parameters, dict(zip(sde.problem.symbols, map(float, row), strict=True))
    hessian = sp.hessian(sde.problem.loss, x)
    curvature = np.linalg.eigvalsh(np.array(hessian.subs(values), dtype=float))[-sde.manifold.codimension :]
    third = max(float(abs(h.diff(s).subs(values))) for h in hessian for s in x)
    noise = evaluate(sde.derivation.blocks.select("noise_factor"), sde.problem.symbols, row[None, :])["noise_factor"]
    noise = noise.reshape(len(x), -1)
    return curvature[-1] / curvature[0], third * np.abs(noise @ noise.T).max() / curvature[0]


@pytest.mark.parametrize("name", PROBLEMS)
def test_every_geometry_of_a_problem_gives_the_same_lines(name):
    sde = derive_limiting_sde(stated(name))
    row = sde.derivation.points[-1]
    row = np.array([float(row[s]) for s in sde.problem.symbols])
    condition, size = condition_and_size(sde, row)
    first, *others = roads(sde, row)
    assert len(others) == 3 and composed_formulas(sde.derivation, by_elimination) is not None
    for other in others:
        for line in LINES:
            np.testing.assert_allclose(
                other[line], first[line], rtol=0, atol=1e-14 * condition * max(size, 1), err_msg=line
            )


@pytest.mark.parametrize("name", MEMBERS)
def test_a_family_and_its_member_give_the_same_lines(name):
    member = Member(*CASES[name], (2, 3))
    sde, arrays = member.explicit(), member.arrays()
    row = np.concatenate(member.x)
    condition, size = condition_and_size(sde, row)
    family = {line: np.concatenate(getattr(arrays, line)(*member.x, **member.rows)) for line in LINES}
    for other in roads(sde, row):
        for line in LINES:
            np.testing.assert_allclose(
                other[line], family[line], rtol=0, atol=1e-14 * condition * max(size, 1), err_msg=line
            )


def test_the_lines_stand_once():
    """Nowhere else is a third derivative contracted and then projected or inverted."""
    found = []
    for file in sorted(PACKAGE.rglob("*.py")):
        if "checks" in file.parts:  # which share nothing with the derivation
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in ("tangent_part", "pseudo_inverse")
            ):
                inner = node.args[0] if node.args else None
                if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Attribute) and inner.func.attr == "third":
                    found.append((file.relative_to(PACKAGE).as_posix(), node.func.attr))
    assert found == [
        ("theorem/drift.py", "pseudo_inverse"),
        ("theorem/drift.py", "tangent_part"),
        ("theorem/drift.py", "tangent_part"),
    ]


def test_a_factor_that_is_multiplied_last_is_exact():
    """½·2 of the composed formulas leaves no factor behind."""
    formulas = composed_formulas(derive_limiting_sde(stated("two residuals, dense")).derivation, by_elimination)
    assert formulas is not None
    assert formulas.lines.normal_regularization.factor == Fraction(-1)
