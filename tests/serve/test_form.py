"""Fields and the problem files that they state, there and back; and the text of problem files."""

import tomllib
from dataclasses import asdict

import pytest

from symbolic_sgd.command.serve import examples
from symbolic_sgd.errors import ProblemFileError
from symbolic_sgd.optimizers.catalogue import OPTIMIZERS
from symbolic_sgd.optimizers.stated import optimizer_document, optimizer_of
from symbolic_sgd.problems.as_data import problem_document
from symbolic_sgd.problems.as_text import problem_text
from symbolic_sgd.problems.problem_file import NOISE_KINDS, content_of, file_from_document
from symbolic_sgd.serve.form import Fields, document_of, fields_of, noise_keys, optimizer_keys, read_fields

HYPERBOLA = {"loss": "(u*v - 1)**2/2", "parameters": ["u", "v"], "noise": {"kind": "isotropic"}}

DOCUMENTS = {
    "several amplitudes": HYPERBOLA
    | {"residuals": ["u*v - 1", "u - v"], "noise": {"kind": "label", "amplitude": ["1", "1/2"], "batch_size": 2}},
    "a covariance": HYPERBOLA | {"noise": {"kind": "matrix", "covariance": [["2", "0"], ["0", "1 + u**2"]]}},
    "two-sided": HYPERBOLA
    | {"optimizer": {"kind": "shampoo", "matrices": [[["1", "0"], ["0", "0"]], [["0", "0"], ["0", "1"]]]}},
    "a preconditioner": HYPERBOLA
    | {"optimizer": {"kind": "preconditioned", "preconditioner": [["2", "0"], ["0", "1 + u**2"]]}},
    "a function": HYPERBOLA | {"optimizer": {"kind": "nonlinear_update", "function": "tanh(g)"}},
    "momentum": HYPERBOLA | {"optimizer": {"kind": "heavy_ball", "momentum": "9/10", "learning_rate": "1/8"}},
    "perturbations": {
        "perturbed_loss": "((u + a)*v - 1)**2/2",
        "parameters": ["u", "v"],
        "perturbations": ["a"],
        "optimizer": {"kind": "sgd", "learning_rate": "1/8"},
    },
    "everything else": HYPERBOLA
    | {
        "constants": {"s": "positive", "a": "real"},
        "noise": {"kind": "isotropic", "scale": "s"},
        "title": 'A "title" \\ with \t signs',
        "near": {"u": 1, "v": 1.5},
        "domain": ["v > 0"],
        "manifold": ["u*v - 1"],
    },
}


def without_other_losses(document):
    return {key: value for key, value in document.items() if key != "loss" or "residuals" not in document}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents_there_and_back(name):
    document = without_other_losses(DOCUMENTS[name])
    assert document_of(fields_of(document)) == document
    assert document_of(read_fields(asdict(fields_of(document)))) == document
    assert content_of(problem_text(document), "p") == document


@pytest.mark.parametrize("example", examples(), ids=lambda example: example.name)
def test_examples_are_the_files_of_the_gallery(example):
    again = file_from_document(document_of(example.fields), source="problem")
    text = problem_text(document_of(example.fields))
    kept = file_from_document(content_of(text, "p"), source="p")
    assert problem_document(again.problem) == problem_document(kept.problem) and again.title == example.title


def test_every_kind_has_its_fields():
    assert set(noise_keys()) == set(NOISE_KINDS) and set(optimizer_keys()) == set(OPTIMIZERS)
    assert optimizer_keys()["heavy_ball"] == ("learning_rate", "weight_decay", "momentum", "friction")


def test_an_optimizer_of_fields_is_that_of_a_file():
    fields = Fields(
        "loss", "u*v", "u, v", optimizer="preconditioned", optimizer_values={"preconditioner": "2, Max(u, v)\n0, 1"}
    )
    assert document_of(fields)["optimizer"]["preconditioner"] == [["2", "Max(u, v)"], ["0", "1"]]
    document = document_of(fields_of(DOCUMENTS["momentum"]))
    stated = optimizer_of(file_from_document(document, source="problem").optimizer)
    assert optimizer_document(stated) == DOCUMENTS["momentum"]["optimizer"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"statement": "lossy"}, "'lossy' is no statement of a loss; they are residuals, loss"),
        ({"constants": "s very positive"}, "'s very positive' is a name and one word"),
        ({"further": "loss = 1"}, "further lines state 'loss', which the form states"),
        ({"further": "near ="}, "problem: further lines is not valid TOML"),
    ],
)
def test_fields_that_state_nothing(changes, words):
    with pytest.raises(ProblemFileError, match=r"^problem: ") as caught:
        document_of(Fields(**{"formula": "u*v", "parameters": "u, v"} | changes))
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        '"',
        "'''",
        '"""',
        "\\",
        "a\nb\r\tc",
        "\x00\x1f\x7f\x80",
        "é Γ 漢 🙂",
        "# no comment",
        "\u2028\u202e",
        "= [x]",
    ],
)
def test_texts_of_files_read_back(text):
    document = {
        "title": text,
        "parameters": [text, "u"],
        "near": {text: 1, "u": -0.5},
        "batch": [[1, 2], []],
        "b": True,
    }
    assert tomllib.loads(problem_text(document)) == document


def test_half_a_character_is_no_text():
    assert tomllib.loads(problem_text({"title": "\ud800u"})) == {"title": "?u"}
