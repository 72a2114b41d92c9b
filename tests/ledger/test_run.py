"""Running claims, and what the table and the JSON say of it."""

import dataclasses
import io
import json
import math
from functools import partial

import numpy as np
import pytest

from varprop.ledger.claim import Claim, Evidence, Series, Settings
from varprop.ledger.run import LedgerError, experiment_name, experiment_text, run, run_claim
from varprop.ledger.table import deciding, finding, status, summary, table, to_json, write
from varprop.stats import Verdict, studentized_test

CONFIRMED, REFUTED, UNDECIDED = Verdict.CONFIRMED, Verdict.REFUTED, Verdict.UNDECIDED


class Proof:
    """Stands for a derivation: "wrong" fails."""

    def __init__(self, name):
        if name == "unknown":
            raise ValueError("no derivation is called 'unknown'")
        self.name = name

    def text(self):
        return f"text of {self.name}"

    def verify(self):
        if self.name == "wrong":
            raise AssertionError("step 2 does not hold:\n  1 is not 0")


@pytest.fixture(autouse=True)
def proofs(monkeypatch):
    monkeypatch.setattr("derivations.derive", Proof)


def gives(verdict, name="stub", **fields):
    return lambda settings: Evidence(name, verdict, f"it is {verdict}", **fields)


def claim(name="he", *experiments, **fields):
    return Claim(
        **{"name": name, "title": f"T {name}", "statement": "S", "source": "Somebody 2015"}
        | {"derivation": "right", "experiments": experiments or (gives(CONFIRMED),)}
        | fields
    )


def raises(settings):
    raise ZeroDivisionError("nothing drawn")


def draws_of(settings):
    """Draws one number."""
    value = np.random.default_rng(settings.seed).normal()
    return Evidence("draw", CONFIRMED, "drew", {"value": value, "draws": settings.draws(10)})


@pytest.mark.parametrize(
    ("verdicts", "expected", "as_expected"),
    [
        ([CONFIRMED, CONFIRMED], CONFIRMED, True),
        ([CONFIRMED, REFUTED], REFUTED, True),
        ([CONFIRMED, REFUTED], CONFIRMED, False),
        ([CONFIRMED, UNDECIDED], CONFIRMED, False),
        ([UNDECIDED, REFUTED], REFUTED, True),
    ],
)
def test_verdict_is_the_overall_one_and_is_compared_with_the_expected(
    verdicts, expected, as_expected
):
    outcome = run_claim(claim("he", *map(gives, verdicts), expected=expected), Settings())
    assert [item.verdict for item in outcome.evidence] == verdicts
    assert outcome.as_expected is as_expected
    assert outcome.proved
    assert outcome.proof == "text of right"
    assert outcome.failure == ""
    assert deciding(outcome).verdict is outcome.verdict


def test_a_failing_proof_is_an_outcome_and_never_as_expected():
    outcome = run_claim(claim(derivation="wrong"), Settings())
    assert outcome.verdict is CONFIRMED
    assert not outcome.proved
    assert not outcome.as_expected
    assert outcome.failure == "AssertionError: step 2 does not hold: 1 is not 0"
    assert outcome.proof == "text of wrong"
    assert status(outcome) == "unproved"
    assert "step 2" in finding(outcome)


def test_a_test_that_refuses_its_sample_leaves_the_claim_undecided():
    def skewed(settings):
        studentized_test(np.array([0.0] * 299 + [1.0]), 0.0, 1e-6)

    outcome = run_claim(claim("he", skewed), Settings())
    assert outcome.verdict is UNDECIDED and not outcome.as_expected
    assert "Use at least" in outcome.evidence[0].summary


def test_seconds_cover_the_proof_and_the_experiments(monkeypatch):
    ticks = iter([10.0, 12.5])
    monkeypatch.setattr("varprop.ledger.run.perf_counter", lambda: next(ticks))
    assert run_claim(claim(), Settings()).seconds == 2.5


