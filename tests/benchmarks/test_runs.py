"""`make bench`, small: every benchmark is there, and what a run says is on the terminal and in the file."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import NAMES

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", NAMES)
def test_each_name_is_a_benchmark_that_says_what_it_measures(name: str) -> None:
    assert importlib.import_module(f"benchmarks.{name}").benchmark.__doc__


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("name", "contenders"),
    [
        ("process", {"Tapedeck": "ours", "Python": "usual", "Node": "usual", "zstd": "floor"}),
        ("rows", {"Tapedeck": "ours", "INSERT": "usual", "COPY": "floor", "COPY of bytes": "floor"}),
        ("jobs", {"Tapedeck": "ours", "Procrastinate": "usual", "Dramatiq": "floor"}),
    ],
)
def test_a_small_run_makes_a_table_and_a_file(tmp_path: Path, name: str, contenders: dict[str, str]) -> None:
    file = tmp_path / "results.json"
    command = [sys.executable, "-m", "benchmarks", name, "--quick", "--json", str(file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    document = json.loads(file.read_bytes())
    assert document["machine"]["versions"]["dramatiq"]
    for comparison in document["comparisons"]:
        assert {one["name"]: one["role"] for one in comparison["contenders"]} == contenders
        for one in comparison["contenders"]:
            assert len(one["repetitions"]) == (0 if one["unavailable"] else 1)
        assert comparison["title"] in done.stdout
    assert str(file) in done.stdout.replace("\n", "")


def test_a_name_that_is_none_is_told() -> None:
    command = [sys.executable, "-m", "benchmarks", "nonsense"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "accept, ingest, session, process, mask, rows, events, ready, jobs" in done.stderr
