"""What verification returns: a value. Printing is the command line's business."""

import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version
from types import MappingProxyType
from typing import Any

from symbolic_sgd import checks

FORMAT = 3

HOLDS = ("proved", "enclosed", "measured", "consistent")
"""Verdicts of a check that is passed, the strongest first."""

BROKEN = ("failed", "undecided")
"""Verdicts with which no certificate is passed. (What was "not run" neither helps nor harms.)"""

WIDE = 0.01
"""A tolerance above this is for what is stated rather than tested."""


@dataclass(frozen=True)
class Check:
    """One comparison of theory with an independent computation.

    Args:
        name: what was compared.
        predicted: what the formulas say.
        observed: what the independent road gave.
        error: their distance, relative to the natural size.
        tolerance: the largest error that passes.
        verdict: "proved" (an identity of the formulas themselves), "enclosed" (bounded rigorously), "measured" (to the
            accuracy stated, at the points looked at), "consistent" (a random test with the power stated), "undecided" (the
            independent road was itself not accurate enough), "failed", or "not run".
        detail: where, and how accurate the independent road was.
        method: by which method of the set it was made.

    >>> import sympy as sp
    >>> from symbolic_sgd import LabelNoise, Problem, derive_limiting_sde
    >>> u, v = sp.symbols("u v")
    >>> sde = derive_limiting_sde(Problem.least_squares([u*v - 1], parameters=(u, v), noise=LabelNoise(1)))
    >>> from symbolic_sgd import QUICK, verify
    >>> certificate = verify(sde, checks=QUICK[:1])
    >>> check = certificate.checks[0]
    >>> check.error <= check.tolerance
    True
    """

    name: str
    predicted: Any
    observed: Any
    error: float
    tolerance: float
    verdict: str
    detail: str = ""
    method: str = ""

    @property
    def telling(self) -> bool:
        """Whether the numbers alone do not say what was seen: nothing rigorous or accurate, or a wide tolerance."""
        return self.verdict not in ("proved", "enclosed", "measured") or self.tolerance > WIDE

    def __repr__(self) -> str:
        return f"Check({self.name!r}, {self.verdict}, error {self.error:.2g}, tolerance {self.tolerance:.2g})"

    def _repr_html_(self) -> str:
        return checks.report.check_html(self)


@dataclass(frozen=True)
class Certificate:
    """The outcome of `verify`.

    Args:
        problem: the content of a problem file that states the problem; None if it cannot be written as one.
        problem_hash: SHA-256 of it.
        formula_hash: SHA-256 of the straight-line program that is the formulas' source.
        source_hashes: SHA-256 of the steps that every float64 callable runs, by term (`sde.lambdify().source_hash`).
        assumptions: what was assumed of symbols and domain, and what the formulas rest on.
        valid_where: conditions under which the formulas hold.
        seed: the entropy that every random number comes from.
        methods: the methods of the set that was asked for, with their settings.
        checks: every comparison made.

    It prints as a line for each method, with every check that did not pass; `details` has all of them.

    >>> import sympy as sp
    >>> from symbolic_sgd import LabelNoise, Problem, derive_limiting_sde
    >>> u, v = sp.symbols("u v")
    >>> sde = derive_limiting_sde(Problem.least_squares([u*v - 1], parameters=(u, v), noise=LabelNoise(1)))
    >>> from symbolic_sgd import QUICK, verify
    >>> certificate = verify(sde, checks=QUICK[:1])
    >>> certificate.passed, sorted({check.verdict for check in certificate.checks})
    (True, ['measured', 'proved'])
    """

    problem: dict[str, Any] | None
    problem_hash: str
    formula_hash: str
    source_hashes: dict[str, str]
    assumptions: tuple[str, ...]
    valid_where: tuple[str, ...]
    seed: int
    methods: tuple[dict[str, Any], ...]
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Nothing failed, nothing is undecided, and something was checked."""
        verdicts = {check.verdict for check in self.checks}
        return bool(verdicts & set(HOLDS)) and not verdicts - {*HOLDS, "not run"}

    def to_json(self) -> str:
        """The certificate as text, with the versions it was made with."""
        content = {"format": FORMAT, "passed": self.passed, "versions": dict(versions()), **asdict(self)}
        return signed(written(content))

    @property
    def details(self) -> str:
        """Every check, a line each, with what its numbers alone do not say."""
        return checks.report.details(self)

    def __str__(self) -> str:
        return checks.report.summary(self)

    def __repr__(self) -> str:
        return f"Certificate({'passed' if self.passed else 'NOT passed'}, {checks.report.counted(self.checks)})"

    def _repr_html_(self) -> str:
        return checks.report.certificate_html(self)


@cache
def versions() -> Mapping[str, str]:
    """What the numbers of a certificate are computed with."""
    packages = {package: version(package) for package in ("sympy", "numpy", "mpmath", "scipy")}
    return MappingProxyType(packages | {"python": platform.python_version()})


def digest(content: Mapping[str, Any]) -> str:
    """SHA-256 of everything else in a certificate."""
    rest = {key: value for key, value in content.items() if key != "digest"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, allow_nan=False).encode()).hexdigest()


def signed(content: Mapping[str, Any]) -> str:
    """A certificate's content as text, with its digest: a later change of any of it is noticed."""
    return json.dumps({**content, "digest": digest(content)}, indent=1, allow_nan=False)


def written(value: Any) -> Any:
    """A value as it stands in a certificate: lists for tuples, and null for the numbers that JSON does not know."""
    if isinstance(value, dict):
        return {key: written(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [written(entry) for entry in value]
    return None if isinstance(value, float) and not abs(value) < float("inf") else value


def verdict(error: float, accuracy: float, tolerance: float) -> str:
    """What an observation of limited accuracy says: it cannot pass what it could not have failed.

    >>> verdict(1e-9, 1e-12, 1e-8), verdict(1e-9, 1e-7, 1e-8), verdict(1e-5, 1e-7, 1e-8)
    ('measured', 'undecided', 'failed')
    """
    if error <= tolerance and accuracy <= tolerance:
        return "measured"
    return "failed" if error > max(tolerance, 10 * accuracy) else "undecided"


def not_run(name: str, tolerance: float, reason: str) -> Check:
    """What was not compared, and why not."""
    return Check(name, None, None, 0.0, tolerance, "not run", reason)


def undecided(name: str, tolerance: float, reason: str) -> Check:
    """What could not be observed, and why not."""
    return Check(name, None, None, float("nan"), tolerance, "undecided", reason)
