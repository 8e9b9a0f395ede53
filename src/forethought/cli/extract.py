"""`forethought extract`: one prefill a question, into a store."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from forethought.cli.console import print_json, progress


def extract(
    out: Path,
    *,
    questions: Path | None = None,
    pool: Path | None = None,
    encoder: str | None = None,
    system: str | None = None,
    layers: Annotated[Sequence[int], Parameter(consume_multiple=True, negative=())] = (),
    readouts: Annotated[Sequence[str], Parameter(consume_multiple=True, negative=())] = (),
    dtype: Literal["float32", "float16"] = "float32",
    precision: Literal["float32", "bfloat16"] = "float32",
    shard: str = "0/1",
    json: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Read each question once with an encoder and keep layers x readouts; a killed run resumes.

    Example: `forethought extract runs/mine/activations --layers 8 16 23 --readouts last mean`

    Args:
        out: Folder of the activation store.
        questions: Questions as JSON lines; by default the committed ones.
        pool: Pool file; its [encoder] reads the questions unless `encoder` names another.
        encoder: Catalogue name, local folder or hub id of the model that reads.
        system: System turn put before each question, with `encoder`.
        layers: 0 is the embeddings; by default every layer.
        readouts: last, mean, eoi[-1], ...; by default all the encoder has.
        dtype: Precision that vectors are stored in.
        precision: Precision that the encoder runs in; bfloat16 is not reproducible across batches.
        shard: i/n extracts every n-th slice only, for job arrays.
        json: Print one JSON object.
    """
    from forethought.activations import extract as extract_activations
    from forethought.activations import load_encoder
    from forethought.cli.collect import parse_shard
    from forethought.data import default_pool, default_questions
    from forethought.questions import read_questions
    from forethought.targets.pool import EncoderEntry, read_pool

    asked = read_questions(questions or default_questions())
    reader = EncoderEntry(model=encoder, system=system) if encoder else read_pool(pool or default_pool()).encoder
    model = load_encoder(reader.model, system=reader.system, dtype=precision)
    with progress("extract") as report:
        store = extract_activations(
            model,
            asked,
            out,
            layers=tuple(layers) or None,
            readouts=tuple(readouts) or None,
            dtype=dtype,
            shard=parse_shard(shard),
            report=report,
        )
    if json:
        print_json(
            {
                "path": str(out),
                "questions": len(store.question_ids),
                "layers": list(store.layers),
                "readouts": list(store.readouts),
            }
        )
    else:
        size = f"{len(store.question_ids)} questions x {len(store.layers)} layers x {len(store.readouts)} readouts"
        print(f"{size} in {out}")
