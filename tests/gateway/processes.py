"""Gateways as a user starts them: `python -m forethought serve FILE`, in processes of their own."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_URL = re.compile(r"http://[\d.]+:(\d+)/v1")
_PLUGIN = """
import importlib.util
spec = importlib.util.spec_from_file_location("planted_conftest", {conftest!r})
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)

def make(source, *, system=None, dtype="float32"):
    return module.PlantedEncoder(source)
"""


@dataclass
class Served:
    """A gateway that serves.

    Attributes:
        said: What it wrote to stderr so far.
    """

    process: subprocess.Popen[str]
    port: int = 0
    said: list[str] = field(default_factory=list)

    def stop(self, number: int = signal.SIGTERM, seconds: float = 10.0) -> tuple[int, float]:
        """Signal it and wait; its exit code and the seconds that it took."""
        started = time.monotonic()
        self.process.send_signal(number)
        return self.process.wait(seconds), time.monotonic() - started

    def children(self) -> list[int]:
        """Processes that it started and that still run."""
        found = []
        for entry in os.scandir("/proc"):
            with contextlib.suppress(OSError, ValueError):
                state, parent = (Path(entry.path) / "stat").read_text().rpartition(")")[2].split()[:2]
                if int(parent) == self.process.pid and state != "Z":
                    found.append(int(entry.name))
        return found


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "forethought", "serve", *map(str, arguments)]


@contextlib.contextmanager
def serving(*arguments: object, environment: Mapping[str, str] | None = None) -> Iterator[Served]:
    """A gateway that listens; it is killed with all that it started, should it still run at the end."""
    process = subprocess.Popen(
        command(*arguments, "--port", 0),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "COLUMNS": "300", **(environment or {})},
    )
    served = Served(process)
    told = threading.Event()

    def listen() -> None:
        assert process.stderr is not None
        for line in process.stderr:
            served.said.append(line)
            if not served.port and (found := _URL.search(line)):
                served.port = int(found[1])
                told.set()
        told.set()

    reader = threading.Thread(target=listen)
    reader.start()
    try:
        assert told.wait(60)
        assert served.port, "".join(served.said)
        yield served
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        reader.join()
        assert process.stderr is not None
        process.stderr.close()


def write_config(path: Path, **settings: Any) -> Path:
    """A gateway file."""
    path.write_text("".join(f"{name} = {_toml(value)}\n" for name, value in settings.items()))
    return path


def write_plugin(folder: Path) -> dict[str, str]:
    """A distribution that announces the planted encoder as `planted:NAME`; the environment in which it is found."""
    (folder / "planted-0.dist-info").mkdir(parents=True)
    (folder / "planted-0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: planted\nVersion: 0\n")
    points = "[forethought.encoders]\nplanted = planted_encoder:make\n"
    (folder / "planted-0.dist-info" / "entry_points.txt").write_text(points)
    conftest = str(Path(__file__).parents[1] / "conftest.py")
    (folder / "planted_encoder.py").write_text(_PLUGIN.format(conftest=conftest))
    return {"PYTHONPATH": os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])}


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name} = {_toml(each)}" for name, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(str(value) if isinstance(value, Path) else value)
