"""Docstrings as HTML: they are plain text, whose columns and equations must stay as they are."""

import re
from html import escape
from textwrap import dedent

COLUMNS = re.compile(r"[^\s.?!:] {2,}\S")  # blanks in a row that align, not those after a sentence


def docstring_html(docstring: str) -> str:
    """Paragraphs flow; equations (indented) and columns (aligned) stand as they were written."""
    paragraphs = re.split(r"\n\s*\n", docstring.strip("\n"))
    return "\n\n".join(_paragraph(paragraph) for paragraph in paragraphs if paragraph.strip())


def _paragraph(text: str) -> str:
    lines = text.split("\n")
    aligned = any(line.startswith(" ") for line in lines) or (
        len(lines) > 1 and any(COLUMNS.search(line) for line in lines)
    )
    if aligned:
        return f"<pre>{escape(dedent(text), quote=False)}</pre>"
    return f"<p>{inline_html(text)}</p>"


def inline_html(text: str) -> str:
    """One paragraph of prose, with `names` set as code."""
    flowing = escape(" ".join(text.split()), quote=False)
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", flowing)
