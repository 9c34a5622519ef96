"""What monitoring operations need of an address space, and the ways to read accessed bits."""
