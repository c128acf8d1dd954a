"""Budgets of processor time, what is told while they last, and sizes that are foreseen before anything is built."""

import re

import numpy as np
import pytest
import sympy as sp

from symbolic_sgd import LabelNoise, Problem, derive_limiting_sde
from symbolic_sgd import effort as efforts
from symbolic_sgd.algebra.differentiate import least_operations, pull_back
from symbolic_sgd.algebra.graph import MAXIMAL_NODES, Graph
from symbolic_sgd.algebra.lyapunov import solve_lyapunov
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.command.main import main
from symbolic_sgd.effort import Effort
from symbolic_sgd.errors import BadInput, BudgetSpent, ProblemTooLarge, Undecided
from symbolic_sgd.manifold.manifold import find_manifold
from symbolic_sgd.regularizer.proposals import proposals
from symbolic_sgd.theorem.derivation import derive
from symbolic_sgd.theorem.drift import drift_terms
from symbolic_sgd.theorem.geometry import geometry_of
from symbolic_sgd.theorem.noise_on_manifold import noise_on_manifold
from symbolic_sgd.theorem.normal_frame import normal_frame
from symbolic_sgd.theorem.size import check_expected_size, noise_operations, operations
from symbolic_sgd.theorem.terms import TERMS

u, v, w, x, y = sp.symbols("u v w x y")


def tanh_network(width, inputs, samples):
    """Σ_j a_j tanh(w_j·x) at `samples` data points with small integer inputs."""
    a, weights = sp.symbols(f"a0:{width}"), sp.Matrix(width, inputs, sp.symbols(f"w0:{width * inputs}"))
    rng = np.random.default_rng(0)
    residuals = []
    for _ in range(samples):
        data = rng.integers(-2, 3, inputs)
        hidden = [sp.tanh(sum(int(c) * weights[j, i] for i, c in enumerate(data))) for j in range(width)]
        residuals.append(sum(p * q for p, q in zip(a, hidden, strict=True)) - int(rng.integers(-1, 2)))
    return Problem.least_squares(residuals, parameters=(*a, *weights), noise=LabelNoise(1))


# --- size -----------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(8, 16, 16), (16, 8, 16), (15, 16, 8)])
def test_a_network_that_is_too_large_to_be_written_is_refused_before_anything_is_built(shape, monkeypatch):
    """The engine worked for five minutes, without a word, and then refused. (It is derived by matrices, but not entry by entry.)"""
    problem = tanh_network(*shape)
    monkeypatch.setattr("symbolic_sgd.theorem.derivation.find_manifold", lambda *_: pytest.fail("Γ was sought"))
    told = []
    with pytest.raises(
        ProblemTooLarge, match=rf"needs some .* operations.*D = {problem.dimension} parameters.*M = {shape[2]}"
    ):
        derive(problem, told.append, in_matrices=False)
    assert told == ["foreseeing the size of the derivation"]


def grown(problem):
    """How many nodes a derivation makes, to the end."""
    manifold = find_manifold(problem)
    frame = normal_frame(manifold)
    normal = geometry_of(frame)
    noise = noise_on_manifold(normal)
    drift = drift_terms(normal, noise)
    for term in TERMS:
        term.matrix(normal, noise, drift)
    return frame, len(manifold.landscape.graph)


def overparametrised(rows, columns):
    us, vs = sp.symbols(f"u1:{columns + 1}"), sp.symbols(f"v1:{columns + 1}")
    residuals = [
        sum(((i * j) % 3 - 1 or 2) * (p**2 - q**2) for j, (p, q) in enumerate(zip(us, vs, strict=True), 1)) - 1
        for i in range(1, rows + 1)
    ]
    return Problem.least_squares(residuals, parameters=(*us, *vs), noise=LabelNoise(1))


def separate(count):
    us, vs = sp.symbols(f"u1:{count + 1}"), sp.symbols(f"v1:{count + 1}")
    return Problem.least_squares(
        [p * q - 1 for p, q in zip(us, vs, strict=True)], parameters=(*us, *vs), noise=LabelNoise(1)
    )


