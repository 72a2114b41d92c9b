"""README.md is executed: its Python blocks print what it shows, and CI runs its two commands."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.pages import fenced_blocks, orphans, run_blocks

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
FIRST_SCREEN = 50  # lines


def ci_command(name: str, readme: Path = README) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(ROOT / ".ci" / "run"), "--print", name, str(readme)], capture_output=True, text=True
    )


@pytest.fixture
def readme() -> str:
    assert README.is_file(), f"{README} is missing; the package's front page is tested code"
    return README.read_text(encoding="utf-8")


def test_python_blocks_print_what_the_page_shows(readme, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    assert any(block.language == "python" for block in fenced_blocks(readme))
    complaints = run_blocks(readme, "README.md")
    assert not complaints, "\n\n".join(complaints)


def test_every_shown_output_has_a_python_block(readme):
    found = orphans(readme)
    assert not found, f"README.md: text blocks at lines {found} follow no python block"


@pytest.mark.parametrize("name, must_contain", [("verify", "varprop verify"), ("test", "pytest")])
def test_ci_command_stands_on_the_first_screen(readme, name, must_contain):
    found = ci_command(name)
    assert found.returncode == 0, found.stderr
    assert must_contain in found.stdout
    assert "-c constraints.txt" in found.stdout, "CI must install the tested versions"
    marker = f"<!-- ci: {name} -->"
    line = readme[: readme.index(marker)].count("\n") + 1
    assert line <= FIRST_SCREEN, f"README.md:{line}: {marker} belongs on the first screen"


PAGE = """# Page
```python
x = 1
print(x + 1)
```
```text
2
```
words
```python
print(x)
```
"""


def test_blocks_share_a_namespace_and_undeclared_output_is_a_complaint():
    (complaint,) = run_blocks(PAGE, "page.md")
    assert complaint == "page.md:11: this block printed\n1\nbut the page shows\n(no text block)"


def test_a_changed_number_is_a_complaint():
    complaints = run_blocks(PAGE.replace("```text\n2", "```text\n3"), "page.md")
    assert complaints[0] == "page.md:3: this block printed\n2\nbut the page shows\n3\n"


def test_ci_joins_the_lines_of_a_block_so_that_a_failing_one_stops_it(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("<!-- ci: verify -->\n\n```bash\na && b\n# words\nc \\\n  d\ne\n```\n")
    assert ci_command("verify", page).stdout == "a && b &&\nc \\\n  d &&\ne\n"


def test_ci_says_what_marker_is_missing(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("```bash\necho\n```\n")
    missing = ci_command("verify", page)
    assert missing.returncode == 1
    assert "no ```bash block after <!-- ci: verify -->" in missing.stderr
