"""The table [optimizer] of problem files: what it states, what it refuses, and how an optimizer is written."""

import pytest
import sympy as sp

from symbolic_sgd import (
    SAM,
    SGD,
    Adam,
    ColouredNoise,
    HeavyBall,
    LocalSGD,
    MirrorDescent,
    Nesterov,
    NonlinearUpdate,
    NormalizedGD,
    Preconditioned,
    RandomReshuffling,
    RMSprop,
    RootLoss,
    Shampoo,
)
from symbolic_sgd.errors import BadInput, BadSymbol, ExpressionSyntaxError, ProblemFileError
from symbolic_sgd.optimizers.catalogue import OPTIMIZERS
from symbolic_sgd.optimizers.optimizer import Optimizer
from symbolic_sgd.optimizers.stated import keys, optimizer_document, optimizer_of
from symbolic_sgd.problems.problem_file import file_from_document

PROBLEM = {"parameters": ["u", "v"], "residuals": ["u*v - 1"], "noise": {"kind": "label"}}
CONSTANTS = {"eta": "positive", "c": "real"}


def stated(table, constants=CONSTANTS):
    return optimizer_of(
        file_from_document(PROBLEM | {"optimizer": table, "constants": constants}, source="p").optimizer
    )


@pytest.mark.parametrize(
    ("table", "known"),
    [
        ({"kind": "sgd"}, SGD()),
        ({"kind": "sgd", "learning_rate": "eta", "weight_decay": 2}, SGD(sp.Symbol("eta", positive=True), 2)),
        (
            {"kind": "sgd", "slow_potential": "c*u**2"},
            SGD(slow_potential=sp.Symbol("c", real=True) * sp.Symbol("u", real=True) ** 2),
        ),
        ({"kind": "heavy_ball", "momentum": "9/10", "learning_rate": "1/8"}, HeavyBall(sp.Rational(9, 10), 0.125)),
        ({"kind": "heavy_ball", "friction": "0.5"}, HeavyBall(friction=0.5)),
        ({"kind": "nesterov", "momentum": "1/2"}, Nesterov(0.5)),
        ({"kind": "local_sgd", "workers": 4, "steps": "2", "learning_rate": "0.1"}, LocalSGD(4, 2, 0.1)),
        ({"kind": "coloured_noise", "correlation": "-1/2"}, ColouredNoise(-0.5)),
    ],
)
def test_a_table_states_an_optimizer(table, known):
    assert stated(table) == known


def test_without_a_table_it_is_plain_sgd():
    assert optimizer_of(file_from_document(PROBLEM, source="p").optimizer) == SGD()


@pytest.mark.parametrize(
    ("table", "error", "words"),
    [
        ({"momentum": "1/2"}, ProblemFileError, r"table \[optimizer\]: key 'kind' is missing; write kind = \"heavy_ball\""),
        ({"kind": "heavy ball"}, ProblemFileError, r"p: table \[optimizer\]: key 'kind' is 'heavy ball'; did you mean 'heavy_ball'"),
        ({"kind": "adagrad"}, ProblemFileError, "the kinds of optimizers are sgd, heavy_ball"),
        ({"kind": "sgd", "momentum": "1/2"}, ProblemFileError, "key 'momentum' is none of sgd; its keys are learning_rate"),
        ({"kind": "nesterov", "moment": "1/2"}, ProblemFileError, "did you mean 'momentum'"),
        ({"kind": "nesterov"}, ProblemFileError, "key 'momentum' is missing; nesterov needs it"),
        ({"kind": "heavy_ball", "momentum": "3/2"}, ProblemFileError, r"table \[optimizer\]: momentum is 3/2"),
        ({"kind": "heavy_ball"}, ProblemFileError, "give one of the two"),
        ({"kind": "local_sgd", "workers": "1/2"}, ProblemFileError, "workers is 1/2; it has to be a whole number"),
        ({"kind": "sgd", "learning_rate": 0.1}, ProblemFileError, "key 'learning_rate' is a float .* write it in quotes"),
        ({"kind": "sgd", "learning_rate": "h"}, ExpressionSyntaxError, "'h' is not a declared name"),
        ({"kind": "sgd", "learning_rate": "c"}, ProblemFileError, "declare it positive"),
        ({"kind": "sgd", "learning_rate": "__import__('os')"}, ExpressionSyntaxError, "key 'learning_rate'"),
        ({"kind": 3}, ProblemFileError, "key 'kind' is an integer"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_with_its_place(table, error, words):
    with pytest.raises(BadInput, match=words) as caught:
        stated(table)
    assert type(caught.value) is error


def test_a_table_that_is_none():
    with pytest.raises(ProblemFileError, match="key 'optimizer' is a string"):
        file_from_document(PROBLEM | {"optimizer": "sgd"}, source="p")


X, Y = sp.symbols("u v", real=True)
EXAMPLES = [
    SGD(),
    SGD(learning_rate=0.25, weight_decay=2),
    HeavyBall(momentum=sp.Rational(9, 10), learning_rate=sp.Symbol("eta", positive=True)),
    HeavyBall(friction=2, weight_decay=1),
    Nesterov(momentum=0.5),
    LocalSGD(workers=3, steps=2, learning_rate=0.125),
    LocalSGD(workers=3, round_time=2),
    ColouredNoise(correlation=-0.5, learning_rate=0.125),
    Preconditioned(sp.Matrix([[2, 1 + X**2], [1 + X**2, 3]]), learning_rate=0.25, weight_decay=1),
    MirrorDescent(X**2 + sp.exp(Y), learning_rate=0.25),
    NonlinearUpdate(sp.tanh, weight_decay=1),
    NonlinearUpdate(sp.sign, law="gaussian"),
    RMSprop(2, stabilizer=sp.Rational(1, 10)),
    Adam(0.5, 2, exponent=1, learning_rate=0.125, weight_decay=1),
    Shampoo([sp.Matrix([[X]]), sp.Matrix([[Y]])], 2, sides=1, exponent=1),
    Shampoo(sp.Matrix([[X, Y]]), 2, stabilizer=0.5),
    SAM(learning_rate=0.125),
    NormalizedGD(),
    RootLoss(),
    RandomReshuffling(learning_rate=0.125, weight_decay=1),
]


@pytest.mark.parametrize("optimizer", EXAMPLES, ids=str)
def test_what_is_written_reads_back(optimizer):
    assert stated(optimizer_document(optimizer)) == optimizer


def test_every_kind_is_written_and_every_key_is_known():
    assert {optimizer_document(optimizer)["kind"] for optimizer in EXAMPLES} == set(OPTIMIZERS)
    assert set(keys()["learning_rate"]) == set(OPTIMIZERS) - {"normalized_gd", "root_loss", "nonlinear_update"}


def test_an_optimizer_of_ones_own_cannot_be_written():
    class Own(SGD):
        pass

    with pytest.raises(BadInput, match="type Own cannot be written"):
        optimizer_document(Own())


def test_the_names_of_constants_are_those_of_the_file():
    with pytest.raises(BadSymbol):
        stated({"kind": "sgd", "learning_rate": "u"}, {"u": "positive"})
    assert isinstance(stated({"kind": "sgd"}), Optimizer)
