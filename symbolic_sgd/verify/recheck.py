"""A certificate taken up again: the problem rebuilt from its own data, derived anew, and every check repeated."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from symbolic_sgd.derive.derivation import derive
from symbolic_sgd.errors import BadCertificate, SymbolicSGDError
from symbolic_sgd.problems.document import document_hash
from symbolic_sgd.problems.problem_file import problem_from_document
from symbolic_sgd.verify.certificate import FORMAT, Certificate, digest
from symbolic_sgd.verify.checks import Method, methods_named, stated, verify

MAX_CHARACTERS = 1 << 26


@dataclass(frozen=True)
class Recheck:
    """What became of a certificate.

    Args:
        void: why it no longer holds; () if it holds.
        certificate: what the checks say now; None where they were not repeated.
    """

    void: tuple[str, ...]
    certificate: Certificate | None

    @property
    def holds(self) -> bool:
        """Nothing has changed, and everything passes again."""
        return not self.void


def recheck(text: str, progress: Callable[[str], None] = lambda _: None) -> Recheck:
    """Repeat what a certificate (JSON) claims. Its content is data: expressions go through the allow-list parser.

    Raises:
        BadCertificate: it is no certificate of this format.
    """
    content = _read(text)
    if digest(content) != content["digest"]:
        return Recheck(("the certificate was changed after it was made (its digest differs)",), None)
    problem_data, methods, seed = content["problem"], _methods(content), content["seed"]
    if document_hash(problem_data) != content["problem_hash"]:
        return Recheck(("the problem was changed after the certificate was made (its hash differs)",), None)
    try:
        problem = problem_from_document(problem_data, source="the certificate's problem")
        progress("deriving")
        derivation = derive(problem)
    except SymbolicSGDError as error:
        return Recheck((f"the problem can no longer be derived: {error}",), None)
    if derivation.program.fingerprint != content["formula_hash"]:
        return Recheck(
            ("the formulas are others than those that were certified (the hash of the program differs)",), None
        )
    if stated(derivation)["source_hashes"] != content["source_hashes"]:
        return Recheck(("the callables run other steps than those that were certified (their hashes differ)",), None)
    again = verify(derivation, methods, seed, progress)
    return Recheck(tuple(_differences(content, again)), again)


def _read(text: str) -> dict[str, Any]:
    if len(text) > MAX_CHARACTERS:
        raise BadCertificate(f"the certificate has more than {MAX_CHARACTERS:,} characters")
    try:
        content = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise BadCertificate(f"this is no certificate: not JSON ({error})") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = content.get("format") if isinstance(content, dict) else None
        raise BadCertificate(f"this is no certificate of format {FORMAT} (its format is {found!r}): run verify again")
    if content.get("problem") is None:
        raise BadCertificate("the certificate does not hold its problem as data, so that it cannot be repeated")
    kinds = {"problem": dict, "problem_hash": str, "formula_hash": str, "source_hashes": dict, "methods": list}
    kinds |= {"seed": int, "checks": list, "assumptions": list, "valid_where": list, "passed": bool, "digest": str}
    for key, kind in kinds.items():
        if not isinstance(content.get(key), kind):
            raise BadCertificate(f"the certificate has no proper {key!r}: it is damaged, run verify again")
    entries = [*content["methods"], *content["checks"]]
    if (
        isinstance(content["seed"], bool)
        or content["seed"] < 0
        or not all(isinstance(entry, dict) for entry in entries)
    ):
        raise BadCertificate("the certificate is damaged: run verify again")
    return content


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice")
    return found


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def _methods(content: dict[str, Any]) -> tuple[Method, ...]:
    try:
        return methods_named(content["methods"])
    except SymbolicSGDError as error:
        raise BadCertificate(f"the certificate cannot be repeated: {error}") from error


def _differences(content: dict[str, Any], again: Certificate) -> list[str]:
    claimed = {str(check.get("name")): check.get("verdict") for check in content["checks"]}
    found = {check.name: check.verdict for check in again.checks}
    words = [
        f"{name}: {claimed[name]} in the certificate, {found.get(name, 'not made')} now"
        for name in claimed
        if found.get(name) != claimed[name]
    ]
    words += [f"{name}: not in the certificate, {found[name]} now" for name in found if name not in claimed]
    tolerances = {check.name: check.tolerance for check in again.checks}
    words += [
        f"{check['name']}: another tolerance in the certificate than now"
        for check in content["checks"]
        if check.get("tolerance") != tolerances.get(check.get("name"))
    ]
    words += [
        f"{key}: others in the certificate than now"
        for key in ("assumptions", "valid_where", "passed")
        if content[key] != (list(now) if isinstance(now := getattr(again, key), tuple) else now)
    ]
    if not again.passed:
        words.append("the checks do not pass")
    return words
