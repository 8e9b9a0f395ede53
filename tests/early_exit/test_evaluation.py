from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest
import torch

from forethought.core import DecodingPolicy
from forethought.early_exit.base import ExitAnswer
from forethought.early_exit.confidences import GateConfidence, SoftmaxGap
from forethought.early_exit.decoder import ExitDecoder
from forethought.early_exit.evaluation import ADAPTED, UNMODIFIED, Detail, Evaluation, evaluate, tokens_by_depth
from forethought.early_exit.model import ExitConfig, ExitModel
from forethought.early_exit.rules import Never, Sampled, StaticCut, Threshold
from forethought.early_exit.task import Task
from forethought.errors import ConfigError
from forethought.evaluation.plain import plain
from forethought.metrics import paired_bootstrap
from forethought.models import load
from forethought.questions import arithmetic_questions
from forethought.targets.generation import Generator

torch.set_num_threads(1)

N = 16


@pytest.fixture(scope="module")
def model() -> ExitModel:
    """Untrained heads and adapters that change some answers and leave others."""
    model = ExitModel(load("arithmetic-small"), ExitConfig((1, 2, 4), map_rank=2))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    return model


@pytest.fixture(scope="module")
def task(model: ExitModel) -> Task:
    return Task(model.base, DecodingPolicy(max_tokens=40), arithmetic_questions("test", N, seed=0))


@pytest.fixture(scope="module")
def evaluation(model: ExitModel, task: Task) -> Evaluation:
    gate = GateConfidence(model)
    rules = {
        "gap": Threshold(SoftmaxGap(model), 0.9),
        "gate": Threshold(gate, 0.5),
        "sampled": Sampled(gate),
        "cut": StaticCut(4),
        "all": StaticCut(1),
    }
    return evaluate(model, task, rules, batch_size=6, detail=Detail(examples=3, tokens=2, draws=200))


def test_both_models_at_full_depth_stand_beside_the_rules(evaluation: Evaluation) -> None:
    assert list(evaluation.rules) == [UNMODIFIED, ADAPTED, "gap", "gate", "sampled", "cut", "all"]
    own = evaluation.rules[UNMODIFIED].summary
    assert own.accuracy.value > 0.5  # a model that is good at the task, or a loss would mean nothing
    assert own.accuracy_loss[:3] == own.macs_saved[:3] == (0, 0, 0)
    assert own.exact_match[:3] == own.consistency[:3] == (1, 1, 1)
    assert own.mean_depth.value == 6
    assert np.isnan(own.agreement.value)
    assert evaluation.rules[ADAPTED].summary.macs_saved.value == 0


def test_the_unmodified_answers_are_those_of_the_plain_generator(evaluation: Evaluation, task: Task) -> None:
    generator = Generator(task.model, task.policy, task.model.eos.__contains__)
    answers = [generator.generate([prompt], [0], [b""])[0].tokens for prompt in task.prompts()]
    table = evaluation.rules[UNMODIFIED].answers
    assert table.success.tolist() == [task.success(i, tokens) for i, tokens in enumerate(answers)]
    assert table.tokens.tolist() == [len(tokens) for tokens in answers]


def test_summaries_are_the_tables_means(evaluation: Evaluation) -> None:
    unmodified = evaluation.rules[UNMODIFIED].answers
    for rule in evaluation.rules.values():
        answers, summary = rule.answers, rule.summary
        expected = {
            "accuracy": answers.success.mean(),
            "accuracy_loss": unmodified.success.mean() - answers.success.mean(),
            "exact_match": answers.exact.mean(),
            "consistency": answers.similarity.mean(),
            "mean_depth": answers.layers.sum() / answers.passes.sum(),
            "macs_saved": 1 - answers.macs.sum() / answers.full_macs.sum(),
            "macs_saved_on_answers": 1 - answers.macs.sum() / unmodified.macs.sum(),
            "macs_saved_with_prompts": 1
            - (answers.macs + evaluation.prompt_macs).sum() / (answers.full_macs + evaluation.prompt_macs).sum(),
        }
        for name, value in expected.items():
            found = getattr(summary, name)
            assert found.value == pytest.approx(value, abs=1e-12), name
            assert found.low <= found.value <= found.high
            assert found.n == N


def test_rules_differ_as_they_should(evaluation: Evaluation) -> None:
    summary = {name: rule.summary for name, rule in evaluation.rules.items()}
    assert summary["all"].mean_depth.value == 1
    assert summary["cut"].mean_depth.value == 4
    assert summary["all"].macs_saved.value > summary["cut"].macs_saved.value > 0
    assert summary["all"].accuracy_loss.value > 0
    assert 1 < summary["gap"].mean_depth.value < 6
    assert all(0 <= rule.thrown_away < 0.5 and rule.lost_looks == 0 for rule in evaluation.rules.values())


