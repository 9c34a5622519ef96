"""C, eBPF and Cython: system calls, page-table walks, and the loops that NumPy cannot do."""