@pytest.mark.parametrize(
    "problem",
    [tanh_network(4, 4, 4), overparametrised(3, 8), separate(9)],
    ids=["tanh", "overparametrised", "separate"],
)
def test_what_is_foreseen_is_needed(problem):
    """Never more than the derivation takes, and not much less, so that nothing is refused that would have been derived."""
    frame, nodes = grown(problem)
    pattern = np.array([[not e.is_zero for e in row] for row in frame.raw.rows])
    foreseen = operations(pattern) + noise_operations(pattern, np.repeat(pattern, 2, axis=1))
    assert nodes / 6 < foreseen <= nodes
    check_expected_size(problem)


def test_many_equations_that_share_no_parameter_are_not_refused():
    """D = 240, M = 120: dense matrices of that size would be refused, but nearly everything is zero by its form."""
    check_expected_size(separate(120))
    dense = np.ones((240, 120), dtype=bool)
    assert operations(dense) > MAXIMAL_NODES


def test_dependent_residuals_count_once():
    """Twelve times the same residual of 200 parameters: M = 1."""
    q = sp.symbols("q1:201")
    residual = sum(a * b for a, b in zip(q[:100], q[100:], strict=True)) - 1
    check_expected_size(Problem.least_squares([residual] * 12, parameters=q, noise=LabelNoise(1)))


def test_the_third_derivative_and_lyapunovs_equation_are_foreseen_from_below():
    problem = tanh_network(3, 3, 2)
    landscape = problem.landscape()
    graph, d = landscape.graph, landscape.dimension
    outputs = list(landscape.hessian.entries)
    least, before = least_operations(outputs, landscape.variables), len(graph)
    pull_back(outputs, [graph.symbol(sp.Symbol(f"c{k}")) for k in range(d * d)], landscape.variables)
    assert 0 < least <= len(graph) - before < 12 * least
    graph = Graph()
    n = 24
    spread = Matrix.of([[graph.symbol(sp.Symbol(f"m{min(i, j)}_{max(i, j)}")) for j in range(n)] for i in range(n)])
    before = len(graph)
    with pytest.raises(ProblemTooLarge, match="Lyapunov equation of 24 normal directions needs at least"):
        solve_lyapunov(spread, (graph.constant(1),) * n, spread)
    assert len(graph) < before + 10  # refused before it was begun


# --- budgets --------------------------------------------------------------------------------


class Clock:
    """A processor that takes a second whenever it is looked at."""

    def __init__(self):
        self.seconds = 0.0

    def __call__(self):
        self.seconds += 1.0
        return self.seconds


@pytest.fixture
def clock(monkeypatch):
    replaced = Clock()
    monkeypatch.setattr(efforts, "process_time", replaced)
    return replaced


