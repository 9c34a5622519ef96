"""Reports as pictures, drawn with matplotlib."""
