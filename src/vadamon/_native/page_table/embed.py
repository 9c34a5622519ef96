"""Write a file's bytes as a C array named `program`: `embed.py IN OUT`."""

import sys
from pathlib import Path

data = Path(sys.argv[1]).read_bytes()
# libbpf reads the object in place, as ELF: it must be aligned as a file in memory would be.
array = "static const unsigned char program[] __attribute__((aligned(8))) = {\n"
array += "\n".join(",".join(map(str, data[i : i + 32])) + "," for i in range(0, len(data), 32))
Path(sys.argv[2]).write_text(array + "\n};\n")
