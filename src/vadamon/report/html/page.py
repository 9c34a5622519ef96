"""A page: one file with all it needs, which asks the network for nothing."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from vadamon.recording.header import Target
from vadamon.report.wording import describe_target

# Nothing may be fetched, whatever the page or the library would like.
_POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
# Only the buttons that a reader needs: none of them sends anything anywhere.
_BUTTONS = ["zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d", "toImage"]
_CONFIG = {"displaylogo": False, "responsive": True, "modeBarButtons": [_BUTTONS]}
_STYLE = """
body { font: 14px/1.45 system-ui, sans-serif; color: #222; background: #fff; margin: 1.5em; max-width: 1500px }
h1 { font-size: 1.3em; margin: 0; overflow-wrap: anywhere } h2 { font-size: 1.05em; margin: 1.4em 0 .3em }
p { margin: .2em 0; color: #444 } p.note { font-weight: bold; color: #222 }
section + section { border-top: 1px solid #ccc; margin-top: 2em; padding-top: 1.5em }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { text-align: right; padding: .15em .9em .15em 0 } th { border-bottom: 1px solid #999 }
th.name, td.name { text-align: left; overflow-wrap: anywhere }
"""
_SCRIPT = """
for (const element of document.querySelectorAll("script.figure")) {
  const {data, layout, config, rows} = JSON.parse(element.textContent);
  const place = document.createElement("div");
  element.after(place);
  Plotly.newPlot(place, data, layout, config).then(() => rows && followZoom(place, rows));
}
// Some rows of a heatmap have their addresses at the side; where few are in view, all of those have.
function followZoom(place, rows) {
  place.on("plotly_relayout", () => {
    const [bottom, top] = place.layout.yaxis.range;
    const inView = rows.filter(row => row.at >= top && row.at <= bottom);
    const shown = inView.length <= 24 ? inView : inView.filter(row => row.marked);
    const tickvals = shown.map(row => row.at), ticktext = shown.map(row => row.text);
    if (String(place.layout.yaxis.tickvals) !== String(tickvals))
      Plotly.relayout(place, {"yaxis.tickvals": tickvals, "yaxis.ticktext": ticktext});
  });
}
"""


@dataclass(frozen=True, slots=True)
class Table:
    """A table of text, and which of its columns is to the left."""

    title: str
    titles: Sequence[str]
    rows: Sequence[Sequence[str]]
    left_column: int = 0


@dataclass(frozen=True, slots=True)
class Section:
    """What a page says of one target: a caption, ``words`` (a table), figures, lines that explain them, and tables.

    ``rows`` are those of a heatmap that is the first figure: ``at`` is where one begins on the y axis, ``text`` its
    address, and ``marked`` whether that is worth a mark where all of it is in view.
    """

    target: Target
    caption: str
    figures: Sequence[go.Figure]
    lines: Sequence[str] = ()
    tables: Sequence[Table] = ()
    words: Table | None = None
    rows: Sequence[dict[str, Any]] = ()


def make_page(name: str, sections: Sequence[Section], note: str = "") -> str:
    """Return the page as HTML."""
    title = f"vadamon {name}: {', '.join(describe_target(section.target) for section in sections)}"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n<link rel="icon" href="data:,">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n<script>{get_plotlyjs()}</script>\n</head>\n<body>\n"
        f"{''.join(_section(section, note) for section in sections)}<script>{_SCRIPT}</script>\n</body>\n</html>\n"
    )


def _section(section: Section, note: str) -> str:
    parts = [
        f"<h1>{escape(describe_target(section.target))}</h1>",
        f"<p>{escape(section.caption)}</p>",
        *([f'<p class="note">{escape(note)}</p>'] if note else []),
        *([_table(section.words)] if section.words else []),
        *(_figure(figure, section.rows if i == 0 else ()) for i, figure in enumerate(section.figures)),
        *(f"<p>{escape(line)}</p>" for line in section.lines),
        *(_table(table) for table in section.tables),
    ]
    return "<section>\n" + "\n".join(parts) + "\n</section>\n"


def _figure(figure: go.Figure, rows: Sequence[dict[str, Any]]) -> str:
    parts = {**figure.to_plotly_json(), "config": _CONFIG, "rows": list(rows) or None}
    # Within a script element only `</script` and `<!--` mean anything.
    text = json.dumps(parts, separators=(",", ":")).replace("<", "\\u003c")
    return f'<script class="figure" type="application/json">{text}</script>'


def _table(table: Table) -> str:
    def cells(tag: str, row: Sequence[str]) -> str:
        kinds = [' class="name"' if i == table.left_column else "" for i in range(len(row))]
        return "".join(f"<{tag}{kind}>{escape(cell)}</{tag}>" for kind, cell in zip(kinds, row, strict=True))

    head = f"<tr>{cells('th', table.titles)}</tr>" if any(table.titles) else ""
    body = "\n".join(f"<tr>{cells('td', row)}</tr>" for row in table.rows)
    title = f"<h2>{escape(table.title)}</h2>"
    return f"{title}\n<table>\n{head}\n{body}\n</table>" if table.rows else f"{title}\n<p>none</p>"
