# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The API of Proxmox VE over HTTPS, with a token: the same calls as ``pvesh`` makes, from another machine.

Each call is a connection of its own, with a limit for all of it. The token goes to the host that was named and to no
other, so redirects are not followed, and no text that comes back may carry its secret on.
"""

from __future__ import annotations

import functools
import http.client
import ipaddress
import json
import os
import re
import socket
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from typing import Any, List, Mapping, Optional, Tuple

from ..errors import GuestError, HypervisorError, InvalidValueError, RngError, TimedOutError
from ..text import printable
from .proxmox import MAX_OUTPUT, SECONDS, Parameter, RefusedError, refusal

PORT = 8006
CONNECT_SECONDS = 15.0  # for the connection and its encryption, of which nothing can have come yet
MAX_SECONDS = 80  # less than the modules wait for one answer
_POLL_SECONDS = 1.0  # between two looks at a task, or two tries of a question
_LEAST_SECONDS = 1.0  # that have to be left for a second try
_NOT_REACHED = 502  # and all above it: from what stands before the node, or between two of them
_MAX_SAID = 64 * 1024  # of an answer that is an error

_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_MAX_HOST = 253
_NODE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_USER = re.compile(r"[\"-.0-9;-~]+@[A-Za-z][A-Za-z0-9._-]+")  # no space, exclamation mark, slash or colon
_TOKEN = re.compile(r"[A-Za-z][A-Za-z0-9._-]+")
_SECRET = re.compile(r"[\x21-\x7e]{8,200}")
_MADE = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")  # the form of the secrets that it makes

_ONLY_ROOT = "only root can set"
ELSEWHERE = "it is asked over the API of Proxmox VE, which does not show its kernel and its processes"
RIGHTS = (
    "needed are VM.Audit and VM.Config.HWType on the guest, and for /dev/hwrng also Mapping.Use on /mapping/hwrng; "
    "a token with privilege separation has only the rights that were given to itself"
)
NO_RIGHTS = (
    "the token may see no guest: give it VM.Audit on /vms (a token with privilege separation has only the rights that "
    "were given to itself)"
)


def holds_secret(text: str) -> bool:
    """Whether there may be the secret of a token in it, as in ``user@realm!token=secret``."""
    return "=" in text or _MADE.search(text) is not None


def _is_host(text: str) -> bool:
    if ":" not in text:
        return len(text) <= _MAX_HOST and all(_LABEL.fullmatch(label) for label in text.split("."))
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        ipaddress.IPv6Address(bare)
    except ValueError:
        return False
    return "%" not in bare  # no zone: it is none of the names in certificates


@dataclass(frozen=True)
class Access:
    """Where the API is, and as whom."""

    host: str
    node: str
    user: str
    token_id: str
    secret: str = field(repr=False)
    port: int = PORT
    verify: bool = True
    ca_path: str = ""
    seconds: float = SECONDS

    def check(self) -> None:
        """Refuse what cannot be meant, and never show the secret.

        :raises InvalidValueError: naming the option, what was given, and what is allowed.
        """
        for option, given, good, allowed in (
            ("api_host", self.host, _is_host(self.host), "the name or address of a host, without a scheme and port"),
            ("node", self.node, _NODE.fullmatch(self.node), "the name of a node, without its domain"),
            ("api_user", self.user, _USER.fullmatch(self.user), "a user with its realm, such as ansible@pve"),
            ("api_token_id", self.token_id, _TOKEN.fullmatch(self.token_id), "the name of a token, without its user"),
            ("ca_path", self.ca_path, not self.ca_path or os.path.isabs(self.ca_path), "an absolute path"),
        ):
            if not good:
                raise InvalidValueError(option, "(not shown)" if holds_secret(given) else given, allowed)
        if not _SECRET.fullmatch(self.secret):
            raise InvalidValueError("api_token_secret", "(not shown)", "what Proxmox VE showed when it made the token")
        for name, number, most in (("api_port", self.port, 65535), ("api_timeout", self.seconds, MAX_SECONDS)):
            if not 1 <= number <= most:
                raise InvalidValueError(name, number, f"an integer from 1 to {most}")

    @property
    def place(self) -> str:
        host = f"[{self.host}]" if ":" in self.host and not self.host.startswith("[") else self.host
        return f"{host}:{self.port}"


class Api:
    """The API of one node. It has no connection, so threads may share it."""

    elsewhere = ELSEWHERE

    def __init__(
        self, access: Access, limit: int = MAX_OUTPUT, seconds: float = 0, context: Optional[ssl.SSLContext] = None
    ) -> None:
        access.check()
        self.access, self.limit, self.seconds = access, limit, seconds or access.seconds
        self.node = access.node
        self.context = context or _context(access)

    def within(self, seconds: float, limit: int) -> Api:
        """The same with other limits."""
        return Api(self.access, limit, seconds, self.context)

    def get(self, path: str, **parameters: str) -> Any:
        """The answer of the API to a GET, parsed."""
        return self._call("GET", path, parameters)

    def create(self, path: str, **parameters: Parameter) -> Any:
        """The answer of the API to a POST, parsed."""
        return self._call("POST", path, parameters)

    def set(self, path: str, **parameters: str) -> None:
        """A PUT, whose answer is null."""
        self._call("PUT", path, parameters)

    def task(self, path: str, seconds: float, **parameters: str) -> None:
        """A POST that starts a task of so many seconds, and waits for its end. A look that is lost does not end it.

        :raises RefusedError: with what the task ended with.
        """
        until = time.monotonic() + seconds + self.seconds
        name = self.create(path, **parameters)
        if not isinstance(name, str) or not name.startswith("UPID:"):
            raise HypervisorError(f"POST {path}: the answer names no task: {self._shown(repr(name), 100)}")
        status = f"/nodes/{path.split('/')[2]}/tasks/{urllib.parse.quote(name, safe='')}/status"
        while True:
            told, lost = {}, ""
            try:
                answer = self.get(status)
                told = answer if isinstance(answer, dict) else {}
            except (HypervisorError, TimedOutError) as error:
                lost = f": {error}"
            if told.get("status") == "stopped":
                break
            if time.monotonic() >= until:
                raise TimedOutError(f"a task of Proxmox VE did not end within {seconds + self.seconds:g} seconds{lost}")
            time.sleep(_POLL_SECONDS)
        ended = str(told.get("exitstatus") or "it does not say how it ended")
        if ended != "OK" and not ended.startswith("WARNINGS"):
            raise RefusedError(f"POST {path}", self._shown(ended, 400))

    def _call(self, method: str, path: str, parameters: Mapping[str, Parameter]) -> Any:
        status, reason, body = self._ask(method, path, parameters)
        try:
            answer = json.loads(body.decode("utf-8"))
        except (ValueError, RecursionError):
            answer = None
        if status == 200 and isinstance(answer, dict) and "data" in answer:
            return answer["data"]
        if status == 200:
            shown = self._shown(body[:200].decode("utf-8", "replace"), 100)
            raise HypervisorError(f"{method} {path}: the answer is no JSON of Proxmox VE: {shown}")
        raise self._refusal(f"{method} {path}", status, reason, answer if isinstance(answer, dict) else {})

    def _ask(self, method: str, path: str, parameters: Mapping[str, Parameter]) -> Tuple[int, str, bytes]:
        """What was answered. A GET changes nothing, so one that is lost is repeated once, in the same time."""
        until, again = time.monotonic() + self.seconds, method == "GET"
        while True:
            try:
                answer = self._exchange(method, path, parameters, until)
                if not again or answer[0] < _NOT_REACHED or _is_late(until):
                    return answer
            except HypervisorError as error:
                if not again or not _is_lost(error.__cause__) or _is_late(until):
                    raise
            again = False
            time.sleep(_POLL_SECONDS)

    def _exchange(
        self, method: str, path: str, parameters: Mapping[str, Parameter], until: float
    ) -> Tuple[int, str, bytes]:
        access = self.access
        form = urllib.parse.urlencode(parameters, doseq=True, quote_via=urllib.parse.quote)
        url, data = f"https://{access.place}/api2/json{path}", None
        if method != "GET":
            data = form.encode("ascii")
        elif form:
            url += f"?{form}"
        request = urllib.request.Request(url, data, method=method)  # noqa: S310  the scheme is above
        request.add_header("Accept", "application/json")
        request.add_header("User-Agent", "fleet.rng")
        # Unredirected: a proxy on the way does not get it.
        token = f"PVEAPIToken={access.user}!{access.token_id}={access.secret}"
        request.add_unredirected_header("Authorization", token)
        connecting = min(max(until - time.monotonic(), 0.1), CONNECT_SECONDS)
        try:
            with _opener(self.context, until).open(request, timeout=connecting) as response:
                body = response.read((self.limit if response.status == 200 else _MAX_SAID) + 1)
                if len(body) > self.limit:
                    raise HypervisorError(f"{access.place} answered more than {self.limit} bytes to {method} {path}")
                return response.status, str(response.reason or ""), body
        except (OSError, http.client.HTTPException, ValueError) as error:  # the last of names that cannot be
            raise self._lost(error) from error

    def _lost(self, error: Exception) -> RngError:
        """Why there was no answer. What failed before the request was sent has changed nothing."""
        place, sent = self.access.place, not isinstance(error, (urllib.error.URLError, ValueError))
        cause = error.reason if isinstance(error, urllib.error.URLError) else error
        if isinstance(cause, ssl.SSLCertVerificationError):
            why = self._shown(str(getattr(cause, "verify_message", "") or cause), 200)
            return HypervisorError(
                f"{place}: its certificate is not trusted: {why.rstrip('.')}; set ca_path to the certificate of its CA "
                "(on a node: /etc/pve/pve-root-ca.pem), and api_host to a name that its own certificate has"
            )
        if isinstance(cause, socket.timeout) and sent:
            return TimedOutError(f"{place} did not answer within {self.seconds:g} seconds, the outcome is unknown")
        if isinstance(cause, socket.timeout):
            seconds = min(self.seconds, CONNECT_SECONDS)
            return HypervisorError(f"{place} is not to be reached: no connection within {seconds:g} seconds")
        why = self._shown(str(getattr(cause, "strerror", None) or cause) or type(cause).__name__, 200)
        if sent:
            return HypervisorError(f"{place} was lost before it answered: {why}; the outcome is unknown")
        return HypervisorError(f"{place} is not to be reached: {why}")

    def _refusal(self, call: str, status: int, reason: str, answer: Mapping[str, Any]) -> Exception:
        """What the API says when it does not do something, in the words that the command would print."""
        said = self._clean(str(answer.get("message") or reason)).strip() or f"HTTP status {status}"
        place, shown = self.access.place, printable("; ".join(said.splitlines()), 300)
        if status == 401:
            token = f"{self.access.user}!{self.access.token_id}"
            return HypervisorError(f"{place} does not take the token {token}: {shown}")
        if 300 <= status < 400:
            return HypervisorError(f"{place} redirects ({status} {shown}), and the token goes to no other place")
        if status >= 502 and "timed out" in said.lower() and status != 595:
            return TimedOutError(f"{place}: no answer from the node ({status} {shown}), the outcome is unknown")
        if status >= 501:  # 595 and more are those of a node that cannot reach another one
            return HypervisorError(f"{place}: {call}: {status} {shown}")
        if _ONLY_ROOT in said:
            return GuestError(f"{shown}; Proxmox VE lets tokens do so since 8.4, before that run on the node itself")
        errors = answer.get("errors")
        lines = [said if status == 500 else f"{status} {said}"]
        if isinstance(errors, dict):
            lines += [self._clean(f"{name}: {why}").strip() for name, why in sorted(errors.items())]
        return refusal(call, "\n".join(lines), f"HTTP status {status}", RIGHTS)

    def _clean(self, text: str) -> str:
        return text.replace(self.access.secret, "***")

    def _shown(self, text: str, limit: int) -> str:
        return printable(self._clean(text), limit)


def _is_late(until: float) -> bool:
    return time.monotonic() + _POLL_SECONDS + _LEAST_SECONDS > until


def _is_lost(cause: Optional[BaseException]) -> bool:
    """Whether the connection broke, which may be better the next time."""
    broken = cause.reason if isinstance(cause, urllib.error.URLError) else cause
    return isinstance(broken, (ConnectionError, ssl.SSLEOFError, http.client.HTTPException))


def _context(access: Access) -> ssl.SSLContext:
    """Who is believed to be the host: whom this machine trusts, or only the CA that was given."""
    try:
        context = ssl.create_default_context(cafile=access.ca_path or None) if access.verify else _unverified()
    except (OSError, ValueError) as error:
        why = "holds no certificate" if isinstance(error, (ssl.SSLError, ValueError)) else error.strerror
        raise HypervisorError(f"ca_path {printable(access.ca_path)}: {why}") from error
    if access.ca_path:
        # The CA that Proxmox VE makes for itself lacks an extension that Python 3.13 and later would insist on.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.sslsocket_class = _Socket
    return context


def _unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class _Socket(ssl.SSLSocket):
    """Gives each read what is left of the time of the whole call: a limit for every single one would have no end."""

    until: Optional[float] = None

    def recv_into(self, buffer: Any, nbytes: Optional[int] = None, flags: int = 0) -> int:
        if self.until is not None:
            left = self.until - time.monotonic()
            if left <= 0:
                raise socket.timeout("timed out")
            self.settimeout(left)
        return super().recv_into(buffer, nbytes, flags)


class _Connection(http.client.HTTPSConnection):
    def __init__(self, host: str, *, until: float, **options: Any) -> None:
        super().__init__(host, **options)
        self.until = until

    def connect(self) -> None:
        super().connect()
        if isinstance(self.sock, _Socket):
            self.sock.until = self.until


class _Handler(urllib.request.HTTPSHandler):
    def __init__(self, context: ssl.SSLContext, until: float) -> None:
        super().__init__(context=context)
        self.context, self.until = context, until

    def https_open(self, req: urllib.request.Request) -> Any:
        connection: Any = functools.partial(_Connection, until=self.until)
        return self.do_open(connection, req, context=self.context)


def _opener(context: ssl.SSLContext, until: float) -> urllib.request.OpenerDirector:
    """HTTPS, over a proxy where the environment names one, and nothing else: no redirects, no logins, no files."""
    opener = urllib.request.OpenerDirector()
    handlers: List[urllib.request.BaseHandler] = [urllib.request.ProxyHandler(), _Handler(context, until)]
    for handler in handlers:
        opener.add_handler(handler)
    return opener
