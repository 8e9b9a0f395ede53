"""Run a gateway in several processes that share a socket and a ledger."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from tempfile import TemporaryDirectory

from forethought.errors import ConfigError
from forethought.gateway.edge.metrics import FOLDER
from forethought.gateway.serve import END_SIGNALS, STOPPED, STOPPING, Say

_REFUSED = 2
"""Exit code of a worker that could not start and has said why."""

_BETWEEN_LOOKS = 0.05
"""Seconds between looks at the workers."""


def run_workers(arguments: Sequence[str], workers: int, listening: socket.socket, *, say: Say) -> int:
    """Serve in several processes that share a socket; one that ends takes the others with it.

    The first is started alone until it serves: what stops it would stop all of them, and is said once, as is what it
    reports once it answers. They count together in a temporary folder.

    Args:
        arguments: Of `forethought serve`, for one worker.
        workers: How many.
        listening: A bound socket; closed here once all have it.
        say: Told which worker ended by itself, and that all end.

    Returns:
        The first exit code that is not 0, else 0.

    Raises:
        ConfigError: No temporary folder can be made.
    """
    command = [sys.executable, "-m", "forethought", "serve", *arguments, "--socket", str(listening.fileno())]
    with _folder() as folder:
        group = _Workers(command, listening.fileno(), {**os.environ, FOLDER: folder}, say)
        for number in END_SIGNALS:
            signal.signal(number, lambda number, frame: group.stop())
        group.start("--reports")
        while group.all_run and not listening.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            time.sleep(_BETWEEN_LOOKS)
        if group.refused:
            return _REFUSED
        for _ in range(workers - 1):
            if group.all_run:
                group.start()
        listening.close()  # while they drain, nobody may connect to a socket that none of them serves
        return group.wait()


def _folder() -> TemporaryDirectory[str]:
    try:
        return TemporaryDirectory(prefix="forethought-")
    except OSError as error:
        raise ConfigError(f"several workers need a temporary folder to count together in: {error}") from None


class _Workers:
    """Processes of one command that begin and end together.

    Args:
        command: Of each.
        descriptor: Of a socket that they inherit.
        environment: Of each.
        say: Told who ended by itself, and that all end.
    """

    def __init__(self, command: Sequence[str], descriptor: int, environment: Mapping[str, str], say: Say) -> None:
        self._command = command
        self._descriptor = descriptor
        self._environment = environment
        self._say = say
        self._children: list[subprocess.Popen[bytes]] = []
        self._stopping = False

    @property
    def all_run(self) -> bool:
        """Whether none has ended and none is to."""
        return not self._stopping and all(child.poll() is None for child in self._children)

    @property
    def refused(self) -> bool:
        """Whether one could not start and has said why."""
        return any(child.poll() == _REFUSED for child in self._children)

    def start(self, *arguments: str) -> None:
        """Start one more, with arguments of its own."""
        # Ignored until it listens for it: what it inherits as ignored does not end it while it starts.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        command = [*self._command, *arguments]
        self._children.append(
            subprocess.Popen(command, pass_fds=[self._descriptor], env=self._environment)  # noqa: S603
        )
        signal.signal(signal.SIGHUP, lambda number, frame: self._tell(signal.SIGHUP))
        if self._stopping:  # told so before this one was known
            self._tell(signal.SIGTERM)

    def stop(self) -> None:
        """Tell all of them to end, once: a second signal would find one that is nearly gone without its handler."""
        if not self._stopping:
            self._stopping = True
            self._tell(signal.SIGTERM)

    def wait(self) -> int:
        """Wait until all have ended, and stop them when one has; the first code that is not 0, as a shell tells it."""
        while self.all_run:
            time.sleep(_BETWEEN_LOOKS)
        if not self._stopping:
            self._tell_of_the_dead()
        self._say(STOPPING)
        self.stop()
        for child in self._children:
            child.wait()
        self._say(STOPPED)
        # One that was told to end before it listened for it ended as it should.
        bad = [child.returncode for child in self._children if child.returncode not in (0, -signal.SIGTERM)]
        return next((code if code > 0 else 128 - code for code in bad), 0)

    def _tell_of_the_dead(self) -> None:
        for child in self._children:
            code = child.returncode
            if code is not None:
                how = f"with code {code}" if code >= 0 else f"by {signal.Signals(-code).name}"
                self._say(f"worker {child.pid} ended {how}")

    def _tell(self, number: signal.Signals) -> None:
        for child in self._children:
            child.send_signal(number)
