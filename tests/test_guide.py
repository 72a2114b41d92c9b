"""The guide is executed as README.md is: every page prints what it shows, and leads to the next."""

from __future__ import annotations

import re
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

from tests.pages import fenced_blocks, orphans, run_blocks
from varprop.reference.themes import GUIDE

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "varprop" / "guide"
LONGEST = 150  # lines: a page is read in a few minutes
LINK = re.compile(r"\[[^\]]+\]\(([^)]+)\)")


@pytest.fixture(params=GUIDE)
def page(request) -> Path:
    return FOLDER / f"{request.param}.md"


def test_page_prints_what_it_shows(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = page.read_text(encoding="utf-8")
    assert any(block.language == "python" for block in fenced_blocks(text))
    complaints = run_blocks(text, page.name)
    plt.close("all")
    assert not complaints, "\n\n".join(complaints)
    assert not list(tmp_path.iterdir()), "an example leaves files where the reader stands"


def test_every_shown_output_has_a_python_block(page):
    assert not orphans(page.read_text(encoding="utf-8"))


def test_page_is_short_and_its_links_lead_to_pages(page):
    text = page.read_text(encoding="utf-8")
    assert text.startswith("# ")
    assert text.count("\n") <= LONGEST
    links = LINK.findall(text)
    assert links and all((FOLDER / link).is_file() for link in links)


def test_the_table_of_contents_is_the_folder():
    assert sorted(GUIDE) == sorted(path.stem for path in FOLDER.iterdir())


def test_readme_links_to_every_page():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [name for name in GUIDE if f"(varprop/guide/{name}.md)" not in readme] == []
