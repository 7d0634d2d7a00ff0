"""The folder of recordings that TAPEDECK_CORPUS names, if it names one."""

import os
from pathlib import Path

import pytest

CORPUS = os.environ.get("TAPEDECK_CORPUS")
with_corpus = pytest.mark.skipif(not CORPUS, reason="TAPEDECK_CORPUS names no folder of recordings")


def event_counts() -> dict[str, int]:
    """How many events each file has, by its path, as the manifests tell."""
    rows = {}
    for manifest in Path(CORPUS or ".").glob("*/manifest.tsv") if CORPUS else ():
        header, *lines = (line.split("\t") for line in manifest.read_text().splitlines())
        for line in lines:
            row = dict(zip(header, line, strict=False))
            rows[str(manifest.parent / row["file"])] = int(row["events"])
    return rows
