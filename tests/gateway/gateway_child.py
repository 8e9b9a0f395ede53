"""A gateway in a process of its own, so that its memory and everything it logs can be looked at from outside.

As a script: takes a file of settings as JSON, logs everything of `forethought` to stderr, prints its port.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import uvloop
from running import Running

from forethought.gateway import GatewayConfig, Ledger, Services, serve
from forethought.gateway.base import Key
from forethought.gateway.keys import new_key
from forethought.gateway.serve import bind


class Child(Running):
    """A gateway elsewhere, asked like one that runs here."""

    def __init__(self, process: subprocess.Popen[str], port: int, ledger: str, log: Path) -> None:
        self.process = process
        self.port = port
        self.ledger = ledger
        self.log = log

    @property
    def rss(self) -> int:
        """Resident memory, bytes."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def new_key(self, **limits: Any) -> str:
        """A new key's text, written to the ledger from here as the command line does."""

        async def make() -> str:
            id, text, digest = new_key()
            ledger = Ledger(self.ledger)
            await ledger.start()
            await ledger.create_key(Key(id=id, **limits), digest)
            await ledger.close()
            return text

        return asyncio.run(make())


@contextlib.contextmanager
def child(folder: Path, environment: Mapping[str, str] | None = None, **settings: Any) -> Iterator[Child]:
    """Start a gateway of these settings; its ledger, its log and its file are in `folder`."""
    ledger, log, file = f"sqlite:///{folder}/ledger.sqlite", folder / "stderr.log", folder / "gateway.json"
    file.write_text(json.dumps({"ledger": ledger, **settings}, default=str))
    env = {**os.environ, "OMP_NUM_THREADS": "1", **(environment or {})}
    with log.open("w") as stderr:
        command = [sys.executable, __file__, str(file)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, env=env, text=True)
    assert process.stdout is not None
    try:
        started = Child(process, int(process.stdout.readline() or 0), ledger, log)
        _await(started)
        yield started
    finally:
        process.terminate()
        process.wait(40)
        process.stdout.close()


def _await(started: Child) -> None:
    for _ in range(1500):
        with contextlib.suppress(OSError):
            if started.ask("//healthz").status == 200:
                return
        if started.process.poll() is not None:
            break
        time.sleep(0.02)
    raise RuntimeError(started.log.read_text())


def _planted_encoder() -> Any:
    path = Path(__file__).parent.parent / "conftest.py"
    spec = importlib.util.spec_from_file_location("planted_data", path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["planted_data"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.PlantedEncoder()


async def _main(file: str) -> None:
    logging.basicConfig(level=logging.INFO)
    logging.getLogger("forethought").setLevel(logging.DEBUG)
    listening = bind("127.0.0.1", 0)
    print(listening.getsockname()[1], flush=True)
    config = GatewayConfig.model_validate_json(Path(file).read_text())
    await serve(Services(config, encoder=_planted_encoder()), listening, asyncio.Event())


if __name__ == "__main__":
    uvloop.run(_main(sys.argv[1]))
