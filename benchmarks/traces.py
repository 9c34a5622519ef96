"""Traces: lines a second, and memory."""

import subprocess
import sys
import tempfile
from pathlib import Path

NR_LINES = 10_000_000
REPLAY = """
import resource, sys, time
from contextlib import ExitStack
from pathlib import Path
from vadamon.simulation.run import open_source, simulate
with ExitStack() as stack:
    program = open_source(Path(sys.argv[1]), stack, instruction_ns=100)
    begin = time.perf_counter()
    simulate(program, Path(sys.argv[2]), truth=Path(sys.argv[3]) if sys.argv[3:] else None)
print(time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def load(k: int) -> int:
    """Return an address of a working set of 4 MiB that moves on."""
    return 0x10000000 + 64 * (k * 7919 & 0xFFFF) + (k >> 18 << 20)


def write_lackey(path: Path, nr_lines: int) -> None:
    """Write instructions, to be replayed at 100 ns each, each of them with a load."""
    with path.open("w") as file:
        file.writelines(f"I  {0x400000 + 4 * (k & 0xFFFF):08x},4\n L {load(k):08x},8\n" for k in range(nr_lines // 2))


def write_perf_script(path: Path, nr_lines: int) -> None:
    """Write samples 100 ns apart, of the same loads."""
    with path.open("w") as file:
        file.writelines(
            f"{100 + k // 10_000_000}.{k % 10_000_000 * 100:09d}: cpu/mem-loads,ldlat=30/P: {load(k):x}\n"
            for k in range(nr_lines)
        )


def replay(trace: Path, *outputs: Path) -> tuple[float, float]:
    """Return seconds and MiB."""
    command = [sys.executable, "-c", REPLAY, trace, *outputs]
    done = subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True)
    seconds, mib = map(float, done.stdout.split())
    return seconds, mib


def main() -> None:
    """Print the table."""
    print("| trace | with truth | lines | lines a second | peak memory |")
    print("| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        trace, recording, truth = (Path(folder) / name for name in ("trace", "recording", "truth"))
        for name, write in (("lackey", write_lackey), ("perf script", write_perf_script)):
            for nr_lines in (NR_LINES // 10, NR_LINES):
                write(trace, nr_lines)
                for outputs in ((recording,), (recording, truth)):
                    seconds, mib = replay(trace, *outputs)
                    told = "yes" if truth in outputs else "no"
                    print(
                        f"| {name} | {told} | {nr_lines:.2g} | {nr_lines / seconds:.2g} | {mib:.0f} MiB |", flush=True
                    )
