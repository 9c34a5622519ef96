"""The kernels of the lab: Debian's, as its archive has them, and one that is built."""

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

CONFIG = Path(__file__).with_name("kernel.config")
BUILT = "built"
DEBIAN = {
    # The meta packages through which each may be had: exact versions leave the archive.
    "6.1": ("linux-image-cloud-amd64",),
    "6.12": ("linux-image-6.12-cloud-amd64", "linux-image-cloud-amd64"),
}
NAMES = (*DEBIAN, BUILT)
_SOURCE = "linux-source-6.12"
_ASKED_AGAIN_AFTER_S = 24 * 3600
_BUILD_TOOLS = ("flex", "bison", "bc", "pahole", "cpio", "gcc", "make", "xz")


class LabError(Exception):
    """The lab cannot be had here, or the guest broke: one line saying why."""


@dataclass(frozen=True)
class Kernel:
    """One kernel that can be booted."""

    name: str
    version: str
    image: Path
    nr_cpus: int = 2
    """With time counted by instructions, Linux 6.1 waits for ever for its second processor."""


def cache() -> Path:
    """Return the folder, outside the checkout, in which kernels and images are kept."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(home) / "vadamon-vm"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def get(name: str) -> Kernel:
    """Return a kernel, fetched or built where it is not in the cache.

    Raises LabError where it cannot be had.
    """
    return build() if name == BUILT else _fetch(name)


def _show(package: str) -> dict[str, str]:
    """Return the fields of a package as the archive has it now; none where it has no such package."""
    if not shutil.which("apt-cache"):
        raise LabError("the lab's kernels come through apt, which this machine does not have")
    shown = subprocess.run(
        ["apt-cache", "show", "--no-all-versions", package],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    return dict(re.findall(r"^([A-Z][\w-]*): (.*)$", shown.stdout, re.MULTILINE))


def _unpack(package: str, folder: Path) -> None:
    """Download a package and unpack it, without installing it."""
    with tempfile.TemporaryDirectory() as download:
        done = subprocess.run(
            ["apt-get", "download", "-qq", package],
            cwd=download,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        packages = list(Path(download).glob("*.deb"))
        if done.returncode or not packages:
            raise LabError(f"apt cannot download {package}: {done.stdout.strip().splitlines()[-1]}")
        subprocess.run(["dpkg", "-x", packages[0], folder], check=True)


def _newest(name: str) -> list[str]:
    """Return a package of the archive and its version: Debian's cloud kernel of that name, or the source.

    What apt said is kept for a day: asking takes it seconds, each time.
    """
    kept = cache() / "newest" / name
    if kept.exists() and time.time() - kept.stat().st_mtime < _ASKED_AGAIN_AFTER_S:
        return kept.read_text().split()
    package = name if name == _SOURCE else _cloud_package(name)
    version = _show(package).get("Version")
    if version is None:
        raise LabError(f"the package archive of this machine has no {package}")
    kept.parent.mkdir(exist_ok=True)
    kept.write_text(f"{package} {version}\n")
    return [package, version]


def _cloud_package(name: str) -> str:
    for meta in DEBIAN[name]:
        found = re.match(rf"linux-image-{re.escape(name)}\.\S+-cloud-amd64", _show(meta).get("Depends", ""))
        if found:
            return found[0]
    raise LabError(f"the package archive of this machine has no Linux {name} ({', '.join(DEBIAN[name])})")


def _fetch(name: str) -> Kernel:
    package, version = _newest(name)
    image = cache() / "kernels" / f"{package}_{version}"
    if not image.exists():
        with tempfile.TemporaryDirectory(dir=cache()) as folder:
            _unpack(package, Path(folder))
            image.parent.mkdir(exist_ok=True)
            next((Path(folder) / "boot").glob("vmlinuz-*")).rename(image)
    return Kernel(name, version, image, 1 if name == "6.1" else 2)


def build() -> Kernel:
    """Return the kernel with the idle page bitmap; it is built where its configuration or version is new.

    That takes about ten minutes on two cores. Raises LabError where a tool or the source is missing.
    """
    _, version = _newest(_SOURCE)
    key = hashlib.sha256(CONFIG.read_bytes()).hexdigest()[:12]
    image = cache() / "kernels" / f"{_SOURCE}_{version}_{key}"
    if not image.exists():
        missing = [tool for tool in _BUILD_TOOLS if not shutil.which(tool)]
        if missing:
            raise LabError(f"to build the kernel {', '.join(missing)} must be installed: make vm-kernel installs them")
        with tempfile.TemporaryDirectory(dir=cache()) as folder:
            print(f"building Linux {version} with the idle page bitmap: about ten minutes", flush=True)
            _compile(Path(folder))
            image.parent.mkdir(exist_ok=True)
            next(Path(folder).glob("linux-source-*/arch/x86/boot/bzImage")).rename(image)
    return Kernel(BUILT, version, image)


def _compile(folder: Path) -> None:
    _unpack(_SOURCE, folder)
    subprocess.run(["tar", "-xf", next((folder / "usr/src").glob("*.tar.xz"))], cwd=folder, check=True)
    source = next(folder.glob("linux-source-*"))
    log = cache() / "build.log"
    with log.open("w") as output:

        def make(*words: str | Path) -> None:
            try:
                subprocess.run(["nice", "-n", "19", *words], cwd=source, check=True, stdout=output, stderr=output)
            except subprocess.CalledProcessError as error:
                raise LabError(f"the kernel cannot be built; see {log}") from error

        make("make", "tinyconfig")
        make("scripts/kconfig/merge_config.sh", "-m", ".config", CONFIG)
        make("make", "olddefconfig")
        _check_configuration(source / ".config")
        make("make", f"-j{os.cpu_count()}", "bzImage")


def _check_configuration(configuration: Path) -> None:
    """A wish that some dependency overruled would be noticed much later."""
    have = set(configuration.read_text().splitlines())
    lost = [line for line in CONFIG.read_text().splitlines() if line.startswith("CONFIG_") and line not in have]
    if lost:
        raise LabError(f"this kernel does not take {', '.join(lost)}: mend {CONFIG.name}")
