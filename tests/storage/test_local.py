"""The directory's own hazards: crashes, full and vanished disks, links, leftovers."""

import asyncio
import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from storage.directory import DRAFTS, Directory
from storage.protocol import NotFound, Refused, Storage, Unavailable
from tests.storage.deck import open_for_test
from tests.storage.objects import CALLS, files, new_name, put, read

PROJECT = Path(__file__).parents[2]


async def test_a_file_is_where_its_name_says_and_nothing_else_is_left(local: Storage, root: Path) -> None:
    await put(local, "recordings/1/tape", b"data")
    assert files(root) == ["recordings/1/tape"]
    assert (root / "recordings/1/tape").read_bytes() == b"data"
    assert (root / "recordings/1/tape").stat().st_mode & 0o077 == 0


async def test_a_refused_put_leaves_nothing(local: Storage, root: Path) -> None:
    await put(local, "recordings/1/tape", b"data")
    for attempt in (
        put(local, "recordings/1/tape", b"other"),
        put(local, "recordings/2/tape", b"x", crc32c=1),
    ):
        with pytest.raises(Refused):
            await attempt
    assert files(root) == ["recordings/1/tape"]


async def test_deleting_the_last_file_removes_its_folders(local: Storage, root: Path) -> None:
    await put(local, "recordings/1/a", b"x")
    await put(local, "recordings/1/b", b"x")
    await local.delete("recordings/1/a")
    assert files(root) == ["recordings/1/b"]
    await local.delete("recordings/1/b")
    assert [path.name for path in root.iterdir()] == [DRAFTS]


async def test_puts_survive_deletes_that_empty_their_folder(local: Storage) -> None:
    async def churn(leaf: str) -> None:
        for _ in range(40):
            await put(local, f"recordings/1/{leaf}", leaf.encode())
            assert await local.delete(f"recordings/1/{leaf}")

    await asyncio.gather(*(churn(leaf) for leaf in "abcd"))


async def test_a_stream_goes_on_though_its_file_was_deleted(local: Storage) -> None:
    name, data = new_name(), os.urandom(5_000_000)
    await put(local, name, data)
    pieces = local.read(name)
    got = await anext(pieces)
    await local.delete(name)
    async for piece in pieces:
        got += piece
    assert got == data


async def test_bytes_that_rotted_are_reported_as_they_are(local: Storage, root: Path) -> None:
    name = new_name()
    stored = await put(local, name, b"good")
    (root / name).write_bytes(b"evil")
    now = await local.stat(name)
    assert now is not None
    assert now.crc32c != stored.crc32c


async def test_links_are_not_followed(local: Storage, root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    (root / "recordings").mkdir()
    (root / "recordings" / "file").symlink_to(outside / "secret")
    (root / "recordings" / "folder").symlink_to(outside, target_is_directory=True)
    (root / "recordings" / "dangling").symlink_to(outside / "new")
    for name in (
        "recordings/file",
        "recordings/folder/secret",
        "recordings/folder/new",
        "recordings/dangling",
    ):
        for call in (read(local, name), local.stat(name), put(local, name, b"overwritten")):
            with pytest.raises(Refused):
                await call
    with pytest.raises(Refused):
        await local.delete("recordings/folder/secret")
    assert [path.name for path in outside.iterdir()] == ["secret"]
    assert (outside / "secret").read_bytes() == b"secret"


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo], ids=["folder", "pipe"])
async def test_what_is_no_file_is_no_object(local: Storage, root: Path, make: Callable[[Path], None]) -> None:
    make(root / "strange")
    for call in (read(local, "strange"), local.stat("strange"), put(local, "strange", b"x")):
        with pytest.raises(Refused):
            await call


