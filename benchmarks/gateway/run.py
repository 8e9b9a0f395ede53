"""What the gateway adds to a request and to a stream, beside a bare pass-through and LiteLLM's proxy."""

from __future__ import annotations

import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import hop
import servers
import streaming
from peer.litellm_proxy import litellm
from rounds import SEED
from wire import PLAIN, Pace

from forethought.bench import Figure, Options, script

HOP = hop.Effort(rounds=7, requests=2000, litellm_requests=150)
HOP_QUICK = hop.Effort(rounds=2, requests=200, litellm_requests=0)
STREAMING = streaming.Effort(
    rounds=7,
    many=50,
    paced=Pace(200, 0.02),
    crowds=3,
    crowd=1000,
    slow=Pace(20, 1.0),
    over=4.0,
    at_once=Pace(3, 1.0),
)
STREAMING_QUICK = streaming.Effort(
    rounds=2,
    many=20,
    paced=Pace(50, 0.02),
    crowds=1,
    crowd=100,
    slow=Pace(5, 0.2),
    over=0.4,
    at_once=Pace(3, 0.2),
)
FILES = 8192
"""Open files of the gateway with a thousand streams, with room."""


def measure(options: Options) -> dict[str, Figure]:
    servers.allow_files(FILES)
    options.cache.mkdir(parents=True, exist_ok=True)
    # The ledger lies beside the cache: in the system's temporary folder a commit may never meet a disk.
    with tempfile.TemporaryDirectory(dir=options.cache) as folder, ExitStack() as stack:
        return figures(options, Path(folder), stack)


def figures(options: Options, folder: Path, stack: ExitStack) -> dict[str, Figure]:
    effort = STREAMING_QUICK if options.quick else STREAMING
    mock = stack.enter_context(servers.mock())
    upstream = mock.endpoint.port
    bare = stack.enter_context(servers.bare(upstream))
    gateway = stack.enter_context(servers.gateway(folder, upstream, [PLAIN, *effort.models]))
    under_load = {hop.OURS: gateway, hop.BARE: bare, hop.DIRECT: mock}
    if options.quick:
        found = hop.costs(under_load, HOP_QUICK)
    else:
        with litellm(options.cache, folder, upstream) as peer:
            found = hop.costs(under_load | ({hop.LITELLM: peer} if peer is not None else {}), HOP)
    return {
        **hop.hop_figures(found),
        **streaming.chunk_figures(gateway, bare, effort),
        **streaming.crowd_figures(gateway, mock, effort),
    }


if __name__ == "__main__":
    sys.exit(script("gateway", measure, seed=SEED))
