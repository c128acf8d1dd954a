"""A certificate is data that can fail: it is repeated from its own content, and a change of anything voids it."""

import contextlib
import json
import random
import re
from pathlib import Path

import pytest
import sympy as sp
from derived import gallery_sde

from symbolic_sgd import (
    FULL,
    QUICK,
    GradientNoise,
    IsotropicNoise,
    LabelNoise,
    Problem,
    recheck,
    verify,
)
from symbolic_sgd.checks import enclosures
from symbolic_sgd.checks import methods as checks
from symbolic_sgd.checks.certificate import Certificate, Check, signed
from symbolic_sgd.checks.enclosures import Enclosures
from symbolic_sgd.checks.ensembles import Ensembles
from symbolic_sgd.checks.exact_steps import ExactSteps
from symbolic_sgd.checks.float_errors import FloatErrors
from symbolic_sgd.checks.identities import Identities
from symbolic_sgd.checks.methods import methods_named
from symbolic_sgd.checks.regularizer_road import RegularizerRoad
from symbolic_sgd.command.main import main
from symbolic_sgd.errors import BadCertificate, BadInput
from symbolic_sgd.problems.as_data import problem_document
from symbolic_sgd.problems.problem_file import problem_from_document, read_problem

DERIVATIONS = Path(__file__).parents[2] / "derivations"
u, v, w, s = sp.symbols("u v w s")
SMALL = [Identities(), ExactSteps(), Enclosures(points=3)]


@pytest.fixture(scope="module")
def text():
    sde = gallery_sde("quadric_dense")
    return verify(sde, checks=SMALL, rng=3).to_json()


@pytest.fixture(scope="module")
def known():
    return {}


@pytest.fixture
def again(text, known, monkeypatch):
    """The content of the certificate, and `recheck`, which derives and verifies the same only once."""
    namespace = recheck.__globals__
    derive, repeat = namespace["derive"], namespace["verify"]

    def once(key, work):
        if key not in known:
            known[key] = work()
        return known[key]

    def derive_once(problem, optimizer):
        key = json.dumps(problem_document(problem)), optimizer
        return once(key, lambda: derive(problem, optimizer=optimizer))

    def verify_once(derivation, methods, seed, progress):
        key = (derivation.program.fingerprint, repr(methods), seed)
        return once(key, lambda: repeat(derivation, methods, seed, progress))

    monkeypatch.setitem(namespace, "derive", derive_once)
    monkeypatch.setitem(namespace, "verify", verify_once)
    return json.loads(text), recheck


def changed(text, **entries):
    """Changed by someone who makes the digest anew."""
    return signed(json.loads(text) | entries)


def test_it_holds_what_it_promises(text):
    content = json.loads(text)
    assert content["format"] == 3 and content["passed"] is True and content["seed"] == 3
    assert content["problem"]["loss"] and len(content["problem_hash"]) == len(content["formula_hash"]) == 64
    assert [m["method"] for m in content["methods"]] == ["Identities", "ExactSteps", "Enclosures"]
    assert content["assumptions"] and content["valid_where"] == []
    assert {"sympy", "numpy", "mpmath", "scipy", "python"} == set(content["versions"])
    for check in content["checks"]:
        assert {"name", "predicted", "observed", "error", "tolerance", "verdict", "method"} <= set(check)
    assert {check["verdict"] for check in content["checks"]} == {"proved", "measured", "enclosed"}


def test_it_holds_again(text):
    result = recheck(text)
    assert result.holds and result.certificate is not None
    assert json.loads(result.certificate.to_json())["checks"] == json.loads(text)["checks"]


def test_what_is_said_beside_the_formulas_holds_again():
    """The quick set, rebuilt from a certificate: the regularizer is then searched for anew, with the same outcome."""
    sde = gallery_sde("hyperbola_label")
    certificate = verify(sde, rng=1)
    methods = {check.method for check in certificate.checks}
    assert {"LiteralRoad", "StratonovichRoad", "RegularizerRoad", "GuardedPoints", "DrawnNoise"} <= methods
    assert recheck(certificate.to_json()).holds
    content = json.loads(certificate.to_json())
    place = next(i for i, c in enumerate(content["checks"]) if c["name"].startswith("regularizer"))
    assert recheck(signed(replaced(content, ("checks", place, "verdict"), "proved"))).void


