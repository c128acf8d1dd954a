"""A certificate for readers: nothing that did not pass is hidden in a line for many, and all of it can be seen."""

import re
from dataclasses import replace

import pytest
from derived import DERIVATIONS, gallery_sde

from symbolic_sgd import Certificate, verify
from symbolic_sgd.checks.certificate import Check, not_run, undecided
from symbolic_sgd.checks.methods import ALL, QUICK
from symbolic_sgd.checks.report import NAMES, groups
from symbolic_sgd.command.main import main
from symbolic_sgd.printing.plain import WIDTH

HYPERBOLA = str(DERIVATIONS / "hyperbola_label.toml")


@pytest.fixture(scope="module")
def certificate():
    return verify(gallery_sde("hyperbola_label"))


def with_check(certificate: Certificate, check: Check) -> Certificate:
    """The certificate with one more check of its first method."""
    return replace(certificate, checks=(*certificate.checks, replace(check, method="Identities")))


def test_a_line_for_each_method(certificate):
    header, *lines, verdict = str(certificate).splitlines()
    assert len(lines) == len(QUICK) and all(len(line) <= WIDTH for line in (header, *lines, verdict))
    assert (
        verdict
        == f"certificate: passed ({len(certificate.checks)} checks: 1 proved, {len(certificate.checks) - 1} measured)"
    )
    for line, group in zip(lines, groups(certificate), strict=True):
        assert re.fullmatch(rf"{re.escape(group.name)} +{len(group.checks)} of {len(group.checks)} .*", line)
        assert group.error == max(check.error for check in group.checks)
    assert sum(len(group.checks) for group in groups(certificate)) == len(certificate.checks)
    assert lines[0].endswith("proved, measured")


def test_every_method_has_words():
    assert len(set(NAMES.values())) == len(ALL)
    assert max(map(len, NAMES.values())) <= 41  # the line is a terminal's


FAILED = Check("a claim", "one", "two", 0.5, 1e-9, "failed", "at a place")


@pytest.mark.parametrize("verdict", ["failed", "undecided"])
def test_what_did_not_pass_is_shown_whole(verdict, certificate):
    check = FAILED if verdict == "failed" else undecided("a claim", 1e-9, "at a place")
    text = str(with_check(certificate, check))
    of_group = next(line for line in text.splitlines() if line.startswith(NAMES["Identities"]))
    assert "14 of 15" in of_group and of_group.endswith(verdict)
    assert re.search(rf"^a claim  {verdict} .*tolerance 1e-09$", text, re.M) and "    at a place\n" in text
    assert ("    predicted one, observed two\n" in text) is (verdict == "failed")
    assert "certificate: NOT passed" in text and f"1 {verdict}" in text


def test_what_was_not_run_neither_helps_nor_harms(certificate):
    text = str(with_check(certificate, not_run("a claim", 1e-9, "no time")))
    assert re.search(r"14 of 14 .*proved, measured, not run$", text, re.M)
    assert "certificate: passed" in text and "1 not run" in text


def test_the_details_hold_every_check(certificate):
    lines = certificate.details.splitlines()
    assert [line.split("  ")[0] for line in lines[:-1]] == [check.name for check in certificate.checks]


def test_representations_are_short(certificate):
    assert repr(certificate) == "Certificate(passed, 66 checks: 1 proved, 65 measured)"
    assert re.fullmatch(r"Check\('∇L = 0', measured, error \S+, tolerance 1e-40\)", repr(certificate.checks[0]))


def test_the_table_of_a_notebook(certificate):
    page = with_check(certificate, replace(FAILED, name="<b>"))._repr_html_()
    assert page.count("<table>") == 2 and "certificate: NOT passed" in page
    assert "&lt;b&gt;" in page and "<b>" not in page
    assert page.count("<tr>") == 2 + len(QUICK) + len(certificate.checks) + 1


def test_the_command(capsys):
    assert main(["verify", HYPERBOLA]) == 0
    short = capsys.readouterr().out.splitlines()
    assert main(["verify", HYPERBOLA, "--verbose"]) == 0
    every = capsys.readouterr().out.splitlines()
    assert len(short) == len(QUICK) + 4 and short[-1] == every[-1]
    assert len(every) >= 60 and any(line.startswith("one step: drift at point 1") for line in every)
