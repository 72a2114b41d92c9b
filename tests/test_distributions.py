"""What users install: an sdist and a wheel that work in an empty directory, far from here."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("varprop", "derivations")
JUNK = {"__pycache__", ".git", ".venv", "build", "dist"}


def run(*command: object, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done


def wheel_of(source: Path, folder: Path) -> Path:
    """The wheel that pip builds of a tree or an sdist, with what is installed here."""
    quietly = ("--quiet", "--no-deps", "--no-build-isolation", "--no-index")
    run(sys.executable, "-m", "pip", "wheel", *quietly, "-w", folder, source, cwd=ROOT)
    (wheel,) = folder.glob("varprop-*.whl")
    return wheel


def written(*roots: Path) -> set[str]:
    """The files of the repository's folders, as they were written."""
    files = (path.relative_to(ROOT) for root in roots for path in root.rglob("*") if path.is_file())
    return {str(file) for file in files if not JUNK & set(file.parts)}


@pytest.fixture(scope="module")
def sdist(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sdist")
    run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", folder, cwd=ROOT)
    (archive,) = folder.glob("varprop-*.tar.gz")
    return archive


@pytest.fixture(scope="module")
def wheel(sdist, tmp_path_factory) -> Path:
    """Built from the sdist, not from the repository: what the one lacks, the other does."""
    return wheel_of(sdist, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def site(wheel, tmp_path_factory) -> Path:
    site = tmp_path_factory.mktemp("site")
    zipfile.ZipFile(wheel).extractall(site)
    return site


def test_the_wheel_has_the_files_of_both_packages_and_no_more(site):
    own = {str(p.relative_to(site)) for p in site.rglob("*") if p.is_file()}
    own = {name for name in own if ".dist-info" not in name}
    assert own == written(*(ROOT / package for package in PACKAGES))
    needed = {"varprop/py.typed", "varprop/guide/prove.md", "varprop/reference/build.py"}
    assert needed | {"varprop/reference/templates/index.html.jinja2"} <= own


def test_the_sdist_has_what_tests_figures_and_studies_need(sdist):
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    top = {name.partition("/")[0] for name in names}
    pages = {"README.md", "CHANGELOG.md", "CITATION.cff", "LICENSE", "pyproject.toml"}
    folders = {*PACKAGES, "tests", "figures", "benchmarks", ".ci"}
    assert top == pages | folders | {"constraints.txt", "PKG-INFO", ".gitignore"}
    assert {name for name in written(ROOT / "tests") if name.endswith(".py")} <= names
    assert not [name for name in names if JUNK & set(name.split("/")) or name.endswith(".pyc")]


def test_it_runs_from_an_empty_directory(site, tmp_path):
    code = "import varprop, derivations; print(varprop.__file__); print(derivations.__file__)"
    here = {"cwd": tmp_path, "PYTHONPATH": str(site)}
    for file in run(sys.executable, "-c", code, **here).stdout.splitlines():
        assert Path(file).is_relative_to(site)
    assert run(sys.executable, "-m", "varprop", "verify", "--list", **here).stdout.strip()
    assert not list(tmp_path.iterdir()), "listing the claims writes no files"


def test_it_declares_the_command_and_the_plugin(site, tmp_path):
    code = (
        "from importlib.metadata import distribution; import sys; "
        "d = distribution('varprop'); print(d.locate_file('')); "
        "(e,) = d.entry_points.select(group='console_scripts'); print(e.name, callable(e.load())); "
        "(e,) = d.entry_points.select(group='pytest11'); print(e.name, e.load().__name__)"
    )
    told = run(sys.executable, "-c", code, cwd=tmp_path, PYTHONPATH=str(site)).stdout
    where, command, plugin = told.splitlines()
    assert Path(where) == site
    assert command == "varprop True"
    assert plugin == "varprop varprop.pytest_plugin"


THEIRS = """
import varprop as vp

def test_kept(matches_theory):
    report = matches_theory(vp.mlp(width=64, depth=3))
    assert report.verdict == "CONFIRMED"
"""


def environment(folder: Path, archive: Path) -> Path:
    """A fresh environment with the archive installed, and this one's packages behind it."""
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder.parent)
    python = folder / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps")
    packages = run(
        python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder
    ).stdout.strip()
    behind = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    Path(packages, "behind.pth").write_text("\n".join(sorted(behind)) + "\n")
    run(*pip, "--no-index", "--no-build-isolation", archive, cwd=folder.parent, PYTHONPATH="")
    return folder / "bin"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sdist", "wheel"])
def test_installed_in_a_fresh_environment_it_passes_the_quick_ledger(kind, request, tmp_path):
    """The quick ledger: `varprop verify` with its default profile, and no source in sight."""
    bin = environment(tmp_path / "venv", request.getfixturevalue(kind))
    empty = tmp_path / "empty"
    empty.mkdir()
    here = {"cwd": empty, "PYTHONPATH": ""}
    found = run(bin / "python", "-c", "import varprop; print(varprop.__file__)", **here).stdout
    assert Path(found.strip()).is_relative_to(tmp_path / "venv")
    assert "verify" in run(bin / "varprop", "--help", **here).stdout
    assert "verified" in run(bin / "varprop", "derive", "he-factor-two", **here).stderr
    assert not list(empty.iterdir())
    asked = () if kind == "wheel" else ("--only", "he-*")  # once is enough for the whole ledger
    run(bin / "varprop", "verify", *asked, **here)
    assert sorted(path.name for path in empty.iterdir()) == ["ledger.html", "ledger.json"]


@pytest.mark.slow
def test_the_plugin_serves_a_suite_elsewhere(wheel, tmp_path):
    bin = environment(tmp_path / "venv", wheel)
    suite = tmp_path / "test_theirs.py"
    suite.write_text(THEIRS)
    told = run(bin / "python", "-m", "pytest", "-q", suite, cwd=tmp_path, PYTHONPATH="").stdout
    assert "1 passed" in told
