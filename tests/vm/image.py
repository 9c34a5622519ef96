"""What a guest sees: this machine's Python and checkout, at the paths that they have here.

The root file system is an image with the Python that runs us, what is installed beside it, and the shared libraries
that these need; it is kept, as it changes seldom. The checkout, and vadamon as it was built from it, go into the
initramfs, made anew for each boot.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import vadamon

from .kernels import cache

CHECKOUT = Path(__file__).parents[2]
INIT = Path(__file__).with_name("init.sh")
PARTS = ("tests", "benchmarks", "pyproject.toml")
"""What a guest has of the checkout, beside vadamon as it is installed."""
# Python's own tests, the packages of others, and tools that no test runs.
_LEFT_OUT = shutil.ignore_patterns("site-packages", "test", "idlelib", "tkinter", "ensurepip", "config-*", "*.a")
_SITE_LEFT_OUT = shutil.ignore_patterns(
    *("vadamon", "vadamon-*", "include"),
    *("mypy", "mypyc", "*__mypyc*", "pip", "Cython", "mesonbuild", "setuptools"),
    *("playwright", "plotly", "matplotlib", "fontTools", "PIL", "pillow.libs"),
)
_ROOM_MIB = 256
_KEPT_FOR_S = 7 * 24 * 3600


def root_image() -> Path:
    """Return the image of the root file system, made where what is installed here is new."""
    site = Path(sysconfig.get_path("purelib"))
    installed = sorted(path.name for path in site.glob("*.dist-info") if not path.name.startswith("vadamon-"))
    key = repr((sys.version, sys.prefix, sys.base_prefix, installed, Path(__file__).read_bytes()))
    image = cache() / "images" / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.ext4"
    if not image.exists():
        image.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache()) as folder:
            root, made = Path(folder) / "root", Path(folder) / "image"
            _compile_plugins()
            _fill(root, site)
            _make_file_system(root, made)
            made.rename(image)
        _forget_unused(image.parent)
    image.touch()
    return image


def _forget_unused(images: Path) -> None:
    """Remove images that no guest was started from for a week: each is of about a gigabyte."""
    for image in images.iterdir():
        if time.time() - image.stat().st_mtime > _KEPT_FOR_S:
            image.unlink()


def initramfs(folder: Path, command: str) -> Path:
    """Write the initramfs: busybox, the init, the checkout, and the shell ``command`` to run; return its path.

    The checkout is in an archive of its own, which keeps the times of files: by these Python knows compiled modules,
    and to compile them anew takes a guest half a minute.
    """
    root = folder / "initramfs"
    (root / "bin").mkdir(parents=True)
    shutil.copy(_busybox(), root / "bin/busybox")
    shutil.copy(INIT, root / "init")
    (root / "init").chmod(0o755)
    installed = Path(vadamon.__file__).parent
    # Only this format rounds times down, as Python does.
    with tarfile.open(root / "fresh.tar", "w", format=tarfile.GNU_FORMAT) as fresh:
        for path in (*(CHECKOUT / part for part in PARTS), installed, *installed.parent.glob("vadamon-*.dist-info")):
            fresh.add(path)
    (root / "command").write_text(command)
    archive = folder / "initramfs.cpio"
    names = "\n".join(str(path.relative_to(root)) for path in sorted(root.rglob("*")))
    with archive.open("wb") as output:
        subprocess.run(
            ["cpio", "--quiet", "-o", "-H", "newc"], cwd=root, input=names.encode(), stdout=output, check=True
        )
    return archive


def _busybox() -> Path:
    return Path(shutil.which("busybox") or "/bin/busybox")


def _copy(source: Path, root: Path) -> None:
    """Copy a file to the same path below ``root``."""
    target = root / source.relative_to("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)


def _compile_plugins() -> None:
    """Have pytest keep what it makes of its plugins' modules: it rewrites them, which takes a guest half a minute."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryDirectory() as folder:
        test = Path(folder) / "test_nothing.py"
        test.write_text("import hypothesis.strategies\n")
        command = [sys.executable, "-m", "pytest", "-q", "--collect-only", "--rootdir", folder, test]
        subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL)


def _fill(root: Path, site: Path) -> None:
    for name in ("bin", "sbin", "dev", "proc", "sys", "tmp", "var/tmp", "run", "root", "etc", "usr/bin", "usr/sbin"):
        (root / name).mkdir(parents=True, exist_ok=True)
    shutil.copy(_busybox(), root / "bin/busybox")
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\nnogroup:x:65534:\n")

    library = Path(sysconfig.get_path("stdlib"))
    shutil.copytree(library, root / library.relative_to("/"), symlinks=True, ignore=_LEFT_OUT)
    shutil.copytree(site, root / site.relative_to("/"), symlinks=True, ignore=_SITE_LEFT_OUT)
    python = Path(sys.executable).resolve()
    _copy(python, root)
    for name in ("python", "python3"):
        _link(Path(sys.prefix) / "bin" / name, python, root)
    if sys.prefix != sys.base_prefix:
        _copy(Path(sys.prefix) / "pyvenv.cfg", root)
        _copy(Path(sys.prefix) / "bin/vadamon", root)
    setpriv = Path(shutil.which("setpriv") or "/usr/bin/setpriv")
    _copy(setpriv, root)  # busybox's knows no ambient capabilities
    modules = [path for path in root.rglob("*.so*") if not path.is_symlink()]
    extensions = Path(vadamon.__file__).parent.rglob("*.so")
    for needed in _needed_libraries([python, setpriv, *modules, *extensions]):
        if not (root / needed.relative_to("/")).exists():
            _copy(needed, root)


def _link(path: Path, target: Path, root: Path) -> None:
    link = root / path.relative_to("/")
    if path != target and not link.exists():
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(target)


def _needed_libraries(programs: Iterable[Path]) -> set[Path]:
    """Return the shared libraries of this machine that these programs and modules are linked with."""
    found: set[Path] = set()
    for program in programs:
        listed = subprocess.run(["ldd", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
        found.update(map(Path, re.findall(r"(/\S+) \(0x", listed)))
    return {path for path in found if path.exists()}


def _make_file_system(root: Path, image: Path) -> None:
    size_mib = sum(path.lstat().st_size for path in root.rglob("*")) * 5 // 4 // (1 << 20) + _ROOM_MIB
    with image.open("wb") as file:
        os.truncate(file.fileno(), size_mib << 20)
    mke2fs = shutil.which("mke2fs") or "/sbin/mke2fs"
    options = ["-q", "-t", "ext4", "-O", "^has_journal", "-E", "root_owner=0:0,lazy_itable_init=1", "-d", root]
    subprocess.run([mke2fs, *options, image], check=True, stdout=subprocess.DEVNULL)
