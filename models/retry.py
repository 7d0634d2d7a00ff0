"""What becomes of a job whose attempt did not end well: one pure decision.

| failure | what it means | what it costs |
|---|---|---|
| bad input | trying again cannot help | dead at once |
| away | a dependency refused, timed out, answered 429 or 5xx | no attempt; due again, until the outage deadline |
| fault | anything else, a missing bucket or a 403 included | one attempt; backoff, then dead |
| loss | the worker vanished: killed, out of memory, frozen | one loss, from a budget of its own; backoff, then dead |
| stopped | the worker was told to stop | nothing; due again at once |

The outage deadline counts from the first failure, and only once as many followed it as there are attempts: the time in
which nobody worked at all is no outage.

Immortal jobs take the same delays and never die. Backoff doubles from `backoff_s` up to `backoff_max_s` with full
jitter on its upper half ("equal jitter"; Brooker, "Exponential Backoff And Jitter", 2015).
"""

from dataclasses import dataclass
from enum import StrEnum

from models.recording import FailureCode


class FailureKind(StrEnum):
    """The ways in which an attempt can end without being done."""

    BAD_INPUT = "bad_input"
    AWAY = "away"
    FAULT = "fault"
    LOSS = "loss"
    STOPPED = "stopped"


@dataclass(frozen=True)
class Failure:
    """How an attempt ended. `code` is what the recording will say if the job dies of it; `message` is a plain sentence
    for the recording's owner. For operators only: `detail` (a traceback), `exception` (its type and message), `place`
    (`module:function`, the innermost of our own code)."""

    kind: FailureKind
    code: FailureCode
    message: str
    detail: str = ""
    exception: str = ""
    place: str = ""


@dataclass(frozen=True)
class Policy:
    """Budgets and delays; seconds."""

    max_attempts: int = 5
    max_losses: int = 5
    outage_deadline_s: float = 86400
    backoff_s: float = 2
    backoff_max_s: float = 300
    outage_backoff_max_s: float = 30


@dataclass(frozen=True)
class History:
    """What the job has used up, this attempt included. `outage_s`: how long what it needs has been away."""

    attempts: int
    losses: int
    outages: int
    outage_s: float


@dataclass(frozen=True)
class Again:
    """The job is due again after a delay."""

    delay_s: float


@dataclass(frozen=True)
class Dead:
    """The job gives up."""


LOSSES_BEFORE_ISOLATION = 2
"""After so many losses a job runs in a child process of its own, so that it can take no innocent job along."""


def decide(
    failure: Failure, history: History, policy: Policy, *, immortal: bool, jitter: float
) -> Again | Dead:
    """What becomes of the job. `jitter` is a random number in [0, 1)."""
    longest_s = policy.backoff_max_s
    match failure.kind:
        case FailureKind.STOPPED:
            return Again(0)
        case FailureKind.BAD_INPUT:
            spent, over = history.attempts, True
        case FailureKind.AWAY:
            spent = history.outages
            over = spent >= policy.max_attempts and history.outage_s >= policy.outage_deadline_s
            longest_s = min(
                longest_s, policy.outage_backoff_max_s
            )  # work goes on soon after what it needs is back
        case FailureKind.FAULT:
            spent, over = history.attempts, history.attempts >= policy.max_attempts
        case FailureKind.LOSS:
            spent, over = history.losses, history.losses >= policy.max_losses
    if over and not immortal:
        return Dead()
    full_s = min(longest_s, policy.backoff_s * 2.0 ** min(max(spent - 1, 0), 30))
    return Again(full_s * (0.5 + jitter / 2))
