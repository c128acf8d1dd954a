"""A browser over its debugging pipe: pages are opened in a real Chromium, without any library between."""

import base64
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)  # fmt: skip
"""Without network: no name of a host is known, but this machine itself."""

Served = Callable[[str], bytes | None]
"""What stands at an address, where it is served here; None: nothing does."""


class Page:
    """One tab: commands in, answers and events out (the Chrome DevTools protocol, messages separated by a zero byte)."""

    def __init__(self, commands: int, answers: int):
        self.commands, self.answers = commands, answers
        self.session: str | None = None
        self.count = 0
        self.rest = b""
        self.events: list[dict[str, Any]] = []
        self.served: Served = lambda url: None

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        sent = self._send(method, parameters)
        while True:
            answer = self._next()
            if answer.get("id") == sent:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def serve(self, served: Served) -> None:
        """From now on requests to the network, and for a MathJax that pages carry with them, are answered from here."""
        self.served = served
        self.call("Fetch.enable", patterns=[{"urlPattern": "http*"}, {"urlPattern": "file:*/_static/mathjax/*"}])

    def _send(self, method: str, parameters: dict[str, Any]) -> int:
        self.count += 1
        message = {"id": self.count, "method": method, "params": parameters}
        if self.session is not None:
            message["sessionId"] = self.session
        self._write(json.dumps(message).encode() + b"\0")
        return self.count

    def _write(self, rest: bytes) -> None:
        while rest:  # a pipe takes a part of what is long
            rest = rest[os.write(self.commands, rest) :]

    def _next(self) -> dict[str, Any]:
        message = self._read()
        if message.get("method") == "Fetch.requestPaused":
            self._answer(message["params"])
        return message

    def _answer(self, paused: dict[str, Any]) -> None:
        content, request = self.served(paused["request"]["url"]), paused["requestId"]
        if content is None:
            self._send("Fetch.failRequest", {"requestId": request, "errorReason": "NameNotResolved"})
            return
        headers = [{"name": "Access-Control-Allow-Origin", "value": "*"}]
        if paused["request"]["url"].endswith("js"):
            headers.append({"name": "Content-Type", "value": "text/javascript"})
        body = base64.b64encode(content).decode()
        answer = {"requestId": request, "responseCode": 200, "responseHeaders": headers, "body": body}
        self._send("Fetch.fulfillRequest", answer)

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self.rest:
            chunk = os.read(self.answers, 1 << 20)
            if not chunk:
                raise RuntimeError("the browser has gone")
            self.rest += chunk
        message, self.rest = self.rest.split(b"\0", 1)
        return json.loads(message)

    def open(self, path: Path, *, width: int = 900, height: int = 1200, dark: bool = False) -> None:
        """Load a file, and wait until it has been laid out."""
        self.visit(path.as_uri(), width=width, height=height, dark=dark)

    def visit(self, address: str, *, width: int = 900, height: int = 1200, dark: bool = False) -> None:
        """The same for any address."""
        self.events.clear()
        self._size(width, height)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Page.navigate", url=address)
        while not any(e.get("method") == "Page.loadEventFired" for e in self.events):
            self.events.append(self._next())
        self._drawn()

    def resize(self, width: int, height: int) -> None:
        """Another window for the page that is open, which is laid out anew."""
        self._size(width, height)
        self._drawn()

    def _size(self, width: int, height: int) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500
        )

    def _drawn(self) -> None:
        self.value("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))")

    def value(self, script: str) -> Any:
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise RuntimeError(str(found["exceptionDetails"]))
        return found["result"].get("value")

    def key(self, name: str, code: int) -> None:
        for kind in ("rawKeyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=name, code=name, windowsVirtualKeyCode=code)

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))

    @property
    def requests(self) -> list[str]:
        """What the page asked for, apart from itself and from data in it."""
        urls = [e["params"]["request"]["url"] for e in self.events if e.get("method") == "Network.requestWillBeSent"]
        return [url for url in urls[1:] if not url.startswith("data:")]

    @property
    def complaints(self) -> list[Any]:
        """Whatever went to the console or was thrown."""
        kinds = ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown")
        return [e["params"] for e in self.events if e.get("method") in kinds]


@contextmanager
def browser() -> Iterator[Page]:
    """A headless browser with one empty page."""
    assert CHROMIUM is not None
    to_read, commands = os.pipe()
    answers, to_write = os.pipe()
    # Its helpers may still be writing to the profile when it has ended.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        # Chromium reads commands from descriptor 3 and answers on 4.
        script = f'exec "$0" "$@" 3<&{to_read} 4>&{to_write}'
        process = subprocess.Popen(
            ["bash", "-c", script, CHROMIUM, *FLAGS, "--remote-debugging-pipe", f"--user-data-dir={profile}"],
            pass_fds=(to_read, to_write),
            stderr=subprocess.DEVNULL,
        )
        os.close(to_read)
        os.close(to_write)
        page = Page(commands, answers)
        try:
            target = page.call("Target.createTarget", url="about:blank")["targetId"]
            page.session = page.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Page", "Network", "Log", "Runtime"):
                page.call(f"{domain}.enable")
            yield page
        finally:
            process.terminate()
            process.wait(timeout=20)
            os.close(commands)
            os.close(answers)
