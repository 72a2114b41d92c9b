"""The gallery page: in step with the figures, made from saved results, the same bytes each time."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from figures import __main__ as command
from figures import gallery
from figures.produce import produce
from tests.figures.plain import plain_figure

ROOT = Path(__file__).parents[2]
LINKED = re.compile(r"!\[[^\]]*\]\(([^)]+)\)")
SMALL = 2_000_000  # bytes of all thumbnails


@pytest.fixture
def made(tmp_path):
    """Two figures in a folder, one of them doubted; and where their page goes."""
    modules = {"one": plain_figure(), "two_of_them": plain_figure("REFUTED")}
    for name, module in modules.items():
        produce(name, module, module.parameters(name == "one"), 3, "cpu", tmp_path / "out")
    return modules, tmp_path / "out", tmp_path / "page" / "README.md"


def test_the_page_tells_each_figure(made):
    modules, out, page = made
    gallery.write(modules, out, page)
    text = page.read_text(encoding="utf-8")
    assert "`python -m figures one --full --seed 3`" in text
    assert "`python -m figures two_of_them --quick --seed 3`" in text
    assert "- CONFIRMED: one is \\|one\\|. Seen." in text
    assert "- REFUTED: one is \\|one\\|. all: Seen." in text
    assert "| [two_of_them](#two_of_them) | A point. | REFUTED | under 1 s |" in text
    assert "probability 2e-06 at most" in text
    for link in LINKED.findall(text):
        assert (page.parent / link).read_bytes().startswith(b"\x89PNG")


def test_the_page_is_the_same_each_time_and_keeps_no_stale_thumbnail(made):
    modules, out, page = made
    first = {path: path.read_bytes() for path in gallery.write(modules, out, page)}
    stale = page.parent / gallery.THUMBNAILS / "gone.png"
    stale.write_bytes(b"")
    again = {path: path.read_bytes() for path in gallery.write(modules, out, page)}
    assert again == first and not stale.exists()
    assert not any(module.computed > 1 for module in modules.values())


def test_a_thumbnail_has_the_colours_of_the_drawing():
    """Rare ones too: a colour bar, some dots, on much white."""
    drawn = np.full((400, gallery.WIDTH, 3), 255, np.uint8)
    drawn[:, 700:730] = np.linspace((0, 0, 128), (200, 20, 0), 400)[:, None]
    drawn[10:14, 10:14] = (0, 158, 115)
    file = io.BytesIO()
    Image.fromarray(drawn).save(file, "png")
    small = gallery.thumbnail(file.getvalue())
    with Image.open(io.BytesIO(small)) as image:
        assert image.mode == "P"
        off = np.abs(np.asarray(image.convert("RGB")).astype(int) - drawn).max()
    assert off <= 12


@pytest.mark.parametrize("kind", ["npz", "png", "time.json"])
def test_missing_figures_are_named_with_the_command_that_makes_them(made, kind):
    modules, out, page = made
    (out / f"one.{kind}").unlink()
    with pytest.raises(
        ValueError, match=f"lacks one; first run `python -m figures one --out {out}"
    ):
        gallery.write(modules, out, page)
    assert not page.exists()


def test_results_of_other_parameters_are_refused(made):
    modules, out, page = made
    modules["one"].parameters = lambda full: {"size": 7}
    with pytest.raises(ValueError, match=r"the results of one in .* other parameters"):
        gallery.write(modules, out, page)
    assert not page.exists()


def test_a_training_figure_is_known_by_its_data(tmp_path):
    module = plain_figure()
    module.parameters = lambda full, data="digits": {"size": 1 + full, "data": data}
    produce("one", module, module.parameters(True, data="mine"), 0, "cpu", tmp_path)
    gallery.write({"one": module}, tmp_path, tmp_path / "README.md")
    assert "`python -m figures one --full --data DIR`" in (tmp_path / "README.md").read_text()


def test_the_command_refuses_in_one_line(tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        command.main(["gallery", "--out", str(tmp_path)])
    said = capsys.readouterr().err
    assert stopped.value.code == command.UNUSABLE and said.count("\n") == 1
    assert all(name in said for name in command.NAMES + command.STUDIES)


def test_the_published_page_shows_every_known_figure_and_no_other():
    """If this fails: `python -m figures`, then `python -m figures gallery`."""
    text = gallery.PAGE.read_text(encoding="utf-8")
    shown = re.findall(r"^## (\w+)$", text, re.M)
    told = re.findall(r"take longer: (.+)\.$", text.replace("\\_", "_"), re.M)
    absent = [name for names in told for name in names.split(", ")]
    assert sorted(shown + absent) == sorted(command.KNOWN)
    assert set(command.NAMES + command.STUDIES) <= set(shown) <= set(command.KNOWN)
    thumbnails = {path.stem: path for path in (ROOT / "figures/thumbnails").iterdir()}
    assert set(thumbnails) == set(shown)
    assert sum(path.stat().st_size for path in thumbnails.values()) < SMALL
    assert LINKED.findall(text) == [f"thumbnails/{name}.png" for name in shown]


def test_the_front_page_shows_four_of_them():
    links = LINKED.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    assert len(links) == 4 and all((ROOT / link).exists() for link in links)
