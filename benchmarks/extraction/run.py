"""Extraction: prefill speed as a share of this machine's own matrix products, and memory that does not grow."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from matmul import PrefillWork, matmul_rate, prefill_rate

from forethought.activations import TransformersEncoder
from forethought.bench import Figure, Options, machine, script
from forethought.core import Question
from forethought.data import default_questions
from forethought.models import load
from forethought.questions import read_questions

SEED = 0
ENCODER = "smollm2-135m-instruct"
LAYERS = (6, 10, 14, 18, 23, 27)
READOUTS = ("last", "mean")
FEW, MANY = 1_000, 20_000


def measure(options: Options) -> dict[str, Figure]:
    torch.set_num_threads(1)
    return {
        **speed(questions=32 if options.quick else 256, rounds=2 if options.quick else 7),
        "time_over_depth": time_over_depth(questions=16 if options.quick else 64, rounds=2 if options.quick else 7),
        **memory(FEW // 10 if options.quick else FEW, MANY // 10 if options.quick else MANY),
    }


def speed(questions: int, rounds: int) -> dict[str, Figure]:
    """Prefill against plain matrix products of the same shapes and type, rounds interleaved."""
    encoder = TransformersEncoder(load(ENCODER, dtype="bfloat16" if has_bfloat16() else "float32"))
    work = PrefillWork.of(encoder, read_questions(default_questions())[:questions], LAYERS, READOUTS)
    rates = np.array([(prefill_rate(work), matmul_rate(work)) for _ in range(rounds + 1)])[1:]  # the first warms up
    shares = rates[:, 0] / rates[:, 1]
    prefill, product = np.median(rates, axis=0) / 1e9
    share = Figure(float(np.median(shares)), float(shares.min()), float(shares.max()), rounds)
    return {
        "matmul_share": share.at_least(0.6),
        "prefill_gflops": Figure(float(prefill), *spread(rates[:, 0] / 1e9), rounds),
        "matmul_gflops": Figure(float(product), *spread(rates[:, 1] / 1e9), rounds),
        "tokens_per_second": Figure(work.tokens * float(np.median(rates[:, 0])) / work.operations, n=work.tokens),
    }


def time_over_depth(questions: int, rounds: int) -> Figure:
    """CPU time of a prefill cut after a third of the blocks over that of the whole, times three: 1 is proportional."""
    encoder = TransformersEncoder(load(ENCODER))
    asked = read_questions(default_questions())[:questions]
    shallow = encoder.n_layers // 3
    times = np.array([[seconds(encoder, asked, d) for d in (shallow, encoder.n_layers)] for _ in range(rounds + 1)])[1:]
    ratios = times[:, 0] / times[:, 1] * encoder.n_layers / shallow
    return Figure(float(np.median(ratios)), *spread(ratios), rounds).at_most(1.15)


def seconds(encoder: TransformersEncoder, questions: Sequence[Question], depth: int) -> float:
    start = time.process_time()
    encoder.encode(questions, layers=(depth,), readouts=("last",))
    return time.process_time() - start


def memory(few: int, many: int) -> dict[str, Figure]:
    """Peak memory of extracting many questions over that of few, each in a process of its own."""
    peaks = [peak_bytes(count) for count in (few, many)]
    return {
        "rss_ratio": Figure(peaks[1] / peaks[0], n=many).at_most(1.15),
        "rss_mib": Figure(peaks[1] / 2**20, n=many),
    }


def peak_bytes(count: int) -> int:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(Path(__file__).with_name("peak_memory.py")), str(count), folder]
        return int(subprocess.run(command, capture_output=True, check=True, text=True).stdout)


def has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 itself."""
    return any(flag in machine() for flag in ("amx_bf16", "avx512_bf16"))


def spread(values: np.ndarray) -> tuple[float, float]:
    return float(values.min()), float(values.max())


if __name__ == "__main__":
    sys.exit(script("extraction", measure, seed=SEED))
