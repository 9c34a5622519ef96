"""Pictures: what is in them, and that nothing runs out of them."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.image import imread
from numpy.typing import NDArray

from vadamon import Mapping, Recording
from vadamon.report.diff import diffs
from vadamon.report.heatmap import heatmaps
from vadamon.report.image import diff, heatmap, mappings, regions, summary, wss
from vadamon.report.image.figure import save
from vadamon.report.mappings import mappings_tables
from vadamon.report.regions import regions_tables
from vadamon.report.summary import summaries
from vadamon.report.wss import working_sets

Record = Callable[..., Recording]
NOTE = "COARSE MODE: " + "what there is to say of it " * 9
DRAWN = {
    "heatmap": lambda r: (heatmap.draw, heatmaps(r, 64, 64, 14)[0]),
    "wss": lambda r: (wss.draw, working_sets(r)[0]),
    "regions": lambda r: (regions.draw, regions_tables(r)[0]),
    "mappings": lambda r: (mappings.draw, mappings_tables(r)[0]),
    "summary": lambda r: (summary.draw, summaries(r)[0]),
    "diff": lambda r: (diff.draw, diffs(r, r)[0]),
}


def words(figure: Figure) -> list[str]:
    figure.draw_without_rendering()
    return [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))]


def drawn(name: str, recording: Recording, path: Path, note: str = "") -> NDArray[np.float32]:
    draw, model = DRAWN[name](recording)
    save(draw, model, path, "png", note)
    picture: NDArray[np.float32] = imread(path)
    return picture


def border(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the outermost pixels, which text that runs out of the picture would cross."""
    return np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])


@pytest.mark.parametrize("name", DRAWN)
def test_png_and_svg(service: Path, tmp_path: Path, name: str) -> None:
    picture = drawn(name, Recording(service), tmp_path / "x.png")
    assert picture.shape[1] == 1100
    assert len(np.unique(picture.reshape(-1, 4), axis=0)) > 20
    draw, model = DRAWN[name](Recording(service))
    save(draw, model, tmp_path / "x.svg", "svg")
    assert "python3 -m service" in re.sub(r"<!--|-->", "", (tmp_path / "x.svg").read_text())


@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.parametrize("nr_mappings", [1, 60])
def test_nothing_runs_out_of_the_picture(recorded: Record, tmp_path: Path, name: str, nr_mappings: int) -> None:
    size, step = 1 << 20, 1 << 32
    long = [Mapping(i * step, i * step + size, name=f"/{'long_name-' * 8}{i}.so") for i in range(nr_mappings)]
    all_regions = [(m.start, m.end, i % 21) for i, m in enumerate(long)]
    picture = drawn(name, recorded(all_regions, all_regions, mappings=long), tmp_path / "x.png", NOTE)
    assert (border(picture) == 1).all()


@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.parametrize("accesses", [0, 20, -1])
def test_one_snapshot_without_mappings(recorded: Record, tmp_path: Path, name: str, accesses: int) -> None:
    picture = drawn(name, recorded([(0, 1 << 20, accesses)]), tmp_path / "x.png")
    assert (border(picture) == 1).all()


def test_a_hot_spot_smaller_than_a_cell_shows(recorded: Record) -> None:
    size = 1 << 30
    cold_but_for_a_page = [(0, size // 2, 0), (size // 2, size // 2 + 4096, 20), (size // 2 + 4096, size, 0)]
    figure = heatmap.draw(heatmaps(recorded(cold_but_for_a_page, mappings=[Mapping(0, size)]), 16, 16)[0])
    (mesh,) = [artist for artist in figure.axes[0].collections if isinstance(artist, QuadMesh)]
    assert sorted(set(np.asarray(mesh.get_array()).ravel().tolist())) == [0, 1]
    assert any(
        "shows the most accessed region in it: a hot spot smaller than a cell still shows" in w for w in words(figure)
    )


def test_heat_reads_in_greyscale(service: Path) -> None:
    figure = heatmap.draw(heatmaps(Recording(service))[0])
    (mesh,) = [artist for artist in figure.axes[0].collections if isinstance(artist, QuadMesh)]
    shares = [0, *(n / 20 for n in range(1, 21))]
    grey = mesh.to_rgba(shares)[:, :3] @ [0.299, 0.587, 0.114]
    assert (np.diff(grey) < 0).all()
    assert grey[0] - grey[1] > 0.1


def test_legend_and_units(service: Path) -> None:
    text = words(heatmap.draw(heatmaps(Recording(service))[0]))
    for word in ("accessed in n of 20 samples", "unknown: no valid sample", "no region", "0 of 20", "10 s", "[heap]",
                 "7f1000000000", "~ ~ ~   41.2 TiB unmapped   ~ ~ ~", "time since the recording began"):  # fmt: skip
        assert word in text


def test_regions_are_drawn_in_their_order(service: Path) -> None:
    table = regions_tables(Recording(service), "heat")[0]
    names = [text.get_text() for text in regions.draw(table).axes[0].texts]
    assert names[2:6] == ["anonymous 256 MiB", "anonymous 256 MiB", "python3.11", "anonymous 256 MiB"]
