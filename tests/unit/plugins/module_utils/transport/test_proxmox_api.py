# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The API over HTTPS: who is believed, what is told to whom, and every limit, over a server that plays it."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.bounded import STALLED
from ansible_collections.fleet.rng.plugins.module_utils.errors import (
    GuestError,
    HypervisorError,
    InvalidValueError,
    RngError,
    TimedOutError,
)
from ansible_collections.fleet.rng.plugins.module_utils.transport.proxmox import (
    GoneError,
    ModifiedError,
    RefusedError,
)
from ansible_collections.fleet.rng.plugins.module_utils.transport.proxmox_api import MAX_SECONDS, Api
from ansible_collections.fleet.rng.tests.unit.plugins.module_utils.proxmox_node import (
    SECRET,
    TOKEN,
    USER,
    ApiMaker,
    Node,
    access_to,
)

CONFIG = "/nodes/pve1/qemu/101/config"


def test_questions_and_changes(api: ApiMaker, node: Node) -> None:
    found = api()
    assert found.get("/version")["version"] == "9.2.1"
    digest = found.get(CONFIG, current="1")["digest"]
    found.set(CONFIG, rng0="source=/dev/urandom,period=1000,max_bytes=0", digest=digest)
    assert node.text(101).endswith("\n[PENDING]\nrng0: source=/dev/urandom,period=1000,max_bytes=0\n")
    assert [call[:2] for call in node.calls()] == [["get", "/version"], ["get", CONFIG], ["set", CONFIG]]


def test_whatever_is_given_arrives_as_it_is(api: ApiMaker, node: Node) -> None:
    text = "a b;c&d=e+f%41 \u00fc\u20ac"
    found = api()
    with pytest.raises(GuestError):
        found.get("/nodes/pve1/qemu/101/agent/file-read", file=text)
    with pytest.raises(GuestError):
        found.create("/nodes/pve1/qemu/101/agent/exec", command=["sh", "-c", text])
    (read, execute) = node.calls()
    assert read[2:] == ["--file", text]
    assert execute[2:] == ["--command", ["sh", "-c", text]]


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (
            lambda api: api.set(CONFIG, rng0="/dev/urandom", digest="0" * 40),
            *(ModifiedError, r"^somebody else changed its configuration meanwhile$"),
        ),
        (
            lambda api: api.set(CONFIG, rng0="/dev/null"),
            RefusedError,
            r"^PUT /nodes/pve1/qemu/101/config: 400 Parameter verification failed\.; rng0: invalid format - ",
        ),
        (lambda api: api.get("/nodes/pve1/qemu/999/pending"), GoneError, r"^the guest is no longer on this node$"),
        (
            lambda api: api.get("/nodes/pve9/qemu"),
            RefusedError,
            r"^GET /nodes/pve9/qemu: hostname lookup 'pve9' failed - failed to get address info for: pve9",
        ),
        (
            lambda api: api.get("/nowhere"),
            HypervisorError,
            r"^127\.0\.0\.1:\d+: GET /nowhere: 501 Method 'GET /nowhere' not implemented$",
        ),
    ],
    ids=["digest", "value", "gone", "node", "call"],
)
def test_refusals(call: Callable[[Api], Any], kind: type[Exception], message: str, api: ApiMaker) -> None:
    with pytest.raises(kind, match=message) as caught:
        call(api())
    assert caught.type is kind


def test_locked(api: ApiMaker, node: Node) -> None:
    node.add(101, "lock: backup\nname: web1\n")
    with pytest.raises(GuestError, match=r"^it is locked \(backup\)$"):
        api().set(CONFIG, rng0="/dev/urandom")


def test_a_token_without_rights(api: ApiMaker, node: Node) -> None:
    node.site(user=USER, rights={"/vms/101": ["VM.Audit"]})
    assert [guest["vmid"] for guest in api().get("/nodes/pve1/qemu")] == [101]
    with pytest.raises(
        GuestError, match=r"^403 Permission check failed \(/vms/101, .*; needed are VM\.Audit and "
    ) as caught:
        api().set(CONFIG, rng0="/dev/urandom")
    assert "a token with privilege separation has only the rights" in str(caught.value)


