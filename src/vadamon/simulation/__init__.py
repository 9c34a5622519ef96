"""Monitoring of what is simulated: workloads from a configuration, and programs from traces of their memory accesses.

Above monitors and recordings, beside reports: it lets a monitor watch a simulated process, and records that.
"""
