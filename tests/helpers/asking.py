"""The page's server in this process, and whoever asks it, with any bytes."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Thread

from symbolic_sgd.command.serve import examples
from symbolic_sgd.serve.page import live_files
from symbolic_sgd.serve.pool import Pool
from symbolic_sgd.serve.server import Server

HYPERBOLA = {"statement": "residuals", "formula": "u*v - 1", "parameters": "u, v", "noise": "label"}


@dataclass
class Reply:
    """What the server has said."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def answer(self) -> dict[str, str]:
        return json.loads(self.body)


@dataclass
class Site:
    """A running server.

    Args:
        server: it.
        told: the faults that it has told.
    """

    server: Server
    told: list[str]

    @property
    def port(self) -> int:
        return self.server.server_port

    @property
    def workers(self) -> list[int]:
        """The processes, by number."""
        processes = [worker._process for worker in self.server.pool._workers]
        return [process.pid for process in processes if process is not None]

    def raw(self, sent: bytes, *, close: bool = False, patience: float = 120) -> Reply:
        """What is answered to these bytes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=patience) as connection:
            connection.sendall(sent)
            if close:
                connection.shutdown(socket.SHUT_WR)
            received = b""
            while part := connection.recv(1 << 16):
                received += part
        head, _, body = received.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        return Reply(
            int(first.split()[1]), {k.lower(): v for k, _, v in (line.partition(": ") for line in lines)}, body
        )

    def get(self, path: str, method: str = "GET", **headers: str) -> Reply:
        return self.raw(self.request(method, path, b"", headers))

    def post(self, path: str, body: bytes, **headers: str) -> Reply:
        stated = {"Content_Type": "application/json", "Content_Length": str(len(body)), **headers}
        return self.raw(self.request("POST", path, body, stated))

    def ask(self, task: str, **fields: object) -> Reply:
        return self.post(f"/api/{task}", json.dumps(fields).encode())

    def request(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> bytes:
        named = {"Host": f"127.0.0.1:{self.port}", **{k.replace("_", "-"): v for k, v in headers.items()}}
        lines = "".join(f"{name}: {value}\r\n" for name, value in named.items())
        return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + body


@contextmanager
def site(**limits: float) -> Iterator[Site]:
    """A server with these limits of its pool."""
    told: list[str] = []
    pool = Pool(**limits)
    try:
        with Server(0, live_files(examples()), pool, told.append) as server:
            thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
            thread.start()
            try:
                yield Site(server, told)
            finally:
                server.shutdown()
                thread.join()
    finally:
        pool.close()
