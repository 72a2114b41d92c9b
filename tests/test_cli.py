"""The command line: exit statuses, the files it leaves, and what it says when it refuses."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from varprop.cli import main
from varprop.ledger.claim import Claim, Evidence
from varprop.stats import Verdict

CONFIRMED, REFUTED, UNDECIDED = Verdict.CONFIRMED, Verdict.REFUTED, Verdict.UNDECIDED
ROOT = Path(__file__).resolve().parent.parent
FILES = ["ledger.html", "ledger.json"]


class Proof:
    """Stands for a derivation: "wrong" fails, "unknown" is not there."""

    def __init__(self, name):
        if name == "unknown":
            raise ValueError("no derivation is called 'unknown'; did you mean right?")
        self.name = name

    def text(self):
        return f"text of {self.name}"

    def verify(self):
        if self.name == "wrong":
            raise AssertionError("wrong, step 2 does not hold:\n  1 is not 0")


def gives(verdict):
    return lambda settings: Evidence(
        "stub", verdict, f"it is {verdict}", {"seed": settings.seed, "scale": settings.scale}
    )


def claim(name, verdict=CONFIRMED, expected=CONFIRMED, rows=(), derivation="right", does=None):
    does = does or gives(verdict)
    return Claim(name, f"Title of {name}", "S", "Somebody", derivation, (does,), rows, expected)


def raises(settings):
    raise ZeroDivisionError("nothing drawn")


def interrupts(settings):
    raise KeyboardInterrupt


GOOD = claim("he-forward", rows=("C4", "B3"))
FOLKLORE = claim("kaiming-factor", REFUTED, REFUTED, ("B4",))
OPEN = claim("open", UNDECIDED)
FALSE = claim("false", REFUTED)
LOOSE = claim("loose", derivation="wrong")
BROKEN = claim("broken", does=raises)
STOPPED = claim("stopped", does=interrupts)


@pytest.fixture
def verify(monkeypatch, tmp_path, capsys):
    """verify(claims, *options) -> status, stdout, stderr, names of the files in `out`."""
    monkeypatch.setattr("derivations.derive", Proof)
    monkeypatch.chdir(tmp_path)

    def call(claims, *options):
        monkeypatch.setattr("varprop.ledger.claims", lambda: tuple(claims), raising=False)
        status = main(["verify", *options])
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return status, said.out, said.err, sorted(path.name for path in tmp_path.iterdir())

    return call


def refusal(said, status=2):
    """The one line on stderr of a call that printed and wrote nothing."""
    got, out, err, files = said
    assert (got, out, files) == (status, "", [])
    (line,) = err.splitlines()
    return line


def saved(tmp_path):
    return json.loads((tmp_path / "ledger.json").read_text())


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        ([GOOD], 0),
        ([GOOD, FOLKLORE], 0),
        ([claim("truly open", UNDECIDED, UNDECIDED)], 0),
        ([GOOD, FALSE], 1),
        ([claim("wrongly refuted", CONFIRMED, REFUTED)], 1),
        ([LOOSE], 1),
        ([claim("loose and open", UNDECIDED, derivation="wrong")], 1),
        ([GOOD, OPEN], 3),
        ([claim("refutation open", UNDECIDED, REFUTED)], 3),
        ([OPEN, FALSE], 1),
        ([OPEN, LOOSE], 1),
    ],
)
def test_exit_status_and_files(verify, tmp_path, claims, status):
    got, out, err, files = verify(claims)
    assert got == status
    assert files == FILES
    assert [told["name"] for told in saved(tmp_path)["claims"]] == [c.name for c in claims]
    assert all(c.title in (tmp_path / "ledger.html").read_text() for c in claims)
    assert all(c.title in out for c in claims)
    fine = saved(tmp_path)["summary"]["as_expected"]
    assert f"\n{fine} of {len(claims)} claims as expected; " in out
    assert "written: ledger.json, ledger.html\n" in err


def test_progress_is_one_plain_line_a_claim(verify):
    lines = verify([GOOD, FALSE, LOOSE])[2].splitlines()
    assert [line.rpartition(" (")[0] for line in lines[:3]] == [
        "[1/3] he-forward: CONFIRMED",
        "[2/3] false: REFUTED, expected CONFIRMED",
        "[3/3] loose: CONFIRMED, proof fails",
    ]


def test_progress_on_a_terminal_names_the_claim_at_work(verify, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    screen, seen = Terminal(), []

    def looks(settings):
        from time import sleep

        sleep(0.3)  # the live line is redrawn ten times a second
        seen.append(screen.getvalue())
        return gives(CONFIRMED)(settings)

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stderr", screen)
    assert verify([GOOD, claim("slow", does=looks)])[0] == 0
    assert "[1/2] he-forward: CONFIRMED" in seen[0]
    assert "[2/2]" not in seen[0]
    last = seen[0].rpartition("1/2")[2]
    assert "slow" in last
    assert "0:00:0" in last


def test_json_is_printed_in_place_of_the_table(verify, tmp_path):
    _, out, _, files = verify([GOOD, FOLKLORE], "--json")
    assert out == (tmp_path / "ledger.json").read_text()
    assert json.loads(out) == saved(tmp_path)
    assert files == FILES


def test_profile_and_seed_reach_the_experiments(verify, tmp_path):
    def figures(*options):
        verify([GOOD], *options)
        return saved(tmp_path)["settings"], saved(tmp_path)["claims"][0]["evidence"][0]["figures"]

    quick, of_quick = figures()
    full, of_full = figures("--profile", "full", "--device", "cpu")
    seeded, of_seeded = figures("--seed", "5")
    assert (quick["seed"], quick["scale"], of_quick["scale"]) == (0, 1, 1)
    assert (full["scale"], of_full["scale"], full["device"]) == (4, 4, "cpu")
    assert of_full["seed"] == of_quick["seed"] != of_seeded["seed"]
    assert seeded["seed"] == 5


def test_only_takes_names_and_rows_and_changes_no_number(verify, tmp_path):
    def numbers(*options):
        verify([GOOD, FOLKLORE, OPEN], *options)
        return {c["name"]: c["evidence"][0]["figures"] for c in saved(tmp_path)["claims"]}

    every = numbers()
    for options, names in [
        (["--only", "he-*"], ["he-forward"]),
        (["--only", "B4"], ["kaiming-factor"]),
        (["--only", "B?"], ["he-forward", "kaiming-factor"]),
        (["--only", "open", "--only", "C4"], ["he-forward", "open"]),
    ]:
        assert numbers(*options) == {name: every[name] for name in names}


def test_out_is_made_and_receives_the_files(verify, tmp_path):
    assert verify([GOOD], "--out", "a/b")[3] == ["a"]
    assert sorted(path.name for path in (tmp_path / "a" / "b").iterdir()) == FILES


def test_list_prints_names_rows_and_titles_and_runs_nothing(verify):
    status, out, err, files = verify([GOOD, FOLKLORE, BROKEN], "--list", "--only", "[!o]*")
    assert (status, err, files) == (0, "", [])
    assert [line.split() for line in out.splitlines()] == [
        ["he-forward", "C4", "B3", "Title", "of", "he-forward"],
        ["kaiming-factor", "B4", "Title", "of", "kaiming-factor"],
        ["broken", "Title", "of", "broken"],
    ]


def test_only_that_matches_nothing_names_close_ones(verify):
    line = refusal(verify([GOOD, FOLKLORE], "--only", "open*", "--only", "B4"))
    assert line == "varprop: --only 'open*' matches no claim; varprop verify --list shows all"
    assert "no claim; close: he-forward;" in refusal(verify([GOOD, FOLKLORE], "--only", "he-fwd*"))
    assert "close: he-forward;" in refusal(verify([GOOD], "--list", "--only", "he_forward"))


def test_absent_and_unknown_devices_are_refused(verify, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert "torch finds no CUDA device; use 'cpu'" in refusal(verify([GOOD], "--device", "cuda"))
    assert "unknown device 'gpu'" in refusal(verify([GOOD], "--device", "gpu"))


def test_a_folder_that_cannot_be_written_is_refused_before_the_run(verify, tmp_path):
    (tmp_path / "ledger.html").mkdir()
    (tmp_path / "file").touch()
    for folder, why in [
        ("file", "--out file: cannot write there (it is a file, and a folder is needed)"),
        ("file/sub", "--out file/sub: cannot write there (Not a directory)"),
        (".", "--out .: ledger.html is a folder there; remove it"),
    ]:
        status, out, err, files = verify([BROKEN], "--out", folder)
        assert (status, out, err) == (2, "", f"varprop: {why}\n")
        assert files == ["file", "ledger.html"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--profile", "slow"], "argument --profile: invalid choice: 'slow'"),
        (["--seed", "-1"], "argument --seed: must be a whole number of at least 0, got '-1'"),
        (["--seed", "x"], "got 'x'"),
        (["--list", "--json"], "not allowed with"),
        (["--what"], "unrecognized arguments: --what"),
    ],
)
def test_usage_errors(verify, options, message):
    status, out, err, files = verify([GOOD], *options)
    assert (status, out, files) == (2, "", [])
    assert message in err.splitlines()[-1]


def test_an_experiment_that_raises_is_one_line_and_no_claim(verify, tmp_path):
    status, out, err, files = verify([BROKEN])
    assert (status, out, files) == (1, "", [])
    assert err.splitlines() == [
        "varprop: claim 'broken': experiment 1 (raises): ZeroDivisionError: nothing drawn",
        "varprop: no claim was finished; nothing was written",
    ]
    status, out, err, files = verify([GOOD, BROKEN, OPEN])
    assert (status, files) == (1, FILES)
    assert "claim 'broken': experiment 1 (raises)" in err
    assert [told["name"] for told in saved(tmp_path)["claims"]] == ["he-forward"]
    assert saved(tmp_path)["missing"] == ["broken", "open"]
    assert "1 of 1 claims as expected" in out
    assert "not finished: broken, open" in out


def test_an_interrupted_run_keeps_what_was_finished(verify, tmp_path):
    status, _, err, files = verify([FALSE, STOPPED, GOOD])
    assert (status, files) == (130, FILES)
    assert "varprop: interrupted\n" in err
    assert not saved(tmp_path)["complete"]
    assert "Not finished: stopped, he-forward" in (tmp_path / "ledger.html").read_text()
    for path in tmp_path.iterdir():
        path.unlink()
    assert verify([STOPPED])[::3] == (130, [])


def test_results_that_cannot_be_saved_leave_no_part_of_a_file(verify, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    status, out, err, files = verify([GOOD])
    assert (status, out, files) == (1, "", [])
    assert "No space left on device" in err.splitlines()[-1]


def test_derive_prints_a_derivation_and_verifies_it(monkeypatch, capsys):
    monkeypatch.setattr("derivations.derive", Proof)
    monkeypatch.setattr("derivations.CATALOGUE", {"right": Proof, "wrong": Proof})
    for argv, status, out, err in [
        (["derive", "right"], 0, "text of right\n", "every step is verified\n"),
        (["derive"], 0, "right\nwrong\n", ""),
        (["derive", "wrong"], 1, "text of wrong\n", "wrong, step 2 does not hold: 1 is not 0\n"),
        (["derive", "unknown"], 2, "", "no derivation is called 'unknown'; did you mean right?\n"),
    ]:
        assert main(argv) == status
        said = capsys.readouterr()
        assert said.out == out
        assert said.err.removeprefix("varprop: ") == err


def test_help_version_and_no_command(capsys):
    import varprop

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"varprop {varprop.__version__}\n"
    assert main(["verify", "--help"]) == 0
    assert "exit status:" in capsys.readouterr().out
    assert main([]) == 2
    assert "required: COMMAND" in capsys.readouterr().err


def shell(command, **environment):
    """Run a command of bash, from the repository."""
    where = {"cwd": ROOT, "env": {**os.environ, **environment}}
    return subprocess.run(["bash", "-c", command], capture_output=True, text=True, **where)


@pytest.mark.parametrize("module", ["varprop", "varprop.cli"])
def test_modules_run_and_help_loads_nothing_heavy(module):
    done = shell(f"{sys.executable} -X importtime -m {module} --help")
    assert done.returncode == 0
    assert "usage: varprop" in done.stdout
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.split("\n")}
    assert "argparse" in loaded
    assert not loaded & {"torch", "numpy", "sympy", "scipy", "matplotlib", "rich", "pandas"}


def test_a_reader_that_has_seen_enough_ends_the_command_quietly():
    assert shell(f"{sys.executable} -m varprop derive | true").stderr == ""


def test_letters_that_the_terminal_lacks_do_not_stop_the_command():
    code = "import varprop.cli as c; c._derive = lambda args: print('σ²'); c.main(['derive'])"
    done = shell(f'{sys.executable} -c "{code}"', PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stdout) == (0, "??\n")


def test_a_plot_that_fails_loses_no_numbers(tmp_path, monkeypatch):
    from varprop.ledger import html

    def broken(*_):
        raise ZeroDivisionError("a plot")

    monkeypatch.setattr(html, "section", broken)
    with pytest.raises(ZeroDivisionError, match="a plot"):
        main(["verify", "--only", "relu-kernel", "--out", str(tmp_path)])
    assert json.loads((tmp_path / "ledger.json").read_text())["claims"]
