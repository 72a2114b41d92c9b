"""What users import: a light facade whose names resolve, and metadata that agree."""

from __future__ import annotations

import ast
import inspect
import os
import re
import subprocess
import sys
import tomllib
import typing
from pathlib import Path

import pytest
import yaml

import varprop

ROOT = Path(__file__).resolve().parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
HEAVY = {"matplotlib", "numpy", "pandas", "rich", "scipy", "statsmodels", "sympy", "torch"}


def run_python(*args: str, cwd: Path, path: Path) -> str:
    done = subprocess.run(
        [sys.executable, *args],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"python {' '.join(args)}\n{done.stdout}{done.stderr}"
    return done.stdout


def requirement_names(requirements: list[str]) -> set[str]:
    return {re.split(r"[^\w.-]", requirement, maxsplit=1)[0] for requirement in requirements}


def test_importing_the_package_loads_no_dependency(tmp_path):
    code = "import sys, varprop; print(sorted({name.partition('.')[0] for name in sys.modules}))"
    loaded = ast.literal_eval(run_python("-c", code, cwd=tmp_path, path=ROOT))
    assert "varprop" in loaded
    assert not HEAVY & set(loaded)


def test_the_guarded_dependencies_are_all_there_are():
    assert requirement_names(PYPROJECT["project"]["dependencies"]) == HEAVY


@pytest.mark.parametrize("name", varprop.__all__)
def test_public_name_resolves(name):
    assert getattr(varprop, name) is getattr(varprop, name)
    assert name in dir(varprop)


def test_public_names_are_unique():
    assert len(set(varprop.__all__)) == len(varprop.__all__)


def test_unknown_name_is_an_attribute_error_naming_it():
    with pytest.raises(AttributeError, match="no_such_name"):
        varprop.no_such_name  # noqa: B018


def test_every_module_has_a_row_in_the_import_contract():
    contracts = PYPROJECT["tool"]["importlinter"]["contracts"]
    (layers,) = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    placed = set(re.findall(r"varprop\.(\w+)", " ".join(layers)))
    present = {
        path.stem
        for path in (ROOT / "varprop").iterdir()
        if path.suffix == ".py" or any(path.glob("*.py"))
    }
    assert present - {"__init__", "__main__"} <= placed


def test_every_dependency_has_a_pinned_tested_version():
    project = PYPROJECT["project"]
    asked = requirement_names(
        sum(project["optional-dependencies"].values(), list(project["dependencies"]))
    )
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", pin) for pin in pins)
    assert asked <= requirement_names(pins)


def test_every_page_states_the_same_version_and_terms():
    project = PYPROJECT["project"]
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert cited["cff-version"] == "1.2.0"
    assert cited["version"] == project["version"] == varprop.__version__
    assert cited["title"] == project["name"]
    assert cited["license"] == project["license"]
    assert cited["authors"] == project["authors"]
    assert cited["keywords"] == project["keywords"]
    assert {"message", "type", "abstract"} <= set(cited)
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = changes[changes.index("\n## [") :].partition("\n### ")[0]
    assert project["version"] in newest


def test_no_public_name_is_hidden_by_a_module_of_the_same_name():
    """Importing a subpackage binds its name on the package, over the lazily loaded object."""
    modules = {path.stem for path in Path(varprop.__file__).parent.iterdir()}
    assert not modules & (set(varprop.__all__) - {"init"})


def returned(hint):
    """The classes of varprop in a type hint."""
    if inspect.isclass(hint) and hint.__module__.startswith("varprop"):
        yield hint
    for inner in typing.get_args(hint):
        yield from returned(inner)


def test_what_public_functions_return_is_public():
    public = [getattr(varprop, name) for name in varprop.__all__]
    functions = [value for value in public if inspect.isfunction(value)]
    assert len(functions) > 20
    hidden = {
        kind.__name__
        for function in functions
        for kind in returned(typing.get_type_hints(function).get("return"))
        if kind not in public
    }
    assert not hidden
