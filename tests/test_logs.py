"""Logs: readable, and without secrets."""

import subprocess
import sys

import pytest

FAILING = """
import logs, structlog
logs.configure({format!r})
def request(key):
    raise ValueError("it broke")
try:
    request("tdk_secret")
except ValueError:
    structlog.get_logger().exception("request_failed", recording_id="r1")
"""


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_traceback_shows_where_but_no_variables(log_format: str) -> None:
    script = FAILING.replace("{format!r}", repr(log_format))
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stderr
    assert "it broke" in said
    assert "Traceback" in said
    assert "r1" in said
    assert (
        'request("tdk_secret")' not in said
    )  # a line of code is shown, were it in a file; its variables never
    assert "tdk_secret" not in said
