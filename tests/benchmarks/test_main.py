"""python -m benchmarks: what was measured is on the disk, whatever comes after."""

import json
import sys
from types import SimpleNamespace

import pytest

from benchmarks import __main__ as command


def test_the_file_is_written_after_each_benchmark(tmp_path, monkeypatch, capsys):
    path, seen = tmp_path / "out.json", []

    def measure(quick):
        seen.append(json.loads(path.read_text()) if path.exists() else None)
        if len(seen) == 3:
            raise RuntimeError("the third breaks down")
        return {"about": "", "rows": [{"n": len(seen)}], "ratios": {}, "notes": []}

    monkeypatch.setattr(command, "import_module", lambda name: SimpleNamespace(measure=measure))
    monkeypatch.setattr(command, "NAMES", ("a", "b", "c"))
    monkeypatch.setattr(command, "environment", lambda: {"cores": 2})
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--quick", "--out", str(path)])
    with pytest.raises(RuntimeError, match="third"):
        command.main()
    assert seen[0] is None and set(seen[1]) == {"environment", "quick", "a"}
    found = json.loads(path.read_text())
    assert found == seen[2] and set(found) == {"environment", "quick", "a", "b"}
    assert found["b"]["rows"] == [{"n": 2}] and found["quick"] is True
    assert [p.name for p in tmp_path.iterdir()] == ["out.json"]
