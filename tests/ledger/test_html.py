"""The page: well-formed, self-contained, reproducible; and what its plots show."""

import dataclasses
import math
from html.parser import HTMLParser

import numpy as np
import pytest
from matplotlib.figure import Figure

from varprop.ledger.claim import Claim, Evidence, Outcome, Series, Settings
from varprop.ledger.html import page
from varprop.ledger.plots import draw, svg
from varprop.stats import Verdict

CONFIRMED, REFUTED, UNDECIDED = Verdict.CONFIRMED, Verdict.REFUTED, Verdict.UNDECIDED
VOID = {"meta", "br", "hr", "img", "link", "input"}
FLAT = Series("he", (1, 2, 3), (1.0, 1.0, 1.0), (1.1, 0.9, 1.0), (0.8, 0.6, 0.7), (1.4, 1.2, 1.3))


def he_forward(settings):
    """Draws networks & measures them."""
    raise NotImplementedError


def outcome(name="he", verdict=CONFIRMED, expected=CONFIRMED, failure="", **fields):
    fields = {"figures": {"gap": -0.0081, "over": math.inf}, "series": (FLAT,)} | fields
    item = Evidence("forward <law>", verdict, "worst gap & more", **fields)
    claim = Claim(
        name=name,
        title=f"Title of {name}",
        statement="a < b & <script>x</script>",
        source="He 2015, <eq> 10",
        derivation="he-factor",
        experiments=(he_forward, he_forward),
        rows=("B3", "C4"),
        expected=expected,
        note="a note",
    )
    return Outcome(claim, not failure, verdict, (item, item), 1.5, "1. x < y\n2. done", failure)


class Reader(HTMLParser):
    """Collects the page; fails on tags that do not nest."""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.links, self.tags, self.words = [], [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == [], "tags left open"

    def handle_starttag(self, tag, attrs):
        self.note(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.note(tag, attrs)

    def note(self, tag, attrs):
        self.tags.append(tag)
        self.ids += [value for name, value in attrs if name == "id"]
        self.links += [value for name, value in attrs if name in ("href", "src", "xlink:href")]
        self.links += [v[4:-1] for _, v in attrs if v and v.startswith("url(")]

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="module")
def text():
    many = [outcome("he"), outcome("two words/é", REFUTED, REFUTED), outcome("open", UNDECIDED)]
    return page([*many, outcome("loose", failure="step 2 does not hold")], Settings(7, "cpu"))


def test_page_is_well_formed_and_ids_are_unique(text):
    read = Reader(text)
    assert len(read.ids) == len(set(read.ids))
    assert read.tags.count("section") == 4
    assert read.tags.count("svg") == 8


@pytest.mark.parametrize("broken", ["<p><b></p></b>", "<p>", "</p>"])
def test_the_reader_refuses_what_does_not_nest(broken):
    with pytest.raises(AssertionError):
        Reader(broken)


def test_page_needs_nothing_else(text):
    read = Reader(text)
    assert all(link.startswith("#") for link in read.links)
    assert {link[1:] for link in read.links if link != "#"} <= set(read.ids)
    assert not {"script", "link", "img", "iframe", "object"} & set(read.tags)
    for word in ("http:", "https:", "@import", "@font-face", "xmlns", "<?xml", "<!DOCTYPE svg"):
        assert word not in text


def test_table_links_to_every_section(text):
    read = Reader(text)
    sections = [name for name in read.ids if name.startswith("claim-")]
    assert [link[1:] for link in read.links if link.startswith("#claim-")] == sections
    assert len(sections) == 4


def test_page_tells_everything_of_a_claim_and_escapes_it(text):
    words = " ".join(" ".join(Reader(text).words).split())
    for told in (
        *("Title of he", "a < b & <script>x</script>", "He 2015, <eq> 10", "rows B3, C4", "a note"),
        *("forward <law>", "worst gap & more", "Draws networks & measures them."),
        *("gap −0.0081", "over inf", "he-factor: verified", "1. x < y 2. done"),
        *("2 of 4 claims as expected", "Seed 7", "device cpu", "varprop verify --only he"),
        *("✗ undecided", "✗ unproved", "fails step 2 does not hold"),
    ):
        assert told in words
    assert "stopped" not in words


def test_a_stopped_run_says_so():
    words = " ".join(Reader(page([outcome()], Settings(), ["a", "b"])).words)
    assert "The run was stopped. Not finished: a, b." in words


def test_the_same_results_give_the_same_bytes():
    made = outcome()
    slower = dataclasses.replace(made, seconds=99.0)
    assert page([made], Settings()) == page([slower], Settings())
    other = outcome(series=(FLAT._replace(measured=(1.1, 0.9, 1.2)),))
    assert page([made], Settings()) != page([other], Settings())


def test_plot_takes_the_colour_of_the_page_and_brings_its_letters():
    made = svg(outcome().evidence[0], "p1")
    assert "stroke: currentColor" in made
    assert "#010203" not in made
    assert "<text" not in made
    assert made.startswith('<svg role="img" aria-label="forward &lt;law&gt;"')


def axes_of(*series):
    axes = Figure().subplots()
    draw(axes, Evidence("e", CONFIRMED, "", series=series, axes=("depth", "q")))
    return axes


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ((1.0, 11.0), "log"),
        ((1.0, 9.0), "linear"),
        ((-1.0, 100.0), "linear"),
        ((0.0, 100.0), "linear"),
        ((1.0, math.inf), "linear"),
        ((math.nan, math.nan), "linear"),
    ],
)
def test_axis_is_logarithmic_where_positive_and_wide(values, scale):
    assert axes_of(Series("s", (1, 2), None, values)).get_yscale() == scale
    assert axes_of(Series("s", (1, 2), values, (2.0, 2.0))).get_yscale() == scale


