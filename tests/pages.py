"""Pages of Markdown that are run: python blocks print what the page shows below them."""

from __future__ import annotations

import contextlib
import io
import re
from dataclasses import dataclass

FENCE = re.compile(r"^```(?P<language>[\w-]*)[^\n]*\n(?P<body>.*?)^```[ \t]*$", re.M | re.S)


@dataclass(frozen=True)
class Block:
    language: str
    body: str
    line: int  # of its first line of content


def fenced_blocks(text: str) -> list[Block]:
    return [
        Block(m["language"], m["body"], text.count("\n", 0, m.start("body")) + 1)
        for m in FENCE.finditer(text)
    ]


def run_blocks(text: str, filename: str) -> list[str]:
    """Run every python block in one namespace; return one complaint per block that disagrees.

    A python block must print exactly the text block that follows it, and nothing without one.
    """
    blocks = fenced_blocks(text)
    namespace: dict[str, object] = {"__name__": "__main__"}  # dataclasses look their module up
    complaints = []
    for block, following in zip(blocks, [*blocks[1:], None], strict=True):
        if block.language != "python":
            continue
        shown = following.body if following is not None and following.language == "text" else ""
        printed = io.StringIO()
        # Empty lines in front make tracebacks point at the line in the file.
        code = compile("\n" * (block.line - 1) + block.body, filename, "exec")
        with contextlib.redirect_stdout(printed):
            exec(code, namespace)
        if visible(printed.getvalue()) != visible(shown):
            complaints.append(
                f"{filename}:{block.line}: this block printed\n{printed.getvalue()}"
                f"but the page shows\n{shown or '(no text block)'}"
            )
    return complaints


def visible(output: str) -> str:
    """The output without what a reader cannot see: blanks at the ends of lines, final newlines."""
    return "\n".join(line.rstrip() for line in output.splitlines()).rstrip("\n")


def orphans(text: str) -> list[int]:
    """The lines of text blocks that follow no python block: outputs of nothing."""
    blocks = fenced_blocks(text)
    return [
        block.line
        for before, block in zip([None, *blocks], blocks, strict=False)
        if block.language == "text" and (before is None or before.language != "python")
    ]
