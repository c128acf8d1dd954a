"""A certificate for readers: a line for each method, everything that did not pass, and on request every check."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import isfinite

from symbolic_sgd.checks.certificate import BROKEN, HOLDS, Certificate, Check
from symbolic_sgd.checks.methods import ALL
from symbolic_sgd.printing.prose import sentence
from symbolic_sgd.printing.tables import Table, html_table

NOT_RUN = "not run"

NAMES = {type(method).__name__: method.name for method in ALL}
"""What the methods of certificates look at."""


@dataclass(frozen=True)
class Group:
    """The checks of one method.

    Args:
        name: what the method looks at.
        checks: what it found.
    """

    name: str
    checks: tuple[Check, ...]

    @property
    def passed(self) -> int:
        """How many hold."""
        return sum(check.verdict in HOLDS for check in self.checks)

    @property
    def error(self) -> float:
        """The largest error of those that hold."""
        return max((c.error for c in self.checks if c.verdict in HOLDS and isfinite(c.error)), default=0.0)

    @property
    def evidence(self) -> str:
        """The kinds of their verdicts, the strongest first."""
        found = {check.verdict for check in self.checks}
        return ", ".join(kind for kind in (*HOLDS, NOT_RUN, *BROKEN) if kind in found)

    @property
    def row(self) -> tuple[str, str, str, str]:
        """Its name, how many of its checks passed, the largest error, and the kind of evidence."""
        run = sum(check.verdict != NOT_RUN for check in self.checks)
        return self.name, f"{self.passed} of {run}", f"{self.error:.0e}" if self.error else "0", self.evidence


HEADER = ("checked", "passed", "error", "evidence")
"""Over the rows of groups."""


def groups(certificate: Certificate) -> tuple[Group, ...]:
    """The checks by method, in the order in which the methods ran."""
    by_method: dict[str, list[Check]] = {}
    for check in certificate.checks:
        by_method.setdefault(check.method, []).append(check)
    return tuple(Group(NAMES.get(method, method), tuple(checks)) for method, checks in by_method.items())


def counted(checks: Sequence[Check]) -> str:
    """How many checks there are of each verdict."""
    found = Counter(check.verdict for check in checks)
    kinds = [f"{found[kind]} {kind}" for kind in (*HOLDS, NOT_RUN, *BROKEN) if found[kind]]
    return f"{len(checks)} checks: {', '.join(kinds)}" if kinds else "no checks"


def summary(certificate: Certificate) -> str:
    """A line for each method, every check that failed or is undecided, and the verdict."""
    rows = [HEADER, *(group.row for group in groups(certificate))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    aligned = [f"{a:<{widths[0]}}  {b:>{widths[1]}}  {c:>{widths[2]}}  {d}" for a, b, c, d in rows]
    broken = [check for check in certificate.checks if check.verdict in BROKEN]
    return "\n".join([*aligned, *_lines(broken, whole=True), verdict_line(certificate)])


def details(certificate: Certificate) -> str:
    """Every check, and the verdict."""
    return "\n".join([*_lines(certificate.checks), verdict_line(certificate)])


def verdict_line(certificate: Certificate) -> str:
    """The verdict over all checks."""
    return f"certificate: {'passed' if certificate.passed else 'NOT passed'} ({counted(certificate.checks)})"


def _lines(checks: Iterable[Check], *, whole: bool = False) -> Iterator[str]:
    checks = tuple(checks)
    width = max((len(check.name) for check in checks), default=0)
    for c in checks:
        numbers = "" if c.verdict in ("proved", NOT_RUN) else f"  error {c.error:.1e}  tolerance {c.tolerance:.0e}"
        yield f"{c.name:<{width}}  {c.verdict:<10}{numbers}".rstrip()
        if c.detail and (whole or c.telling):
            yield f"    {c.detail}"
        if whole and c.predicted is not None:
            yield f"    predicted {c.predicted}, observed {c.observed}"


# --- as tables ------------------------------------------------------------------------------------


def checks_table(certificate: Certificate) -> Table:
    """Every check."""
    rows = tuple((sentence(c.name), c.verdict, f"{c.error:.0e}", f"{c.tolerance:.0e}") for c in certificate.checks)
    return Table("Checks of the certificate", ("check", "verdict", "error", "tolerance"), rows)


def certificate_html(certificate: Certificate) -> str:
    """The verdict and a row for each method, and every check to be unfolded."""
    by_method = Table(verdict_line(certificate), HEADER, tuple(group.row for group in groups(certificate)))
    every = f"<details><summary>every check</summary>{html_table(checks_table(certificate))}</details>"
    return html_table(by_method) + every


def check_html(check: Check) -> str:
    """One check with all that is known of it."""
    known = {
        "verdict": check.verdict,
        "error": f"{check.error:.2g}",
        "tolerance": f"{check.tolerance:.2g}",
        "predicted": str(check.predicted),
        "observed": str(check.observed),
        "detail": check.detail,
    }
    return html_table(Table(check.name, ("", ""), tuple(known.items())))
