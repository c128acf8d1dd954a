"""HTTP for one person on one machine: the page, its files, and questions. Names of hosts and origins are checked, nothing is stored."""

import json
import select
import socket
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import BoundedSemaphore
from typing import Any

from symbolic_sgd.serve import limits
from symbolic_sgd.serve.answers import TASKS
from symbolic_sgd.serve.page import Files
from symbolic_sgd.serve.pool import Busy, Pool, Question

ADDRESS = "127.0.0.1"
"""Nobody else's machine reaches it."""

HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Of every answer."""

METHODS = "GET, HEAD, POST"
ASKED = "/api/"
"""What the addresses of questions begin with; the task follows."""

DRAINED, DRAINING = 16 << 20, 2.0
"""Bytes and seconds for the rest of a question that is too long: who is still sending hears no answer."""

FAULT = "this is a fault of symbolic-sgd, and says nothing of the problem: please report it with the lines that the terminal shows"


class Server(ThreadingHTTPServer):
    """The page on a port of this machine.

    Args:
        port: 0 for any that is free.
        files: the page and what belongs to it.
        pool: who answers.
        tell: told of faults.

    Raises:
        OSError: the port is taken.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = limits.CONNECTIONS
    allow_reuse_address = sys.platform != "win32"  # there, two servers would share the port

    def __init__(self, port: int, files: Files, pool: Pool, tell: Callable[[str], None]):
        self.files, self.pool, self.tell = files, pool, tell
        self._room = BoundedSemaphore(limits.CONNECTIONS)
        super().__init__((ADDRESS, port), Handler)
        self.hosts = frozenset(f"{name}:{self.server_port}" for name in (ADDRESS, "localhost"))

    def server_bind(self) -> None:
        """Without the look-up of a name, which may take seconds."""
        socket_address = self.server_address
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(self.allow_reuse_address))
        self.socket.bind(socket_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = ADDRESS, self.server_address[1]

    @property
    def address(self) -> str:
        """Where it is."""
        return f"http://{ADDRESS}:{self.server_port}/"

    def process_request(self, request: Any, client_address: Any) -> None:
        """In a thread of its own, if there are not too many."""
        if not self._room.acquire(blocking=False):
            self._turn_away(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._room.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer, and make room."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def _turn_away(self, request: socket.socket) -> None:
        body = json.dumps({"refusal": limits.BUSY}).encode()
        head = {"Content-Type": "application/json", "Content-Length": str(len(body)), "Connection": "close", **HEADERS}
        lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
        try:
            request.settimeout(1)
            request.sendall(f"HTTP/1.0 503 Service Unavailable\r\n{lines}\r\n".encode() + body)
        except OSError:  # it has gone
            pass
        self.shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever has gone or says nothing more is no error."""
        if not isinstance(sys.exception(), OSError):
            self.tell(traceback.format_exc())


class Handler(BaseHTTPRequestHandler):
    """One request."""

    timeout = limits.IDLE

    @property
    def site(self) -> Server:
        """Whose request it is."""
        assert isinstance(self.server, Server)
        return self.server

    def version_string(self) -> str:
        """No version: that is nobody's business."""
        return "symbolic-sgd"

    def do_GET(self) -> None:
        """A file of the page."""
        self._file(with_body=True)

    def do_HEAD(self) -> None:
        """What would be said of it."""
        self._file(with_body=False)

    def do_POST(self) -> None:
        """A question."""
        refused = self._refused_post()
        if refused is not None:
            status, words = refused
            self._say(status, {"refusal": words})
            self._drain()
            return
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            fields = json.loads(body)
        except (ValueError, RecursionError):
            self._say(HTTPStatus.BAD_REQUEST, {"refusal": "what was sent is no JSON: reload the page"})
            return
        self._answer(self.path.removeprefix(ASKED), fields)

    def _answer(self, task: str, fields: Any) -> None:
        try:
            answer = self.site.pool.ask(Question(task, fields), self._gone)
        except Busy:
            self._say(HTTPStatus.SERVICE_UNAVAILABLE, {"refusal": limits.BUSY})
            return
        if "fault" in answer:
            self.site.tell(answer["fault"])
            self._say(HTTPStatus.INTERNAL_SERVER_ERROR, {"refusal": FAULT})
            return
        ending = answer.get("refusal") == limits.ENDING
        refused = HTTPStatus.SERVICE_UNAVAILABLE if ending else HTTPStatus.UNPROCESSABLE_ENTITY
        self._say(refused if "refusal" in answer else HTTPStatus.OK, answer)

    # --- who asks, and whether it may

    def _refused(self) -> tuple[HTTPStatus, str] | None:
        """Why the request is not from this page in a browser on this machine."""
        hosts, origins = self.headers.get_all("Host") or [], self.headers.get_all("Origin") or []
        if len(hosts) != 1 or hosts[0].lower() not in self.site.hosts:
            return HTTPStatus.FORBIDDEN, f"this address has another name: open {self.site.address}"
        if any(origin.lower() not in {f"http://{host}" for host in self.site.hosts} for origin in origins):
            return HTTPStatus.FORBIDDEN, f"another page asks: open {self.site.address} itself"
        return None

    def _refused_post(self) -> tuple[HTTPStatus, str] | None:
        refused = self._refused()
        if refused is not None:
            return refused
        if not self.path.startswith(ASKED) or self.path.removeprefix(ASKED) not in TASKS:
            return self._no_file()
        if (self.headers.get_content_type() if "Content-Type" in self.headers else "") != "application/json":
            return HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "a question is sent as application/json"
        lengths = self.headers.get_all("Content-Length") or []
        if "Transfer-Encoding" in self.headers or len(lengths) != 1:
            return HTTPStatus.LENGTH_REQUIRED, "a question is sent with its length, in one piece"
        length = lengths[0].strip()
        if not (length.isascii() and length.isdigit()):
            return HTTPStatus.BAD_REQUEST, "the length of the question is no number"
        if len(length) > 12 or int(length) > limits.BODY:
            words = f"the question has more than {limits.BODY:,} bytes: write it as a problem file for the command line"
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE, words
        return None

    def _no_file(self) -> tuple[HTTPStatus, str]:
        return HTTPStatus.NOT_FOUND, f"there is nothing here: open {self.site.address}"

    def _gone(self) -> bool:
        """Whether whoever has asked has closed the connection."""
        try:
            ready, _, _ = select.select([self.connection], [], [], 0)
            return bool(ready) and not self.connection.recv(1, socket.MSG_PEEK)
        except (OSError, ValueError):
            return True

    # --- what is said

    def _file(self, *, with_body: bool) -> None:
        found = self.site.files.get(self.path.partition("?")[0])
        refused = self._refused() or (self._no_file() if found is None else None)
        if refused is not None:
            self._say(refused[0], {"refusal": refused[1]}, with_body=with_body)
        elif found is not None:
            self._reply(HTTPStatus.OK, found[0], found[1], with_body=with_body)

    def _say(self, status: int, answer: Mapping[str, str], *, with_body: bool = True) -> None:
        self._reply(status, "application/json", json.dumps(answer).encode(), with_body=with_body)

    def _reply(self, status: int, kind: str, body: bytes, *, with_body: bool) -> None:
        self.send_response(status)
        allowed = {"Allow": METHODS} if status == HTTPStatus.METHOD_NOT_ALLOWED else {}
        head = {"Content-Type": kind, "Content-Length": str(len(body)), "Connection": "close", **allowed, **HEADERS}
        for name, value in head.items():
            self.send_header(name, value)
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the standard library refuses: a method that there is none of here, and what is no HTTP."""
        self.close_connection = True
        status = HTTPStatus.METHOD_NOT_ALLOWED if code == HTTPStatus.NOT_IMPLEMENTED else HTTPStatus(code)
        self.requestline = getattr(self, "requestline", "")
        self.request_version = "HTTP/1.0"
        self._say(
            status, {"refusal": f"{status.phrase}: this server knows {METHODS}"}, with_body=self.command != "HEAD"
        )

    def _drain(self) -> None:
        """Read on for a moment, so that the answer is heard."""
        self.wfile.flush()
        try:
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(DRAINING)
            left, until = DRAINED, time.monotonic() + DRAINING
            while left > 0 and time.monotonic() < until and (part := self.connection.recv(1 << 16)):
                left -= len(part)
        except OSError:  # it has gone
            pass

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing is noted."""
