# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A CA like the one that a cluster of Proxmox VE makes for itself, and a certificate of it for this machine."""

from __future__ import annotations

import subprocess
from pathlib import Path

# As there, the CA has no key usage. Python 3.13 and later refuse such a CA, unless they are told not to.
_CONFIG = """
[req]
distinguished_name = name
prompt = no
[name]
CN = stand-in
[ca]
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid:always,issuer
basicConstraints = critical,CA:true
[node]
basicConstraints = CA:FALSE
authorityKeyIdentifier = keyid
extendedKeyUsage = serverAuth
subjectAltName = DNS:localhost,IP:127.0.0.1
"""
_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def make(folder: Path) -> None:
    """Write pve-root-ca.pem, and pve-ssl.pem with its key pve-ssl.key."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "openssl.cnf").write_text(_CONFIG)
    common = ("-config", "openssl.cnf", "-batch", "-days", "2")
    ca = ("-x509", "-extensions", "ca", "-subj", "/CN=Proxmox Virtual Environment/O=PVE Cluster Manager CA")
    _openssl(folder, "req", *common, *ca, *_KEY, "-keyout", "ca.key", "-out", "pve-root-ca.pem")
    _openssl(folder, "req", *common, *_KEY, "-keyout", "pve-ssl.key", "-out", "node.csr", "-subj", "/CN=pve1")
    signer = ("-CA", "pve-root-ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2")
    extensions = ("-extfile", "openssl.cnf", "-extensions", "node")
    _openssl(folder, "x509", "-req", "-in", "node.csr", *signer, *extensions, "-out", "pve-ssl.pem")


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)
