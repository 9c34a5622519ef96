"""Monitoring operations: what the DAMON loop asks of a kind of memory."""
