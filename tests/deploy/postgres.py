"""A real Postgres from the distribution's package, on loopback, for the time of a test."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PASSWORD = "a/b@c:d e%f"  # characters that a URL must escape


def program(name: str) -> str | None:
    """The path of a program of the server. Debian does not put them on the PATH."""
    packaged = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return shutil.which(name) or (str(packaged[-1]) if packaged else None)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def postgres() -> Iterator[dict[str, str]]:
    """Run it; yields the environment variables that deploy/dagster.yaml reads."""
    folder = Path(tempfile.mkdtemp(prefix="preceptor-postgres-"))
    # Postgres refuses to run as root.
    other = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.getuid() == 0 else {}
    if other:
        shutil.chown(folder, "nobody", "nogroup")
    (folder / "password").write_text(PASSWORD)
    (folder / "password").chmod(0o644)
    data, port = folder / "data", free_port()
    initialise = [program("initdb"), "--pgdata", data, "--username", "dagster", "--auth", "scram-sha-256"]
    quiet = {"stdout": subprocess.DEVNULL, "cwd": folder, **other}
    subprocess.run([*initialise, "--pwfile", folder / "password", "--no-sync"], check=True, **quiet)
    serve = [program("postgres"), "-D", data, "-p", str(port), "-k", folder, "-c", "fsync=off"]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen([*serve, "-c", "listen_addresses=127.0.0.1"], stderr=log, **quiet)
    try:
        _wait(port, folder / "log")
        names = {"PGHOST": "127.0.0.1", "PGPORT": str(port), "PGUSER": "dagster", "PGDATABASE": "postgres"}
        yield {**names, "PGPASSWORD": PASSWORD}
    finally:
        server.terminate()  # "smart" shutdown, which would wait for clients
        server.send_signal(2)  # "fast" shutdown, which does not wait
        server.wait(timeout=300)
        shutil.rmtree(folder)


def _wait(port: int, log: Path) -> None:
    ready = [program("pg_isready"), "--host", "127.0.0.1", "--port", str(port), "--quiet"]
    for _ in range(100):
        if subprocess.run(ready).returncode == 0:
            return
        time.sleep(0.2)
    raise AssertionError(log.read_text())
