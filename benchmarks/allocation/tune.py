"""Tries windows of the pacer on seeds 0 to 4, which report nothing: `python benchmarks/allocation/tune.py`."""

from __future__ import annotations

from pacing import followed
from stream import REQUESTS

WINDOWS = (100, 300, 1000, 3000, 10_000)
SEEDS = range(5)


def main() -> None:
    """Worst and mean figures over seeds and both directions, a line a window."""
    print(f"{REQUESTS} requests, seeds 0-4, both directions: largest error, least gain, least gain over the cheapest")
    for window in WINDOWS:
        runs = [followed(seed, harder=harder, window=window) for seed in SEEDS for harder in (True, False)]
        error = max(abs(run.error) for run in runs)
        gain, over = min(run.gain for run in runs), min(run.gain_over_cheapest for run in runs)
        print(f"window {window:6d}: {error:.4f}  {gain:.4f}  {over:.4f}")


if __name__ == "__main__":
    main()