def test_an_effort_says_what_it_was_used_for(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(efforts, "process_time", lambda: now[0])
    told = []
    effort = Effort(3, told.append)
    effort.begin("one")
    effort.begin("two")
    effort.tell("half")
    now[0] = 3.5
    with pytest.raises(
        BudgetSpent,
        match=r"^3\.5 s of processor time were used \(tried to the end: one, at work when it stopped: two\)$",
    ):
        effort.check()
    with pytest.raises(BudgetSpent):
        list(effort.each([1]))
    assert told == ["one", "two", "two (half)"] and issubclass(BudgetSpent, Undecided)


def unsolved():
    """A noise without structure on a surface: every road is tried, and R is found by none."""
    noise = sp.Matrix([[sp.exp(u * x), 0], [0, 1 + v**2], [x, sp.sin(u)]])
    return derive_limiting_sde(
        Problem(loss=(x - sp.sin(u * v)) ** 2 / 2 * (1 + x**2), parameters=(u, v, x), noise=noise)
    )


def curve():
    noise = sp.Matrix([[sp.exp(u), 0], [0, sp.cos(v) + 2]])
    return derive_limiting_sde(Problem(loss=(v - sp.sinh(u)) ** 2 / 2 * (2 + u**2), parameters=(u, v), noise=noise))


@pytest.mark.parametrize("stated", [unsolved, curve])
@pytest.mark.parametrize("seconds", [1e-9, 5, 20, 60, 120])
def test_the_search_for_r_stops_wherever_it_is(stated, seconds, clock):
    """It "stopped" after two minutes without a word. Here the clock strikes at every check, so that the budget ends in
    every part of the search in turn."""
    sde = stated()
    clock.seconds = 0.0
    told = []
    try:
        found = sde.find_regularizer(seconds=seconds, progress=told.append)
    except BudgetSpent as spent:
        assert re.search(rf"within {seconds:g} s of processor time: .*sde\.find_regularizer\(seconds=…\)$", str(spent))
        assert "at work when it stopped" in str(spent) or seconds < 1
        assert clock.seconds < 1.2 * seconds + 10
    except Undecided as undecided:
        assert "tried to the end" in str(undecided)
    else:
        assert found.expression is None  # a curl
    assert told or seconds < 1


def test_more_time_decides_what_less_did_not(clock):
    sde = derive_limiting_sde(
        Problem(loss=(u**2 + v**2 - 1) ** 2 / 8, parameters=(u, v), noise=sp.Matrix([[1, 0], [0, sp.sqrt(2)]]))
    )
    clock.seconds = 0.0
    with pytest.raises(BudgetSpent):
        sde.find_regularizer(seconds=2)
    clock.seconds = 0.0
    found = sde.find_regularizer(seconds=float("inf"))
    assert found.expression is not None
    clock.seconds = 0.0
    assert sde.find_regularizer(seconds=1e-9) is found and sde.regularizer_evidence is found  # what is known is kept


@pytest.mark.parametrize("bad", [0, -1, float("nan"), "60", None, True, 1j])
def test_a_budget_is_a_positive_number(bad):
    sde = derive_limiting_sde(Problem.least_squares([u * v - 1], parameters=(u, v), noise=LabelNoise(1)))
    with pytest.raises(BadInput, match="seconds is"):
        sde.find_regularizer(seconds=bad)


def test_progress_is_a_function():
    problem = Problem.least_squares([u * v - 1], parameters=(u, v), noise=LabelNoise(1))
    with pytest.raises(BadInput, match="progress is 3"):
        derive_limiting_sde(problem, progress=3)
    with pytest.raises(BadInput, match="progress is 'loud'"):
        derive_limiting_sde(problem).find_regularizer(progress="loud")


def test_gram_and_schmidt_keep_to_the_budget(clock):
    rng = np.random.default_rng(0)
    with pytest.raises(BudgetSpent):
        list(proposals(rng.standard_normal((200, 60)), rng.standard_normal(200), Effort(20)))


# --- what is told ---------------------------------------------------------------------------


def test_a_derivation_and_a_search_tell_what_they_do():
    told = []
    sde = derive_limiting_sde(
        Problem(loss=(u**2 + v**2 - 1) ** 2 / 8, parameters=(u, v), noise=sp.Matrix([[1, 0], [0, 2]])),
        progress=told.append,
    )
    assert [words.split(" (")[0] for words in told] == [
        "foreseeing the size of the derivation",
        "∇L and ∇²L",
        "looking for minimizers by descent from many starts",
        "minimizers to 120 digits",
        "walking along Γ",
        "the normal space",
        "the noise on Γ",
        "the drift",
        "collecting the terms",
    ]
    told.clear()
    sde.find_regularizer(progress=told.append)
    assert told[0] == "R by the structure of the noise" and any("candidates" in words for words in told)
    told.clear()
    sde.document(progress=told.append)
    assert {"finding Φ", "the SDE in a chart"} <= set(told)


PROBLEM = """
parameters = ["u", "v"]
loss = "(u*v - 1)**2/2"
noise = {kind = "isotropic"}
"""


@pytest.mark.parametrize("command", [["derive"], ["verify"]])
def test_the_command_line_tells_a_terminal_only(command, tmp_path, capsys, monkeypatch):
    file = tmp_path / "p.toml"
    file.write_text(PROBLEM, encoding="utf-8")
    assert main([*command, str(file)]) == 0
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert main([*command, str(file)]) == 0
    seen = capsys.readouterr().err
    assert "the normal space" in seen and seen.endswith("\r\033[K")


def test_the_command_line_takes_a_budget(tmp_path, capsys):
    file = tmp_path / "p.toml"
    file.write_text(PROBLEM, encoding="utf-8")
    page = tmp_path / "p.md"
    assert main(["derive", str(file), "--document", str(page), "--seconds", "1e-9"]) == 0
    assert "processor time" in page.read_text(encoding="utf-8")
    assert main(["derive", str(file), "--document", str(page), "--seconds", "-3"]) == 2
    assert "seconds is -3.0" in capsys.readouterr().err
