"""The lab itself: what comes back from a guest, and what is tried again."""

import os
from pathlib import Path

import pytest

from tests.vm import guest, kernels

KERNEL = kernels.Kernel("6.12", "6.12.0", Path("/boot/none"))

# Of QEMU's arguments the serial ports matter: $1 is the console, $2 the output, $3 the results.
PRETENDED_QEMU = """#!/bin/sh
for word; do case $word in file:*) set -- "$@" "${word#file:}";; esac; done
while [ $# -gt 3 ]; do shift; done
cd "$(dirname "$0")"
echo start >> starts
"""
COMES_TO_AN_END = """
echo 7 > status; echo said > "$2"; tar -c -f "$3" ./status
"""


@pytest.fixture
def pretend(tmp_path, monkeypatch):
    """Put a script in the place of QEMU, and return how often it is started when a guest is run."""
    (tmp_path / "disk").touch()
    monkeypatch.setattr(guest, "QEMU", str(tmp_path / "qemu"))
    monkeypatch.setattr(guest, "root_image", lambda: tmp_path / "disk")
    monkeypatch.setattr(guest, "initramfs", lambda folder, _: folder / "initramfs")
    monkeypatch.setattr(guest, "check_tools", lambda: None)

    def pretend(script: str) -> Path:
        (tmp_path / "qemu").write_text(PRETENDED_QEMU + script)
        (tmp_path / "qemu").chmod(0o755)
        return tmp_path / "starts"

    return pretend


def nr_lines(path):
    return path.read_text().count("\n")


def test_a_boot_that_qemu_broke_is_tried_again(pretend):
    broken = 'if [ "$(wc -l < starts)" -lt 3 ]; then echo "Oops: int3: 0000" > "$1"; exit 0; fi'
    starts = pretend(broken + COMES_TO_AN_END)
    result = guest.run(KERNEL, ["true"])
    assert (result.status, result.output) == (7, "said\n")
    assert nr_lines(starts) == 3


def test_it_is_not_tried_for_ever(pretend):
    starts = pretend('echo "Oops: int3: 0000" > "$1"')
    with pytest.raises(kernels.LabError, match="did not come to an end"):
        guest.run(KERNEL, ["true"])
    assert nr_lines(starts) == 3


def test_what_broke_otherwise_is_told_and_not_tried_again(pretend):
    starts = pretend('echo "Kernel panic: no init" > "$1"; echo "half a word" > "$2"')
    with pytest.raises(kernels.LabError, match=r"Kernel panic: no init(.|\n)*half a word"):
        guest.run(KERNEL, ["true"])
    assert nr_lines(starts) == 1


def test_a_guest_that_takes_too_long_is_ended(pretend):
    pretend("exec sleep 60")
    with pytest.raises(kernels.LabError, match="longer than 1 s"):
        guest.run(KERNEL, ["true"], timeout_s=1)


def test_the_archive_is_asked_once_a_day(tmp_path, monkeypatch):
    asked = []
    fields = {
        "linux-image-6.12-cloud-amd64": {"Depends": "linux-image-6.12.9+deb12-cloud-amd64 (= 6.12.9-1)"},
        "linux-image-6.12.9+deb12-cloud-amd64": {"Version": "6.12.9-1~bpo12+1"},
    }
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(kernels, "_show", lambda package: asked.append(package) or fields[package])
    monkeypatch.setattr(kernels, "_unpack", unpack_an_image)
    first = kernels.get("6.12")
    assert (first.version, first.image.read_text(), asked) == ("6.12.9-1~bpo12+1", "image", list(fields))
    assert kernels.get("6.12") == first
    assert len(asked) == 2
    os.utime(tmp_path / "vadamon-vm/newest/6.12", (0, 0))
    assert kernels.get("6.12") == first
    assert len(asked) == 4


def unpack_an_image(package, folder):
    (folder / "boot").mkdir()
    (folder / f"boot/vmlinuz-{package}").write_text("image")


@pytest.mark.timeout(600)
def test_what_a_command_leaves_comes_back():
    try:
        kernel = kernels.get("6.12")
        guest.check_tools()
    except kernels.LabError as error:
        pytest.skip(str(error))
    script = (
        "uname -r; mkdir $VADAMON_RESULTS/a; seq 300000 > $VADAMON_RESULTS/a/b; grep -c . /proc/self/maps >&2; exit 3"
    )
    result = guest.run(kernel, ["sh", "-c", script])
    assert result.status == 3
    assert result.output.startswith("6.12.")
    assert result.files == {"a/b": "".join(f"{i}\n" for i in range(1, 300001)).encode()}