def test_plot_has_the_predicted_line_the_points_and_their_bounds():
    axes = axes_of(FLAT, Series("no theory", (1, 2), None, (1.0, 1.0)))
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("depth", "q")
    line, points, bare = axes.get_lines()
    assert (line.get_linestyle(), points.get_linestyle()) == ("-", "None")
    assert list(line.get_ydata()) == list(FLAT.predicted)
    assert list(points.get_ydata()) == list(FLAT.measured)
    assert points.get_color() == line.get_color() != bare.get_color()
    (bars,) = axes.collections
    assert [list(bar[:, 1]) for bar in bars.get_segments()] == [[0.8, 1.4], [0.6, 1.2], [0.7, 1.3]]
    assert [item.get_text() for item in axes.get_legend().get_texts()] == ["he", "no theory"]


def test_one_point_shows_its_prediction_and_no_tick_between_layers():
    axes = axes_of(Series("q", (3,), (1.0,), (1.1,)))
    assert axes.get_lines()[0].get_marker() == "_"
    low, high = axes.get_xlim()
    assert [tick for tick in axes.get_xticks() if low <= tick <= high] == [3]
    assert axes.get_legend() is None, "the axis already says so"


def test_many_points_get_a_band():
    x = tuple(range(60))
    many = Series("s", x, None, (1.0,) * 60, (0.9,) * 60, (1.2,) * 60)
    (band,) = axes_of(many).collections
    low, high = band.get_paths()[0].vertices[:, 1].min(), band.get_paths()[0].vertices[:, 1].max()
    assert (low, high) == (0.9, 1.2)


@pytest.mark.parametrize(
    "wild",
    [
        (1.0, math.inf, math.nan, 1e3),
        (1.0, 1e150, 1e249, 1e308),
        (1e-310, 1e-240, 1.0, 1e240),
        (-1e308, 0.0, 1.0, 1e308),
        (math.nan,) * 4,
    ],
)
def test_what_overflows_is_a_gap_and_no_warning(wild):
    x = (1, 2, 3, 40)
    series = Series("s", x, wild, wild, (-1.0, 0.0, math.nan, 1.0), (math.inf, 1e308, 2.0, 3.0))
    axes = axes_of(series)
    shown = axes.get_lines()[0].get_ydata()
    assert np.isfinite(shown).any() == np.isfinite(wild).any()
    assert axes.get_xlim()[0] < 1 < 40 < axes.get_xlim()[1]
    assert "<path" in svg(Evidence("e", CONFIRMED, "", series=(series,)), "p")
