# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module from its options to its result, on trees of files: what it does, what it refuses, and that it says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.kernel import boot_files as files
from ansible_collections.fleet.rng.plugins.module_utils.module import hwrng as runner
from ansible_collections.fleet.rng.plugins.module_utils.transport import hwrng as transport
from ansible_collections.fleet.rng.plugins.modules import hwrng

HW_RANDOM = "sys/devices/virtual/misc/hw_random"
SIGNS = {"udev": "run/udev/control", "openrc": "run/openrc/x", "runit": "etc/runit/core-services/x",
         "tmpfiles": "run/systemd/system/x"}  # fmt: skip
MECHANISM = pytest.mark.parametrize("mechanism", files.MAIN_FILES)
Run = Callable[..., dict[str, Any]]


class Kernel(transport.Machine):
    """A kernel that does what Linux does when somebody writes to rng_current."""

    def use(self, name: str) -> Any:
        if name in self.see().available:
            self.set(current=name, selected="1")
        return self.see()

    def settle(self) -> None:
        """What udev still has to do is done, which is nothing."""

    def set(self, **values: str) -> None:
        for key, value in values.items():
            path = self.root / HW_RANDOM / f"rng_{key}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{value}\n")


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    kernel = Kernel(str(tmp_path))
    kernel.set(available="virtio_rng.0 tpm-rng-0", current="virtio_rng.0", selected="0")
    monkeypatch.setattr(runner, "Machine", lambda: kernel)
    return kernel


@pytest.fixture
def run(run_module: Run) -> Run:
    return lambda **options: run_module(hwrng.main, **options)


def boots(kernel: Kernel, *mechanisms: str) -> None:
    """Give the machine what chooses at boot."""
    for mechanism in mechanisms:
        path = kernel.root / SIGNS[mechanism]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def written(kernel: Kernel) -> dict[str, str]:
    """All files below /etc but those that make a mechanism."""
    found = sorted(path for path in (kernel.root / "etc").rglob("*") if path.is_file() and path.name != "x")
    return {f"/{path.relative_to(kernel.root)}": path.read_text() for path in found}


@MECHANISM
def test_it_does_what_check_mode_predicted_and_a_second_run_does_nothing(
    mechanism: str, kernel: Kernel, run: Run
) -> None:
    boots(kernel, mechanism)
    options: dict[str, Any] = {"prefer": ["tpm-*", "virtio_rng.*"], "diff": True}
    predicted = run(check=True, **options)
    assert (written(kernel), kernel.see().current) == ({}, "virtio_rng.0")
    result = run(**options)
    assert predicted == result
    assert result == {
        "failed": False,
        "changed": True,
        "chosen": "tpm-rng-0",
        "reason": "tpm-rng-0 matches tpm-*, instead of virtio_rng.0",
        "available": ["virtio_rng.0", "tpm-rng-0"],
        "current": {"before": "virtio_rng.0", "after": "tpm-rng-0"},
        "boot": {
            "mechanism": {"openrc": "script", "runit": "script"}.get(mechanism, mechanism),
            "path": files.MAIN_FILES[mechanism],
            "changed": True,
        },
        "diff": result["diff"],
    }
    assert result["diff"][0] == {
        "before_header": "rng_current",
        "after_header": "rng_current",
        "before": "virtio_rng.0\nthe kernel's own choice\n",
        "after": "tpm-rng-0\nchosen\n",
    }
    assert files.MAIN_FILES[mechanism] in {diff["after_header"] for diff in result["diff"]}
    again = run(**options)
    assert (again["changed"], again["boot"]["changed"], again["diff"]) == (False, False, [])
    assert again["reason"] == "tpm-rng-0 matches tpm-*, and is in use already"
    assert run(check=True, **options) == again


