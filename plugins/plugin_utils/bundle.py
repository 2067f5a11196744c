# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One Python file out of a program and all the files of its package that it imports, for hosts without Ansible.

Plain text and not a zip archive: what a run would change on a host is readable with ``--diff``, and the same sources
give the same bytes. The file holds every source as it stands, and a finder of Python's own kind that serves them.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from string import Template

from ansible_collections.fleet.rng.plugins.module_utils.errors import RngError

PACKAGE = "fleet_rng"  # what the folder is called inside the program
OPTIONAL = ("libvirt", "libvirt_qemu")  # beyond the standard library; the file that imports them can do without

_PROGRAM = Template("""\
#!/usr/bin/python3
# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Made by the Ansible collection fleet.rng $version out of its plugins/module_utils, and written again whenever that
# differs: what is changed here is lost.
import sys

if sys.version_info < (3, 8):
    sys.exit("$name needs Python 3.8 or newer, and this is " + sys.version.split()[0])

from importlib.machinery import ModuleSpec

SOURCES = {}
CODE = {}  # what was compiled of them; a program may bring some that it compiled before

$sources
# importlib.abc and importlib.util would do half of this, and take longer to load than all the rest.
class Sources:
    def find_spec(self, fullname, path=None, target=None):
        if fullname in SOURCES:
            package = any(name.startswith(fullname + ".") for name in SOURCES)
            return ModuleSpec(fullname, self, is_package=package)

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        name = module.__name__
        if name not in CODE:
            CODE[name] = compile(SOURCES[name], name.replace(".", "/") + ".py", "exec", dont_inherit=True)
        exec(CODE[name], module.__dict__)

    def get_source(self, fullname):
        return SOURCES[fullname]


sys.meta_path.insert(0, Sources())

from $entry import main

sys.exit(main("$version"))
""")


class BundleError(RngError):
    """A file that cannot be part of a program for hosts."""


def bundle(root: Path, entry: str, name: str, version: str) -> str:
    """The text of the program.

    :param root: the folder that the imports stay in.
    :param entry: the module with ``main(version)``, relative to ``root``, with dots.
    :param name: what the program calls itself.
    """
    found: dict[str, str] = {}
    waiting = [entry]
    while waiting:
        module = waiting.pop()
        if module in found:
            continue
        found[module] = source = _read(root, module)
        if source:  # an empty package imports nothing, and brings only its own parent
            waiting += _imports(root, module, source)
        if module:
            waiting.append(module.rpartition(".")[0])
    sources = "\n".join(f"SOURCES[{_full(module)!r}] = r'''{source}'''\n" for module, source in sorted(found.items()))
    return _PROGRAM.substitute(name=name, version=version, sources=sources, entry=_full(entry))


def _full(module: str) -> str:
    return f"{PACKAGE}.{module}" if module else PACKAGE


def _path(root: Path, module: str) -> Path:
    path = root.joinpath(*module.split(".")) if module else root
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _read(root: Path, module: str) -> str:
    """The source. A folder without an __init__.py is a package, too."""
    path = _path(root, module)
    if path.name == "__init__.py" and not path.exists():
        return ""
    try:
        source = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BundleError(f"{path}: {error.strerror}") from error
    if "'''" in source or (source and not source.endswith("\n")):
        raise BundleError(f"{path}: holds ''' or does not end with a line: it cannot be quoted in the program")
    return source


def _imports(root: Path, module: str, source: str) -> Iterator[str]:
    """The modules below ``root`` that a source imports; all that it may import else is where it will run."""
    path = _path(root, module)
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    for node in ast.walk(ast.parse(source, str(path))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                _check(path, alias.name)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            _check(path, node.module or "")
        elif isinstance(node, ast.ImportFrom):
            if node.level - 1 > len(package):
                raise BundleError(f"{path}: imports from above {root}")
            base = package[: len(package) - node.level + 1] + (node.module or "").split(".")
            base = [part for part in base if part]
            yield ".".join(base)
            for alias in node.names:
                inner = ".".join([*base, alias.name])
                if _path(root, inner).exists() or root.joinpath(*inner.split(".")).is_dir():
                    yield inner


def _check(path: Path, module: str) -> None:
    top = module.partition(".")[0]
    if top not in sys.stdlib_module_names and top not in OPTIONAL:
        raise BundleError(f"{path}: imports {module}, which hosts need not have")