@pytest.mark.parametrize("wrong", [{"secret": "0" * 36}, {"token_id": "other"}, {"user": "nobody@pve"}])
def test_a_token_that_is_not_known(wrong: dict[str, str], api: ApiMaker) -> None:
    with pytest.raises(
        HypervisorError, match=r"does not take the token \S+@pve!\w+: Authentication failed!$"
    ) as caught:
        api(**wrong).get("/version")
    assert SECRET not in str(caught.value)
    assert "0" * 36 not in str(caught.value)


# Who is believed -----------------------------------------------------------------------------------------------------


def test_a_certificate_that_nobody_vouches_for(api: ApiMaker, node: Node) -> None:
    with pytest.raises(HypervisorError) as caught:
        api(ca_path="").get("/version")
    assert re.fullmatch(
        r"127\.0\.0\.1:\d+: its certificate is not trusted: [^;.]*(self.signed|issuer) certificate[^;.]*; "
        r"set ca_path to the certificate of its CA \(on a node: /etc/pve/pve-root-ca\.pem\), and api_host to a name "
        r"that its own certificate has",
        str(caught.value),
    ), caught.value
    assert node.calls() == [], "nothing was asked"


def test_a_certificate_of_another_name(api: ApiMaker, node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    resolve = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest, **more: resolve("127.0.0.1", *rest, **more))
    with pytest.raises(HypervisorError, match=r"certificate is not valid for 'pve1\.example'; set ca_path to "):
        api(host="pve1.example").get("/version")
    assert node.calls() == []


def test_certificates_that_are_not_checked(api: ApiMaker) -> None:
    assert api(ca_path="", verify=False, host="localhost").get("/version")["version"] == "9.2.1"