def value(outcomes, name):
    (found,) = [o.evidence[0].figures["value"] for o in outcomes if o.claim.name == name]
    return found


def test_a_claim_draws_the_same_numbers_alone_and_among_others():
    many = [claim(name, draws_of) for name in ("a", "b", "c")]
    together, alone = list(run(many, Settings(5))), list(run(many[1:2], Settings(5)))
    assert value(together, "b") == value(alone, "b")
    assert len({value(together, name) for name in "abc"}) == 3
    assert value(run(many[1:2], Settings(6)), "b") != value(alone, "b")


def test_experiments_get_the_device_and_the_scale():
    seen = []
    run_claim(claim("he", lambda s: seen.append(s) or draws_of(s)), Settings(0, "cpu", 4.0))
    assert (seen[0].device, seen[0].draws(10)) == ("cpu", 40)


def test_run_yields_each_outcome_before_the_next_claim_begins():
    begun = []
    outcomes = run(
        [claim("a"), claim("b", draws_of, raises), claim("c")],
        Settings(),
        lambda c, *at: begun.append(at),
    )
    assert next(outcomes).claim.name == "a"
    assert begun == [(1, 3)]
    with pytest.raises(LedgerError, match=r"^claim 'b': experiment 2 \(raises\): ZeroDiv.*: no"):
        next(outcomes)
    assert begun == [(1, 3), (2, 3)]


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (claim("he", partial(raises)), "claim 'he': experiment 1 (raises): ZeroDivisionError"),
        (claim("he", derivation="unknown"), "claim 'he': derivation 'unknown': ValueError: no der"),
        (claim("he", experiments=()), "claim 'he' has no experiment"),
    ],
)
def test_a_claim_that_cannot_be_run_is_named(broken, message):
    with pytest.raises(LedgerError) as caught:
        run_claim(broken, Settings())
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_two_claims_of_one_name_are_refused_before_anything_runs():
    with pytest.raises(LedgerError, match="distinct names; used more than once: he"):
        next(run([claim("he"), claim("a"), claim("he")], Settings()))


def test_experiments_are_named_and_described_through_partial():
    assert experiment_name(partial(partial(draws_of))) == "draws_of"
    assert experiment_text(partial(draws_of)) == "Draws one number."
    assert experiment_text(raises) == ""


@pytest.mark.parametrize(
    "series",
    [
        Series("s", (1, 2), None, (1.0,)),
        Series("s", (1, 2), (1.0, 1.0), (1.0, 1.0), low=(0.0,)),
        Series("s", (), None, ()),
        Series("s", (1, math.nan), None, (1.0, 1.0)),
    ],
)
def test_a_series_needs_one_value_for_every_x(series):
    with pytest.raises(ValueError, match="series 's' of 'e' has columns of lengths"):
        Evidence("e", CONFIRMED, "", series=(series,))


def mixed():
    """One claim of each status."""
    numbers = Series("s", (1, 2), None, (1.0, math.inf), (0.5, math.nan), (2.0, 3.0))
    figures = {"gap": np.float64(0.5), "draws": np.int64(3), "none": math.nan, "over": -math.inf}
    many = [
        claim("good", gives(CONFIRMED, figures=figures, series=(numbers,)), rows=("B3", "C4")),
        claim("bad", gives(CONFIRMED), gives(REFUTED, "second")),
        claim("open", gives(UNDECIDED), expected=REFUTED, note="σ² of n"),
        claim("loose", derivation="wrong"),
    ]
    return list(run(many, Settings(7, "cpu")))


def test_summary_counts_and_names_what_is_not_as_expected():
    line = summary([dataclasses.replace(outcome, seconds=0.5) for outcome in mixed()])
    assert line.split("; ") == [
        "1 of 4 claims as expected",
        "1 contradicted: bad",
        "1 unproved: loose",
        "1 undecided: open",
        "2.0 s",
    ]
    assert summary([]) == "0 of 0 claims as expected; 0.0 s"


