from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from forethought.errors import DataError
from forethought.outcomes import read_plain

Import = Callable[[str, str], ModuleType]

MIXTRAL, GPT = "mistralai/Mixtral-8x7B-Instruct-v0.1", "gpt-4-1106-preview"
BBH = "code-davinci-002-outputs/code-davinci-002-"
ENDING = "_few_shot_template_0-255000.json"


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def write_lines(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    write(path, "".join(json.dumps(row) + "\n" for row in rows))


def archive(path: Path, members: dict[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, text in members.items():
            made.writestr(name, text)


def routellm(clone: Path) -> Path:
    evals = clone / "routellm" / "evals"
    write(
        evals / "gsm8k" / "gsm8k_responses.csv",
        f"prompt,{MIXTRAL},{GPT},{MIXTRAL}_response,{GPT}_response\n"
        'Two and two?,True,True,Four.,"4, surely."\n'
        '"Ann has 3 figs,\nBo 4. All?",False,True,"3\n#### 3",#### 7\n',
    )
    for subject, right in (("anatomy", "True,False"), ("world_religions", "False,True")):
        write(
            evals / "mmlu" / "responses" / f"mmlu_{subject}.csv",
            f'prompt,{MIXTRAL},{GPT}\n" Of {subject}?\nA. this\nB. that\nAnswer:",{right}\n',
        )
    return clone


def llmrouter(clone: Path) -> Path:
    scores = {"small-7b": 0.0, "large-70b": 1.0}
    graded = {"small-7b": 0.25, "large-70b": 1.0}
    train = [
        {"question": "Where is the cat?", "scores": scores, "cluster_id": 3},
        {"question": "cat, mat", "scores": graded, "cluster_id": 0},
    ]
    # The preprocessing changed spaces: the join is by text up to them.
    test = [{"question": "def f():\n    pass", "scores": {"large-70b": 0.0, "small-7b": 1.0}}]
    for split, rows in (("train", train), ("test", test)):
        write(clone / "data" / "dcrouter_preprocessed" / f"{split}.json", json.dumps(rows, indent=2))
    queries = clone / "data" / "example_data" / "query_data"
    choices = "{'text': ['1', '2'], 'labels': ['A', 'B']}"
    write_lines(
        queries / "default_query_train.jsonl",
        [
            query("agentverse-logicgrid", "Where is the cat?", "A", "em_mc", choices),
            query("commongen", "cat, mat", "cat, mat", "commongen_coverage", None),
        ],
    )
    coded = query("human_eval", "def f():\n    pass\n", "check(f)", "code_eval", ["assert f() is None"])
    write_lines(queries / "default_query_test.jsonl", [coded])
    prices = {name: {"size": "7B", "input_price": price} for name, price in (("small-7b", 0.2), ("large-70b", 0.9))}
    write(clone / "data" / "example_data" / "llm_candidates" / "default_llm.json", json.dumps(prices))
    return clone


def query(task: str, text: str, truth: str, metric: str, choices: Any) -> dict[str, Any]:
    return {
        "task_name": task,
        "query": text,
        "ground_truth": truth,
        "metric": metric,
        "choices": choices,
        "task_id": None,
    }


def bbh(clone: Path, asked: str = "Is it the fig or the date?\nOptions:\n(A) fig\n(B) date") -> Path:
    thought = " Let's think step by step."
    rows = {
        "direct": [output(asked, "", "(B)", "(A)"), output("Sort: b a", "", "a b", "a b")],
        "cot": [
            output(asked, thought, "Both would do. So the answer is (A) or (B).", "(A)"),
            output("Sort: b a", thought, "The answer is b a, no: so the answer is a b.", "a b"),
        ],
    }
    late = output("Third?", thought, "If we look at (A), it is long and cut", "(A)")
    for way, outputs in rows.items():
        more = [late] if way == "cot" else [output("Third?", "", "(B)", "(A)")]
        for task, part in (("fruit", outputs[:1]), ("word_sorting", [*outputs[1:], *more])):
            content = {"canary": "not to be trained on", "outputs": part}
            write(clone / f"{BBH}{way}" / f"{task}{ENDING}", json.dumps(content))
        write(clone / f"{BBH}{way}" / "fruit_few_shot_template_0-255000_eval_metrics.jsonl", '{"accuracy": 40.4}')
    return clone


def output(asked: str, thought: str, prediction: str, target: str) -> dict[str, str]:
    shown = f"A task.\n\nQ: Solved one?\nA:{thought} So the answer is (Z).\n\nQ: {asked}\nA:{thought}"
    return {"input": shown, "prediction": prediction, "target": target}


def grade_school(clone: Path) -> Path:
    def solved(right: bool, text: str) -> dict[str, Any]:
        return {"is_correct": right, "solution": text}

    row = {
        "question": "Ann has 3 figs, Bo 4. All?",
        "ground_truth": "3+4=<<3+4=7>>7\nA: 7",
        "6b_finetuning": solved(False, "A: 12"),
        "6b_verification": solved(True, "3 + 4 = 7\nA: 7"),
        "175b_finetuning": solved(False, "A: 34"),
        "175b_verification": solved(True, "A: 7"),
    }
    write_lines(clone / "grade_school_math" / "data" / "example_model_solutions.jsonl", [row])
    return clone


def answered(number: int, letter: str | None, **other: Any) -> dict[str, Any]:
    return {
        "question_id": number,
        "question": f"Question {number}?",
        "options": ["yes", "no"],
        "answer": "A",
        "answer_index": 0,
        "cot_content": "",
        "category": "law" if number < 80 else "math",
        "src": "ori_mmlu-law",
        "pred": letter,
        "model_outputs": "The answer is.",
    } | other


def mmlu_pro(clone: Path, models: Sequence[str]) -> Path:
    """All but three of the models answer 70 and 80 rightly, in one list."""
    folder = clone / "eval_results"
    everyone = {"o.json": json.dumps([answered(70, "A"), answered(80, "A")])}
    for model in models:
        archive(folder / f"model_outputs_{model}_5shots.zip", everyone)
    # Of these, one lacks a question and has macOS's shadow, one has lists by category and an unread answer, one
    # has a file a category, scores beside, a question twice and a corrected key.
    lacking = {"o.json": json.dumps([answered(70, "B")]), "__MACOSX/._o.json": "\x00\x05"}
    lists = {"law": [answered(70, None)], "math": [answered(80, "A", model_outputs=None)]}
    twice = [answered(80, "B", answer="B", response="Long enough", model_outputs=None), answered(80, "A", answer="B")]
    parts = {
        "law.json": json.dumps([answered(70, "A")]),
        "math.json": json.dumps(twice),
        "summary.json": json.dumps({"total": {"acc": 0.5}}),
    }
    archive(folder / "model_outputs_Yi-6B_5shots.zip", lacking)
    archive(folder / "model_outputs_gemma-7b_5shots.zip", {"o.json": json.dumps(lists)})
    archive(folder / "model_outputs_DeepSeek-Coder-V2_5shots.zip", parts)
    archive(folder / "model_outputs_gpt-4o-2024-08-06_5shots.zip", {"o.json": "not read"})
    return clone


@pytest.fixture
def convert(module: Import) -> ModuleType:
    return module("routing", "convert")


@pytest.fixture
def tables(module: Import) -> ModuleType:
    return module("routing", "tables")


def run(convert: ModuleType, source: str, clone: Path, data: Path) -> Path:
    assert convert.main([source, str(clone), str(data)]) == 0
    return data / "outcomes" / source


def correct(folder: Path) -> dict[tuple[str, str], float]:
    rows = read_plain(folder, source="").outcomes.frame.select("question_id", "target", "success")
    return {(question[1:], target): success for question, target, success in rows.iter_rows()}


# MMLU's answers were one letter and are not recorded, so their lengths are blank and have no mean.
@pytest.mark.filterwarnings("ignore:Mean of empty slice")
def test_routellm_keeps_prompts_answers_and_subjects(convert: ModuleType, tables: ModuleType, tmp_path: Path) -> None:
    run(convert, "routellm", routellm(tmp_path / "RouteLLM"), tmp_path / "data")
    gsm8k = tables.routellm_gsm8k(tmp_path / "data")
    assert gsm8k.targets == (MIXTRAL, GPT)
    assert gsm8k.texts == ["Two and two?", "Ann has 3 figs,\nBo 4. All?"]
    assert gsm8k.success.tolist() == [[1, 1], [0, 1]]
    assert gsm8k.cost[0] == pytest.approx([0.24 * (12 + 5) / 4e6, (10 * 12 + 30 * 10) / 4e6])
    mmlu = tables.routellm_mmlu(tmp_path / "data")
    assert mmlu.groups == ["anatomy", "world_religions"]
    assert mmlu.texts[0].startswith(" Of anatomy?\nA. this")
    assert mmlu.success.tolist() == [[1, 0], [0, 1]]


def test_llmrouter_joins_scores_with_tasks_by_text(convert: ModuleType, tables: ModuleType, tmp_path: Path) -> None:
    folder = run(convert, "llmrouter", llmrouter(tmp_path / "LLMRouter"), tmp_path / "data")
    assert correct(folder)["llmrouter-train-1", "small-7b"] == 0.25
    table = tables.llmrouter(tmp_path / "data")
    assert table.targets == ("small-7b", "large-70b")
    assert table.groups == ["agentverse-logicgrid", "human_eval"]
    assert table.success.tolist() == [[0, 1], [1, 0]]
    assert table.cost[0] == pytest.approx([0.2 * 17 / 4e6, 0.9 * 17 / 4e6])


def test_bbh_scores_what_each_way_concludes(convert: ModuleType, tables: ModuleType, tmp_path: Path) -> None:
    folder = run(convert, "bbh_direct_vs_cot", bbh(tmp_path / "BBH"), tmp_path / "data")
    assert correct(folder) == {
        ("bbh-fruit-0", "code-davinci-002:cot"): 1.0,
        ("bbh-word_sorting-0", "code-davinci-002:cot"): 1.0,
        ("bbh-word_sorting-1", "code-davinci-002:cot"): 0.0,
        ("bbh-fruit-0", "code-davinci-002:direct"): 0.0,
        ("bbh-word_sorting-0", "code-davinci-002:direct"): 1.0,
        ("bbh-word_sorting-1", "code-davinci-002:direct"): 0.0,
    }
    table = tables.bbh_effort(tmp_path / "data")
    assert table.texts[1:] == ["Sort: b a\nA:", "Third?\nA:"]
    assert table.groups == ["fruit", "word_sorting", "word_sorting"]
    prompt = output("Third?", "", "(B)", "(A)")["input"]
    assert table.cost[2, 1] == pytest.approx(20 * (len(prompt) + len("(B)")) / 4e6)


def test_bbh_wants_the_same_questions_of_both_ways(convert: ModuleType, tmp_path: Path) -> None:
    clone, other = bbh(tmp_path / "BBH"), bbh(tmp_path / "other", asked="Another?\nOptions:\n(A) fig\n(B) date")
    (other / f"{BBH}cot" / f"fruit{ENDING}").replace(clone / f"{BBH}cot" / f"fruit{ENDING}")
    with pytest.raises(DataError, match="differ"):
        convert.make("bbh_direct_vs_cot", clone, tmp_path / "data")


def test_openai_gsm8k_has_four_policies(convert: ModuleType, tables: ModuleType, tmp_path: Path) -> None:
    folder = run(convert, "openai_gsm8k", grade_school(tmp_path / "gsm"), tmp_path / "data")
    table = tables.openai_gsm8k(tmp_path / "data")
    assert table.targets == ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")
    assert table.success.tolist() == [[0, 1, 0, 1]]
    assert read_plain(folder).questions[0].answers == ("7",)


def test_mmlu_pro_counts_what_its_authors_read(convert: ModuleType, tables: ModuleType, tmp_path: Path) -> None:
    models = convert.mmlu_pro.MODELS
    folder = run(convert, "mmlu_pro", mmlu_pro(tmp_path / "MMLU-Pro", models), tmp_path / "data")
    scores = correct(folder)
    assert len(scores) == 2 * 29 - 1
    assert scores["mmlupro-70", "gemma-7b"] == 0.0
    assert scores["mmlupro-80", "DeepSeek-Coder-V2"] == 1.0
    assert ("mmlupro-80", "Yi-6B") not in scores
    table = tables.mmlu_pro(tmp_path / "data")
    assert table.targets == models
    assert table.texts == ["Question 70?\nA. yes\nB. no"]
    assert table.groups == ["law"]
    assert [models[column] for column in (table.success[0] == 0).nonzero()[0]] == ["Yi-6B", "gemma-7b"]


def test_prices_of_the_wheel_and_of_the_table_in_it(convert: ModuleType, tables: ModuleType, tmp_path: Path) -> None:
    price = {"input_cost_per_token": 7.5e-08, "output_cost_per_token": 2.8e-07, "mode": "chat"}
    text = json.dumps({"sample_spec": {}} | dict.fromkeys(convert.prices.KEYS.values(), price))
    wheel = tmp_path / "litellm-1.57.0-py3-none-any.whl"
    archive(wheel, {f"litellm/{convert.prices.TABLE}": text, "litellm/other.json": "{}"})
    folder = run(convert, "prices", wheel, tmp_path / "data")
    file = folder / "model_prices_2024-12.json"
    made = json.loads(file.read_text())["gemini-1.5-pro-002"]
    assert made == {"key": "gemini/gemini-1.5-pro-002", "input_per_m": 0.075, "output_per_m": 0.28}
    alone = run(convert, "prices", write(tmp_path / convert.prices.TABLE, text), tmp_path / "again")
    assert (alone / file.name).read_bytes() == file.read_bytes()

    run(convert, "mmlu_pro", mmlu_pro(tmp_path / "MMLU-Pro", convert.mmlu_pro.MODELS), tmp_path / "data")
    ladder = tables.mmlu_pro_ladder(tmp_path / "data")
    assert set(ladder.targets) == set(convert.prices.KEYS)
    shown = len("Question 70?\nA. yes\nB. no")
    assert ladder.cost[0] == pytest.approx([(0.075 * shown + 0.28 * len("The answer is.")) / 4e6] * 5)


def test_equal_clones_give_equal_bytes(convert: ModuleType, tmp_path: Path) -> None:
    clone = routellm(tmp_path / "RouteLLM")
    first, second = (run(convert, "routellm", clone, tmp_path / name) for name in ("a", "b"))
    assert sorted(path.name for path in first.iterdir()) == ["outcomes.csv.gz", "queries.jsonl.gz"]
    assert all((second / path.name).read_bytes() == path.read_bytes() for path in first.iterdir())


def error(convert: ModuleType, capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert convert.main([str(argument) for argument in arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    return printed.err


def test_errors_are_one_line_and_exit_code_2(
    convert: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clone, data = grade_school(tmp_path / "gsm"), tmp_path / "data"
    assert "there are routellm, mmlu_pro" in error(convert, capsys, "arena", clone, data)
    assert "git clone https://github.com/lm-sys/RouteLLM" in error(convert, capsys, "routellm", tmp_path / "no", data)
    assert "has no routellm/evals/gsm8k" in error(convert, capsys, "routellm", clone, data)
    assert not data.exists()
    folder = run(convert, "openai_gsm8k", clone, data)
    before = (folder / "outcomes.csv.gz").read_bytes()
    capsys.readouterr()
    assert "exists; remove it first" in error(convert, capsys, "openai_gsm8k", clone, data)
    assert (folder / "outcomes.csv.gz").read_bytes() == before


def test_a_pair_that_does_not_read_back_is_not_put_in_place(convert: ModuleType, tmp_path: Path) -> None:
    clone = grade_school(tmp_path / "gsm")
    file = clone / "grade_school_math" / "data" / "example_model_solutions.jsonl"
    write(file, file.read_text().replace('"is_correct": true', '"is_correct": 2'))
    with pytest.raises(DataError, match="must lie in"):
        convert.make("openai_gsm8k", clone, tmp_path / "data")
    assert list((tmp_path / "data" / "outcomes").iterdir()) == []


def test_an_unknown_question_of_llmrouter_is_an_error(convert: ModuleType, tmp_path: Path) -> None:
    clone = llmrouter(tmp_path / "LLMRouter")
    (clone / "data" / "example_data" / "query_data" / "default_query_test.jsonl").unlink()
    with pytest.raises(DataError, match="question 0 is in none of the files"):
        convert.make("llmrouter", clone, tmp_path / "data")


def test_a_missing_archive_is_an_error(convert: ModuleType, tmp_path: Path) -> None:
    clone = mmlu_pro(tmp_path / "MMLU-Pro", convert.mmlu_pro.MODELS[1:])
    (clone / "eval_results" / "model_outputs_DeepSeek-Coder-V2_5shots.zip").unlink()
    with pytest.raises(DataError, match=r"lacks the archives of \['DeepSeek-Coder-V2'\]"):
        convert.make("mmlu_pro", clone, tmp_path / "data")


@pytest.mark.parametrize(
    ("members", "limit", "message"),
    [
        (None, 1 << 20, "not a zip file"),
        ({"o.json": "{"}, 1 << 20, "cannot read"),
        ({"o.json": "[" + " " * 5000 + "]"}, 4096, "unpacks to 5002 bytes; at most 4096 are read"),
        ({"summary.json": '{"acc": 0.5}'}, 1 << 20, "holds no list of answers"),
        ({"o.json": '["text"]'}, 1 << 20, "must hold a list of objects"),
        ({"o.json": '[{"question_id": 1}]'}, 1 << 20, r"lacks \['category', 'answer', 'pred'\]"),
    ],
)
def test_an_archive_that_is_not_the_authors_is_an_error(
    convert: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    members: dict[str, str] | None,
    limit: int,
    message: str,
) -> None:
    clone = mmlu_pro(tmp_path / "MMLU-Pro", convert.mmlu_pro.MODELS)
    path = clone / "eval_results" / "model_outputs_mathstral-7B_5shots.zip"
    if members is None:
        write(path, "version https://git-lfs.github.com/spec/v1\n")
    else:
        archive(path, members)
    monkeypatch.setattr("converters.files.MEMBER_BYTES", limit)
    with pytest.raises(DataError, match=message):
        convert.make("mmlu_pro", clone, tmp_path / "data")


def test_instructions_are_commands_for_every_source(convert: ModuleType) -> None:
    told = convert.instructions("my/data").splitlines()
    for name, source in convert.SOURCES.items():
        (line,) = [line for line in told if f"convert.py {name} " in line]
        assert source.origin in line
        assert source.version in line
        assert line.endswith(f"{source.path} my/data")
    assert any(line.startswith("git clone https://github.com/lm-sys/RouteLLM && ") for line in told)
    assert convert.SOURCES["prices"].path == "litellm-1.57.0-py3-none-any.whl"
