"""Scripts that state a problem: run, they state the same problem and the same optimizer."""

import pytest
import sympy as sp
from asking import HYPERBOLA
from stated_optimizers import FIELDS

from symbolic_sgd.command.serve import examples
from symbolic_sgd.documents.script import python_script
from symbolic_sgd.optimizers.catalogue import OPTIMIZERS
from symbolic_sgd.optimizers.stated import optimizer_of, stated_document
from symbolic_sgd.problems.as_data import problem_document
from symbolic_sgd.problems.problem_file import problem_from_text
from symbolic_sgd.serve.answers import _stated
from symbolic_sgd.serve.form import read_fields

PROBLEMS = {
    "names that are taken": 'parameters = ["Rational", "f"]\nloss = "(Rational*f - 1/2)**2*sqrt(2)"\nnoise = { kind = "isotropic" }',
    "constants": 'parameters = ["u", "v"]\nresiduals = ["u*v - s"]\nnoise = { kind = "label", amplitude = ["a/2"], batch_size = 1 }\n'
    'constants = { s = "positive", a = "nonzero" }\ndomain = ["u > 0", "v != 0"]\nmanifold = ["u*v - s"]\nnear = { u = 1, v = 1, s = 1 }',
    "perturbations": 'parameters = ["u", "v"]\nperturbed_loss = "((u + p)*(v + q) - 1)**2/2"\nperturbations = ["p", "q"]\n'
    'covariance = [["2", "1/2"], ["1/2", "1"]]',
    "functions": 'parameters = ["u", "v"]\nloss = "log(1 + exp(u*v/2))**(1/3) + pi*atan(u)/3 + abs(v)"\n'
    'noise = { kind = "matrix", sigma = [["exp(1)/2", "u"], ["0", "3/4"]] }',
    "weights": 'parameters = ["u", "v"]\nsample_losses = ["(u*v - 1)**2", "(u*v - 1)**4/7"]\nweights = ["1/3", "2/3"]',
}


def run(script):
    """What the script states, by names: it is run up to the derivation, which is not made."""
    head, _, rest = script.partition("\n\nfrom symbolic_sgd")
    imports, _, body = f"from symbolic_sgd{rest}".partition("\n\n")
    names = {}
    exec(f"{head}\n{imports}", names)
    names["derive_limiting_sde"] = lambda problem, optimizer=None: optimizer
    exec(body.partition("\n\nprint")[0], names)
    return names["problem"], names["sde"] or optimizer_of(None)


@pytest.mark.parametrize("example", examples(), ids=lambda example: example.name)
def test_scripts_of_examples(example):
    stated, optimizer = _stated(example.fields)
    problem, _ = run(python_script(stated.problem, optimizer))
    assert problem_document(problem) == problem_document(stated.problem)


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_scripts_of_optimizers(kind):
    stated, optimizer = _stated(read_fields(FIELDS[kind]))
    problem, again = run(python_script(stated.problem, optimizer))
    assert stated_document(problem, again) == stated_document(stated.problem, optimizer)
    assert repr(again) == repr(optimizer)


@pytest.mark.parametrize("name", PROBLEMS)
def test_scripts_of_problems(name):
    problem = problem_from_text(PROBLEMS[name])
    again, _ = run(python_script(problem, optimizer_of(None)))
    renamed = {b: a for a, b in zip(problem.symbols, again.symbols, strict=True)}
    assert [s.assumptions0 for s in problem.symbols] == [s.assumptions0 for s in again.symbols]
    assert problem_document(problem) == problem_document(again)
    assert sp.simplify(again.loss.xreplace(renamed) - problem.loss) == 0


def test_a_script_runs_to_its_end(capsys):
    fields = read_fields(HYPERBOLA)
    exec(python_script(_stated(fields)[0].problem, optimizer_of(None)), {})
    assert "passed" in capsys.readouterr().out
