"""What goes wrong upstream, at the power switch and with money: sixteen faults, kill -9, and a budget raced for."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

# The servers are those of the benchmark `gateway`, the faults those that the tests hold.
_ROOT = Path(__file__).parents[2]
sys.path += [str(_ROOT / "benchmarks" / "gateway"), str(_ROOT / "tests" / "gateway")]

from cases import fault_figures  # noqa: E402
from durability import durability_figures  # noqa: E402
from faults import CASES  # noqa: E402
from race import race_figures  # noqa: E402
from servers import allow_files  # noqa: E402

from forethought.bench import Figure, Options, script  # noqa: E402

SEED = 0
FILES = 4096
POINTS, POINTS_QUICK = 200, 10
RACES, RACES_QUICK = 5, 1


def measure(options: Options) -> dict[str, Figure]:
    allow_files(FILES)
    options.cache.mkdir(parents=True, exist_ok=True)
    # The ledger lies beside the cache: in the system's temporary folder a commit may never meet a disk.
    with tempfile.TemporaryDirectory(dir=options.cache) as name:
        places = [Path(name).resolve() / part for part in ("faults", "durability", "race")]
        for place in places:
            place.mkdir()
        return {
            **fault_figures(CASES, places[0]),
            **durability_figures(POINTS_QUICK if options.quick else POINTS, places[1], SEED),
            **race_figures(RACES_QUICK if options.quick else RACES, places[2]),
        }


if __name__ == "__main__":
    sys.exit(script("faults", measure, seed=SEED))
