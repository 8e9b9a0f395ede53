"""The process in which a candidate's code meets its tests; run alone as `python -I code_sandbox.py`.

It reads one JSON object from standard input (`code`, `tests`, `token`, `limits`), gives up what it
can, says on standard output how the network was cut, runs code and tests, and prints the token
only after the last test has passed: an early exit is no pass. Standard library only.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
# Ways out of the process, refused by name; "open" is looked at more closely.
REFUSED: tuple[str, ...] = ("socket.", "subprocess.", "ctypes.dlopen", "pty.", "shutil.chown")
REFUSED += ("os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.kill")
REFUSED += ("os.chmod", "os.chown", "os.link", "os.symlink", "os.truncate")
PATHS = ("os.remove", "os.rename", "os.rmdir", "os.mkdir", "shutil.rmtree", "shutil.move")


def cut_network() -> str:
    """Enter a network namespace that has no interface; say what was achieved."""
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0:
            return "namespace"
    except (OSError, AttributeError):
        pass
    return "audit hook"


def limit(limits: dict[str, int]) -> None:
    """Lower this process's resource limits, by their names in `resource`, for good."""
    for name, value in limits.items():
        kind = getattr(resource, name)
        hard = resource.getrlimit(kind)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value))


def guard(folder: str) -> Callable[[str, tuple[Any, ...]], None]:
    """An audit hook that refuses sockets, processes and writing outside `folder`."""

    def inside(path: Any) -> bool:
        if not isinstance(path, str | bytes | os.PathLike):
            return False
        real = os.path.realpath(os.fsdecode(path))
        return real == folder or real.startswith(folder + os.sep)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event.startswith(REFUSED):
            raise PermissionError(f"{event} is not allowed here")
        if event in PATHS and not all(inside(path) for path in arguments[:2] if isinstance(path, str | bytes)):
            raise PermissionError(f"{event} outside the working folder is not allowed here")
        if event == "open" and not isinstance(arguments[0], int) and not inside(arguments[0]):
            written = arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC)
            if written or os.path.realpath(os.fsdecode(arguments[0])).startswith("/proc"):
                raise PermissionError(f"opening {arguments[0]!r} is not allowed here")

    return hook


def main() -> None:
    """Isolate, run, report."""
    task = json.load(sys.stdin)
    channel = os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.write(channel, (cut_network() + "\n").encode())
    limit(task["limits"])
    sys.addaudithook(guard(os.path.realpath(Path.cwd())))
    scope = {"__name__": "candidate", "__builtins__": __builtins__}
    for part in ("code", "tests"):
        exec(compile(task[part], f"<{part}>", "exec"), scope)  # noqa: S102
    os.write(channel, task["token"].encode())


if __name__ == "__main__":
    main()
