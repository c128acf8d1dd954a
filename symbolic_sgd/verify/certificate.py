"""What verification returns: a value. Printing is the command line's business."""

import json
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

FORMAT = 1


@dataclass(frozen=True)
class Check:
    """One comparison of theory with an independent computation.

    Args:
        name: what was compared.
        predicted: what the formulas say.
        observed: what the independent road gave.
        error: their distance, relative to the natural size.
        tolerance: the largest error that passes.
        verdict: "passed", "failed" or "undecided" (the independent road was itself not accurate enough).
        detail: where, and how accurate the independent road was.
    """

    name: str
    predicted: Any
    observed: Any
    error: float
    tolerance: float
    verdict: str
    detail: str = ""


@dataclass(frozen=True)
class Certificate:
    """The outcome of `verify`.

    Args:
        problem: the statement of the problem, as text.
        checks: every comparison made.
    """

    problem: dict[str, Any]
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Nothing failed, and nothing is undecided."""
        return bool(self.checks) and all(check.verdict == "passed" for check in self.checks)

    def to_json(self) -> str:
        """The certificate as text, with the versions it was made with."""
        versions = {package: version(package) for package in ("sympy", "numpy", "mpmath", "scipy")}
        return json.dumps({"format": FORMAT, "passed": self.passed, "versions": versions, **asdict(self)}, indent=1)

    def __str__(self) -> str:
        width = max((len(check.name) for check in self.checks), default=0)
        lines = []
        for c in self.checks:
            lines.append(f"{c.name:<{width}}  {c.verdict:<9}  error {c.error:.1e}  tolerance {c.tolerance:.0e}")
            lines.extend([f"    {c.detail}"] if c.verdict != "passed" else [])
        return "\n".join([*lines, "certificate: " + ("passed" if self.passed else "NOT passed")])


def verdict(error: float, accuracy: float, tolerance: float) -> str:
    """What an observation of limited accuracy says: it cannot pass what it could not have failed.

    >>> verdict(1e-9, 1e-12, 1e-8), verdict(1e-9, 1e-7, 1e-8), verdict(1e-5, 1e-7, 1e-8)
    ('passed', 'undecided', 'failed')
    """
    if error <= tolerance and accuracy <= tolerance:
        return "passed"
    return "failed" if error > max(tolerance, 10 * accuracy) else "undecided"
