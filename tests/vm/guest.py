"""Run a command in a guest: another kernel, this checkout and this Python."""

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from .image import CHECKOUT, initramfs, root_image
from .kernels import Kernel, LabError

QEMU = "qemu-system-x86_64"
MARK = "vadamon.guest"
"""Stands on the kernel's command line in a guest, and nowhere else: tests that need a guest look for it."""
_TRIES = 3
# Nothing that is tested needs certificates or this source of randomness, for which the kernel computes a long time.
# While a guest waits for its disk, which takes real time, the next of its timers comes at once: without a tick that may
# be seconds away.
_KERNEL_OPTIONS = (
    "console=ttyS0 quiet panic=-1 pti=on tsc=reliable nohz=off "
    "initcall_blacklist=load_system_certificate_list,jent_mod_init"
)


@dataclass
class Result:
    """What came back from a guest."""

    status: int
    output: str
    files: dict[str, bytes] = field(default_factory=dict)
    """Files that the command left in $VADAMON_RESULTS, by their names."""


def check_tools() -> None:
    """Raise LabError where a tool that the lab needs is not installed."""
    missing = [tool for tool in (QEMU, "busybox", "cpio", "ldd", "setpriv") if not shutil.which(tool)]
    if missing:
        raise LabError(f"the lab needs {', '.join(missing)}: make test-vm installs them")


def run(
    kernel: Kernel,
    command: list[str],
    *,
    cpu: str = "max",
    nr_cpus: int | None = None,
    memory_mib: int = 1024,
    timeout_s: float = 600,
    live: bool = False,
) -> Result:
    """Boot a kernel, run a command in the checkout as root, and return what it left; ``live`` shows its output too.

    A boot that QEMU broke is tried again. Raises LabError where the guest does not come to the end of the command.
    """
    check_tools()
    image = root_image()
    for attempt in range(_TRIES):
        with tempfile.TemporaryDirectory(prefix="vadamon-vm-") as folder:
            result, console = _boot(
                kernel, image, Path(folder), command, cpu, nr_cpus or kernel.nr_cpus, memory_mib, timeout_s, live
            )
        if result is not None:
            return result
        # Emulation of two processors breaks the kernel's patching of its own code now and then (mended in QEMU 8.1).
        if "int3" not in console:
            break
        print(f"the guest died of QEMU's int3 fault at try {attempt + 1}", file=sys.stderr)
    last = "\n".join(console.strip().splitlines()[-15:])
    raise LabError(f"the guest of Linux {kernel.name} ({kernel.version}) did not come to an end:\n{last}")


def _boot(
    kernel: Kernel,
    image: Path,
    folder: Path,
    command: list[str],
    cpu: str,
    nr_cpus: int,
    memory_mib: int,
    timeout_s: float,
    live: bool,
) -> tuple[Result | None, str]:
    script = f"cd {shlex.quote(str(CHECKOUT))} && exec {shlex.join(command)}\n"
    console, output, results = folder / "console", folder / "output", folder / "results"
    arguments = [
        # Time in the guest is counted by instructions, of 2 ns each: on a busy machine a guest takes longer, and does
        # not see its processors stop. While all of them wait for a time to come, it comes at once.
        *(QEMU, "-accel", "tcg,thread=single", "-icount", "shift=1,sleep=off"),
        *("-cpu", cpu, "-smp", str(nr_cpus), "-m", str(memory_mib)),
        *("-nodefaults", "-no-user-config", "-nic", "none", "-display", "none", "-no-reboot"),
        # Without PCID, page-table isolation flushes the TLB at each kernel entry: else it would hide accesses, as an
        # emulated TLB has room for more than a real one. The kernel would take QEMU's time-stamp counter for unstable.
        *("-kernel", kernel.image, "-append", f"{_KERNEL_OPTIONS} {MARK}"),
        *("-initrd", initramfs(folder, script)),
        # ttyS0, S1 and S2: a serial port is the one road out that every kernel has built in.
        *("-serial", f"file:{console}", "-serial", f"file:{output}", "-serial", f"file:{results}"),
        *("-drive", f"file={image},if=none,id=root,format=raw,snapshot=on", "-device", "nvme,drive=root,serial=root"),
    ]
    # Others come first on this machine, and a guest ends with us, however we end.
    wrapped = ["nice", "-n", "5", "setpriv", "--pdeathsig", "KILL", *map(str, arguments)]
    with subprocess.Popen(wrapped, stderr=subprocess.PIPE, text=True) as qemu:
        try:
            follower = _follow(output) if live else contextlib.nullcontext()
            with follower:
                _, error = qemu.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            error = f"it took longer than {timeout_s:.0f} s"
        finally:
            qemu.kill()
    said = output.read_text(errors="replace") if output.exists() else ""
    text = console.read_text(errors="replace") if console.exists() else ""
    files = _files(results)
    if "status" not in files:
        return None, f"{text}\n{said}\n{error}"
    return Result(int(files.pop("status")), said, files), text


@contextlib.contextmanager
def _follow(output: Path) -> Iterator[None]:
    """Show what is written to a file while it is."""
    tail = subprocess.Popen(
        ["tail", f"--pid={os.getpid()}", "-n", "+1", "-s", "0.2", "-F", output], stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        with contextlib.suppress(subprocess.TimeoutExpired):
            tail.wait(1)  # for the last of it
        tail.kill()
        tail.wait()


def _files(archive: Path) -> dict[str, bytes]:
    if not archive.exists():
        return {}
    found = {}
    with contextlib.suppress(tarfile.TarError), tarfile.open(archive) as opened:
        for member in opened:
            file = opened.extractfile(member)
            if file is not None:
                found[member.name.removeprefix("./")] = file.read()
    return found
