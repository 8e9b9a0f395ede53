"""LiteLLM's proxy in front of the mock, in an environment of its own made in the cache; see `README.md`."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from load import Endpoint
from servers import Server, free_port, running
from wire import PLAIN

from forethought.errors import UpstreamError

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
LONGEST = 1800
"""Seconds that an installation may take."""
KEY = "sk-bench-mock-0"
QUIET = {
    "LITELLM_LOG": "ERROR",
    "LITELLM_MODE": "PRODUCTION",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "DO_NOT_TRACK": "1",
}
"""Its prices come from the package, not the network; no usage is told; only errors are logged."""


@contextmanager
def litellm(cache: Path, folder: Path, upstream: int) -> Iterator[Server | None]:
    """One worker behind a master key; None, with one line on stderr, where it cannot be had.

    Args:
        cache: Where its environment is made and kept.
        folder: For its configuration.
        upstream: Port of the mock.
    """
    try:
        program = environment(cache)
    except UpstreamError as error:
        print(f"litellm is left out: {error}", file=sys.stderr)
        yield None
        return
    config, port = folder / "litellm.yaml", free_port()
    config.write_text(configuration(upstream))
    command = [str(program), "--config", str(config), "--host", "127.0.0.1", "--port", str(port)]
    with running([*command, "--num_workers", "1", "--telemetry", "False"], Endpoint(port, KEY), QUIET) as server:
        yield server


def configuration(upstream: int) -> str:
    """One model of the mock; no retries, no database, no callbacks."""
    url = f"http://127.0.0.1:{upstream}/v1"
    return (
        "model_list:\n"
        f"  - model_name: {PLAIN}\n"
        f'    litellm_params: {{model: openai/{PLAIN}, api_base: "{url}", api_key: none}}\n'
        "litellm_settings: {num_retries: 0, set_verbose: false, telemetry: false}\n"
        f"general_settings: {{master_key: {KEY}}}\n"
    )


def environment(cache: Path) -> Path:
    """The program in its environment, which is made where it is not there yet.

    Raises:
        UpstreamError: It could not be made.
    """
    digest = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:12]
    folder = (cache / f"litellm-{digest}").resolve()
    whole = folder / "whole"
    if not whole.exists():
        _run([sys.executable, "-m", "venv", "--clear", str(folder)], "its environment could not be made")
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        # The requirements are complete; --no-deps keeps out what a later release might pull in.
        _run([*pip, "--no-deps", "-r", str(REQUIREMENTS)], f"{REQUIREMENTS.name} did not install")
        whole.touch()
    return folder / "bin" / "litellm"


def _run(command: Sequence[str], problem: str) -> None:
    outside = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    try:
        ran = subprocess.run(command, env=outside, capture_output=True, text=True, timeout=LONGEST)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UpstreamError(f"{problem}: {error}") from error
    if ran.returncode:
        last = ran.stderr.strip().splitlines()[-1:] or [f"exit code {ran.returncode}"]
        raise UpstreamError(f"{problem}: {last[0]}")
