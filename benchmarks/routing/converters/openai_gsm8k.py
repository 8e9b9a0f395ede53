"""OpenAI's GSM8K: JSON lines with a question and four policies' solutions, each marked right or wrong."""

from __future__ import annotations

from pathlib import Path

from converters.files import Files, fields, inside, pair, read_json_lines, records

SOLUTIONS = "grade_school_math/data/example_model_solutions.jsonl"
POLICIES = ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")


def convert(clone: Path) -> Files:
    """One sample (finetuning) and the verifier's best of a hundred (verification) of two sizes."""
    path = inside(clone, SOLUTIONS)
    outcomes, queries = [], []
    for number, record in enumerate(read_json_lines(path)):
        question, truth, *solutions = fields(record, ["question", "ground_truth", *POLICIES], path)
        names = {"query_id": f"gsm8k-test-{number}", "dataset": "gsm8k"}
        queries.append(names | {"text": question, "answer": truth.rpartition("\nA: ")[2].strip()})
        for policy, solution in zip(POLICIES, records(solutions, path), strict=True):
            correct, text = fields(solution, ["is_correct", "solution"], path)
            outcomes.append(names | {"model": policy, "correct": float(correct), "out_chars": len(text)})
    return pair(outcomes, queries)
