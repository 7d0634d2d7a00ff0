"""nginx as the least that sending a file takes: one worker process, sendfile, no access log."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import psutil

from app.embedded.places import free_port
from benchmarks.deck import process
from benchmarks.harness import Unavailable

CONFIGURATION = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
{user}
events {{ worker_connections 512; }}
http {{
    access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000; default_type application/json;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{ listen 127.0.0.1:{port}; root {files}; }}
}}
"""
START_S = 10


class Nginx(NamedTuple):
    """A running server of files."""

    port: int
    pids: Sequence[int]


@asynccontextmanager
async def running_nginx(folder: Path, files: Path, *, install: bool) -> AsyncIterator[Nginx]:
    """Serves `files`; `folder` is for its own. Raises Unavailable."""
    found = _find(install)
    port = free_port()
    own = folder / "nginx"
    own.mkdir()
    user = "user root;" if os.getuid() == 0 else ""
    configuration = own / "nginx.conf"
    configuration.write_text(CONFIGURATION.format(folder=own, files=files, port=port, user=user))
    with process([found, "-p", str(own), "-c", str(configuration)], os.environ, own / "log") as master:
        async with asyncio.timeout(START_S):
            while not master.children():
                if not master.is_running() or master.status() == psutil.STATUS_ZOMBIE:
                    raise Unavailable(f"nginx did not start: {(own / 'log').read_text()[-200:]}")
                await asyncio.sleep(0.02)
        yield Nginx(port, [master.pid, *(child.pid for child in master.children())])


def _find(install: bool) -> str:
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"))
    if install and not shutil.which("nginx", path=path) and os.getuid() == 0 and shutil.which("apt-get"):
        for command in (["update"], ["install", "-y", "--no-install-recommends", "nginx-light"]):
            subprocess.run(["apt-get", "-qq", *command], check=True, stdout=subprocess.DEVNULL)
    found = shutil.which("nginx", path=path)
    if found is None:
        raise Unavailable("there is no nginx in PATH; --install gets it, as root on Debian")
    return found
