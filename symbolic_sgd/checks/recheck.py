"""A certificate taken up again: the problem rebuilt from its own data, derived anew, and every check repeated."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from symbolic_sgd.checks.alike import same_claims, same_numbers, same_words
from symbolic_sgd.checks.certificate import FORMAT, HOLDS, Certificate, Check, digest, versions, written
from symbolic_sgd.checks.methods import Method, methods_named, stated, verify
from symbolic_sgd.errors import BadCertificate, SymbolicSGDError
from symbolic_sgd.optimizers.optimizer import with_symbols_of
from symbolic_sgd.optimizers.stated import optimizer_of
from symbolic_sgd.problems.as_data import document_hash
from symbolic_sgd.problems.problem_file import file_from_document
from symbolic_sgd.theorem.derivation import derive

MAX_CHARACTERS = 1 << 26

FIELDS = {
    "name": str,
    "verdict": str,
    "detail": str,
    "method": str,
    "tolerance": (int, float),
    "error": (int, float, type(None)),
}
"""The fields of a check, but for what was predicted and observed, and their types."""

KEYS = {
    "format", "passed", "versions", "problem", "problem_hash", "formula_hash", "source_hashes", "assumptions", "valid_where", "seed",
    "methods", "checks", "digest",
}  # fmt: skip
"""What stands in a certificate."""


VERSION = re.compile(r"[0-9A-Za-z.+!_-]{1,40}")


@dataclass(frozen=True)
class Recheck:
    """What became of a certificate.

    Args:
        void: why it no longer holds; () if it holds.
        certificate: what the checks say now; None where they were not repeated.
        remarks: what differs and voids nothing: the versions that it says it was made with, which nobody can repeat.

    >>> import sympy as sp
    >>> from symbolic_sgd import LabelNoise, Problem, derive_limiting_sde
    >>> u, v = sp.symbols("u v")
    >>> sde = derive_limiting_sde(Problem.least_squares([u*v - 1], parameters=(u, v), noise=LabelNoise(1)))
    >>> from symbolic_sgd import QUICK, verify
    >>> certificate = verify(sde, checks=QUICK[:1])
    >>> again = recheck(certificate.to_json().replace("u*v - 1", "u*v - 2"))
    >>> again.holds, len(again.void) > 0
    (False, True)
    """

    void: tuple[str, ...]
    certificate: Certificate | None
    remarks: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Nothing has changed, and everything passes again."""
        return not self.void


def recheck(text: str, progress: Callable[[str], None] = lambda _: None) -> Recheck:
    """Repeat what a certificate (JSON) claims. Its content is data: expressions go through the allow-list parser.

    Raises:
        BadCertificate: it is no certificate of this format.

    Args:
        text: the certificate.
        progress: told in words what is being done.

    Returns:
        Whether it holds, and why not.

    >>> import sympy as sp
    >>> from symbolic_sgd import QUICK, LabelNoise, Problem, derive_limiting_sde, verify
    >>> u, v = sp.symbols("u v")
    >>> sde = derive_limiting_sde(Problem.least_squares([u*v - 1], parameters=(u, v), noise=LabelNoise(1)))
    >>> recheck(verify(sde, checks=QUICK[:1]).to_json()).holds
    True
    """
    content = _read(text)
    if digest(content) != content["digest"]:
        return Recheck(("the certificate was changed after it was made (its digest differs)",), None)
    problem_data, methods, seed = content["problem"], _methods(content), content["seed"]
    if document_hash(problem_data) != content["problem_hash"]:
        return Recheck(("the problem was changed after the certificate was made (its hash differs)",), None)
    try:
        file = file_from_document(problem_data, source="the certificate's problem")
        optimizer = optimizer_of(file.optimizer)
        progress("deriving")
        derivation = derive(with_symbols_of(optimizer, file.problem), optimizer=optimizer)
    except SymbolicSGDError as error:
        return Recheck((f"the problem can no longer be derived: {error}",), None)
    if derivation.fingerprint != content["formula_hash"]:
        return Recheck(
            ("the formulas are others than those that were certified (the hash of the program differs)",), None
        )
    if stated(derivation)["source_hashes"] != content["source_hashes"]:
        return Recheck(("the callables run other steps than those that were certified (their hashes differ)",), None)
    again = verify(derivation, methods, seed, progress)
    return Recheck(tuple(_differences(content, again)), again, tuple(_other_versions(content["versions"])))


