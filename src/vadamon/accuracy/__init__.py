"""How well a recording tells what a program did: measured against the truth, where that is known."""
