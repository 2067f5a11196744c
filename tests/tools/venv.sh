#!/bin/sh
# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# venv.sh DIRECTORY REQUIREMENTS: make the development environment, on a machine that may have only python3.
# PYTHON=/path/to/python3 chooses the interpreter.
set -eu
venv=$1
requirements=$2

say() { printf '%s\n' "$*" >&2; }

recent() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

# The distribution's python3 comes first: its python3-libvirt can be linked into an environment made from it.
choose_python() {
    for python in ${PYTHON:-/usr/bin/python3 python3 python3.13 python3.12 python3.11}; do
        if recent "$python"; then
            command -v "$python"
            return
        fi
    done
    say "Python 3.11 or newer is needed, and ${PYTHON:-python3} is not. Name one with: make PYTHON=/path/to/python3"
    return 1
}

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

python=$(choose_python)
rm -rf "$venv"
# Debian and Ubuntu split ensurepip off into a package of its own.
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    if ! command -v apt-get >/dev/null; then
        say "$python cannot make virtual environments: install its venv and ensurepip modules."
        exit 1
    fi
    version=$("$python" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
    say "Installing $version-venv"
    as_root apt-get -qq update
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y install "$version-venv" >/dev/null
fi
say "Making $venv from $python, with the tools of $requirements (a minute or two)"
"$python" -m venv "$venv"
"$venv/bin/python" -m pip install -qq --disable-pip-version-check --requirement "$requirements"
