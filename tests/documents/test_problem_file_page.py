"""docs/problem_file.md is what its script writes, and what it says of each key is true of the reader."""

import importlib.util
import tomllib
from pathlib import Path

import pytest

from symbolic_sgd.errors import BadInput
from symbolic_sgd.optimizers.catalogue import OPTIMIZERS
from symbolic_sgd.optimizers.stated import optimizer_of, stated_fields
from symbolic_sgd.problems import problem_file
from symbolic_sgd.problems.file_keys import KEYS
from symbolic_sgd.problems.problem_file import LISTED, NOISE_KINDS, STATEMENTS, file_from_document

SCRIPT = Path(__file__).parents[2] / "docs" / "problem_file.py"


def loaded():
    spec = importlib.util.spec_from_file_location("problem_file_page", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


page = loaded()
every_key = pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)


def read(line):
    return file_from_document(page.file_with(line), source="p.toml")


def test_the_kept_page_is_what_the_tables_say():
    """After a change: `python docs/problem_file.py`, and read the difference."""
    assert page.PAGE.read_text(encoding="utf-8") == page.page() + "\n"


@every_key
def test_the_example_of_a_key_is_read_and_states_it(key):
    assert next(iter(tomllib.loads(key.example))) == key.name
    read(key.example)


@every_key
def test_a_key_may_be_left_out_where_its_row_says_so(key):
    """A statement of the loss may be left out for another, which is no statement about the key alone."""
    if key.name in STATEMENTS:
        return
    line = KEYS[key.beside or "residuals"].example
    content = {name: value for name, value in page.file_with(line).items() if name != key.name}
    if key.default:
        file_from_document(content, source="p.toml")
        return
    with pytest.raises(BadInput, match=f"key '{key.name}' is missing; write {key.example[:8]}"):
        file_from_document(content, source="p.toml")


@every_key
def test_a_key_goes_with_the_statement_of_its_row_only(key):
    for statement in STATEMENTS:
        content = page.file_with(KEYS[statement].example) | tomllib.loads(key.example)
        if key.beside and key.beside != statement:
            with pytest.raises(BadInput, match=f"key '{key.name}' goes with {key.beside} only, not with {statement}"):
                file_from_document(content, source="p.toml")
        elif key.beside:
            file_from_document(content, source="p.toml")


def test_the_statements_of_the_rows_are_those_of_the_reader():
    assert tuple(problem_file._STATEMENTS) == STATEMENTS and {"residuals", "sample_losses"} == LISTED


def test_every_key_has_a_value_that_is_refused():
    assert set(page.REFUSED) == set(KEYS)
    for key, lines in page.REFUSED.items():
        assert lines and all(next(iter(tomllib.loads(line))) == key for line in lines)
    assert set(page.NOISE_REFUSED) == {(kind, key.name) for kind, row in NOISE_KINDS.items() for key in row.keys}


@pytest.mark.parametrize("kind", NOISE_KINDS)
def test_the_example_of_a_key_of_a_noise_is_read(kind):
    for key in NOISE_KINDS[kind].keys:
        stated = read(f'noise = {{ kind = "{kind}", {key.example} }}').problem.noise
        assert type(stated) is NOISE_KINDS[kind].model
        if key.default == "1":
            assert getattr(read(f'noise = {{ kind = "{kind}" }}').problem.noise, key.name) in (1, None)


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_a_kind_of_optimizer_has_a_table_that_states_it_and_words_for_each_key(kind):
    found = optimizer_of(read(f"optimizer = {{ {page.OPTIMIZER_TABLES[kind]} }}").optimizer)
    assert type(found) is OPTIMIZERS[kind]
    said = page.arguments_of(OPTIMIZERS[kind])
    assert all(said.get(field.name) for field in stated_fields(kind))


def test_a_line_that_is_read_is_no_refusal():
    with pytest.raises(AssertionError, match="is read"):
        page.refusal(KEYS["title"].example)
    with pytest.raises(AssertionError, match="is read as u"):
        page.refused_expression("u*v - 1")
