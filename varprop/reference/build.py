"""Pages by pdoc: those of the guide, then the public names by theme.

pdoc reads signatures, annotations and docstrings; what is set here is the order of the names, which
its templates take from `themes`, and that docstrings are plain text.
"""

import re
from collections.abc import Iterator
from importlib import import_module, resources
from pathlib import Path
from types import ModuleType

import pdoc.doc
import pdoc.render
from jinja2 import pass_context
from jinja2.runtime import Context
from pdoc import render_helpers

import varprop
from varprop.moments import NOTATION
from varprop.reference.text import docstring_html, inline_html
from varprop.reference.themes import GUIDE, MODULES, THEMES

HERE = Path(__file__).parent
FACADE = re.compile(r'\bvp(?:</span><span class="o">)?\.(?:</span><span class="n">)?(\w+)')


def build(folder: Path) -> Path:
    """Write the pages into `folder` (made if absent); returns the first one, index.html."""
    pages = {page.fullname: page for page in [*_guide(), *_reference()]}
    pdoc.render.configure(template_directory=HERE / "templates", show_source=False)
    pdoc.render.env.filters.update(link=link, link_facade=link_facade)
    pdoc.render.env.globals.update(
        themes=THEMES,
        guide={name: title_of(pages[f"guide.{name}"].docstring) for name in GUIDE},
        modules=MODULES,
        aliases={module: alias for alias, module in MODULES.items()},
        heads=_heads(),
        notation=NOTATION,
        summary=_summary,
        version=varprop.__version__,
    )
    for name, page in pages.items():
        _write(folder / f"{name.replace('.', '/')}.html", pdoc.render.html_module(page, pages))
    _write(folder / "search.js", pdoc.render.search_index(pages))
    index = folder / "index.html"
    _write(index, pdoc.render.html_index(pages))
    return index


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def guide_text(name: str) -> str:
    """The Markdown of a page of the guide."""
    return (resources.files("varprop") / "guide" / f"{name}.md").read_text(encoding="utf-8")


def title_of(text: str) -> str:
    """The first line of a page, which is its heading."""
    return text.partition("\n")[0].lstrip("# ")


def _guide() -> Iterator[pdoc.doc.Module]:
    for name in GUIDE:
        page = ModuleType(f"guide.{name}", guide_text(name).replace(".md)", ".html)"))
        page.__dict__["__all__"] = []
        yield pdoc.doc.Module(page)


def _reference() -> Iterator[pdoc.doc.Module]:
    for name in varprop.__all__:
        getattr(varprop, name)  # the facade loads names on first use; pdoc reads its dictionary
    for name in ("varprop", *MODULES.values()):
        page = pdoc.doc.Module(import_module(name))
        for entry in (page, *_below(page)):
            entry.docstring = docstring_html(entry.docstring)
        yield page


def _below(space: pdoc.doc.Namespace) -> Iterator[pdoc.doc.Doc]:
    for member in space.members.values():
        if not isinstance(member, pdoc.doc.Module):
            yield member
            if isinstance(member, pdoc.doc.Class):
                yield from _below(member)


def _heads() -> dict[str, str]:
    """The docstring of each module that has more than a line, for the first of its names; and of
    the modules of a theme, for its title."""
    heads, told = {}, set()
    for theme in THEMES:
        heads[theme.title] = "".join(docstring_html(_docstring(name)) for name in theme.modules)
        for name in theme.names:
            place = getattr(getattr(varprop, name), "__module__", "varprop")
            docstring = _docstring(place)
            if "\n" in docstring and place != "varprop" and place not in told:
                told.add(place)
                heads[name] = docstring_html(docstring)
    return heads


def _docstring(module: str) -> str:
    return (import_module(module).__doc__ or "").strip()


def _summary(name: str) -> str:
    """The first paragraph of the docstring of a public name."""
    docstring = getattr(varprop, name).__doc__ or ""
    return inline_html(docstring.partition("\n\n")[0])


@pass_context
def link(context: Context, place: tuple[str, str], text: str | None = None) -> str:
    """pdoc's link, to the facade where it has the name: users write varprop.Layer."""
    module, name = place
    if module not in context["all_modules"] and name in varprop.__all__:
        place, text = ("varprop", name), name
    return render_helpers.link(context, place, text)


def link_facade(html: str, up: str) -> str:
    """Link every `vp.name` of a page of the guide to that name's entry."""

    def linked(found: re.Match[str]) -> str:
        if found[1] not in varprop.__all__:
            return found[0]
        return f'<a href="{up}varprop.html#{found[1]}">{found[0]}</a>'

    return FACADE.sub(linked, html)
