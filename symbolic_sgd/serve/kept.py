"""The same page as a site of files: the examples with their answers, for a place where nothing can be asked."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from html import escape
from pathlib import Path

from symbolic_sgd import files
from symbolic_sgd.errors import BadInput
from symbolic_sgd.serve.answers import TASKS, Answers
from symbolic_sgd.serve.page import FIRST, Example, assets, written_page

NAMES = {"latex": "LaTeX", "python": "Python", "c": "C", "check": "Check", "file": "Problem file"}
"""What the other answers are called."""

FOOTER = (
    "These answers are kept: <code>symbolic-sgd serve</code> gives them for any loss, and "
    "<code>symbolic-sgd serve --export DIR</code> has written these pages."
)


def kept_site(place: Path, examples: Sequence[Example], tell: Callable[[str], None]) -> int:
    """Write a page for each example, and the first of them once more as `index.html`.

    Args:
        place: a directory; it is made if it is not there.
        examples: what is derived.
        tell: told which example is derived.

    Returns:
        How many pages there are.

    Raises:
        BadInput: an example is refused.
        OSError: a file cannot be written.
    """
    place.mkdir(parents=True, exist_ok=True)
    for address, (_, content) in assets().items():
        files.write(place / address.removeprefix("/"), content)
    answers = Answers(float("inf"))
    first = FIRST if FIRST in {example.name for example in examples} else examples[0].name
    for example in examples:
        tell(example.name)
        page = _page(example, examples, answers).encode()
        files.write(place / f"{example.name}.html", page)
        if example.name == first:
            files.write(place / "index.html", page)
    return len(examples) + 1


def _page(example: Example, examples: Sequence[Example], answers: Answers) -> str:
    fields = asdict(example.fields)
    found = {task: answers.answer(task, fields) for task in TASKS}
    for task in ("derive", "check"):
        if "refusal" in found[task]:
            raise BadInput(f"{example.name}: {found[task]['refusal']}")
    items = "".join(
        f'<li><a href="{escape(e.name)}.html" title="{escape(e.title)}"{" aria-current=page" if e is example else ""}>'
        f"{escape(e.name.replace('_', ' '))}</a></li>"
        for e in examples
    )
    return written_page(
        example.fields,
        mode="kept",
        title=example.title,
        examples=items,
        footer=FOOTER,
        heading=example.title,
        answer=found["derive"]["html"],
        outputs="".join(_output(NAMES[task], answer) for task, answer in found.items() if task in NAMES),
    )


def _output(name: str, answer: dict[str, str]) -> str:
    if "html" in answer:
        content = answer["html"]
    elif "text" in answer:
        content = f'<pre tabindex="0">{escape(answer["text"])}</pre>'
    else:
        content = f'<p class="refusal">{escape(answer["refusal"])}</p>'
    return f"<details><summary>{name}</summary>{content}</details>"
