"""The built pages: all public names with signature and docstring, no warning, no network."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest

import varprop
from varprop.reference.__main__ import main
from varprop.reference.themes import GUIDE, MODULES, THEMES

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow


class Links(HTMLParser):
    """What a page refers to, and the anchors that it has."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.anchors: set[str] = set()
        self.loaded: list[str] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if "id" in given:
            self.anchors.add(given["id"])
        if tag == "a" and "href" in given:
            self.targets.append(given["href"])
        elif tag in ("link", "script", "img", "iframe"):
            self.loaded += [given[key] for key in ("href", "src") if key in given]


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    pytest.importorskip("pdoc", reason="the extra `docs` builds the reference")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "varprop.reference", "--out", str(folder / "built")],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.strip() == str(folder / "built" / "index.html")
    return folder / "built"


def test_a_file_in_the_way_is_one_line(site, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["--out", str(tmp_path / "file")]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"--out {tmp_path / 'file'}: cannot write there (")
    assert told.endswith("); name a folder\n")


@pytest.fixture(scope="module")
def entries(site) -> dict[str, str]:
    """The HTML of each name's entry on the page of the facade."""
    page = (site / "varprop.html").read_text(encoding="utf-8")
    parts = re.split(r'<section id="([\w.]+)">', page)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def text_of(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", "", html)).split())


def test_every_public_name_has_an_entry_in_the_order_of_the_themes(entries):
    assert list(entries) == [name for theme in THEMES for name in theme.names]


@pytest.mark.parametrize("name", varprop.__all__)
def test_entry_shows_docstring_and_signature(entries, name):
    value = getattr(varprop, name)
    shown = text_of(entries[name])
    first = (inspect.getdoc(value) or "").split("\n\n")[0].replace("`", "")
    assert " ".join(first.split()) in shown
    if inspect.ismodule(value):
        assert MODULES[f"varprop.{name}"].replace(".", "/") + ".html" in entries[name]
    elif inspect.isfunction(value):
        assert f"def {name}(" in shown.replace(" (", "(")
    else:
        assert f"class {name}" in shown
        public = [
            m for m in vars(value) if not m.startswith("_") and inspect.isroutine(vars(value)[m])
        ]
        assert [m for m in public if f'id="{name}.{m}"' not in entries[name]] == []
    if inspect.isfunction(value):
        missing = [p for p in inspect.signature(value).parameters if f"{p}" not in shown]
        assert missing == []


def test_equations_stand_as_they_were_written(entries):
    lines = inspect.getdoc(varprop.Dense).splitlines()[2:5]
    block = "\n".join(line.removeprefix("    ") for line in lines)
    assert block in unescape(entries["Dense"])


def test_pages_load_nothing_from_elsewhere(site):
    for page in site.rglob("*.html"):
        for target in Links(page).loaded:
            assert target.startswith("data:") or (page.parent / target).is_file(), (page, target)
        assert "url(http" not in page.read_text(encoding="utf-8")


def test_every_link_leads_somewhere(site):
    pages = {page.resolve(): Links(page) for page in site.rglob("*.html")}
    broken = []
    for page, links in pages.items():
        for target in links.targets:
            file, _, anchor = target.partition("#")
            goal = (page.parent / file).resolve() if file else page
            if goal not in pages or (anchor and anchor not in pages[goal].anchors):
                broken.append(f"{page.relative_to(site.resolve())}: {target}")
    assert broken == []


def test_guide_comes_first_and_links_into_the_reference(site):
    index = (site / "index.html").read_text(encoding="utf-8")
    places = [index.index(f'href="guide/{name}.html"') for name in GUIDE]
    assert places == sorted(places) and places[-1] < index.index("varprop.html#predict")
    judge = (site / "guide" / "judge.html").read_text(encoding="utf-8")
    assert 'href="../varprop.html#compare"' in judge
