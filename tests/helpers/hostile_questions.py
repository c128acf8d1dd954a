"""Questions that nobody asks in good faith, and bytes that are none: what each may be answered with."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

GOOD = {"statement": "loss", "formula": "(u*v - 1)**2/2", "parameters": "u, v", "noise": "isotropic"}

TEXTS = {
    "attribute": "u.__class__.__mro__",
    "import": "__import__('os').system('touch pwned')",
    "call": "open(u)",
    "exec": "exec(u) + v",
    "lambda": "(lambda: u)()",
    "comprehension": "[u for u in v]",
    "walrus": "(u := v)",
    "f-string": "f'{u}'",
    "power tower": "9**9**9",
    "longer tower": "u*v + 9**9**9**9",
    "exponentials": "exp(exp(exp(exp(9))))",
    "factorial": "factorial(10**9)",
    "power of ten": "1e999999999",
    "digits": "9" * 90_000,
    "parentheses": "(" * 5_000 + "u" + ")" * 5_000,
    "calls": "sin(" * 5_000 + "u" + ")" * 5_000,
    "signs": "-" * 5_000 + "u",
    "terms": "+".join(["u"] * 40_000),
    "a name": "a" * 90_000,
    "infinity": "1/0 + oo",
    "nan": "nan*u",
    "imaginary": "I*u + sqrt(-1)",
    "html": "<script>alert(1)</script>",
    "image": "<img src=x onerror=alert(1)>",
    "entity": "&lt;u&gt; &#0;",
    "closing": "</textarea></div><h1>u</h1>",
    "latex": r"\input{/etc/passwd} \write18{id}",
    "unicode": "ü·v − ∞",
    "look-alike": "\u0435xp(u)",
    "right to left": "\u202eu*v",
    "surrogate": "\ud800u",
    "zero byte": "u\x00v",
    "control": "u\x1b[31m\x07",
    "emoji": "🙂**2",
    "path": "../../etc/passwd",
    "environment": "${PATH} %PATH% $(id) `id`",
    "sql": "u' OR 1=1 --",
    "template": "{{7*7}} ${7*7} <%= 7 %>",
    "format": "%s%s%n {0.__class__}",
    "toml": 'a = 1\n[noise]\nkind = "label"',
    "yaml": "!!python/object/apply:os.system ['id']",
    "keyword": "lambda + if",
    "equation": "u*v = 1",
    "assignment": "u = 1; import os",
}
"""None of them is a formula, a name, a number or a line of TOML that a problem has; but for the name, which a constant may have."""

DISGUISED = {
    "itself": "(u*v - 1)**2/2",
    "parentheses": "(" * 50 + "u*v" + ")" * 50 + "**2/2 - u*v + 1/2",
    "spaces": "(u*v - 1)**2/2" + " " * 90_000,
    "line breaks": "(u*v\n - \r\n 1)\t**2/2",
    "signs": "(u*v " + "- " * 101 + "1)**2/2",
    "terms": "(u*v - 1)**2/2 + 0*(" + " + ".join(["u"] * 2_000) + ")",
    "numeric functions": "(u*v - 1)**2/2 + " + " + ".join(f"sin({k})" for k in range(300)),
    "long fractions": f"(u*v - 1)**2*({10**50 - 1}/{2 * 10**50 - 2})",
    "decimals": "0.5*(u*v - 1.000)**2.0",
    "a power": "((u*v - 1)**64)**(1/32)/2",
    "absolute values": "Abs(Abs(Abs(u*v - 1)))**2/2",
    "exponentials": "(exp(log(2))*u*v - 2)**2/8",
}
"""The loss (uv − 1)²/2, up to a constant. With isotropic noise R = ¼ ln(u² + v²)."""

PLACES = ("formula", "parameters", "constants", "noise", "optimizer", "further", "statement")

TABLES = (("noise_values", "scale", {}), ("optimizer_values", "learning_rate", {}))


@dataclass(frozen=True)
class Hostile:
    """One question.

    Args:
        name: what it is.
        task: what is asked.
        body: what is sent.
        allowed: the status codes that it may be answered with.
    """

    name: str
    task: str
    body: bytes
    allowed: tuple[int, ...] = (422,)


def questions() -> list[Hostile]:
    """Every text in every place, and questions of a wrong form."""
    return [*_texts(), *_forms()]


def _texts() -> Iterator[Hostile]:
    for name, text in TEXTS.items():
        for place in PLACES:
            allowed = (200,) if (name, place) == ("a name", "constants") else (422,)
            yield Hostile(f"{name} as {place}", "derive", _body(**{place: text}), allowed)
        for table, key, rest in TABLES:
            yield Hostile(f"{name} as {key}", "derive", _body(**{table: {key: text, **rest}}))
    for task in ("latex", "python", "c", "check"):
        yield Hostile(f"import, for {task}", task, _body(formula=TEXTS["import"]))


def _forms() -> Iterator[Hostile]:
    for name, value in {
        "a list": [],
        "a number": 7,
        "null": None,
        "true": True,
        "text": "u*v",
        "a field that there is none of": GOOD | {"__class__": "x"},
        "a number as formula": GOOD | {"formula": 7},
        "a list as formula": GOOD | {"formula": ["u"]},
        "a table as formula": GOOD | {"formula": {"a": "b"}},
        "null as parameters": GOOD | {"parameters": None},
        "text as values": GOOD | {"noise_values": "u"},
        "a number among values": GOOD | {"noise_values": {"scale": 1}},
        "a list among values": GOOD | {"optimizer_values": {"momentum": []}},
        "a key that the noise lacks": GOOD | {"noise_values": {"__class__": "1"}},
        "a key that the optimizer lacks": GOOD | {"optimizer_values": {"beta9": "1"}},
        "no parameters": GOOD | {"parameters": " , "},
        "a parameter twice": GOOD | {"parameters": "u, v, u"},
        "a function as a parameter": GOOD | {"parameters": "u, v, sin"},
        "300 parameters": GOOD | {"parameters": ",".join(f"x{i}" for i in range(300))},
        "100,000 parameters": GOOD | {"parameters": ",".join(f"x{i}" for i in range(100_000))},
        "100,000 residuals": GOOD | {"statement": "residuals", "formula": "\n".join(["u"] * 100_000)},
        "a wide matrix": GOOD | {"noise": "matrix", "noise_values": {"sigma": "1," * 100_000}},
        "an uneven matrix": GOOD | {"noise": "matrix", "noise_values": {"sigma": "1, 0\n0"}},
        "labels without residuals": GOOD | {"noise": "label"},
        "no formula": GOOD | {"formula": ""},
        "nothing": {},
        "no minimum": GOOD | {"formula": "u + v"},
        "an isolated minimum": GOOD | {"formula": "u**2 + v**2"},
        "dotted keys": GOOD | {"further": "a." * 100_000 + "a = 1"},
        "nested lists": GOOD | {"further": "near = " + "[" * 100_000 + "]" * 100_000},
        "what the form states": GOOD | {"further": 'loss = "u"'},
        "an unknown key": GOOD | {"further": "nearest = 1"},
        "code in near": GOOD | {"further": 'near = { u = "exit(1)", v = 1 }'},
        "a file": GOOD | {"further": 'file = "/etc/passwd"'},
    }.items():
        yield Hostile(name, "derive", json.dumps(value).encode())
    for name, body in {
        "no JSON": b"{",
        "nothing at all": b"",
        "bytes": bytes(range(256)),
        "other text": b"u*v = 1",
        "deep JSON": b"[" * 200_000 + b"]" * 200_000,
        "deep tables": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        "a long number": b"9" * 100_000,
        "half a character": b'{"formula": "\xff"}',
        "two values": b"{} {}",
    }.items():
        yield Hostile(name, "derive", body, (400,))


def _body(**changes: Any) -> bytes:
    return json.dumps(GOOD | changes).encode()


def requests(port: int) -> dict[str, tuple[bytes, tuple[int, ...]]]:
    """Bytes that are no question of the page, and what they may be answered with.

    Args:
        port: of the server.
    """
    host = f"Host: 127.0.0.1:{port}\r\n"
    json_type = "Content-Type: application/json\r\n"

    def head(first: str, *lines: str) -> bytes:
        return "".join([f"{first}\r\n", *lines, "\r\n"]).encode("latin-1")

    paths = (
        "/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/page.js/../../../etc/passwd", "//etc/passwd", "/.git/config",
        "/static/page.html", "/page.html", "/serve/worker.py", "/api/derive", "/api/", "/api/../page.css", "/\\..\\windows",
        "/page.js%00.html", "/%00", "/index.html", "http://evil.example/", "*", "/examples.json/", "/page.css;x",
    )  # fmt: skip
    found = {f"GET {path}": (head(f"GET {path} HTTP/1.1", host), (404,)) for path in paths}
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "get", "X" * 1_000):
        found[f"method {method[:12]}"] = head(f"{method} / HTTP/1.1", host), (405,)
    for path in ("/", "/api/", "/api/__class__", "/api/answer", "/api/derive/", "/api/derive?x", "/page.js"):
        found[f"POST {path}"] = head(f"POST {path} HTTP/1.1", host, json_type, "Content-Length: 2\r\n") + b"{}", (404,)
    for name, lines in {
        "no host": (),
        "another host": ("Host: evil.example\r\n",),
        "a host with another port": ("Host: 127.0.0.1:1\r\n",),
        "a host without a port": ("Host: 127.0.0.1\r\n",),
        "two hosts": (host, "Host: evil.example\r\n"),
        "a host that ends alike": (f"Host: evil.127.0.0.1:{port}\r\n",),
        "the address of another machine": (f"Host: 192.168.0.1:{port}\r\n",),
        "another origin": (host, "Origin: http://evil.example\r\n"),
        "no origin": (host, "Origin: null\r\n"),
        "an origin of files": (host, "Origin: file://\r\n"),
        "an origin with another scheme": (host, f"Origin: https://127.0.0.1:{port}\r\n"),
        "an origin with another port": (host, "Origin: http://127.0.0.1:1\r\n"),
        "an origin that begins alike": (host, f"Origin: http://127.0.0.1:{port}.evil.example\r\n"),
        "two origins": (host, f"Origin: http://127.0.0.1:{port}\r\n", "Origin: http://evil.example\r\n"),
    }.items():
        found[f"GET with {name}"] = head("GET / HTTP/1.1", *lines), (403,)
        sent = head("POST /api/derive HTTP/1.1", *lines, json_type, "Content-Length: 2\r\n") + b"{}"
        found[f"POST with {name}"] = sent, (403,)
    question = "POST /api/derive HTTP/1.1"
    found |= {
        "no type": (head(question, host, "Content-Length: 2\r\n") + b"{}", (415,)),
        "a form": (head(question, host, "Content-Type: text/plain\r\n", "Content-Length: 2\r\n") + b"{}", (415,)),
        "no length": (head(question, host, json_type) + b"{}", (411,)),
        "in pieces": (
            head(question, host, json_type, "Transfer-Encoding: chunked\r\n") + b"2\r\n{}\r\n0\r\n\r\n",
            (411,),
        ),
        "two lengths": (head(question, host, json_type, *["Content-Length: 2\r\n"] * 2) + b"{}", (411,)),
        "a negative length": (head(question, host, json_type, "Content-Length: -1\r\n"), (400,)),
        "a length in letters": (head(question, host, json_type, "Content-Length: two\r\n"), (400,)),
        "a length in other digits": (head(question, host, json_type, "Content-Length: \xb2\r\n"), (400,)),
        "a length that is too large": (head(question, host, json_type, "Content-Length: 1048577\r\n"), (413,)),
        "a length beyond numbers": (head(question, host, json_type, f"Content-Length: {'9' * 5_000}\r\n"), (413,)),
        "too much": (head(question, host, json_type, "Content-Length: 3000000\r\n") + b"[" * 3_000_000, (413,)),
        "no HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n", (400,)),
        "words": (b"hello there, who is this\r\n\r\n", (400,)),
        "another version": (head("GET / HTTP/9.9", host), (505,)),
        "a long line": (head(f"GET /{'a' * 70_000} HTTP/1.1", host), (414,)),
        "a long header": (head("GET / HTTP/1.1", host, f"X: {'a' * 70_000}\r\n"), (431,)),
        "many headers": (head("GET / HTTP/1.1", host, *[f"X{i}: 1\r\n" for i in range(200)]), (431,)),
    }
    return found
