"""The options that state an optimizer: what they mean, beside the file's own table, and what is said of those that do not fit."""

import json
from pathlib import Path

import numpy as np
import pytest
import sympy as sp

from symbolic_sgd.command.main import main

HYPERBOLA = Path(__file__).parents[2] / "derivations" / "hyperbola_label.toml"
RUN = ("--start", "u=2,v=0.5", "--replicas", "20", "--time", "0.05", "--seed", "1")


@pytest.fixture
def with_table(tmp_path):
    def written(table, constants=""):
        file = tmp_path / "stated.toml"
        file.write_text(f"{HYPERBOLA.read_text()}\n{constants}[optimizer]\n{table}\n")
        return str(file)

    return written


def simulated(file, *options, output, code=0):
    assert main(["simulate", str(file), *RUN, *options, "--output", str(output)]) == code
    with np.load(output, allow_pickle=False) as run:
        return run["times"], run["final"]


@pytest.mark.parametrize(
    ("table", "options"),
    [
        (
            'kind = "heavy_ball"\nmomentum = "9/10"\nlearning_rate = "1/64"',
            ("--optimizer", "heavy_ball", "--momentum", "9/10", "--learning-rate", "1/64", "--noise-scale", "0.5"),
        ),
        (
            'kind = "local_sgd"\nworkers = 2\nsteps = 3\nlearning_rate = "0.05"',
            ("--optimizer", "local_sgd", "--workers", "2", "--steps", "3", "--learning-rate", "0.05"),
        ),
    ],
)
def test_options_and_table_run_the_same(table, options, with_table, tmp_path):
    by_options = simulated(HYPERBOLA, *options, output=tmp_path / "a.npz")
    further = options[options.index("--noise-scale") :] if "--noise-scale" in options else ()
    by_table = simulated(with_table(table), *further, output=tmp_path / "b.npz")
    assert all(np.array_equal(a, b) for a, b in zip(by_options, by_table, strict=True))
    assert by_table[0][-1] >= 0.05


def test_a_rate_that_is_left_open_is_that_of_the_run(with_table, tmp_path):
    file = with_table('kind = "nesterov"\nmomentum = "1/2"')
    by_file = simulated(file, "--learning-rate", "0.02", output=tmp_path / "a.npz")
    options = ("--optimizer", "nesterov", "--momentum", "1/2", "--rate", "0.02")
    by_option = simulated(HYPERBOLA, *options, output=tmp_path / "b.npz")
    assert all(np.array_equal(a, b) for a, b in zip(by_file, by_option, strict=True))
    assert by_file[0][-1] == pytest.approx(32 * 0.04**2)


def test_symbols_take_values_of_constants(with_table, tmp_path):
    file = with_table('kind = "sgd"\nlearning_rate = "eta"', '[constants]\neta = "positive"\n')
    run = simulated(file, "--constants", "eta=0.125", output=tmp_path / "a.npz")
    assert run[0][-1] == pytest.approx(4 * 0.125**2)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--momentum", "1/2"), "--momentum belongs to an optimizer: give --optimizer heavy_ball or nesterov"),
        (("--optimizer", "heavy_bal"), "did you mean 'heavy_ball'?"),
        (("--optimizer", "nesterov", "--momentum", "2"), "--optimizer: momentum is 2"),
        (("--optimizer", "nesterov", "--momentum", "b"), "--momentum, column 1: 'b' is not a declared name"),
        (("--optimizer", "sgd", "--momentum", "1/2"), "key 'momentum' is none of sgd"),
        (("--optimizer", "sgd", "--learning-rate", "1/8", "--rate", "1"), "--rate: the learning rate is given twice"),
        (("--rate", "0.1", "--learning-rate", "0.1"), "--rate and --learning-rate: the learning rate is given twice"),
        (("--learning-rate", "1/x"), "--learning-rate: '1/x' is not a number"),
        (("--noise-scale", "0"), "noise_scale is 0"),
        (("--process", "canonical", "--optimizer", "sgd", "--learning-rate", "1/8"), "is the SDE of plain SGD"),
    ],
)
def test_what_does_not_fit_is_said_in_one_line(options, words, capsys):
    assert main(["simulate", str(HYPERBOLA), *RUN, *options]) == 2
    out, err = capsys.readouterr()
    assert words in err and out == "" and err.count("\n") == 1


def test_a_constant_without_a_value_is_named(with_table, capsys):
    file = with_table('kind = "sgd"\nlearning_rate = "eta"', '[constants]\neta = "positive"\n')
    assert main(["simulate", file, *RUN]) == 2
    assert "no value for the constant eta: give --constants eta=1" in capsys.readouterr().err


BALL = ("--optimizer", "heavy_ball", "--momentum", "1/2", "--learning-rate", "1/8")


def test_derive_and_verify_take_the_same_optimizer(with_table, tmp_path, capsys):
    """The worked number of the hyperbola, once by options and once by the file."""
    file = with_table('kind = "heavy_ball"\nmomentum = "1/2"\nlearning_rate = "1/8"')
    assert main(["derive", str(HYPERBOLA), "--json", *BALL]) == 0
    by_options = json.loads(capsys.readouterr().out)["terms"]["drift"]["matrix"]
    assert main(["derive", file, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["terms"]["drift"]["matrix"] == by_options
    u, v = sp.symbols("u v")
    drift = [sp.sympify(entry, {"u": u, "v": v}).subs({u: 2, v: sp.Rational(1, 2)}) for (entry,) in by_options]
    assert drift == [sp.Rational(-1440, 1343), sp.Rational(360, 1343)]
    certificate = tmp_path / "c.json"
    assert main(["verify", str(HYPERBOLA), *BALL, "--certificate", str(certificate)]) == 0
    assert "the optimizer's own iteration" in capsys.readouterr().out
    assert main(["check", str(certificate)]) == 0


def test_the_limit_of_an_optimizer_is_run_in_its_time(capsys, tmp_path):
    options = ("--process", "limit", "--optimizer", "nesterov", "--momentum", "1/2", "--learning-rate", "1/8")
    times, final = simulated(HYPERBOLA, *options, output=tmp_path / "a.npz")
    slope = (final[0] - [2, 0.5]) / times[-1]
    np.testing.assert_allclose(slope, [-31200 / 25823, 7800 / 25823], rtol=0.05)