def _read(text: str) -> dict[str, Any]:
    if len(text) > MAX_CHARACTERS:
        raise BadCertificate(f"the certificate has more than {MAX_CHARACTERS:,} characters")
    try:
        content = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_number, parse_float=_finite_number)
    except (ValueError, RecursionError) as error:
        raise BadCertificate(f"this is no certificate: not JSON ({error})") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = content.get("format") if isinstance(content, dict) else None
        raise BadCertificate(f"this is no certificate of format {FORMAT} (its format is {found!r}): run verify again")
    if content.get("problem") is None:
        raise BadCertificate("the certificate does not hold its problem as data, so that it cannot be repeated")
    kinds = {"problem": dict, "problem_hash": str, "formula_hash": str, "source_hashes": dict, "methods": list}
    kinds |= {"seed": int, "checks": list, "assumptions": list, "valid_where": list, "passed": bool, "digest": str}
    kinds |= {"versions": dict}
    for key, kind in kinds.items():
        if not isinstance(content.get(key), kind):
            raise BadCertificate(f"the certificate has no proper {key!r}: it is damaged, run verify again")
    named = content["versions"]
    whole = content.keys() == KEYS and all(isinstance(entry, dict) for entry in content["methods"])
    whole = whole and named.keys() == versions().keys() and all(map(_is_version, named.values()))
    seeded = not isinstance(content["seed"], bool) and content["seed"] >= 0
    if not (whole and seeded and all(map(_is_check, content["checks"]))):
        raise BadCertificate("the certificate is damaged: run verify again")
    return content


def _is_version(entry: Any) -> bool:
    return isinstance(entry, str) and VERSION.fullmatch(entry) is not None


def _is_check(entry: Any) -> bool:
    keys = {*FIELDS, "predicted", "observed"}
    return (
        isinstance(entry, dict)
        and entry.keys() == keys
        and all(isinstance(entry[key], kind) and not isinstance(entry[key], bool) for key, kind in FIELDS.items())
        and entry["name"].isprintable()  # it may be repeated in words, on a terminal
        and entry["verdict"].isprintable()
    )


def _finite_number(text: str) -> float:
    number = float(text)
    if abs(number) == float("inf"):
        raise ValueError(f"{text} is beyond float64")
    return number


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


def _other_versions(claimed: dict[str, str]) -> list[str]:
    return [
        f"made with {name} {claimed[name]}, and repeated with {now}"
        for name, now in versions().items()
        if claimed[name] != now
    ]


def _differences(content: dict[str, Any], again: Certificate) -> list[str]:
    """What the certificate claims otherwise than it is found now."""
    claimed = [Check(**check) for check in content["checks"]]
    names = {check.name for check in again.checks}
    words = [
        f"{check.name}: {check.verdict} in the certificate, not made now"
        for check in claimed
        if check.name not in names
    ]
    words += _of_checks(claimed, again.checks) if not words else []
    words += [
        f"{key}: others in the certificate than now"
        for key in ("assumptions", "valid_where", "methods", "passed")
        if content[key] != written(getattr(again, key))
    ]
    if not again.passed:
        words.append("the checks do not pass")
    return words


def _of_checks(claimed: Sequence[Check], found: Sequence[Check]) -> list[str]:
    stated = [check.name for check in claimed]
    words = [f"{c.name}: not in the certificate, {c.verdict} now" for c in found if c.name not in stated]
    if words or stated != [check.name for check in found]:
        return words or ["the checks of the certificate are not in the order and number in which they are made"]
    pairs = zip(claimed, (Check(**written(asdict(check))) for check in found), strict=True)
    return [f"{old.name}: {difference}" for old, new in pairs if (difference := _difference(old, new))]


def _difference(old: Check, new: Check) -> str | None:
    """The first thing that a check claims otherwise, in words."""
    if old.verdict != new.verdict:
        return f"{old.verdict} in the certificate, {new.verdict} now"
    if old.method != new.method or not same_numbers(old.tolerance, new.tolerance):
        return "another tolerance or method in the certificate than now"
    if not same_words(old, new):
        return "another detail in the certificate than now"
    if new.verdict in HOLDS and not (old.error is not None and old.error <= old.tolerance):
        return "its error in the certificate is not within its tolerance"
    if not same_claims(old, new):
        return "other numbers in the certificate than now"
    return None