def test_a_changed_problem_or_formula_voids_it(text, monkeypatch):
    content = json.loads(text)
    other = content["problem"] | {"loss": "(u*v + w**2 - 2)**2/2"}
    assert "problem was changed" in recheck(changed(text, problem=other)).void[0]
    rehashed = changed(text, problem=other, problem_hash=checks.document_hash(other))
    assert "hash of the program" in recheck(rehashed).void[0]
    assert "hash of the program" in recheck(changed(text, formula_hash="0" * 64)).void[0]
    assert "other steps" in recheck(changed(text, source_hashes={"drift": "0" * 64})).void[0]
    # a package that derives something else
    derive = recheck.__globals__["derive"]
    wrong = derive(read_problem(DERIVATIONS / "sphere.toml"))
    monkeypatch.setitem(recheck.__globals__, "derive", lambda problem, **_: wrong)
    assert "hash of the program" in recheck(text).void[0]


def test_a_changed_verdict_voids_it(text):
    content = json.loads(text)
    content["checks"][0]["verdict"] = "proved"
    assert "proved in the certificate, measured now" in recheck(signed(content)).void[0]
    content["checks"].pop()
    assert any("not in the certificate" in word for word in recheck(signed(content)).void)


def leaves(value, path=()):
    if isinstance(value, (dict, list)):
        for key, entry in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(entry, (*path, key))
    else:
        yield path, value


def replaced(content, path, value):
    copy = json.loads(json.dumps(content))
    place = copy
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return copy


def test_a_change_of_anything_voids_it_or_is_refused(text):
    """Each kind of leaf once, by someone who does not make the digest anew."""
    content, kinds = json.loads(text), set()
    for path, value in leaves(content):
        kind = tuple(key for key in path if isinstance(key, str))
        if kind in kinds:
            continue
        kinds.add(kind)
        other = not value if isinstance(value, bool) else value + 1 if isinstance(value, (int, float)) else f"{value}x"
        with contextlib.suppress(BadCertificate):
            assert recheck(json.dumps(replaced(content, path, other))).void, path
    assert len(kinds) > 20


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("passed",), False, "passed"),
        (("assumptions",), [], "assumptions"),
        (("valid_where",), ["x > 0"], "valid_where"),
        (("checks", 0, "tolerance"), 1.0, "tolerance"),
        (("checks", 0, "method"), "OneStep", "method"),
        (("checks", 0, "observed"), 1.0, "numbers"),
        (("checks", 0, "predicted"), -3.0, "numbers"),
        (("checks", 0, "error"), 1.0, "within its tolerance"),
        (("checks", 1, "name"), "P² = 2P", "not made now"),
        (("checks", 1, "detail"), "largest of 2000 points of Γ, 60 digits", "detail"),
        (("checks", 1, "detail"), "", "detail"),
        (("checks", 1, "predicted"), None, "numbers"),
        (("checks", 1, "predicted"), [], "numbers"),
        (("checks", 1, "observed"), 10**400, "numbers"),
        (("checks", 1, "error"), None, "within its tolerance"),
        (("methods", 1), {"method": "ExactSteps"}, "methods"),  # the same by default
    ],
)
def test_what_is_claimed_with_a_new_digest_is_compared(again, path, value, words):
    """Was: details, lists of numbers and what became null were not compared."""
    content, recheck = again
    assert any(words in word for word in recheck(signed(replaced(content, path, value))).void)


