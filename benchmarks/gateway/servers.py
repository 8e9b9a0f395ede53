"""The processes under load: the mock, the bare pass-through, the gateway; their processor time and their memory."""

from __future__ import annotations

import json
import os
import re
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from load import Endpoint

from forethought.errors import ConfigError, UpstreamError

HERE = Path(__file__).parent
START_SECONDS = 120
STOP_SECONDS = 20
BUDGET_USD = 1_000_000.0
PRICES = "{ input = 0.1, output = 0.4 }"


@dataclass(frozen=True, slots=True)
class Server:
    """A process that listens on loopback."""

    process: subprocess.Popen[bytes]
    endpoint: Endpoint

    def cpu_seconds(self) -> float:
        """Processor time of all its threads, finished ones too, user and kernel; nanosecond resolution."""
        return time.clock_gettime(~self.process.pid << 3 | 2)  # the kernel's name of another process's clock

    def peak_mb(self) -> float:
        """Largest resident set so far, 10^6 bytes."""
        found = re.search(r"VmHWM:\s*(\d+) kB", Path(f"/proc/{self.process.pid}/status").read_text())
        assert found is not None
        return int(found[1]) * 1024 / 1e6


@contextmanager
def running(command: Sequence[str], endpoint: Endpoint, outside: Mapping[str, str] | None = None) -> Iterator[Server]:
    """A server from its first answer on; it is told to stop at the end.

    Args:
        command: Its command line.
        endpoint: Where it listens, and the key it is to be shown.
        outside: Added to its environment.

    Raises:
        UpstreamError: It ended, or did not listen in time; the end of what it said is told.
    """
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdout=said, stderr=said, env={**os.environ, **(outside or {})})
        try:
            _await_port(process, endpoint.port, said)
            yield Server(process, endpoint)
        finally:
            stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process, by force where it does not listen."""
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def mock() -> Iterator[Server]:
    """The upstream."""
    port = free_port()
    with running([sys.executable, str(HERE / "mock.py"), str(port)], Endpoint(port)) as server:
        yield server


@contextmanager
def bare(upstream: int) -> Iterator[Server]:
    """The pass-through without a gateway."""
    port = free_port()
    with running([sys.executable, str(HERE / "bare.py"), str(port), str(upstream)], Endpoint(port)) as server:
        yield server


@contextmanager
def gateway(folder: Path, upstream: int, models: Sequence[str]) -> Iterator[Server]:
    """The gateway with a key, a budget and a ledger on disk; every model is a target of the mock."""
    config, ledger = folder / "gateway.toml", f"sqlite:///{folder / 'ledger.sqlite'}"
    config.write_text("\n".join(target(model, upstream) for model in models))
    key = create_key(ledger, "bench", BUDGET_USD)
    with serving(config, ledger, key) as server:
        yield server


@contextmanager
def serving(config: Path, ledger: str, key: str) -> Iterator[Server]:
    """`forethought serve` of a file, on any free port."""
    port = free_port()
    command = [sys.executable, "-m", "forethought", "serve", str(config), "--host", "127.0.0.1", "--port", str(port)]
    with running([*command, "--ledger", ledger], Endpoint(port, key)) as server:
        yield server


def create_key(ledger: str, name: str, daily_budget: float) -> str:
    """A new client key with a budget in USD a day.

    Raises:
        UpstreamError: The command failed.
    """
    command = [sys.executable, "-m", "forethought", "keys", "create", name, "--daily-budget", f"{daily_budget:.9f}"]
    ran = subprocess.run([*command, "--ledger", ledger, "--json"], capture_output=True, text=True, check=False)
    if ran.returncode:
        raise UpstreamError(f"no key could be made: {ran.stderr.strip()}")
    return str(json.loads(ran.stdout)["key"])


def target(model: str, upstream: int, prices: str = PRICES) -> str:
    """One target of a gateway's file."""
    url = f"http://127.0.0.1:{upstream}/v1"
    return f'[[target]]\nname = "{model}"\nmodel = "{model}"\nbase_url = "{url}"\nprices = {prices}\n'


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def allow_files(count: int) -> None:
    """Raise this process's limit of open files, and so that of what it starts.

    Raises:
        ConfigError: The machine allows fewer.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        raise ConfigError(f"{count} open files are needed, `ulimit -Hn` allows {hard}")
    if soft != resource.RLIM_INFINITY and soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


def _await_port(process: subprocess.Popen[bytes], port: int, said: IO[bytes]) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.01)
    said.seek(0)
    raise UpstreamError(f"a server did not start: {said.read()[-1000:].decode(errors='replace')}")
