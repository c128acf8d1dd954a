"""docs/command_line.md is what its script writes; it holds every option, and every example can be typed."""

import importlib.util
import shlex
from importlib import import_module
from pathlib import Path

import pytest

from symbolic_sgd.command.main import COMMANDS, EXAMPLES, parser_of

SCRIPT = Path(__file__).parents[2] / "docs" / "command_line.py"


def loaded():
    spec = importlib.util.spec_from_file_location("command_line_page", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


page = loaded()


def test_the_kept_page_is_what_the_parser_says():
    """After a change: `python docs/command_line.py`, and read the difference."""
    assert page.PAGE.read_text(encoding="utf-8") == page.page() + "\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_a_command_is_in_its_section_or_in_the_shared_one(name):
    """By the parser's own help, another road than its list of actions."""
    _, parsers = parser_of(name)
    text = page.PAGE.read_text(encoding="utf-8")
    section = text.split(f"\n## {name}\n")[1].split("\n## ")[0]
    shared = text.split("\n## Options of the optimizer\n")[1]
    words = (word.strip(",[]()'\";:=") for word in parsers[name].format_usage().split())
    options = {word for word in words if word.startswith("--")}
    assert options or name == "check"
    assert all(f"\n| `{option}" in section or f"\n| `{option}" in shared for option in options)


@pytest.mark.parametrize(
    "line", [*EXAMPLES, *(line for name in COMMANDS for line in import_module(f"symbolic_sgd.command.{name}").EXAMPLES)]
)
def test_every_example_can_be_typed(line):
    command, *arguments = shlex.split(line.replace("\\", "\\\\").partition(" > ")[0])
    assert command == "symbolic-sgd"
    parser, _ = parser_of(arguments[0])
    if "--help" in arguments:
        with pytest.raises(SystemExit) as ended:
            parser.parse_args(arguments)
        assert ended.value.code == 0
    else:
        assert "run" in parser.parse_args(arguments)
