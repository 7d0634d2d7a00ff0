"""The retry decision: what becomes of a job, as a pure function."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.recording import FailureCode
from models.retry import Again, Dead, Failure, FailureKind, History, Policy, decide

POLICY = Policy(max_attempts=3, max_losses=2, outage_deadline_s=100, backoff_s=2, backoff_max_s=60)


def failure(kind: FailureKind) -> Failure:
    return Failure(kind, FailureCode.PROCESSING_FAILED, "It failed.")


def verdict(kind: FailureKind, *, immortal: bool = False, **used: float) -> Again | Dead:
    history = History(**{"attempts": 1, "losses": 0, "outages": 0, "outage_s": 0, **used})  # type: ignore[arg-type]
    return decide(failure(kind), history, POLICY, immortal=immortal, jitter=0)


def test_bad_input_is_dead_at_once() -> None:
    assert verdict(FailureKind.BAD_INPUT) == Dead()


def test_a_fault_is_tried_again_until_its_attempts_are_spent() -> None:
    assert isinstance(verdict(FailureKind.FAULT, attempts=2), Again)
    assert verdict(FailureKind.FAULT, attempts=3) == Dead()


def test_losses_have_a_budget_of_their_own() -> None:
    assert isinstance(verdict(FailureKind.LOSS, attempts=50, losses=1), Again)
    assert verdict(FailureKind.LOSS, losses=2) == Dead()


def test_an_outage_ends_only_at_its_deadline() -> None:
    assert isinstance(verdict(FailureKind.AWAY, outages=1000, outage_s=99), Again)
    assert verdict(FailureKind.AWAY, outages=1000, outage_s=100) == Dead()


def test_a_deck_that_was_off_was_no_outage() -> None:
    assert isinstance(verdict(FailureKind.AWAY, outages=2, outage_s=1e6), Again)


def test_a_stop_costs_nothing() -> None:
    assert verdict(FailureKind.STOPPED, attempts=99, losses=99, outages=99, outage_s=1e6) == Again(0)


@pytest.mark.parametrize("kind", FailureKind)
def test_an_immortal_job_never_dies(kind: FailureKind) -> None:
    assert isinstance(verdict(kind, immortal=True, attempts=99, losses=99, outages=99, outage_s=1e6), Again)


@given(
    kind=st.sampled_from([FailureKind.FAULT, FailureKind.LOSS, FailureKind.AWAY]),
    spent=st.integers(1, 10_000),
    jitter=st.floats(0, 1, exclude_max=True),
)
def test_the_delay_stays_within_its_bounds(kind: FailureKind, spent: int, jitter: float) -> None:
    history = History(attempts=spent, losses=spent, outages=spent, outage_s=0)
    again = decide(failure(kind), history, POLICY, immortal=True, jitter=jitter)
    assert isinstance(again, Again)
    assert POLICY.backoff_s / 2 <= again.delay_s <= POLICY.backoff_max_s


def test_work_resumes_soon_after_a_long_outage() -> None:
    again = verdict(FailureKind.AWAY, outages=1000, outage_s=99)
    assert isinstance(again, Again)
    assert again.delay_s <= POLICY.outage_backoff_max_s
