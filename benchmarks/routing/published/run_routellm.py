"""Train and ask RouteLLM's matrix factorisation, in its own environment: `run_routellm.py mf FOLDER SEED`.

The package's data set, model and training loop, at the settings of its own training script, on the embeddings given.
Its serving class is left out, since that asks a paid service for each embedding; the trained model itself scores.
"""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

import numpy as np
import torch
from exchange import Job, answer, receive

# Importing the package opens a client, which wants a key; nothing calls it.
os.environ.setdefault("OPENAI_API_KEY", "none")

from routellm.routers.matrix_factorization.model import MODEL_IDS
from routellm.routers.matrix_factorization.train_matrix_factorization import (
    MFModel_Train,
    PairwiseDataset,
    train_loops,
)

DIM, BATCH, EPOCHS, NOISE, RATE, DECAY, HELD_OUT = 128, 64, 100, 0.1, 3e-4, 1e-5, 0.05

BATTLES = 4
"""Most battles of one question; the arena data it was made for has one each, an outcome table up to K * K / 4."""


def battles(job: Job, rng: np.random.Generator) -> list[dict[str, object]]:
    """A right answer against a wrong one to the same question, in the package's format."""
    # The package knows 64 models by name and no other; the names only number the rows of its table.
    names, found = list(MODEL_IDS), []
    for row, outcomes in enumerate(job.success):
        pairs = [(a, b) for a in np.flatnonzero(outcomes == 1) for b in np.flatnonzero(outcomes == 0)]
        for pair in rng.permutation(len(pairs))[:BATTLES]:
            a, b = pairs[pair]
            found.append({"model_a": names[a], "model_b": names[b], "idx": row, "winner": "model_a"})
    return found


def main(folder: Path, seed: int) -> None:
    job = receive(folder)
    # The package seeds itself on import.
    torch.manual_seed(seed)
    random.seed(seed)
    torch.set_num_threads(1)
    data = battles(job, np.random.default_rng(seed))
    random.shuffle(data)
    cut = int(len(data) * (1 - HELD_OUT))
    np.save(folder / "prompts.npy", np.concatenate([job.train, job.test]))
    n, m, width = len(job.train), len(job.test), job.train.shape[1]
    model = MFModel_Train(DIM, len(MODEL_IDS), n + m, text_dim=width, npy_path=folder / "prompts.npy")
    train_loops(
        model,
        PairwiseDataset(data[:cut]).get_dataloaders(BATCH),
        PairwiseDataset(data[cut:]).get_dataloaders(1024, shuffle=False),
        lr=RATE,
        weight_decay=DECAY,
        alpha=NOISE,
        num_epochs=EPOCHS,
        device="cpu",
    )
    model.eval()
    best, prompts = int(job.success.mean(axis=0).argmax()), torch.arange(n, n + m)
    with torch.no_grad():
        rates = [
            torch.sigmoid(model(torch.full((m,), target), torch.full((m,), best), prompts, test=True)).numpy()
            for target in range(len(job.targets))
        ]
    scores = np.stack(rates, axis=1).astype(np.float64)
    answer(folder, scores.argmax(axis=1), scores)


if __name__ == "__main__":
    main(Path(sys.argv[2]), int(sys.argv[3]))
