"""Links lead somewhere: files and headings exist, addresses are written in one way, and are https."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
COPIED = ("notebooks", "derivations")
"""Folders that stand beside the pages where these are built."""

WRITTEN = [
    *sorted(ROOT.glob("*.md")),
    *sorted(DOCS.glob("*.md")),
    *sorted((DOCS / "api").glob("*.md")),
    *sorted((ROOT / "derivations").glob("*.md")),
    *sorted((ROOT / "notebooks").glob("*.ipynb")),
]
FURTHER = [ROOT / "pyproject.toml", ROOT / "CITATION.cff"]

_FENCED = re.compile(r"^(```+|~~~+)(?!\{image\}).*?^\1\s*$", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)", re.DOTALL)
_LINK = re.compile(r"(?<!\\)\]\(\s*<?([^()\s>]+(?:\([^()\s]*\)[^()\s]*)?)>?(?:\s+\"[^\"]*\")?\s*\)")
_IMAGE = re.compile(r"^```\{image\} (\S+)$", re.MULTILINE)
_ADDRESS = re.compile(r"\bhttps?://[^\s<>\"'`)\]}|\\]+", re.IGNORECASE)
_HEADING = re.compile(r"^#{1,6} +(.*?)\s*#*$", re.MULTILINE)


@dataclass(frozen=True)
class Link:
    """Where it stands, and where it leads."""

    page: Path
    target: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}: {self.target}"


def written(page: Path) -> str:
    """The text of a page."""
    text = page.read_text(encoding="utf-8")
    if page.suffix != ".ipynb":
        return text
    return "\n\n".join("".join(c["source"]) for c in json.loads(text)["cells"] if c["cell_type"] == "markdown")


def links(page: Path) -> list[Link]:
    """Those of a page that are not in its code, and its pictures."""
    text = written(page)
    targets = _LINK.findall(_CODE.sub("", _FENCED.sub("", text))) + _IMAGE.findall(text)
    return [Link(page, target) for target in targets]


def is_internal(link: Link) -> bool:
    return not urlsplit(link.target).scheme


def file_of(link: Link) -> Path:
    """The file that is meant; of a page, what is copied beside it where it is built."""
    path = link.target.split("#")[0]
    if not path:
        return link.page
    beside = link.page.is_relative_to(DOCS) and path.removeprefix("../").split("/")[0] in COPIED
    return (ROOT / path.removeprefix("../") if beside else link.page.parent / path).resolve()


def anchors(page: Path) -> set[str]:
    """The names of its headings, as GitHub and MyST make them."""
    found: dict[str, int] = {}
    names = set()
    for heading in _HEADING.findall(_FENCED.sub("", page.read_text(encoding="utf-8"))):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").lower()
        name = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        names.add(name if name not in found else f"{name}-{found[name]}")
        found[name] = found.get(name, 0) + 1
    return names


def broken(found: list[Link]) -> list[str]:
    """What is wrong with internal links."""
    faults = []
    for link in filter(is_internal, found):
        path, anchor = file_of(link), link.target.partition("#")[2]
        if not path.exists():
            faults.append(f"{link}: there is no such file")
        elif not path.is_relative_to(ROOT):
            faults.append(f"{link}: is not in the project")
        elif anchor and anchor not in anchors(path):
            faults.append(f"{link}: there is no such heading")
    return faults


def addresses(page: Path) -> list[Link]:
    """Everything outside, in links or by itself, in code or not."""
    text = page.read_text(encoding="utf-8")
    return [Link(page, address.rstrip(".,;:")) for address in _ADDRESS.findall(text)]


def misspelt(found: list[Link]) -> list[str]:
    """Addresses that are not https, have no host, or are elsewhere written in another way."""
    faults, known = [], {}
    for link in found:
        parts = urlsplit(link.target)
        if parts.scheme != "https" or "." not in parts.netloc or parts.netloc != parts.netloc.lower():
            faults.append(f"{link}: is no address of the form https://host/…")
        one = (parts.netloc.lower().removeprefix("www."), parts.path.rstrip("/"), parts.query, parts.fragment)
        if known.setdefault(one, link.target) != link.target:
            faults.append(f"{link}: is {known[one]} elsewhere")
    return faults


def test_every_link_inside_leads_somewhere():
    found = [link for page in WRITTEN for link in links(page)]
    assert sum(map(is_internal, found)) > 200
    assert broken(found) == []


def test_every_address_is_written_in_one_way():
    found = [link for page in (*WRITTEN, *FURTHER) for link in addresses(page)]
    assert misspelt(found) == []


def test_errors_and_their_clinic_lead_to_each_other():
    clinic = ROOT / "notebooks" / "refusals.ipynb"
    assert DOCS / "refusals.md" in map(file_of, links(clinic))
    assert clinic in map(file_of, links(DOCS / "refusals.md"))


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("[a](README.md), ![b](docs/picture.png) and [c](#d)\n\n## D", 0),
        ("[a](CHANGELOG.md#there-is-none)", 1),
        ("[a](docs/none.md) and [b](#none)", 2),
        ("`[a](docs/none.md)`\n\n```text\n[b](docs/none.md)\n```", 0),
        ("[a](../elsewhere.md)", 1),
        ("```{image} docs/none.png\n:alt: x\n```", 1),
    ],
)
def test_what_leads_nowhere_is_seen(text, faults, tmp_path, monkeypatch):
    (tmp_path / "docs").mkdir()
    for name in ("README.md", "CHANGELOG.md", "docs/picture.png"):
        (tmp_path / name).touch()
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    monkeypatch.setattr(f"{__name__}.DOCS", tmp_path / "docs")
    page = tmp_path / "page.md"
    page.write_text(text, encoding="utf-8")
    assert len(broken(links(page))) == faults


@pytest.mark.parametrize(
    ("targets", "faults"),
    [
        (["https://arxiv.org/abs/2110.06914", "https://arxiv.org/abs/2110.06914"], 0),
        (["http://arxiv.org/abs/2110.06914"], 1),
        (["https://localhost/x"], 1),
        (["https://arxiv.org/abs/1", "https://www.arxiv.org/abs/1"], 1),
        (["https://arxiv.org/abs/1", "https://arxiv.org/abs/1/"], 1),
    ],
)
def test_an_address_that_is_written_in_two_ways_is_seen(targets, faults):
    assert len(misspelt([Link(ROOT / "README.md", target) for target in targets])) == faults