def test_what_is_in_use_by_the_kernels_own_choice_is_chosen_once(kernel: Kernel, run: Run) -> None:
    options: dict[str, Any] = {"prefer": ["virtio_rng.*"], "boot": "none"}
    result = run(**options)
    assert (result["changed"], kernel.see().selected) == (True, True)
    assert result["current"] == {"before": "virtio_rng.0", "after": "virtio_rng.0"}
    assert not run(**options)["changed"]


def test_files_that_nobody_reacts_to_are_no_change(kernel: Kernel, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "Machine", lambda: transport.Machine(str(kernel.root)))
    assert run(prefer=["tpm-*"], boot="none")["changed"]
    assert not run(prefer=["tpm-*"], boot="none")["changed"], "rng_selected stays 0"


def test_only_what_was_asked_for(kernel: Kernel, run: Run) -> None:
    boots(kernel, "udev")
    result = run(prefer=["tpm-*"], boot="none")
    assert (written(kernel), kernel.see().current) == ({}, "tpm-rng-0")
    assert result["boot"] == {"mechanism": "none", "path": None, "changed": False}
    kernel.set(current="virtio_rng.0", selected="0")
    result = run(prefer=["tpm-*"], now=False)
    assert (result["changed"], result["chosen"], kernel.see().current) == (True, "tpm-rng-0", "virtio_rng.0")
    assert result["reason"] == "at boot; now tpm-rng-0 would be chosen"
    assert set(written(kernel)) == {files.UDEV_RULE, files.UDEV_SCRIPT}


@pytest.mark.parametrize(
    ("there", "boot", "expected"),
    [
        (["udev", "tmpfiles"], "auto", "udev"),
        (["udev", "openrc"], "auto", "udev"),
        (["openrc", "tmpfiles"], "auto", "script"),
        (["tmpfiles"], "auto", "tmpfiles"),
        (["udev", "tmpfiles"], "tmpfiles", "tmpfiles"),
        (["udev", "runit"], "script", "script"),
        (["udev"], "none", "none"),
    ],
)
def test_what_chooses_at_boot(there: list[str], boot: str, expected: str, kernel: Kernel, run: Run) -> None:
    boots(kernel, *there)
    assert run(prefer=["tpm-*"], boot=boot)["boot"]["mechanism"] == expected


@pytest.mark.parametrize(
    ("there", "boot", "why"),
    [
        ([], "auto", "there is neither udev, OpenRC, runit nor systemd-tmpfiles; boot: none chooses for now only"),
        (["tmpfiles"], "udev", "udev does not run (/run/udev/control)"),
        (["udev"], "tmpfiles", "there is no systemd-tmpfiles"),
        (["udev", "tmpfiles"], "script", "boot scripts are for OpenRC (/etc/local.d) and runit"),
    ],
)
def test_a_mechanism_that_is_not_there(there: list[str], boot: str, why: str, kernel: Kernel, run: Run) -> None:
    boots(kernel, *there)
    result = run(prefer=["tpm-*"], boot=boot)
    assert result["failed"]
    assert result["msg"].startswith(f"boot: {boot} does not work here: {why}")
    assert kernel.see().current == "virtio_rng.0"


@pytest.mark.parametrize("boot", ["udev", "tmpfiles"])
def test_an_image_in_which_nothing_runs(boot: str, kernel: Kernel, run: Run) -> None:
    options: dict[str, Any] = {"prefer": ["tpm-*"], "modules": ["tpm_tis"], "now": False, "boot": boot}
    result = run(**options)
    assert (result["failed"], result["boot"]["mechanism"]) == (False, boot)
    assert set(written(kernel)) >= {files.MAIN_FILES[boot], files.MODULES_FILE}
    assert not run(**options)["changed"]
    assert run(prefer=["tpm-*"], now=False, boot="auto")["failed"], "nobody can tell what such an image will run"


