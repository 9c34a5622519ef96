"""What yields snapshots."""
