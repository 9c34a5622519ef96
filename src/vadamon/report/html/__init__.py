"""Reports as pages that need no network, drawn with Plotly."""
