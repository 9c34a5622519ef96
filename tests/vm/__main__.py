"""``python -m tests.vm KERNEL COMMAND...``: run a command in a guest as if it ran here."""

import argparse
import signal
import sys
from pathlib import Path

from . import guest, kernels


def main() -> int:
    """Pass on what the command says, its exit status, and what it left in $VADAMON_RESULTS."""
    parser = argparse.ArgumentParser(prog="python -m tests.vm", description=main.__doc__)
    parser.add_argument("--cpu", default="max", help="of QEMU; max,la57=off has page tables of 4 levels (default: max)")
    parser.add_argument("--cpus", type=int, metavar="N", help="(default: as many as the kernel can have)")
    parser.add_argument("--memory", type=int, default=1024, metavar="MIB", help="(default: 1024)")
    parser.add_argument("--timeout", type=float, default=1800, metavar="S", help="(default: 1800)")
    parser.add_argument("--results", type=Path, metavar="DIR", help="where to put what is left in $VADAMON_RESULTS")
    parser.add_argument("kernel", choices=kernels.NAMES)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that nothing is left in /tmp
    try:
        kernel = kernels.get(given.kernel)
        if not given.command:
            print(f"Linux {kernel.version}: {kernel.image}")
            return 0
        result = guest.run(
            kernel,
            given.command,
            cpu=given.cpu,
            nr_cpus=given.cpus,
            memory_mib=given.memory,
            timeout_s=given.timeout,
            live=True,
        )
    except kernels.LabError as error:
        print(f"tests.vm: {error}", file=sys.stderr)
        return 1
    for name, content in result.files.items() if given.results else ():
        target = given.results / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return result.status


if __name__ == "__main__":
    sys.exit(main())
