"""Writes docs/command_line.md, the reference of the command, from the parser that reads it: `python docs/command_line.py`."""

import argparse
import re
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path

from symbolic_sgd.command.main import CODES, COMMANDS, EXAMPLES, parser_of

PAGE = Path(__file__).with_suffix(".md")

HEAD = """# The command line

`symbolic-sgd` (also `python -m symbolic_sgd`) has the commands below. It reads [problem files](problem_file.md), writes results to
standard output and everything else to standard error, and never shows a traceback for what is wrong with its input. This page is
written from the parser itself; `symbolic-sgd COMMAND --help` says the same in the terminal."""

SHARED = "optimizer"
"""The group of options that several commands have: it is printed once."""


Rows = list[tuple[str, str]]
"""What is written, and what it means."""


def options_of(parser: argparse.ArgumentParser) -> Iterator[tuple[str, str, Rows]]:
    """The groups of a parser: title, description, rows. The help of --help is left out."""
    for group in parser._action_groups:
        rows = [(_written(action), _meaning(action)) for action in group._group_actions if action.dest != "help"]
        if rows:
            yield str(group.title), group.description or "", rows


def _written(action: argparse.Action) -> str:
    """As it is typed."""
    if isinstance(action.choices, dict):  # of commands
        return "COMMAND"
    name = ", ".join(action.option_strings)
    if action.nargs == 0:
        return name
    shown = action.metavar or (
        "{" + ",".join(map(str, action.choices)) + "}" if action.choices else action.dest.upper()
    )
    many = {"+": f"{shown} …", "*": f"[{shown} …]", "?": f"[{shown}]"}.get(str(action.nargs), str(shown))
    return f"{name} {many}".strip()


def _meaning(action: argparse.Action) -> str:
    """Its help; a default that the help does not name is added to it."""
    words = action.help or ""
    silent = (
        action.nargs == 0
        or action.required
        or action.default in (None, argparse.SUPPRESS, [], "")
        or "default" in words
    )
    return words if silent else f"{words} (default {action.default})"


def table(rows: Sequence[tuple[str, str]]) -> str:
    lines = ["| option | meaning |", "| --- | --- |"]
    return "\n".join([*lines, *(f"| `{_cell(written)}` | {text(meaning)} |" for written, meaning in rows)])


def _cell(written: str) -> str:
    return written.replace("|", "\\|")


def text(words: str) -> str:
    """Help as Markdown: options are code, and what has a meaning in Markdown is escaped."""
    parts = re.split(r"(?<!\w)(--[a-z][\w=/.-]*\w)", " ".join(words.split()))
    return "".join(
        f"`{part}`" if k % 2 else re.sub(r"([\\*_\[\]<>$|#{}~])", r"\\\1", part) for k, part in enumerate(parts)
    )


def examples(lines: Sequence[str]) -> str:
    """Indented, as they are typed."""
    return "\n".join(f"    {line}" for line in lines)


def section(name: str, parser: argparse.ArgumentParser) -> str:
    """A command: what it does, its own options, its examples."""
    groups = list(options_of(parser))
    rows = [row for title, _, rows in groups if title != SHARED for row in rows]
    shared = "And the options of [the optimizer](#options-of-the-optimizer)."
    lines = import_module(f"symbolic_sgd.command.{name}").EXAMPLES
    words = COMMANDS[name]
    parts = [f"## {name}", f"{text(words[0].upper() + words[1:])}.", table(rows)]
    parts += [shared] if any(title == SHARED for title, *_ in groups) else []
    return "\n\n".join([*parts, "Examples:", examples(lines)])


def optimizer(parsers: dict[str, argparse.ArgumentParser]) -> str:
    """The shared group, whole; a command that has an option of its own by one of its names lacks that."""
    groups = {
        name: (words, rows)
        for name, parser in parsers.items()
        for title, words, rows in options_of(parser)
        if title == SHARED
    }
    words, whole = max(groups.values(), key=lambda group: len(group[1]))
    lacking = [
        f"`{row[0].split()[0]}` of `{name}` is its own option"
        for name, (_, rows) in groups.items()
        for row in whole
        if row not in rows
    ]
    named = ", ".join(f"[`{name}`](#{name})" for name in groups)
    head = f"Of {named}: {text(words)}. {'; '.join(lacking)}. [The problem file](problem_file.md#optimizers) says what each means."
    return "\n\n".join(["## Options of the optimizer", head, table(whole)])


def codes() -> str:
    """The exit codes."""
    rows = [code.split(maxsplit=1) for code in " ".join(CODES.split()).removeprefix("exit codes: ").split("; ")]
    return "\n".join(["| code | meaning |", "| --- | --- |", *(f"| {code} | {text(words)} |" for code, words in rows)])


def page() -> str:
    """All of it."""
    parser, parsers = parser_of(*COMMANDS)
    listed = "\n".join(f"- [`{name}`](#{name}): {text(words)}" for name, words in COMMANDS.items())
    own = [row for *_, rows in options_of(parser) for row in rows if row[0] != "COMMAND"]
    return "\n\n".join(
        [
            HEAD,
            listed,
            table(own),
            examples(EXAMPLES),
            "## Exit codes",
            codes(),
            *(section(name, parsers[name]) for name in COMMANDS),
            optimizer(parsers),
        ]
    )


if __name__ == "__main__":
    PAGE.write_text(page() + "\n", encoding="utf-8")
