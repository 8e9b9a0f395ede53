"""An encoder of the protocol's own making, without torch: a vector is drawn from the question's hash.

Run as a script it extracts into a folder and is killed, or refused room, on the way.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from pathlib import Path

import numpy as np

import forethought.activations.extraction as extraction
from forethought.activations import extract
from forethought.core import FeatureSpec, Question, content_hash
from forethought.errors import ArtifactError


class HashingEncoder:
    name = "hashing"
    n_layers = 4
    width = 16
    window = 100
    system = None
    readouts = ("last", "mean")

    def spec(self, layers, readout):
        return FeatureSpec(self.name, "w", "t", tuple(layers), readout)

    def encode(self, questions, *, layers, readouts):
        seeds = [int(content_hash(question.text)[:8], 16) for question in questions]
        draws = [np.random.default_rng(seed).normal(size=(5, 2, self.width)) for seed in seeds]
        columns = [self.readouts.index(readout) for readout in readouts]
        return np.stack(draws)[:, list(layers)][:, :, columns].astype(np.float32)

    def lengths(self, questions):
        return np.array([len(question.text) for question in questions])


def ask(n=23):
    return [Question.ask(f"What is {i}?", id=f"q{i}") for i in range(n)]


def run(store, **change):
    return extract(HashingEncoder(), ask(), Path(store), **{"layers": (0, 2, 4), "shard_size": 4, **change})


def die_at(event):
    """Kill the process just before its n-th step of writing: tensors, half of them, or the shard's line."""
    steps = 0

    def step():
        nonlocal steps
        steps += 1
        if steps == event:
            os.kill(os.getpid(), signal.SIGKILL)

    save, write = extraction.save_file, extraction.ShardLine.write

    def save_file(tensors, path):
        step()
        save(tensors, path)
        size = os.path.getsize(path)
        os.truncate(path, size // 2)
        step()
        save(tensors, path)
        step()

    def write_line(line, store):
        step()
        write(line, store)

    extraction.save_file, extraction.ShardLine.write = save_file, write_line


if __name__ == "__main__":
    mode, folder, number = sys.argv[1], sys.argv[2], int(sys.argv[3])
    if mode == "die":
        die_at(number)
    else:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (number, number))
    try:
        run(folder)
    except ArtifactError as error:
        print("refused:", error)