def number_of(content, name):
    return next(k for k, check in enumerate(content["checks"]) if check["name"].startswith(name))


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("2 steps: drift", lambda c: c["predicted"].__setitem__(1, c["predicted"][1] + 1e-3), "numbers"),
        ("2 steps: drift", lambda c: c["predicted"].__setitem__(1, None), "numbers"),
        ("2 steps: drift", lambda c: c["predicted"].pop(), "numbers"),
        ("2 steps: drift", lambda c: c.update(observed=[-a for a in c["observed"]]), "numbers"),
        ("2 steps: drift", lambda c: c.update(predicted=None, observed=None), "numbers"),
        ("2 steps: drift", lambda c: c.update(detail=re.sub(r"to \S+$", "to 1.0e-30", c["detail"])), "detail"),
        ("2 steps: drift", lambda c: c.update(detail=re.sub(r"to \S+;", "to 1e9;", c["detail"])), "detail"),
        ("2 steps: drift", lambda c: c.update(detail=c["detail"] + " by an independent laboratory"), "detail"),
        ("enclosure: drift", lambda c: c["observed"].update(bound=1.0), "numbers"),
        ("enclosure: drift", lambda c: c["observed"].pop("bound"), "numbers"),
        ("enclosure: drift", lambda c: c["observed"].update(bound=c["observed"]["bound"] * 1e4), "numbers"),
        ("enclosure: drift", lambda c: c["observed"].update(more=1), "numbers"),
        ("enclosure: drift", lambda c: c["observed"]["worst point"].pop(), "numbers"),
        ("enclosure: drift", lambda c: c.update(detail=c["detail"].replace("3 points", "3000 points")), "detail"),
    ],
)
def test_details_and_lists_of_numbers_are_compared(again, name, change, words):
    """Was: none of these voided a certificate whose digest was made anew."""
    content, recheck = again
    content = json.loads(json.dumps(content))
    change(content["checks"][number_of(content, name)])
    assert any(words in word for word in recheck(signed(content)).void)


def test_what_another_processor_changes_voids_nothing(again):
    content, recheck = again
    content, rng = json.loads(json.dumps(content)), random.Random(0)
    for check in content["checks"]:
        for key in ("predicted", "observed"):
            check[key] = shaken(check[key], rng, check["tolerance"])
        check["error"] = shaken(check["error"], rng, check["tolerance"])
        digits = lambda found: f"accurate to {float(found[1]) * rng.uniform(1 / 5, 5):.1e}"  # noqa: E731
        check["detail"] = re.sub(r"accurate to (\S+)", digits, check["detail"])
    assert recheck(signed(content)).void == ()


def shaken(value, rng, tolerance):
    """Numbers as another processor rounds them; sizes of rounding errors (in tables) up to three times as large or small."""
    if isinstance(value, dict):
        sizes = {key: entry * rng.uniform(1 / 3, 3) for key, entry in value.items() if isinstance(entry, float)}
        return {key: shaken(entry, rng, tolerance) for key, entry in value.items()} | sizes
    if isinstance(value, list):
        return [shaken(entry, rng, tolerance) for entry in value]
    return value * (1 + rng.uniform(-1e-9, 1e-9)) + rng.uniform(0, min(1e-15, tolerance / 10))


def test_versions_are_told_apart_in_words(again):
    """Was: not compared at all. Numbers cannot be repeated with the versions of then: where they agree, that is a remark."""
    content, recheck = again
    other = recheck(signed(content | {"versions": content["versions"] | {"sympy": "0.7", "python": "2.7"}}))
    assert other.holds and len(other.remarks) == 2
    assert other.remarks[0] == f"made with sympy 0.7, and repeated with {sp.__version__}"
    assert recheck(signed(content)).remarks == ()
    for versions in (
        {},
        content["versions"] | {"jax": "1"},
        content["versions"] | {"sympy": 1},
        None,
        "1.14",
        {**content["versions"], "sympy": "\033[2J"},
    ):
        with pytest.raises(BadCertificate, match="damaged"):
            recheck(signed(content | {"versions": versions}))


WRONG = (None, True, -1, 0.5, 10**400, "x", [], [[1]], {}, {"a": [1, "x"]})


def places(value, path=()):
    if path:
        yield path
    if isinstance(value, (dict, list)):
        for key, entry in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(entry, (*path, key))


