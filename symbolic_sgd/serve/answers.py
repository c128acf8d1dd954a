"""The answers to the questions of the page: what a worker does."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from html import escape
from typing import Any

from symbolic_sgd.algebra.translation import SymbolicMatrix
from symbolic_sgd.api.limiting_sde import LimitingSDE, derive_limiting_sde
from symbolic_sgd.api.verification import verify
from symbolic_sgd.checks.report import certificate_html
from symbolic_sgd.documents.findings import attempt
from symbolic_sgd.documents.glance import glance
from symbolic_sgd.documents.html import html_sections
from symbolic_sgd.documents.script import python_script
from symbolic_sgd.errors import SymbolicSGDError, said_of
from symbolic_sgd.optimizers.optimizer import Optimizer
from symbolic_sgd.optimizers.stated import optimizer_of
from symbolic_sgd.problems.as_text import problem_text
from symbolic_sgd.problems.problem_file import ProblemFile, file_from_document
from symbolic_sgd.serve import limits
from symbolic_sgd.serve.form import SOURCE, Fields, document_of, read_fields
from symbolic_sgd.serve.picture import picture

Answer = dict[str, str]
"""One of "html", a piece of the page; "text", to be shown as it is and copied; "refusal", words."""


@dataclass
class Answers:
    """Answers, one after another; the last derivation is kept, because further questions are about it.

    Args:
        seconds: of wall time, for one answer.
    """

    seconds: float = limits.SECONDS
    _kept: tuple[str, LimitingSDE] | None = field(default=None, repr=False)

    def answer(self, task: str, sent: Any) -> Answer:
        """The answer to a question; what is refused is said as on the command line."""
        begun = time.monotonic()
        try:
            return TASKS[task](self, read_fields(sent), begun)
        except SymbolicSGDError as error:
            return {"refusal": said_of(SOURCE, error)}
        except MemoryError:
            self._kept = None
            return {"refusal": limits.too_large(task)}

    # --- what is asked

    def derive(self, written: Fields, begun: float) -> Answer:
        """Γ, dY, R, and a picture."""
        stated, sde = self._derived(written)
        left = max(1.0, min(limits.SEARCH, (self.seconds - (time.monotonic() - begun)) / 2))
        found = attempt(lambda: sde.find_regularizer(seconds=left))
        drawn = picture(sde, None if isinstance(found, SymbolicSGDError) else found.expression)
        document = glance(
            stated.title,
            sde.derivation,
            sde.structure,
            {term.name: _matrix(sde, term.name) for term in sde.derivation.terms},
            found,
            sde.road,
            drawn,
        )
        return {"html": html_sections(document)}

    def latex(self, written: Fields, begun: float) -> Answer:
        """The theorem with every block filled in."""
        return {"text": self._derived(written)[1].latex()}

    def c(self, written: Fields, begun: float) -> Answer:
        """A C file."""
        return {"text": self._derived(written)[1].to_c()}

    def python(self, written: Fields, begun: float) -> Answer:
        """A script that states the problem."""
        stated, optimizer = _stated(written)
        return {"text": python_script(stated.problem, optimizer)}

    def check(self, written: Fields, begun: float) -> Answer:
        """The quick checks."""
        certificate = verify(self._derived(written)[1])
        outcome = "Every check passed." if certificate.passed else "NOT every check passed."
        broken = "" if certificate.passed else f'<pre tabindex="0">{escape(str(certificate))}</pre>'
        return {"html": f'<p class="result">{outcome}</p>{broken}{certificate_html(certificate)}'}

    def file(self, written: Fields, begun: float) -> Answer:
        """The problem file, which the command line reads."""
        return {"text": problem_text(document_of(written))}

    def _derived(self, written: Fields) -> tuple[ProblemFile, LimitingSDE]:
        stated, optimizer = _stated(written)
        key = repr(written)
        if self._kept is None or self._kept[0] != key:
            self._kept = None
            self._kept = key, derive_limiting_sde(stated.problem, optimizer=optimizer)
        return stated, self._kept[1]


TASKS: dict[str, Callable[[Answers, Fields, float], Answer]] = {
    "derive": Answers.derive,
    "latex": Answers.latex,
    "python": Answers.python,
    "c": Answers.c,
    "check": Answers.check,
    "file": Answers.file,
}
"""What may be asked: a further question is a further row."""


def _stated(written: Fields) -> tuple[ProblemFile, Optimizer]:
    stated = file_from_document(document_of(written), source=SOURCE)
    return stated, optimizer_of(stated.optimizer)


def _matrix(sde: LimitingSDE, name: str) -> SymbolicMatrix | None:
    found = attempt(lambda: sde.term(name))
    return None if isinstance(found, SymbolicSGDError) else found