def test_the_ca_of_a_cluster_is_enough_where_python_is_strict(
    api: ApiMaker, certificates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Python 3.13 and later are by themselves."""
    usual = ssl.create_default_context

    def strict(**options: Any) -> ssl.SSLContext:
        context = usual(**options)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    monkeypatch.setattr(ssl, "create_default_context", strict)
    bare = strict(cafile=str(certificates / "pve-root-ca.pem"))
    found = api()
    with socket.create_connection(("127.0.0.1", found.access.port), 60) as connection:  # noqa: SIM117  for Python 3.8
        with pytest.raises(ssl.SSLCertVerificationError, match="key usage"):
            bare.wrap_socket(connection, server_hostname="127.0.0.1")
    assert found.get("/version")["version"] == "9.2.1"


@pytest.mark.parametrize(
    ("name", "why"), [("missing.pem", "No such file or directory"), ("pve-ssl.key", "holds no certificate"), ("", "")]
)
def test_ca_files_that_are_none(name: str, why: str, certificates: Path) -> None:
    with pytest.raises(HypervisorError, match=rf"^ca_path /.*{re.escape(name)}: {why}"):
        Api(access_to(8006, certificates, ca_path=str(certificates / name)))


# Where the token goes ------------------------------------------------------------------------------------------------


def test_redirects_are_not_followed(api: ApiMaker, node: Node) -> None:
    found = api()
    node.site(faults={"https": {"redirect": f"https://{found.access.place}/api2/json/version"}})
    with pytest.raises(
        HypervisorError, match=r"redirects \(301 Moved Permanently\), and the token goes to no other place$"
    ):
        found.get("/version")
    assert node.calls() == []


def test_no_text_carries_the_secret_on(api: ApiMaker, node: Node) -> None:
    node.site(faults={"https": {"echo": True}})
    found = api()
    with pytest.raises(GuestError) as caught:
        found.get("/version")
    assert str(caught.value) == f"GET /version: you said PVEAPIToken={USER}!{TOKEN}=***"
    node.site(faults={"https": {"plain": f"<html>{SECRET}</html>"}})
    with pytest.raises(
        HypervisorError, match=r"^GET /version: the answer is no JSON of Proxmox VE: <html>\*\*\*</html>$"
    ):
        found.get("/version")
    assert SECRET not in repr(found.access)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"host": "https://pve1:8006/"}, "api_host: 'https://pve1:8006/' is not valid; allowed: the name or address"),
        ({"host": "pve1:8006"}, "api_host: 'pve1:8006'"),
        ({"node": "pve1/../x"}, "node: 'pve1/../x' is not valid; allowed: the name of a node, without its domain"),
        ({"node": "pve1.example.com"}, "node: 'pve1.example.com'"),
        ({"user": "ansible"}, "api_user: 'ansible' is not valid; allowed: a user with its realm, such as ansible@pve"),
        ({"user": "a\r\nHost: x@pve"}, "api_user: "),
        ({"token_id": "ansible@pve!fleet"}, "api_token_id: 'ansible@pve!fleet' is not valid; allowed: the name of a"),
        ({"secret": "se\r\ncret-of-mine"}, "api_token_secret: '(not shown)' is not valid"),
        ({"secret": ""}, "api_token_secret: '(not shown)' is not valid"),
        ({"port": 0}, "api_port: 0 is not valid; allowed: an integer from 1 to 65535"),
        ({"seconds": 81}, "api_timeout: 81 is not valid; allowed: an integer from 1 to 80"),
        ({"ca_path": "files/ca.pem"}, "ca_path: 'files/ca.pem' is not valid; allowed: an absolute path"),
        *(
            ({"host": host}, f"api_host: {host!r} is not valid; allowed: the name or address of a host")
            for host in (
                "a..b",
                "a." + "b" * 64,
                ".a",
                "a.",
                "a-.b",
                "[::1",
                "::1]",
                "[10.0.0.1]",
                "1:2",
                "[]",
                "::1%1",
            )
        ),
        ({"host": ".".join(["a" * 60] * 5)}, "api_host: "),
    ],
)
def test_what_cannot_be_meant(given: dict[str, Any], message: str, certificates: Path) -> None:
    with pytest.raises(InvalidValueError) as caught:
        Api(access_to(**{"port": 8006, "certificates": certificates, **given}))
    assert str(caught.value).startswith(message)
    assert "of-mine" not in str(caught.value)


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("user", f"{USER}!{TOKEN}={{}}"),
        ("token_id", f"{TOKEN}={{}}"),
        ("token_id", f"{USER}!{TOKEN}={{}}"),
        ("token_id", "{}"),
        ("node", "pve1={}"),
        ("host", f"PVEAPIToken={USER}!{TOKEN}={{}}"),
        ("ca_path", "{}"),
    ],
)
def test_a_secret_in_the_wrong_option_is_not_shown(option: str, text: str, certificates: Path) -> None:
    given = {option: text.format(SECRET), "secret": "another-one"}
    with pytest.raises(InvalidValueError, match=r": '\(not shown\)' is not valid; allowed: ") as caught:
        Api(access_to(8006, certificates, **given))
    assert SECRET not in repr(vars(caught.value))


def test_the_longest_call_ends_before_a_module_gives_up() -> None:
    assert MAX_SECONDS < STALLED


@pytest.mark.parametrize(
    ("host", "place"),
    [
        ("pve1", "pve1:8006"),
        ("PVE-1.a.example.com", "PVE-1.a.example.com:8006"),
        (f"{'a' * 63}.example", f"{'a' * 63}.example:8006"),
        ("10.0.0.1", "10.0.0.1:8006"),
        ("::1", "[::1]:8006"),
        ("[fe80::1]", "[fe80::1]:8006"),
        ("::ffff:10.0.0.1", "[::ffff:10.0.0.1]:8006"),
    ],
)
def test_places(host: str, place: str, certificates: Path) -> None:
    assert Api(access_to(8006, certificates, host=host)).access.place == place


def test_a_proxy_of_the_environment_is_used_and_gets_no_token(api: ApiMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy sees only where to; it refuses, and nothing was said around it."""
    heard = bytearray()
    with socket.create_server(("127.0.0.1", 0)) as proxy:

        def refuse() -> None:
            connection = proxy.accept()[0]
            with connection:
                while not heard.endswith(b"\r\n\r\n"):
                    heard.extend(connection.recv(65536))
                connection.sendall(b"HTTP/1.1 407 Who are you?\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=refuse)
        thread.start()
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.getsockname()[1]}")
        found = api()
        with pytest.raises(
            HypervisorError, match=r"is not to be reached: Tunnel connection failed: 407 Who are you\?$"
        ):
            found.get("/version")
        thread.join()
    assert heard.startswith(f"CONNECT {found.access.place} HTTP/1".encode())
    assert SECRET.encode() not in heard


# Limits --------------------------------------------------------------------------------------------------------------


def test_an_answer_without_end(api: ApiMaker, node: Node) -> None:
    node.site(faults={"https": {"flood": 2_000_000}})
    with pytest.raises(HypervisorError, match=r"^127\.0\.0\.1:\d+ answered more than 1000000 bytes to GET /version$"):
        api().within(60, 1_000_000).get("/version")


@pytest.mark.parametrize("faults", [{"hang": 600}, {"https": {"drip": True}}], ids=["silent", "a byte at a time"])
def test_an_answer_that_does_not_come(faults: dict[str, Any], api: ApiMaker, node: Node) -> None:
    node.site(faults=faults)
    with pytest.raises(
        TimedOutError, match=r"^127\.0\.0\.1:\d+ did not answer within 4 seconds, the outcome is unknown$"
    ):
        api(seconds=4).get("/version")


def test_a_host_that_does_not_shake_hands(certificates: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        found = Api(access_to(silent.getsockname()[1], certificates, seconds=1))
        with pytest.raises(HypervisorError, match=r"is not to be reached: no connection within 1 seconds$"):
            found.set(CONFIG, rng0="/dev/urandom")


def test_a_host_that_hangs_up(api: ApiMaker, node: Node) -> None:
    node.site(faults={"https": {"hang up": True}})
    with pytest.raises(
        HypervisorError, match=r"^127\.0\.0\.1:\d+ was lost before it answered: .+; the outcome is unknown$"
    ):
        api().set(CONFIG, rng0="/dev/urandom")


def test_a_name_that_python_cannot_encode(api: ApiMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*dummy: Any, **dummy_options: Any) -> None:
        raise UnicodeError("label empty or too long")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    with pytest.raises(HypervisorError, match=r"is not to be reached: label empty or too long$"):
        api(host="pve1.example").get("/version")


def test_nobody_there(certificates: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with pytest.raises(HypervisorError, match=rf"^127\.0\.0\.1:{port} is not to be reached: Connection refused$"):
        Api(access_to(port, certificates)).get("/version")


@pytest.mark.parametrize(
    ("status", "reason", "kind", "message"),
    [
        (595, "No route to host", HypervisorError, r": GET /version: 595 No route to host$"),
        (595, "Connection timed out", HypervisorError, r"595 Connection timed out$"),
        (
            596,
            "Connection timed out",
            TimedOutError,
            r"no answer from the node \(596 Connection timed out\), the outcome",
        ),
        (504, "Gateway Timed Out", TimedOutError, r"\(504 Gateway Timed Out\)"),
        (599, "Too many redirections", HypervisorError, r"599 Too many redirections$"),
        (502, "\x1b[31mBad", HypervisorError, r"502 \\x1b\[31mBad$"),
        (500, "got no message", RefusedError, r"^GET /version: got no message$"),
        (403, "Permission check failed", GuestError, r"^403 Permission check failed; needed are "),
        (500, "only root can set 'rng0' config", GuestError, r"^only root can set 'rng0' config; Proxmox VE lets"),
        (404, "", RefusedError, r"^GET /version: 404 HTTP status 404$"),
    ],
)
def test_answers_without_a_body(
    status: int, reason: str, kind: type[RngError], message: str, api: ApiMaker, node: Node
) -> None:
    node.site(faults={"https": {"status": [status, reason]}})
    with pytest.raises(kind, match=message) as caught:
        api().get("/version")
    assert caught.type is kind


@pytest.mark.parametrize("text", ["", "no json", "[" * 100000, "[]", '{"success": 1}', "\xff"])
def test_answers_that_are_none(text: str, api: ApiMaker, node: Node) -> None:
    node.site(faults={"https": {"plain": text}})
    with pytest.raises(HypervisorError, match=r"^GET /version: the answer is no JSON of Proxmox VE: "):
        api().get("/version")
