# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-in's API over HTTPS, with tokens: the same calls, state and rules as its command.

    pve_https.py FOLDER    serves with FOLDER/pve-ssl.pem and its key, and writes the port to FOLDER/port

What is the server's own, as in the published sources: answers are {"data": ...}; errors have their message in the
status line and, when the call itself failed, in the body; 401 for a token that is not known, 403 without a right, 400
with "errors", 501 for calls that there are not, 500 for all else. What would take long is a task, whose status tells
how it ended. The 3 seconds by which a real server delays a 401 are left out.

Faults ("https"): "status": [number, reason] in place of every answer; "redirect": where to; "flood": so many bytes;
"drip": a byte at a time, for ever; "hang up": no answer; "echo": the caller's own header in a message; "plain": a text
that is no JSON. "lost": {end of a path: one of these} is for the first call of that path only, which is carried out.
"permissions" is what the question for them gives.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from pve_api import answer
from pve_config import LOG, Refused, check_right, site

VERBS = {"GET": "get", "PUT": "set", "POST": "create"}
LOCK = threading.Lock()  # there is one standard output


class Failed(Exception):  # noqa: N818  what the API says, not a fault of this program
    """An answer that is an error."""

    def __init__(self, status: int, message: str, errors: dict | None = None, body: bool = True) -> None:
        super().__init__(message)
        self.status, self.errors, self.body = status, errors or {}, body


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.ended = threading.Event()
        self.tasks: dict[str, dict] = {}
        self.lost: set[str] = set()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "pve-ssl.pem", folder / "pve-ssl.key")
        # Shaking hands belongs to the thread of each connection: a caller that hangs up must not end the server.
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def server_close(self) -> None:
        self.ended.set()
        super().server_close()

    def handle_error(self, request: object, client_address: object) -> None:
        """Callers that trust nobody, or lose patience, are what is tested."""


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    timeout = 60

    def do_GET(self) -> None:
        self.serve()

    do_PUT = do_POST = do_GET  # noqa: N815

    def log_message(self, *dummy: object) -> None:
        """The log of calls is elsewhere."""

    def serve(self) -> None:
        self.close_connection = True
        address = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        fields = parse_qs(self.rfile.read(length).decode() if length else address.query, keep_blank_values=True)
        given = {name: values[0] if len(values) == 1 else values for name, values in fields.items()}
        verb, path = VERBS[self.command], unquote(address.path).removeprefix("/api2/json")
        faults = site()["faults"]
        self.server.ended.wait(faults.get("hang", 0))
        if self.misbehave(faults.get("https", {})):
            return
        try:
            self.authenticate()
            answered = self.call(verb, path, given)
            if not self.lose(path, faults.get("lost", {})):
                self.say(200, "OK", {"data": answered}, faults.get("garbage"))
        except Failed as failure:
            message = str(failure)
            body = {"data": None, "message": f"{message}\n", **({"errors": failure.errors} if failure.errors else {})}
            self.say(failure.status, message, body if failure.body else None)

    def authenticate(self) -> None:
        token, dummy, secret = (self.headers.get("Authorization") or "").rpartition("=")
        if not secret or site()["tokens"].get(token.removeprefix("PVEAPIToken=")) != secret:
            raise Failed(401, "Authentication failed!", body=False)

    def call(self, verb: str, path: str, given: dict) -> object:
        LOG.parent.mkdir(parents=True, exist_ok=True)
        with LOG.open("a") as log:
            options = [word for name, value in given.items() for word in (f"--{name}", value)]
            log.write(json.dumps([verb, path, *options]) + "\n")
        if (verb, path) == ("get", "/access/permissions"):
            held = {"/": ["VM.Audit"]} if site()["user"] == "root@pam" else site()["rights"]
            shown = {
                place: dict(rights) if isinstance(rights, dict) else dict.fromkeys(rights, 1)
                for place, rights in held.items()
            }
            return site()["faults"].get("permissions", shown)
        node = re.match(r"/nodes/([^/]+)", path)
        if node and node[1] not in ("localhost", site()["node"]):
            why = f"failed to get address info for: {node[1]}: Name or service not known"
            raise Failed(500, f"hostname lookup '{node[1]}' failed - {why}")
        if task := re.fullmatch(r"/nodes/[^/]+/tasks/([^/]+)/status", path):
            return self.task(task[1])
        if verb != "get" and site()["faults"].get("quorum") is False:
            raise Failed(500, "cluster not ready - no quorum?")
        if verb == "create" and "/status/" in path:
            return self.begin(path, given)
        return self.done(verb, path, given)

    def begin(self, path: str, given: dict) -> str:
        """The task is over when the caller looks for the second time."""
        name = f"UPID:{site()['node']}:{len(self.server.tasks):08X}:00000000:00000000:qm:101:{site()['user']}!fleet:"
        self.server.tasks[name] = {"status": "stopped", "exitstatus": "OK", "seen": 0}
        try:
            self.done("create", path, given)
        except Failed as failure:
            if failure.status != 500:
                raise
            self.server.tasks[name]["exitstatus"] = str(failure)
        return name

    def task(self, name: str) -> dict:
        if name not in self.server.tasks:
            raise Failed(400, "Parameter verification failed.", {"upid": "no such task"})
        found = self.server.tasks[name]
        found["seen"] += 1
        return {"upid": name, "status": "running"} if found["seen"] == 1 else {"upid": name, **found}

    def done(self, verb: str, path: str, given: dict) -> object:
        try:
            with LOCK, contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                return answer(verb, path, given)
        except Refused as refusal:
            text = str(refusal).split("\n\npvesh ", 1)[0]
            if refusal.code == 1:
                raise Failed(501, f"Method '{self.command} {path}' not implemented") from refusal
            if number := re.match(r"(40[03]) ", text):
                message, *details = text.removeprefix(number[0]).split("\n")
                errors = {details[0].partition(": ")[0]: "\n".join(details).partition(": ")[2]} if details else {}
                raise Failed(int(number[1]), message, errors) from refusal
            raise Failed(500, text) from refusal

    def say(self, status: int, reason: str, body: object, garbage: str | None = None) -> None:
        raw = b"" if body is None else json.dumps(body).encode()
        if garbage is not None:
            raw = f'{{"data": {garbage}}}'.encode()
        self.send_response(status, reason.split("\n")[0])
        self.send_header("Content-Type", "application/json;charset=UTF-8")
        self.send_header("Content-Length", str(len(raw)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(raw)

    def lose(self, path: str, lost: dict) -> bool:
        for end in lost:
            if path.endswith(end) and end not in self.server.lost:
                self.server.lost.add(end)
                return self.misbehave(lost[end])
        return False

    def misbehave(self, faults: dict) -> bool:
        if "redirect" in faults:
            self.send_response(301, "Moved Permanently")
            self.send_header("Location", faults["redirect"])
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif "status" in faults:
            self.say(*faults["status"], body=None)
        elif "echo" in faults:
            self.say(500, f"you said {self.headers['Authorization']}", {"data": None})
        elif "plain" in faults:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(faults["plain"].encode())
        elif "flood" in faults:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"data": "' + b"x" * faults["flood"])
        elif "hang up" in faults:
            self.connection.close()
        elif "drip" in faults:
            self.send_response(200)
            self.end_headers()
            while not self.server.ended.wait(0.05):
                self.wfile.write(b" ")
        return bool(faults)


def main(folder: Path) -> None:
    check_right("/", "Sys.Audit", quiet=True)  # a state that cannot be read ends here
    server = Server(folder)
    temporary = folder / "port.new"
    temporary.write_text(str(server.port))
    temporary.replace(folder / "port")
    server.serve_forever()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
