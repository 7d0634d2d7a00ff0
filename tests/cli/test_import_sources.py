"""Where an import finds recordings: folders, archives, compressed files. Listed with --dry-run: no deck is needed."""

import json
import os
import tarfile
import zipfile
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from app.importing.streams import opened
from app.wrappers import BadFile
from tests import fixtures
from tests.cli.conftest import Said, Tapedeck
from tests.cli.corpus import CORPUS, event_counts, with_corpus
from tests.cli.imports import COMPRESS, recording, tarred, zipped

MEMBERS = {
    "b.json": recording(1),
    "deep/er/a.json": recording(2),
    "c.ndjson": b'{"type":4,"timestamp":1,"data":{}}\n',
}
ARCHIVES = {
    "zip": zipped(MEMBERS),
    "stored.zip": zipped(MEMBERS, zipfile.ZIP_STORED),
    "bzip2.zip": zipped(MEMBERS, zipfile.ZIP_BZIP2),
    "lzma.zip": zipped(MEMBERS, zipfile.ZIP_LZMA),
    "tar": tarred(MEMBERS),
    "tgz": COMPRESS["gz"](tarred(MEMBERS)),
} | {f"tar.{suffix}": compress(tarred(MEMBERS)) for suffix, compress in COMPRESS.items()}


async def dry(tapedeck: Tapedeck, *arguments: object) -> Said:
    return await tapedeck("import", "--dry-run", "--json", *arguments)


def paths(said: Said, outcome: str, folder: Path) -> list[str]:
    return [line["path"].removeprefix(f"{folder}/") for line in said.lines if line.get("outcome") == outcome]


def errors(said: Said, folder: Path) -> dict[str, str]:
    found = [line for line in said.lines if "error" in line]
    return {line["path"].removeprefix(f"{folder}/"): line["error"]["message"] for line in found}


async def test_a_folder_is_read_in_order_without_hidden_files_and_links_in_circles(
    tapedeck: Tapedeck, tmp_path: Path
) -> None:
    folder = tmp_path / "recordings"
    for place in ("z.json", "a/2.json", "a/10.json", ".hidden.json", ".git/x.json", "b/c/d.json"):
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_bytes(recording(hash(place)))
    (folder / "b" / "loop").symlink_to(folder)
    (folder / "b" / "link.json").symlink_to(folder / "z.json")
    (folder / "b" / "self").symlink_to("self")
    os.mkfifo(folder / "pipe")
    said = await dry(tapedeck, folder)
    assert paths(said, "found", folder) == ["a/10.json", "a/2.json", "b/c/d.json", "b/link.json", "z.json"]
    assert paths(said, "skipped", folder) == ["b/loop", "pipe"]
    assert paths(said, "failed", folder) == ["b/self"]
    assert said.status == 2


async def test_garbage_is_skipped_with_a_reason_and_only_broken_recordings_are_failures(
    tapedeck: Tapedeck, tmp_path: Path
) -> None:
    folder = tmp_path / "garbage"
    folder.mkdir()
    skipped = {
        "README.md": b"# hello",
        "empty.json": b"",
        "image.png": b"\x89PNG\r\n\x1a\n" + bytes(100),
        "none.json": b"[]",
        "numbers.json": b"[1, 2, 3]",
        "package.json": b'{"name": "x", "type": "module", "files": ["a"]}',
        "recording.json": b'{"id": "x", "status": "ready", "events": {"received": 3}}',
        "schema.json": b'{"type": "object", "properties": {"a": {}}}',
        "settings.ini": b"[server]\nport = 1",
        "table.csv": b'"a","b"\n"1","2"',
        "template.js": b"{ a: 1 }",
        "web.log": b"[12:00:00] started",
        "words.json": b'["a", "b"]',
    }
    failed = {
        "UTF-16.json": recording().decode().encode("utf-16"),
        "bytes.json": b'[{"a":"\xff"}]',
        "cut.json": recording()[:-9],
        "cut.json.gz": COMPRESS["gz"](recording())[:-9],
    }
    for name, content in (skipped | failed | {"good.json": recording()}).items():
        (folder / name).write_bytes(content)
    said = await dry(tapedeck, folder)
    assert paths(said, "found", folder) == ["good.json"]
    assert sorted(paths(said, "skipped", folder)) == sorted(skipped)
    assert sorted(paths(said, "failed", folder)) == sorted(failed)
    assert said.status == 2
    told = errors(said, folder)
    assert told["README.md"] == told["image.png"] == "not JSON"
    assert told["none.json"] == "no events in it"
    assert told["table.csv"] == told["settings.ini"] == told["words.json"] == "no rrweb events in it"
    assert "UTF-16" in told["UTF-16.json"]
    for name in failed:
        (folder / name).unlink()
    assert (await dry(tapedeck, folder)).status == 0


