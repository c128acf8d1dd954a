"""The page and the files that belong to it: a template, whose menus and fields are those of the tables of noises and optimizers."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from string import Template

from symbolic_sgd.algebra.functions import CONSTANTS, FUNCTIONS
from symbolic_sgd.problems.expressions import ALIASES
from symbolic_sgd.problems.problem_file import LISTED, STATEMENTS
from symbolic_sgd.serve.form import NO_NOISE, Fields, is_matrix, noise_keys, optimizer_keys

STATIC = Path(__file__).parent / "static"

Files = Mapping[str, tuple[str, bytes]]
"""Address → the type of what is there, and its content."""

HTML, CSS, SCRIPT, JSON = (
    "text/html; charset=utf-8",
    "text/css; charset=utf-8",
    "text/javascript; charset=utf-8",
    "application/json",
)

LABELS = {
    "residuals": "Residuals rᵢ, one a line; L = (1/2n) Σ rᵢ²",
    "loss": "Loss L",
    "sample_losses": "Losses of the samples, one a line; L is their mean",
    "perturbed_loss": "Loss L̂(x, ξ) with perturbations ξ",
}
"""What stands over the formula."""

FIRST = "hyperbola_label"
"""The example that is shown to who comes without a problem."""

LIVE = "Nothing leaves this machine: the page is served by symbolic-sgd on it, and nothing that is written here is executed or stored."


@dataclass(frozen=True)
class Example:
    """An example that is one click away.

    Args:
        name: of its file.
        title: what it is about.
        fields: what is written on the page.
    """

    name: str
    title: str
    fields: Fields


def live_files(examples: Sequence[Example]) -> Files:
    """The page that asks, its script and its style, and the examples."""
    items = "".join(
        f'<li><button type="button" value="{escape(e.name)}" title="{escape(e.title)}"{" data-first" if e.name == FIRST else ""}>'
        f"{escape(e.name.replace('_', ' '))}</button></li>"
        for e in examples
    )
    page = written_page(Fields(), mode="live", title="symbolic_sgd", examples=items, footer=escape(LIVE))
    fields = {example.name: asdict(example.fields) for example in examples}
    return {"/": (HTML, page.encode()), "/examples.json": (JSON, json.dumps(fields).encode()), **assets()}


def assets() -> Files:
    """The script and the style."""
    kinds = {"page.js": SCRIPT, "page.css": CSS}
    return {f"/{name}": (kind, (STATIC / name).read_bytes()) for name, kind in kinds.items()}


def written_page(
    written: Fields,
    *,
    mode: str,
    title: str,
    examples: str,
    footer: str,
    heading: str = "The limit",
    answer: str = "",
    outputs: str = "",
) -> str:
    """The page with fields and, where they are there already, answers.

    Args:
        written: what stands in the fields.
        mode: "live", or "kept" for a page that asks nothing.
        title: of the window.
        examples: the items of their list, as HTML.
        footer: as HTML.
        heading: over the answer.
        answer: Γ, dY and R, as HTML.
        outputs: the other forms, as HTML.
    """
    known = sorted({*FUNCTIONS, *CONSTANTS, *ALIASES})
    return Template((STATIC / "page.html").read_text(encoding="utf-8")).substitute(
        mode=mode,
        title=escape(title),
        known=escape(" ".join(known)),
        examples=examples,
        disabled="" if mode == "live" else "disabled",
        statements="".join(_statement(name, written.statement) for name in STATEMENTS),
        formula_label=escape(LABELS.get(written.statement, written.statement)),
        formula=escape(written.formula),
        parameters=escape(written.parameters),
        constants=escape(written.constants),
        noises=_options(noise_keys(), written.noise),
        noise_fields=_groups("noise_values", noise_keys(), written.noise, written.noise_values),
        optimizers=_options(optimizer_keys(), written.optimizer),
        optimizer_fields=_groups("optimizer_values", optimizer_keys(), written.optimizer, written.optimizer_values),
        further=escape(written.further),
        further_open="open" if written.further.strip() else "",
        heading=escape(heading),
        answer=answer,
        outputs=outputs,
        footer=footer,
    )


def _statement(name: str, chosen: str) -> str:
    own = ' data-noise="own"' if name in NO_NOISE else ""
    lines = ' data-lines="several"' if name in LISTED else ""
    label = escape(LABELS.get(name, name))
    return f'<option value="{name}" data-label="{label}"{own}{lines}{_selected(name, chosen)}>{name.replace("_", " ")}</option>'


def _options(names: Iterable[str], chosen: str) -> str:
    return "".join(
        f'<option value="{name}"{_selected(name, chosen)}>{name.replace("_", " ")}</option>' for name in names
    )


def _selected(name: str, chosen: str) -> str:
    return " selected" if name == chosen else ""


def _groups(table: str, kinds: Mapping[str, Sequence[str]], chosen: str, values: Mapping[str, str]) -> str:
    """The fields of each kind; those of the chosen one are shown."""
    return "".join(
        f'<div class="pair" data-group="{table} {kind}"{"" if kind == chosen else " hidden"}>'
        + "".join(_field(table, kind, key, values.get(key, "") if kind == chosen else "") for key in keys)
        + "</div>"
        for kind, keys in kinds.items()
    )


def _field(table: str, kind: str, key: str, value: str) -> str:
    identity = f"{table}-{kind}-{key}"
    marked = f'id="{identity}" data-table="{table}" data-kind="{kind}" data-key="{key}"'
    write: Callable[[str, str], str] = _area if is_matrix(key) else _line
    return f'<div><label for="{identity}">{key.replace("_", " ")}</label>{write(marked, escape(value))}</div>'


def _area(marked: str, value: str) -> str:
    return f'<textarea {marked} rows="3" placeholder="1, 0&#10;0, u">{value}</textarea>'


def _line(marked: str, value: str) -> str:
    return f'<input {marked} value="{value}">'