@pytest.mark.parametrize("width", [70, 140])
def test_table_shows_every_claim_and_marks_the_unexpected(width):
    from rich.console import Console

    file = io.StringIO()
    Console(file=file, width=width).print(table(mixed()))
    lines = file.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    words = [line.split() for line in lines]
    first = {two[1]: two for two in words if two[1:] and two[0] in "✓✗"}
    assert tuple(first) == ("good", "bad", "open", "loose")
    assert [two[0] for two in first.values()] == ["✓", "✗", "✗", "✗"]
    assert first["good"][2:] == ["(B3", "C4)", "CONFIRMED", "CONFIRMED", "yes", "0.0"]
    assert first["open"][2:5] == ["REFUTED", "UNDECIDED", "yes"]
    assert first["loose"][-2] == "NO"
    text = " ".join(" ".join(lines).split())
    for told in ("T good", "it is REFUTED", "proof fails: AssertionError: step 2"):
        assert told in text


def test_json_holds_every_number_and_null_for_what_is_not_finite():
    outcomes = mixed()
    content = json.loads(to_json(outcomes, Settings(7, "cpu")), parse_constant=pytest.fail)
    assert content["schema"] == 1
    assert content["settings"] == {"seed": 7, "device": "cpu", "scale": 1.0}
    assert set(content["versions"]) == {"varprop", "torch", "numpy", "sympy", "python"}
    assert content["summary"] == {
        "claims": 4,
        "as_expected": 1,
        "contradicted": 1,
        "unproved": 1,
        "undecided": 1,
    }
    assert (content["complete"], content["missing"]) == (True, [])
    good, bad, undecided, loose = content["claims"]
    for told, outcome in zip(content["claims"], outcomes, strict=True):
        own = outcome.claim
        for name in ("name", "title", "statement", "source", "note", "derivation", "expected"):
            assert told[name] == getattr(own, name)
        assert told["rows"] == list(own.rows)
        for name in ("verdict", "proved", "as_expected", "proof", "failure"):
            assert told[name] == getattr(outcome, name)
        assert told["seconds"] == pytest.approx(outcome.seconds, abs=1e-3)
    assert good["evidence"] == [
        {
            "name": "stub",
            "verdict": "CONFIRMED",
            "summary": "it is CONFIRMED",
            "figures": {"gap": 0.5, "draws": 3, "none": None, "over": None},
            "axes": ["layer", "second moment"],
            "series": [
                {"label": "s", "x": [1, 2], "predicted": None, "measured": [1.0, None]}
                | {"low": [0.5, None], "high": [2.0, 3.0]}
            ],
        }
    ]
    assert isinstance(good["evidence"][0]["figures"]["draws"], int)
    assert [item["name"] for item in bad["evidence"]] == ["stub", "second"]
    assert undecided["note"] == "σ² of n"
    assert not loose["proved"]


def test_json_of_a_stopped_run_names_what_is_missing():
    content = json.loads(to_json(mixed()[:1], Settings(), ["bad", "open"]))
    assert (content["complete"], content["missing"]) == (False, ["bad", "open"])


def test_json_gives_the_seed_that_reruns_a_claim():
    (outcome,) = run([claim("he", draws_of)], Settings(3))
    seed = json.loads(to_json([outcome], Settings(3)))["claims"][0]["seed"]
    assert draws_of(Settings(seed)).figures == outcome.evidence[0].figures


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_write_leaves_the_old_file_when_it_fails(tmp_path, monkeypatch, step):
    path = tmp_path / "ledger.json"
    write(path, "old σ")

    def full(*_):
        raise OSError("no space left")

    monkeypatch.setattr(f"os.{step}", full)
    with pytest.raises(OSError, match="no space left"):
        write(path, "new")
    assert path.read_text(encoding="utf-8") == "old σ"
    assert list(tmp_path.iterdir()) == [path]
    monkeypatch.undo()
    write(path, "new")
    assert path.read_text() == "new"
