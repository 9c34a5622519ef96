"""Whom we leave alone: a folder that looks like the kernel's tells, so that the kernel's own need not be touched."""

import fcntl

import pytest

from vadamon import Attrs, VadamonError
from vadamon.monitors.damon_sysfs import Kdamond


@pytest.fixture
def sysfs(tmp_path):
    """Give a folder in the place of /sys/kernel/mm/damon/admin/kdamonds, and a way to put files into it."""

    def put(**files):
        for name, content in files.items():
            path = tmp_path / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{content}\n")
        return tmp_path

    put(nr_kdamonds=0)
    return put


def everything(root):
    return {path: path.read_text() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("files", "who"),
    [
        (
            {"0__state": "on", "0__pid": 78, "0__contexts__0__operations": "paddr"},
            r"kdamond 0 runs \(thread 78\) and watches paddr",
        ),
        ({"0__state": "off", "0__pid": -1}, "kdamond 0 is configured but off and watches nothing yet"),
        (
            {"0__state": "off", "0__pid": -1, "0__contexts__0__schemes__0__watermarks__high": 500},
            "kdamond 0 is configured but off and watches nothing yet",
        ),
    ],
)
def test_what_is_somebody_elses_is_named_and_left_as_it_is(sysfs, files, who):
    root = sysfs(nr_kdamonds=1, **files)
    before = everything(root)
    with pytest.raises(VadamonError, match=f"^the kernel's DAMON is somebody else's: {who}; [^\n]*nr_kdamonds$"):
        Kdamond([1], Attrs(), tells_regions=False, root=root)
    assert everything(root) == before


def test_one_that_is_not_ours_among_ours_protects_them_all(sysfs):
    mark = 0x7661_6461_6D6F_6E
    root = sysfs(nr_kdamonds=2, **{"0__contexts__0__schemes__0__watermarks__high": mark, "0__state": "on", "0__pid": 7})
    sysfs(**{"1__state": "off", "1__pid": -1})
    before = everything(root)
    with pytest.raises(VadamonError, match="somebody else's: kdamond 1 is configured but off"):
        Kdamond([1], Attrs(), tells_regions=False, root=root)
    assert everything(root) == before


def test_only_one_vadamon_at_a_time(sysfs):
    root = sysfs()
    with (root / "nr_kdamonds").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(VadamonError, match="another vadamon uses the kernel's DAMON"):
            Kdamond([1], Attrs(), tells_regions=False, root=root)


def test_a_kernel_without_it(tmp_path):
    with pytest.raises(VadamonError, match="CONFIG_DAMON_SYSFS"):
        Kdamond([1], Attrs(), tells_regions=False, root=tmp_path / "none")