def test_a_field_of_another_type_is_refused_or_voids_it(again):
    """Was: TypeError for "methods": [{"method": [1]}]. Every kind of place, every kind of value of JSON, the digest made anew."""
    content, recheck = again
    kinds = {}
    for path in places(content):
        kinds.setdefault(tuple("#" if isinstance(key, int) else key for key in path), path)
    for path in kinds.values():
        for wrong in WRONG:
            other = replaced(content, path, wrong)
            if other == content or path[0] == "digest":
                continue
            if path[0] == "problem" and isinstance(other["problem"], dict):
                other["problem_hash"] = checks.document_hash(other["problem"])
            with contextlib.suppress(BadCertificate):
                found = recheck(signed(other))
                # Another problem, with its own hash, may have these formulas; which point was the worst is not compared.
                may_hold = (
                    path[0] == "problem" or path[-2:-1] == ("worst point",) or (path[0] == "versions" and found.remarks)
                )
                assert found.void or may_hold, (path, wrong)
    assert len(kinds) > 30


def test_checks_that_stand_twice_or_are_none_are_noticed(text):
    content = json.loads(text)
    twice = content | {"checks": [*content["checks"], content["checks"][0] | {"verdict": "proved"}]}
    assert recheck(signed(twice)).void
    for broken in ({}, content["checks"][0] | {"name": ["x"]}, content["checks"][0] | {"more": 1}):
        with pytest.raises(BadCertificate, match="damaged"):
            recheck(signed(content | {"checks": [*content["checks"], broken]}))
    with pytest.raises(BadCertificate, match="damaged"):
        recheck(signed(content | {"remark": "x"}))


def test_a_number_beyond_float64_is_refused(text):
    with pytest.raises(BadCertificate, match="beyond float64"):
        recheck(text.replace('"seed": 3', '"seed": 3, "x": 1e999'))


def test_a_key_that_stands_twice_and_numbers_that_are_none(text):
    for other in ('"seed": 3, "seed": 3', '"seed": NaN', '"seed": true', '"seed": -1'):
        with pytest.raises(BadCertificate):
            recheck(text.replace('"seed": 3', other))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Ensembles(alpha=0),
        lambda: Ensembles(alpha=1),
        lambda: Ensembles(replicas=1),
        lambda: Ensembles(replicas=2**40),
        lambda: Ensembles(stiffness=-1),
        lambda: Ensembles(cells=0),
        lambda: Ensembles(steps=0.5),
        lambda: ExactSteps(steps=0),
        lambda: ExactSteps(most=True),
        lambda: Enclosures(points=0),
        lambda: FloatErrors(points=-3),
    ],
)
def test_settings_with_which_nothing_could_fail_are_refused(make):
    with pytest.raises(BadInput):
        make()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nonsense", "not JSON"),
        ("[1]", "format"),
        ('{"format": 1}', "format"),
        ("[" * 100_000, "no certificate"),
        ('{"format": 3, "problem": null}', "as data"),
        ('{"format": 3, "problem": {}, "problem_hash": 3}', "damaged"),
    ],
)
def test_what_is_no_certificate_is_refused(text, words):
    with pytest.raises(BadCertificate, match=words):
        recheck(text)


def test_unknown_methods_and_code_in_a_certificate_are_refused(text):
    for methods in (
        [{"method": "os.system"}],
        [{"method": "Ensembles", "alpha": "1"}],
        [{"method": "Ensembles", "alpha": 0}],
        [{"method": "Identities", "x": 1}],
    ):
        with pytest.raises(BadCertificate, match="cannot be repeated"):
            recheck(changed(text, methods=methods))
    hostile = json.loads(text)["problem"] | {"loss": "__import__('os').system('true')"}
    void = recheck(changed(text, problem=hostile, problem_hash=checks.document_hash(hostile))).void
    assert "no longer be derived" in void[0]