async def test_what_is_named_itself_must_be_a_recording(tapedeck: Tapedeck, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# hello")
    said = await dry(tapedeck, "README.md", "absent.json")
    assert said.status == 2
    assert errors(said, tmp_path) == {"README.md": "not JSON", "absent.json": "No such file or directory"}


@pytest.mark.parametrize("suffix", ARCHIVES)
async def test_an_archive_is_read_member_by_member(suffix: str, tapedeck: Tapedeck, tmp_path: Path) -> None:
    archive = tmp_path / f"x.{suffix}"
    archive.write_bytes(ARCHIVES[suffix])
    said = await dry(tapedeck, archive)
    assert (said.status, said.err) == (0, "")
    assert paths(said, "found", archive) == list(MEMBERS)
    assert [line["name"] for line in said.lines[:-1]] == ["b.json", "a.json", "c.ndjson"]
    by_path = await dry(tapedeck, archive, "--name-from", "path")
    assert [line["name"] for line in by_path.lines[:-1]] == [f"{archive.name}/{name}" for name in MEMBERS]


@pytest.mark.parametrize("suffix", COMPRESS)
async def test_a_compressed_file_is_a_file_alone_and_in_archives(
    suffix: str, tapedeck: Tapedeck, tmp_path: Path
) -> None:
    content = COMPRESS[suffix](recording(1)[:50]) + COMPRESS[suffix](recording(1)[50:])
    (tmp_path / f"x.json.{suffix}").write_bytes(content)
    (tmp_path / "x.zip").write_bytes(zipped({"in.json." + suffix: content}))
    said = await dry(tapedeck, f"x.json.{suffix}", "x.zip")
    assert said.status == 0
    assert [line["events"] for line in said.lines[:-1]] == [3, 3]


async def test_the_name_of_a_file_says_nothing_of_what_is_in_it(tapedeck: Tapedeck, tmp_path: Path) -> None:
    (tmp_path / "backup").write_bytes(ARCHIVES["tar.zst"])
    (tmp_path / "x.zip").write_bytes(recording())
    assert (await dry(tapedeck, "backup", "x.zip")).lines[-1]["summary"]["found"] == 4


async def test_a_recording_may_come_through_a_pipe(tapedeck: Tapedeck) -> None:
    said = await tapedeck("import", "--dry-run", "--json", "/dev/stdin", stdin=ARCHIVES["tgz"])
    assert said.lines[-1]["summary"]["found"] == 3
    refused = await tapedeck("import", "--dry-run", "--json", "/dev/stdin", stdin=ARCHIVES["zip"])
    assert "pipe" in refused.err


async def test_nothing_is_written_whatever_members_are_called(tapedeck: Tapedeck, tmp_path: Path) -> None:
    names = ["../../evil.json", "/tmp/evil.json", "a\\..\\evil.json", "a/\x1b[31m.json", "x" * 5000]
    members = {name: recording(place) for place, name in enumerate(names)}
    inside = tmp_path / "inside"
    inside.mkdir()
    for name, content in (("x.zip", zipped(members)), ("x.tar", tarred(members))):
        (inside / name).write_bytes(content)
    said = await dry(tapedeck, inside)
    assert said.lines[-1]["summary"]["found"] == 2 * len(names)
    assert b"\x1b" not in (await tapedeck("import", "--dry-run", inside)).out
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["inside", "x.tar", "x.zip"]


async def test_links_devices_and_archives_inside_an_archive_are_told_and_left(
    tapedeck: Tapedeck, tmp_path: Path
) -> None:
    inner = {
        "in.zip": ARCHIVES["zip"],
        "in.tar.gz": ARCHIVES["tar.gz"],
        ".hidden.json": recording(),
        "__MACOSX/._a": b"x",
    }
    (tmp_path / "x.zip").write_bytes(zipped(inner))
    (tmp_path / "links.tar").write_bytes(
        tarred({"link.json": b""}, type=tarfile.SYMTYPE, linkname="/etc/passwd")
    )
    (tmp_path / "device.tar").write_bytes(tarred({"zero": b""}, type=tarfile.CHRTYPE))
    (tmp_path / "empty.tar").write_bytes(bytes(10240))
    said = await dry(tapedeck, "x.zip", "links.tar", "device.tar", "empty.tar")
    assert said.status == 0
    assert errors(said, tmp_path) == {
        "x.zip/in.zip": "an archive inside an archive",
        "x.zip/in.tar.gz": "an archive inside an archive",
        "links.tar/link.json": "a link inside an archive",
    }


async def test_a_broken_archive_gives_what_comes_before_the_break(tapedeck: Tapedeck, tmp_path: Path) -> None:
    many = {f"{number}.json": os.urandom(9000) if number % 2 else recording(number) for number in range(40)}
    (tmp_path / "a.tar.gz").write_bytes(COMPRESS["gz"](tarred(many))[:-100_000])
    (tmp_path / "b.zip").write_bytes(zipped(many)[:-1000])
    broken = zipped({"good.json": recording(1), "bad.json": recording(2, 100)}, zipfile.ZIP_STORED)
    at = broken.index(b'"payload": 2')
    (tmp_path / "c.zip").write_bytes(broken[:at] + b"X" + broken[at + 1 :])
    (tmp_path / "d.json").write_bytes(recording(9))
    said = await dry(tapedeck, "a.tar.gz", "b.zip", "c.zip", "d.json")
    assert said.status == 2
    found = paths(said, "found", tmp_path)
    assert "a.tar.gz/0.json" in found
    assert found[-2:] == ["c.zip/good.json", "d.json"]
    told = errors(said, tmp_path)
    assert "too early" in " ".join(message for path, message in told.items() if path.startswith("a.tar.gz"))
    assert "broken archive" in told["a.tar.gz"]
    assert "broken archive" in told["b.zip"]
    assert "broken archive" in told["c.zip/bad.json"]


async def test_bombs_are_refused_in_words_and_the_rest_is_found(tapedeck: Tapedeck, tmp_path: Path) -> None:
    bomb = b"[" + b" " * (3 << 20)
    (tmp_path / "a.zip").write_bytes(zipped({"bomb.json": bomb, "good.json": recording(1)}))
    (tmp_path / "b.tar.gz").write_bytes(
        COMPRESS["gz"](tarred({"bomb.json": bomb, "good.json": recording(2)}))
    )
    (tmp_path / "c.json.zst").write_bytes(COMPRESS["zst"](bomb))
    headers = tarred({"good.json": recording(3)}, pax_headers={"comment": "x" * (2 << 20)})
    (tmp_path / "d.tar.xz").write_bytes(COMPRESS["xz"](headers))
    said = await dry(tapedeck, "--max-mib", 1, *sorted(path.name for path in tmp_path.glob("*.*")))
    assert said.status == 2
    assert paths(said, "found", tmp_path) == ["a.zip/good.json", "b.tar.gz/good.json"]
    told = errors(said, tmp_path)
    for path in ("a.zip/bomb.json", "b.tar.gz/bomb.json", "c.json.zst"):
        assert told[path] == "more than 1 MiB when decompressed; see --max-mib"
    assert "headers" in told["d.tar.xz"]


async def test_a_stream_that_expands_beyond_measure_is_not_read_to_its_end(
    tapedeck: Tapedeck, tmp_path: Path
) -> None:
    compressor = zstandard.ZstdCompressor().compressobj()
    zeros = bytes(1 << 20)
    header = tarfile.TarInfo("zeros.json")
    header.size = 8 << 40
    with (tmp_path / "bomb.tar.zst").open("wb") as bomb:
        bomb.write(compressor.compress(header.tobuf(tarfile.GNU_FORMAT) + b"["))
        for _ in range(400):
            bomb.write(compressor.compress(zeros))
        bomb.write(compressor.flush())
    said = await dry(tapedeck, "--max-mib", 1, "bomb.tar.zst")
    assert errors(said, tmp_path)["bomb.tar.zst"] == "expands more than 1000-fold: no recording does"


@pytest.mark.parametrize("suffix", COMPRESS)
@given(content=st.binary(min_size=1, max_size=5000), data=st.data())
def test_decompressed_is_what_was_compressed_or_an_error(
    suffix: str, content: bytes, data: st.DataObject
) -> None:
    compressed = COMPRESS[suffix](content)
    step = data.draw(st.integers(1, len(compressed)))
    chunks = [compressed[at : at + step] for at in range(0, len(compressed), step)]
    assert b"".join(opened(iter(chunks), 10).chunks) == content
    cut = compressed[: data.draw(st.integers(6, len(compressed) - 1))]
    with pytest.raises(BadFile, match=r"too early|not "):
        b"".join(opened(iter([cut]), 10).chunks)


async def test_what_is_listed_tells_wrapper_events_and_start(tapedeck: Tapedeck, tmp_path: Path) -> None:
    said = await dry(tapedeck, fixtures.RECORDINGS)
    found = {Path(line["path"]).name: line for line in said.lines if line.get("outcome") == "found"}
    assert {name: line["events"] for name, line in found.items()} == {
        name: known["events"] for name, known in fixtures.manifest().items()
    }
    assert all(line["started_at"].startswith("2026-11-2") for line in found.values())
    wrappers = {name: line["wrapper"] for name, line in found.items()}
    assert wrappers["shop-packed.json"] == "array, packed"
    assert wrappers["login-segments.ndjson"] == "Sentry segments"
    assert wrappers["tabs-by-window.json"] == "PostHog by window"
    assert found["flood.json.gz"]["compression"] == "gzip"
    assert not (tmp_path / "home").exists()


@with_corpus
async def test_every_recording_of_the_corpus_is_found(tapedeck: Tapedeck) -> None:
    said = await dry(tapedeck, CORPUS)
    assert said.status == 0
    found = {line["path"]: line["events"] for line in said.lines if line.get("outcome") == "found"}
    assert event_counts().items() <= found.items()
    assert json.loads(said.out.splitlines()[-1])["summary"]["failed"] == 0
