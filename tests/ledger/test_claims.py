"""The ledger as a whole: every claim has a proof, every source row a claim, every verdict holds."""

import pytest

import derivations
from varprop.ledger import Settings, claims
from varprop.ledger.run import run_claim

ROWS = {"A1", "A2", "A3", "A4", "A5", "A6", "B1", "B2", "B3", "B4", "B5", "B8"}
ROWS |= {f"C{i}" for i in range(1, 8)} | {f"E{i}" for i in range(1, 7)}
CLAIMS = {claim.name: claim for claim in claims()}


def test_names_differ():
    assert len(CLAIMS) == len(claims())


@pytest.mark.parametrize("name", CLAIMS)
def test_a_claim_has_a_proof_and_experiments(name):
    claim = CLAIMS[name]
    assert claim.derivation in derivations.CATALOGUE
    assert claim.experiments and claim.statement and claim.source


def test_every_source_row_has_a_claim():
    assert {row for claim in claims() for row in claim.rows} >= ROWS


def test_every_proof_serves_a_claim_or_another_proof():
    lemmas = {
        "conditional-gaussian", "conditional-haar", "price-theorem", "random-kernel-of-pairs",
        "riccati-recurrence", "truncated-moments", "unit-scale-linear",
    }  # fmt: skip
    assert set(derivations.CATALOGUE) - {c.derivation for c in claims()} <= lemmas


@pytest.mark.slow
@pytest.mark.parametrize("name", CLAIMS)
def test_a_claim_gets_its_verdict_under_any_seed(name, seed):
    outcome = run_claim(CLAIMS[name], Settings(seed=seed))
    assert outcome.as_expected, [e.summary for e in outcome.evidence]