@pytest.mark.parametrize(
    "problem",
    [
        Problem.least_squares([u * v - 1, u + w], parameters=(u, v, w), noise=LabelNoise(s / 3), constants=(s,)),
        Problem(loss=sp.exp(u * v) + sp.Abs(w) * sp.sqrt(2), parameters=(u, v, w), noise=IsotropicNoise(sp.pi)),
        Problem(
            loss=(u * v - 1) ** 2,
            parameters=(u, v),
            noise=GradientNoise(sp.Matrix([[u, 1], [sp.Rational(1, 3), v]])),
            domain=[v > 0],
            near={u: 1, v: 1},
        ),
        Problem.from_sample_losses(
            [u**2, (v - u) ** 2], parameters=(u, v), weights=[sp.Rational(1, 3), sp.Rational(2, 3)]
        ),
        Problem(loss=(u * v - 1) ** 2, parameters=(u, v), noise=IsotropicNoise(), manifold=[u * v - 1]),
    ],
    ids=["labels", "functions", "matrix", "samples", "manifold"],
)
def test_problems_are_written_and_read_back(problem):
    document = json.loads(json.dumps(problem_document(problem)))
    again = problem_from_document(document, source="test")
    assert [p.name for p in again.symbols] == [p.name for p in problem.symbols]
    assert problem_document(again) == document


def test_methods_are_objects_and_are_rebuilt_from_their_settings():
    assert set(QUICK) < set(FULL)
    assert methods_named([{"method": "Ensembles", "alpha": 1e-4}]) == (Ensembles(alpha=1e-4),)
    assert methods_named([{"method": "RegularizerRoad", "operations": 7}]) == (RegularizerRoad(operations=7),)
    with pytest.raises(BadInput, match="there are Identities"):
        methods_named([{"method": "Nothing"}])


def test_bad_requests():
    sde = gallery_sde("hyperbola_label")
    for wrong in ("full", [], [3], None):
        with pytest.raises(BadInput, match="QUICK, FULL"):
            verify(sde, checks=wrong)


def test_without_python_flint_the_enclosures_are_not_run(monkeypatch):
    monkeypatch.setattr(enclosures, "ARITHMETIC", "symbolic_sgd.algebra.no_such_module")
    certificate = verify(gallery_sde("hyperbola_label"), checks=[Identities(), Enclosures()])
    last = certificate.checks[-1]
    assert last.verdict == "not run" and "pip install" in last.detail and certificate.passed


def test_what_has_too_many_outcomes_is_not_run():
    sde = gallery_sde("hyperbola_label")
    certificate = verify(sde, checks=[ExactSteps(steps=3, most=7)])
    assert {check.verdict for check in certificate.checks} == {"not run"} and not certificate.passed


@pytest.mark.parametrize(
    ("verdicts", "passed"),
    [
        ((), False),
        (("measured", "proved"), True),
        (("measured", "undecided"), False),
        (("consistent", "failed"), False),
        (("not run",), False),
        (("enclosed", "not run"), True),
        (("unheard of", "proved"), False),
    ],
)
def test_passed_means_nothing_failed_and_nothing_undecided(verdicts, passed):
    made = tuple(Check("c", 0, 0, 0.0, 0.0, verdict) for verdict in verdicts)
    assert Certificate(None, "", "", {}, (), (), 0, (), made).passed is passed


def test_the_commands_verify_and_check(tmp_path, capsys):
    file = tmp_path / "certificate.json"
    assert main(["verify", str(DERIVATIONS / "hyperbola_label.toml"), "--certificate", str(file)]) == 0
    assert "measured" in capsys.readouterr().out
    assert main(["check", str(file)]) == 0
    assert "holds" in capsys.readouterr().out
    file.write_text(file.read_text(encoding="utf-8").replace("u*v - 1", "u*v - 3"), encoding="utf-8")
    assert main(["check", str(file)]) == 1
    assert "VOID" in capsys.readouterr().out
    file.write_bytes(b"\xff\xfe")
    assert main(["check", str(file)]) == 2
    assert main(["check", str(tmp_path / "none")]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 2 and "Traceback" not in err
