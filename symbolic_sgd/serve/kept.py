"""The same page as a site of files: the examples with their answers, for a place where nothing can be asked."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from html import escape
from pathlib import Path

from symbolic_sgd import files
from symbolic_sgd.errors import BadInput
from symbolic_sgd.serve.answers import TASKS, Answers
from symbolic_sgd.serve.cards import Card, cards_page
from symbolic_sgd.serve.page import STATIC, Example, written_page

NAMES = {"latex": "LaTeX", "python": "Python", "c": "C", "check": "Check", "file": "Problem file"}
"""What the other answers are called."""

FOOTER = (
    "These answers are kept: <code>symbolic-sgd serve</code> gives them for any loss, and "
    "<code>symbolic-sgd serve --export DIR</code> has written these pages."
)


def kept_site(place: Path, examples: Sequence[Example], cards: Sequence[Card], tell: Callable[[str], None]) -> int:
    """Write a page for each example, and `index.html` with a card for each.

    Args:
        place: a directory; it is made if it is not there.
        examples: what is derived.
        cards: of these examples.
        tell: told which example is derived.

    Returns:
        How many pages there are.

    Raises:
        BadInput: an example is refused.
        OSError: a file cannot be written.
    """
    place.mkdir(parents=True, exist_ok=True)
    for name in ("page.js", "page.css", "gallery.js", "cards.css"):
        files.write(place / name, (STATIC / name).read_bytes())
    for card in cards:
        if card.picture is not None:
            files.write(place / card.picture.name, card.picture.read_bytes())
    answers = Answers(float("inf"))
    for example in examples:
        tell(example.name)
        files.write(place / f"{example.name}.html", _page(example, examples, answers).encode())
    files.write(place / "index.html", cards_page(cards, FOOTER).encode())
    return len(examples) + 1


def _page(example: Example, examples: Sequence[Example], answers: Answers) -> str:
    fields = asdict(example.fields)
    found = {task: answers.answer(task, fields) for task in TASKS}
    for task in ("derive", "check"):
        if "refusal" in found[task]:
            raise BadInput(f"{example.name}: {found[task]['refusal']}")
    items = '<li><a href="index.html">all of them, with pictures</a></li>' + "".join(
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