async def test_a_root_that_vanished_is_unavailable_not_empty(local: Storage, root: Path) -> None:
    name = new_name()
    await put(local, name, b"x")
    root.rename(root.with_name("elsewhere"))
    for call in CALLS.values():
        with pytest.raises(Unavailable, match="is gone"):
            await call(local)
    root.mkdir()  # what a mount point is while its disk is away
    for call in CALLS.values():
        with pytest.raises(Unavailable, match="is gone"):
            await call(local)
    root.rmdir()
    root.with_name("elsewhere").rename(root)
    assert await read(local, name) == b"x"


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.ESTALE])
async def test_a_disk_that_fails_to_sync_is_unavailable_and_publishes_nothing(
    local: Storage, root: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def fail(_fd: int) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(Unavailable, match=os.strerror(number)):
            await put(local, new_name(), b"x")
    assert files(root) == []


FULL_DISK = """
import asyncio, os, sys
from pathlib import Path
from storage.protocol import Unavailable
from tests.storage.deck import open_for_test
from tests.storage.objects import put, read

async def main() -> None:
    local = open_for_test(Path(sys.argv[1]).as_uri())
    await put(local, "small", b"x" * 100_000)
    try:
        await put(local, "big", os.urandom(3_000_000))
    except Unavailable as error:
        assert "No space left" in str(error), error
    else:
        raise AssertionError("it fits")
    assert await local.stat("big") is None
    await put(local, "again", b"y" * 300_000)  # the draft gave its space back
    assert await read(local, "again") == b"y" * 300_000

asyncio.run(main())
"""


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs Linux's unshare")
def test_a_full_disk_is_unavailable_and_leaves_no_draft(tmp_path: Path) -> None:
    mount = f"mount -t tmpfs -o size=1m none {tmp_path}"
    in_namespace = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    if subprocess.run([*in_namespace, mount], capture_output=True, check=False).returncode != 0:
        pytest.skip("may not mount a small disk here")
    script = [*in_namespace, f'{mount} && exec "$0" -c "$1" {tmp_path}', sys.executable, FULL_DISK]
    ran = subprocess.run(script, capture_output=True, text=True, check=False, cwd=PROJECT)
    assert ran.returncode == 0, ran.stderr


KILLED = """
import asyncio, io, os, signal, sys
from pathlib import Path
from tests.storage.deck import open_for_test

class Kills(io.BytesIO):
    def read(self, size=-1):
        if self.tell() >= 2_000_000:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().read(size)

asyncio.run(open_for_test(Path(sys.argv[1]).as_uri()).put(
    "recordings/1/tape", Kills(bytes(4_000_000)), size=4_000_000, crc32c=0, content_type="text/plain", deadline_s=30))
"""


async def test_a_writer_killed_half_way_leaves_a_draft_that_is_swept_when_it_is_old(root: Path) -> None:
    killed = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", KILLED, str(root)], check=False, cwd=PROJECT
    )
    assert killed.returncode == -signal.SIGKILL
    (draft,) = files(root)
    assert draft.startswith(DRAFTS)
    local = open_for_test(root.as_uri())
    assert await local.stat("recordings/1/tape") is None
    await local.sweep()
    assert files(root) == [draft]  # somebody may be writing it
    assert Directory(root).sweep(older_than_s=-1) == 1
    assert files(root) == []


async def test_the_draft_of_a_copy_is_not_swept_though_its_file_is_old(local: Storage, root: Path) -> None:
    await put(local, "recordings/1/a", b"x")
    os.utime(root / "recordings/1/a", (1e9, 1e9))
    stored = await local.stat("recordings/1/a")
    assert stored is not None
    directory = Directory(root)
    draft = directory.link("recordings/1/a", stored.generation)
    assert draft is not None
    with draft:
        assert directory.sweep(older_than_s=60) == 0
        draft.measure(lambda: None)
        assert draft.publish("recordings/1/b", replace=False) == stored
    assert files(root) == ["recordings/1/a", "recordings/1/b"]


async def test_copies_leave_no_drafts(local: Storage, root: Path) -> None:
    generation = (await put(local, "recordings/1/a", b"x")).generation
    await local.copy("recordings/1/a", "recordings/1/b", generation=generation, deadline_s=30)
    await local.copy("recordings/1/a", "recordings/1/b", generation=generation, deadline_s=30)
    for source, known in [("recordings/1/a", "0-0"), ("recordings/1/none", generation), ("none/a", "0-0")]:
        with pytest.raises(NotFound):
            await local.copy(source, "recordings/1/c", generation=known, deadline_s=30)
    (root / "recordings" / "link").symlink_to(root / "recordings/1/a")
    with pytest.raises(Refused):
        await local.copy("recordings/link", "recordings/1/c", generation=generation, deadline_s=30)
    assert files(root) == ["recordings/1/a", "recordings/1/b", "recordings/link"]


def test_a_root_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Refused):
        open_for_test((tmp_path / "file").as_uri())


async def test_a_root_may_be_a_link_and_have_a_difficult_name(tmp_path: Path) -> None:
    (tmp_path / "real place ä%").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real place ä%")
    name = new_name()
    await put(open_for_test((tmp_path / "link").as_uri()), name, b"x")
    assert await read(open_for_test((tmp_path / "real place ä%").as_uri()), name) == b"x"


def test_a_draft_that_was_discarded_takes_nothing_more(root: Path) -> None:
    draft = Directory(root).draft()
    draft.discard()
    draft.discard()
    with pytest.raises(Refused):
        draft.write(b"x")
    with pytest.raises(Refused):
        draft.publish("a", replace=True)
    assert files(root) == []


def test_a_draft_s_last_check_can_still_prevent_it(root: Path) -> None:
    def too_late() -> None:
        raise Unavailable("too late")

    with Directory(root).draft() as draft, pytest.raises(Unavailable):
        draft.publish("a", replace=True, last_check=too_late)
    assert files(root) == []