def test_prompts_are_counted_apart(evaluation: Evaluation, model: ExitModel, task: Task) -> None:
    decoder = ExitDecoder(model, Never(), task.policy)
    for i, prompt in enumerate(task.prompts()):
        before = decoder.meter.prompt_macs
        decoder.generate([prompt], [0], [b""])
        assert evaluation.prompt_macs[i] == decoder.meter.prompt_macs - before
        assert evaluation.prompt_tokens[i] == len(prompt.ids)


def test_along_the_unmodified_answers(evaluation: Evaluation) -> None:
    by_exit = evaluation.agreement_by_exit
    assert list(by_exit) == [1, 2, 4, 6]
    assert by_exit[6].value == evaluation.rules[ADAPTED].summary.agreement.value
    # At the first exit nobody has left yet: a token sees there what it sees where all go to full depth.
    assert by_exit[1].value == evaluation.rules["all"].summary.agreement.value
    for name, rule in evaluation.rules.items():
        if name != UNMODIFIED:
            assert 0 < rule.summary.agreement.value <= 1
            assert rule.summary.divergence.value >= 0
    summary = evaluation.rules
    assert summary["all"].summary.divergence.value > summary[ADAPTED].summary.divergence.value
    assert 1 <= evaluation.oracle.mean_depth <= 6
    assert evaluation.oracle.reference == "teacher"  # as every other figure


def test_intervals_draw_ratios_of_sums_by_component(evaluation: Evaluation) -> None:
    answers = evaluation.rules["gate"].answers

    def saved(rows: np.ndarray) -> float:
        return float(1 - answers.macs[rows].sum() / answers.full_macs[rows].sum())

    expected = paired_bootstrap(saved, N, clusters=evaluation.clusters, draws=200)
    np.testing.assert_allclose(evaluation.rules["gate"].summary.macs_saved, expected)


def test_which_tokens_left_where(task: Task) -> None:
    encode = task.model.tokenizer.convert_tokens_to_ids
    one, two, equals = encode("1"), encode("2"), encode("=")
    answers = [ExitAnswer([equals, one, two, one], [6, 1, 4, 1]), ExitAnswer([two, two, one], [6, 4, 1])]
    shallow, middle = tokens_by_depth(task, answers, kept=1)
    assert (shallow.depth, shallow.passes, shallow.tokens) == (1, 3, (("1", 3),))
    assert (middle.depth, middle.passes, middle.tokens) == (4, 2, (("2", 2),))
    assert (shallow.share, middle.share) == (3 / 5, 2 / 5)
    assert tokens_by_depth(task, [ExitAnswer([one], [6])], kept=1) == ()


def test_shares_of_depths_and_examples_fit_the_answers(evaluation: Evaluation, task: Task) -> None:
    for rule in evaluation.rules.values():
        assert sum(part.passes for part in rule.depths) == rule.answers.passes.sum()
        assert sum(part.depth * part.passes for part in rule.depths) == rule.answers.layers.sum()
        assert sum(part.share for part in rule.depths) == pytest.approx(1)
        assert len(rule.examples) == 3
        for i, example in enumerate(rule.examples):
            assert example.question == task.questions[i].id
            assert len(example.tokens) == len(example.depths) == rule.answers.tokens[i]
            assert example.text == "".join(example.tokens).removesuffix("<eos>")
            assert example.success == rule.answers.success[i]
            assert sum(example.depths[1:]) == rule.answers.layers[i]
    assert Counter(example.depths[0] for rule in evaluation.rules.values() for example in rule.examples) == {6: 21}


def test_it_is_json(evaluation: Evaluation) -> None:
    found = json.loads(json.dumps(plain(evaluation), allow_nan=False))
    assert found["rules"]["gap"]["summary"]["accuracy"]["n"] == N
    assert found["rules"][UNMODIFIED]["summary"]["agreement"]["value"] is None
    assert found["agreement_by_exit"]["6"]["value"] == evaluation.agreement_by_exit[6].value


def test_batch_size_changes_nothing(evaluation: Evaluation, model: ExitModel, task: Task) -> None:
    alone = evaluate(model, task, {"sampled": Sampled(GateConfidence(model))}, batch_size=1, detail=Detail(draws=1))
    one, six = alone.rules["sampled"], evaluation.rules["sampled"]
    assert one.thrown_away == 0
    assert one.answers.macs.tolist() == six.answers.macs.tolist()
    assert one.answers.exact.tolist() == six.answers.exact.tolist()


def test_names_of_the_models_are_taken(model: ExitModel, task: Task) -> None:
    with pytest.raises(ConfigError, match="a rule may not be called 'unmodified'"):
        evaluate(model, task, {UNMODIFIED: Never()})
