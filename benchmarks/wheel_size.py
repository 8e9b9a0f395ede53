"""What the core install weighs: wheels to download without extras (no torch), and the files once installed."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

GOAL = 150e6


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--installed", action="store_true", help="also install into a scratch folder and measure it")
    given = parser.parse_args()
    root = Path(__file__).resolve().parents[1]
    with tempfile.TemporaryDirectory() as scratch:
        wheels = {name: download_bytes(entry) for name, entry in resolve(root, Path(scratch)).items()}
        installed = installed_bytes(root, Path(scratch) / "site") if given.installed else None
    total = sum(wheels.values())
    result = {
        "download_bytes": total,
        "installed_bytes": installed,
        "goal": GOAL,
        "met": total <= GOAL,
        "wheels": wheels,
    }
    if given.json:
        print(json.dumps({**result, "wheels": wheels}, indent=2))
        return 0
    for name, size in sorted(wheels.items(), key=lambda item: -item[1]):
        print(f"{size / 1e6:8.2f} MB  {name}")
    after = "" if installed is None else f", {installed / 1e6:.0f} MB installed"
    print(f"{total / 1e6:8.2f} MB  in {len(wheels)} wheels, goal {GOAL / 1e6:.0f} MB{after}")
    return 0


def resolve(root: Path, scratch: Path) -> dict[str, Any]:
    """What pip would download for the core install into an empty environment."""
    report = scratch / "report.json"
    command = ["install", "--quiet", "--dry-run", "--ignore-installed", "--report", str(report)]
    pip(*command, "-c", str(root / "constraints.txt"), str(root))
    items = json.loads(report.read_text())["install"]
    return {
        f"{item['metadata']['name']} {item['metadata']['version']}": item["download_info"]
        for item in items
        if "dir_info" not in item["download_info"]
    }


def download_bytes(entry: dict[str, Any]) -> int:
    """Size of a wheel: of the file, or what its server says."""
    url = entry["url"]
    parts = urlsplit(url)
    if parts.scheme == "file":
        return Path(parts.path).stat().st_size
    with urlopen(Request(url, method="HEAD"), timeout=60) as answer:  # noqa: S310
        return int(answer.headers["Content-Length"])


def installed_bytes(root: Path, site: Path) -> int:
    """Bytes on disk of the core install, the package itself included."""
    pip("install", "--quiet", "--no-compile", "--target", str(site), "-c", str(root / "constraints.txt"), str(root))
    return sum(path.stat().st_size for path in site.rglob("*") if path.is_file())


def pip(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "pip", *arguments], check=True)


if __name__ == "__main__":
    sys.exit(main())
