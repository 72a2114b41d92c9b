"""Every public name stands in one theme and says what it is."""

from __future__ import annotations

import inspect
import sys
from collections import Counter
from importlib import import_module

import pytest

import varprop
from varprop.reference.__main__ import main
from varprop.reference.text import docstring_html
from varprop.reference.themes import MODULES, THEMES


def members(kind: type):
    """(name, docstring) of the methods and properties that a class defines for its users."""
    for name, value in vars(kind).items():
        function = getattr(value, "__func__", None) or getattr(value, "fget", None)
        function = function or getattr(value, "func", value)
        if not name.startswith("_") and inspect.isfunction(function):
            yield name, inspect.getdoc(getattr(kind, name)) or inspect.getdoc(function)


def undocumented(kind: type) -> list[str]:
    return [name for name, docstring in members(kind) if not docstring]


def test_every_public_name_stands_in_one_theme():
    placed = Counter(name for theme in THEMES for name in theme.names)
    assert placed == Counter(varprop.__all__)


def test_public_modules_have_pages():
    public = [name for name in varprop.__all__ if inspect.ismodule(getattr(varprop, name))]
    assert {f"varprop.{name}" for name in public} <= set(MODULES)
    assert all(import_module(name).__doc__ for name in MODULES.values())


@pytest.mark.parametrize("name", varprop.__all__)
def test_public_name_and_its_members_are_documented(name):
    value = getattr(varprop, name)
    assert inspect.getdoc(value), f"{name} has no docstring"
    if inspect.isclass(value):
        assert value.__doc__ != inspect.getdoc(object), f"{name} has no docstring of its own"
        assert undocumented(value) == []


@pytest.mark.parametrize("module", sorted(set(MODULES.values())))
def test_public_functions_of_a_module_are_documented(module):
    page = import_module(module)
    public = [getattr(page, name) for name in getattr(page, "__all__", vars(page))]
    for value in public:
        if inspect.isfunction(value) or (inspect.isclass(value) and value.__module__ == module):
            assert inspect.getdoc(value) or value.__name__.startswith("_"), value.__name__


def test_a_member_without_docstring_is_named():
    class Plain:
        def explained(self):
            """Yes."""

        def bare(self): ...

        @property
        def value(self): ...

    assert undocumented(Plain) == ["bare", "value"]


def test_errors_are_named_where_arguments_are_checked():
    """A function that refuses arguments says so: a `raise ValueError` of its own is documented."""
    functions = [getattr(varprop, name) for name in varprop.__all__]
    functions = [f for f in functions if inspect.isfunction(f)]
    raising = [f for f in functions if "raise ValueError" in inspect.getsource(f)]
    assert len(raising) > 5
    assert [f.__name__ for f in raising if "Raises" not in inspect.getdoc(f)] == []


def test_without_pdoc_the_command_says_what_installs_it(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "pdoc", None)
    monkeypatch.delitem(sys.modules, "varprop.reference.build", raising=False)
    assert main(["--out", str(tmp_path)]) == 1
    told = capsys.readouterr()
    assert told.err == "varprop.reference needs pdoc: pip install 'varprop[docs]'\n"
    assert told.out == "" and not list(tmp_path.iterdir())


def test_prose_flows_and_columns_stand():
    text = "One `line`\nand < more.  Next.\n\n    E z = 0\n    E y = 1\n\na    b\nccc  d"
    prose, equation, columns = docstring_html(text).split("\n\n")
    assert prose == "<p>One <code>line</code> and &lt; more. Next.</p>"
    assert equation == "<pre>E z = 0\nE y = 1</pre>"
    assert columns == "<pre>a    b\nccc  d</pre>"
