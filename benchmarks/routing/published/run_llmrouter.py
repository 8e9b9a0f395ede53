"""Train and ask a router of the package `llmrouter-lib`, in its own environment: `run_llmrouter.py ROUTER FOLDER SEED`.

Its classes read the data, fit, save, load and route; only the text encoder, which would come from a hub, is replaced by
the embeddings given.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from exchange import Job, answer, receive


@dataclass(frozen=True)
class Kind:
    """A router of the package and the hyperparameters of its published configurations."""

    module: str
    router: str
    trainer: str
    hparam: Mapping[str, Any]


KINDS = {
    "knn": Kind(
        "knnrouter",
        "KNNRouter",
        "KNNRouterTrainer",
        {"n_neighbors": 5, "weights": "uniform", "algorithm": "auto", "leaf_size": 30, "p": 2, "metric": "minkowski"},
    ),
    # The published `probability: true` adds five fits whose result routing never reads.
    "svm": Kind("svmrouter", "SVMRouter", "SVMRouterTrainer", {"kernel": "rbf", "C": 1.0, "gamma": "scale"}),
    "mlp": Kind(
        "mlprouter",
        "MLPRouter",
        "MLPTrainer",
        {
            "hidden_layer_sizes": [128, 64],
            "activation": "relu",
            "lr": 0.001,
            "epochs": 100,
            "batch_size": 32,
            "alpha": 0.0001,
        },
    ),
    "mf": Kind(
        "mfrouter", "MFRouter", "MFRouterTrainer", {"latent_dim": 128, "lr": 0.001, "epochs": 5, "noise_alpha": 0.0}
    ),
    "elo": Kind("elorouter", "EloRouter", "EloRouterTrainer", {}),
}


def configure(job: Job, kind: Kind, folder: Path) -> Path:
    """Write the data and the configuration in the package's formats."""
    # Among equal scores the package takes the first it reads, so it reads the target that is best on average first.
    order = np.argsort(-job.success.mean(axis=0), kind="stable")
    with (folder / "routing.jsonl").open("w") as stream:
        for row, outcomes in enumerate(job.success):
            for column in order:
                record = {
                    "query": f"train {row}",
                    "embedding_id": row,
                    "model_name": job.targets[column],
                    "performance": outcomes[column],
                }
                stream.write(json.dumps(record) + "\n")
    torch.save(torch.from_numpy(job.train), folder / "embeddings.pt")
    model = str(folder / "model.pkl")
    config = {
        "data_path": {
            "routing_data_train": str(folder / "routing.jsonl"),
            "query_embedding_data": str(folder / "embeddings.pt"),
        },
        "model_path": {"ini_model_path": "", "save_model_path": model, "load_model_path": model},
        "metric": {"weights": {"performance": 1, "cost": 0, "llm_judge": 0}},
        "hparam": {**kind.hparam, "text_dim": job.train.shape[1]} if kind.module == "mfrouter" else dict(kind.hparam),
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def main(name: str, folder: Path, seed: int) -> None:
    kind, job = KINDS[name], receive(folder)
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    package = import_module(f"llmrouter.models.{kind.module}")
    routing = import_module(f"llmrouter.models.{kind.module}.router")
    router = getattr(package, kind.router)(str(configure(job, kind, folder)))
    getattr(package, kind.trainer)(router, device="cpu").train()
    vectors = {f"test {row}": vector for row, vector in enumerate(torch.from_numpy(job.test))}
    routing.get_longformer_embedding = vectors.__getitem__
    # The package reads its file again for each question.
    routing.load_model = cache(routing.load_model)
    column = {target: place for place, target in enumerate(job.targets)}
    chosen = [column[router.route_single({"query": query})["model_name"]] for query in vectors]
    answer(folder, np.array(chosen, dtype=np.int64))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
