"""Reports drawn as text, with rich."""
