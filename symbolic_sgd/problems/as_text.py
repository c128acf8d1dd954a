"""The text of a problem file from its content: TOML that the reader gives back as it was."""

import json
from collections.abc import Mapping, Sequence
from typing import Any


def problem_text(document: Mapping[str, Any]) -> str:
    """The content of a problem file as TOML: strings, numbers and lists first, then the tables.

    Args:
        document: key → string, integer, float, list of such, or table; names of keys are letters, digits, _ and -.

    >>> print(problem_text({"loss": "(u*v - 1)**2/2", "noise": {"kind": "isotropic"}, "parameters": ["u", "v"]}), end="")
    loss = "(u*v - 1)**2/2"
    parameters = ["u", "v"]
    <BLANKLINE>
    [noise]
    kind = "isotropic"
    """
    plain = [f"{_key(key)} = {_value(value)}" for key, value in document.items() if not isinstance(value, Mapping)]
    tables = [
        "\n".join([f"\n[{_key(name)}]", *(f"{_key(key)} = {_value(value)}" for key, value in table.items())])
        for name, table in document.items()
        if isinstance(table, Mapping)
    ]
    return "".join(f"{line}\n" for line in [*plain, *tables])


def _key(key: str) -> str:
    bare = key.isascii() and key.replace("_", "").replace("-", "").isalnum()
    return key if bare else _string(key)


def _value(value: Any) -> str:
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{_key(k)} = {_value(v)}' for k, v in value.items())} }}"
    if isinstance(value, Sequence):
        return f"[{', '.join(map(_value, value))}]"
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _string(text: str) -> str:
    """JSON's strings are TOML's, but for halves of characters, which no text has, and for the sign DEL."""
    whole = text.encode("utf-8", "replace").decode("utf-8")
    return json.dumps(whole, ensure_ascii=False).replace("\x7f", "\\u007f")