@pytest.mark.parametrize("boot", ["udev", "none"])
@pytest.mark.parametrize("stays", [True, False])
def test_the_script_of_an_earlier_preference_does_not_win(
    boot: str, stays: bool, kernel: Kernel, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    boots(kernel, "udev")
    run(prefer=["virtio_rng.*"])

    settled = []

    def settle() -> None:  # it was running when its file was replaced
        settled.append(kernel.see().current)
        kernel.set(current="virtio_rng.0", available="virtio_rng.0 tpm-rng-0" if stays else "virtio_rng.0")

    monkeypatch.setattr(kernel, "settle", settle)
    result = run(prefer=["tpm-*"], boot=boot)
    assert settled == ["tpm-rng-0"]
    expected = "tpm-rng-0" if stays else "virtio_rng.0"
    assert (result["failed"], result["current"]["after"], kernel.see().current) == (not stays, expected, expected)


def test_another_mechanism_takes_the_place_of_the_first(kernel: Kernel, run: Run) -> None:
    boots(kernel, "udev", "tmpfiles")
    run(prefer=["tpm-*"], modules=[])
    result = run(prefer=["tpm-*"], boot="tmpfiles", diff=True)
    assert set(written(kernel)) == {files.TMPFILES_FILE}
    assert {diff["after_header"]: diff["after"] for diff in result["diff"]}[files.UDEV_RULE] == ""
    result = run(prefer=["tpm-*"], boot="none")
    assert (result["changed"], result["boot"]["changed"], written(kernel)) == (True, True, {})


def test_somebody_elses_file_is_left_alone(kernel: Kernel, run: Run) -> None:
    boots(kernel, "udev", "tmpfiles")
    theirs = kernel.root / files.UDEV_RULE.lstrip("/")
    theirs.parent.mkdir(parents=True)
    theirs.write_text("# mine\n")
    result = run(prefer=["tpm-*"])
    assert result["failed"]
    assert "90-fleet-rng-hwrng.rules is there and was not written by this module: it is left alone" in result["msg"]
    assert (written(kernel), kernel.see().current) == ({files.UDEV_RULE: "# mine\n"}, "virtio_rng.0")
    for boot in ("tmpfiles", "none"):
        assert not run(prefer=["tpm-*"], boot=boot)["failed"]
        assert theirs.read_text() == "# mine\n"


def test_a_lost_permission_to_run_is_given_back(kernel: Kernel, run: Run) -> None:
    boots(kernel, "openrc")
    run(prefer=["tpm-*"])
    script = kernel.root / files.OPENRC_SCRIPT.lstrip("/")
    script.chmod(0o644)
    assert run(prefer=["tpm-*"])["changed"]
    assert script.stat().st_mode & 0o777 == 0o755
    assert not run(prefer=["tpm-*"])["changed"]


def test_the_service_that_runs_the_script_is_turned_on_once(kernel: Kernel, run: Run) -> None:
    boots(kernel, "openrc")
    (kernel.root / "etc/runlevels/boot").mkdir(parents=True)
    (kernel.root / "etc/runlevels/boot/local").symlink_to("/etc/init.d/local")
    run(prefer=["tpm-*"])
    assert not (kernel.root / "etc/runlevels/default").exists()
    (kernel.root / "etc/runlevels/boot/local").unlink()
    assert run(prefer=["tpm-*"])["changed"]
    assert (kernel.root / "etc/runlevels/default/local").is_symlink()


def test_nothing_matches(kernel: Kernel, run: Run) -> None:
    boots(kernel, "udev")
    result = run(prefer=["amd", "*-trng"])
    assert result == {
        "failed": True,
        "msg": "prefer: amd, *-trng matches nothing; available: virtio_rng.0, tpm-rng-0; "
        "in use, as before: virtio_rng.0",
        "changed": False,
        "chosen": None,
        "reason": "",
        "available": ["virtio_rng.0", "tpm-rng-0"],
        "current": {"before": "virtio_rng.0", "after": "virtio_rng.0"},
        "boot": {"mechanism": "none", "path": None, "changed": False},
    }
    assert written(kernel) == {}
    assert run(prefer=["amd", "*-trng"], check=True) == result


def test_a_device_that_vanishes_meanwhile(kernel: Kernel, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    boots(kernel, "udev")

    def vanish(dummy: str) -> Any:
        kernel.set(available="virtio_rng.0")
        return kernel.see()

    monkeypatch.setattr(kernel, "use", vanish)
    result = run(prefer=["tpm-*"])
    assert result["failed"]
    assert result["msg"] == (
        "tpm-rng-0, chosen by prefer: tpm-*, could not be taken into use: it is gone; "
        "available: virtio_rng.0; in use, as before: virtio_rng.0"
    )
    assert (result["changed"], result["available"], written(kernel)) == (False, ["virtio_rng.0"], {})


def test_tmpfiles_needs_a_name(kernel: Kernel, run: Run) -> None:
    boots(kernel, "tmpfiles")
    kernel.set(available="", current="none")
    result = run(prefer=["tpm-*"], now=False)
    assert result["failed"]
    assert result["msg"].startswith("boot: tmpfiles needs the name of a device")
    assert not run(prefer=["tpm-*", "amd"], now=False)["failed"]
    assert written(kernel)[files.TMPFILES_FILE].endswith(" amd\n")


@pytest.mark.parametrize("option", [{"prefer": ["a b"]}, {"prefer": []}, {"prefer": ["a"], "modules": ["../x"]}])
def test_options_that_are_refused(option: dict[str, Any], kernel: Kernel, run: Run) -> None:
    assert kernel.see().current
    result = run(boot="none", **option)
    assert result["failed"]
    assert "is not valid" in result["msg"]


class TestModules:
    OPTIONS: dict[str, Any] = {"prefer": ["amd"], "modules": ["tpm_tis", "amd-rng"], "diff": True}  # noqa: RUF012

    @pytest.fixture(autouse=True)
    def driver(self, kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
        """amd-rng brings its device with it; tpm_tis is loaded already."""
        boots(kernel, "udev")
        (kernel.root / "sys/module/tpm_tis").mkdir(parents=True)

        def load(name: str) -> None:
            assert name == "amd-rng"
            (kernel.root / "sys/module/amd_rng").mkdir(parents=True)
            kernel.set(available="virtio_rng.0 tpm-rng-0 amd")

        monkeypatch.setattr(kernel, "load", load)

    def test_loaded_now_and_at_boot(self, kernel: Kernel, run: Run) -> None:
        predicted = run(check=True, **self.OPTIONS)
        assert not (kernel.root / "sys/module/amd_rng").exists()
        assert (predicted["changed"], predicted["chosen"]) == (True, None)
        assert predicted["reason"] == "known once amd-rng is loaded"
        result = run(**self.OPTIONS)
        assert (result["changed"], result["chosen"]) == (True, "amd")
        assert result["diff"][0]["after"] == "amd-rng\n"
        assert written(kernel)[files.MODULES_FILE].endswith("\ntpm_tis\namd-rng\n")
        assert not run(**self.OPTIONS)["changed"]
        assert run(prefer=["amd"])["boot"]["changed"], "no longer asked for: no longer loaded at boot"
        assert files.MODULES_FILE not in written(kernel)

    def test_not_now(self, kernel: Kernel, run: Run) -> None:
        result = run(now=False, **self.OPTIONS)
        assert (result["chosen"], result["reason"]) == (None, "known at boot")
        assert not (kernel.root / "sys/module/amd_rng").exists()
        assert files.MODULES_FILE in written(kernel)

    def test_one_that_cannot_be_loaded(self, kernel: Kernel, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        def load(dummy: str) -> None:
            raise transport.ModuleError("modules: amd-rng cannot be loaded: no")

        monkeypatch.setattr(kernel, "load", load)
        result = run(**self.OPTIONS)
        assert (result["failed"], result["msg"]) == (True, "modules: amd-rng cannot be loaded: no")
        assert (result["changed"], written(kernel)) == (False, {})
