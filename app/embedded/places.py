"""Where a server may live and as whom: users, folders, copies of binaries, ports, files that keep a secret."""

import errno
import os
import pwd
import secrets
import shutil
import socket
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from app import leash
from app.exits import Exit

LOOPBACK = "127.0.0.1"
ELSEWHERE = Path("/var/lib/tapedeck")
ORDINARY_USERS = ("nobody", "daemon")
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


class EmbeddedError(Exit):
    """A server cannot run here; the message is one line that says why and, where there is one, the way out."""

    status = 2


def account_for(folder: Path) -> leash.Account | None:
    """Whom a server runs as: ourselves (None), or for root whoever owns its data, or an ordinary user."""
    if os.getuid() != 0:
        return None
    data = folder / "data"
    if data.exists() and (status := data.stat()).st_uid != 0:
        return leash.Account(status.st_uid, status.st_gid)
    for name in ORDINARY_USERS:
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return leash.Account(entry.pw_uid, entry.pw_gid)
    raise EmbeddedError(f"Postgres does not run as root, and there is no user {' or '.join(ORDINARY_USERS)}")


def run(
    argv: Sequence[str], account: leash.Account | None, stdin: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    """Run a command to its end as that user, on a leash; stdout has its errors too."""
    leashed = leash.command(argv, account=account, env=ENVIRONMENT, cwd="/")
    return subprocess.run(  # noqa: S603 (our own command)
        leashed.argv, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, pass_fds=leashed.fds,
        env=leashed.env, cwd=leashed.cwd, start_new_session=True,
    )  # fmt: skip


def place_for(name: str, folder: Path, account: leash.Account | None) -> Path:
    """Where the data goes: `folder`, or a new place when that user cannot enter it."""
    if account is None:
        return folder
    folder.chmod(0o711)
    if run(["/bin/sh", "-c", 'cd "$0"', str(folder)], account).returncode == 0:
        return folder
    return ELSEWHERE / f"{name}-{secrets.token_hex(8)}"


def reachable(
    installed: Path, parts: Sequence[str], executable: str, copy: str, account: leash.Account | None
) -> Path:
    """`installed`, or a copy of its `parts` under `ELSEWHERE` when that user cannot run `executable` in it."""
    if account is None or run([str(installed / executable), "--version"], account).returncode == 0:
        return installed
    place = ELSEWHERE / copy
    if not place.exists():
        half = place.with_name(f"{copy}.{secrets.token_hex(4)}")
        for part in parts:
            if (installed / part).exists():
                shutil.copytree(
                    installed / part,
                    half / part,
                    symlinks=True,
                    ignore=shutil.ignore_patterns("*.a", "include"),
                )
        with suppress(OSError):  # somebody else was faster
            half.rename(place)
        shutil.rmtree(half, ignore_errors=True)
    return place


def package_folder(name: str) -> Path:
    """Where a package is installed, without importing it."""
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedError(f"the package {name} is not installed")
    return Path(spec.submodule_search_locations[0])


def own_folder(path: Path, account: leash.Account | None) -> Path:
    """A folder for that user alone, made when it is missing."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o700)
    return own(path, account)


def own(path: Path, account: leash.Account | None) -> Path:
    if account is not None:
        os.chown(path, account.uid, account.gid)
    return path


def port_is_free(port: int, host: str = LOOPBACK) -> bool:
    """Could a server listen there now? Raises OSError when `host` is no address of this machine."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
    return True


def free_port() -> int:
    """A port of the loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def write_private(path: Path, content: bytes, account: leash.Account | None = None) -> None:
    """Write a file of mode 0600 atomically: the old one or the whole new one is there, after a crash too."""
    half = path.with_name(f".{path.name}.{os.getpid()}")
    half.unlink(missing_ok=True)
    with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    own(half, account).rename(path)
