"""What an examination finds, and how one is bounded: none may hang, and none may end the others."""

import asyncio
from collections.abc import AsyncGenerator
from enum import StrEnum
from typing import NamedTuple
from urllib.parse import urlsplit

LIMIT_S = 15.0


class State(StrEnum):
    """How bad it is. A warning works, but the operator should know; a failure needs the operator."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Finding(NamedTuple):
    """One line: what was looked at, and a sentence that says what to do unless all is well."""

    check: str
    state: State
    says: str


Findings = AsyncGenerator[Finding, None]


class Examination(NamedTuple):
    """What was found. `hangs`: it was left alone at the limit, and something of it may still run in a thread."""

    findings: list[Finding]
    hangs: bool = False


def ok(check: str, says: str) -> Finding:
    return Finding(check, State.OK, says)


def warn(check: str, says: str) -> Finding:
    return Finding(check, State.WARN, says)


def fail(check: str, says: str) -> Finding:
    return Finding(check, State.FAIL, says)


async def examine(check: str, findings: Findings, limit_s: float = LIMIT_S) -> Examination:
    """All that it finds within the limit; what it raises is a finding too."""
    found: list[Finding] = []
    try:
        async with asyncio.timeout(limit_s) as limit:
            async for finding in findings:
                found.append(finding)  # noqa: PERF401 (what came before a failure is kept)
    except Exception as error:  # a doctor who breaks must still tell what the others found
        if limit.expired():
            found.append(fail(check, f"no answer within {limit_s:g} s: see whether it hangs"))
        else:
            found.append(fail(check, line(error)))
    return Examination(found, limit.expired())


def line(error: BaseException) -> str:
    """An error as one line."""
    text = " ".join(str(error).split())
    return text[:300].rstrip(":. ") if text else type(error).__name__


def place(url: str) -> str:
    """A URL without its user, password and query."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
