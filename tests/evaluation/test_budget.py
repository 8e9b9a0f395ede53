from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from forethought.allocation import MeanCostCap
from forethought.errors import BudgetError, ConfigError
from forethought.evaluation import evaluate_budget, plain, read_budget
from forethought.evaluation.evaluate import report_truth, router_predictions
from forethought.metrics import picked
from forethought.router import expected_cost

DRAWS = 60
RULES = ["batch", "price", "stream", "lambda utility", "tolerance", "best single within", "static mixture"]


@pytest.fixture(scope="module")
def budget(fitted, planted):
    """Between the cheapest and the two specialists, encoder included."""
    return 1.5 * evaluate_budget(planted.data, fitted, planted.prices, 1.0, draws=2).least


@pytest.fixture(scope="module")
def table(fitted, planted, budget):
    return evaluate_budget(planted.data, fitted, planted.prices, budget, draws=DRAWS)


@pytest.mark.parametrize("text", ["0.002", "0.002/question", " 2e-3 / question "])
def test_a_budget_is_usd_a_question(text):
    assert read_budget(text) == 0.002


@pytest.mark.parametrize(
    "text", ["", "0", "-1", "nan", "inf", "0.002/", "0.002/day", "2/1000 questions", "$1", "1/question/2"]
)
def test_another_budget_is_refused_with_what_is_allowed(text):
    with pytest.raises(ConfigError, match=r"USD a question, as 0\.002/question or 0\.002; got"):
        read_budget(text)


def test_every_rule_has_a_row_with_its_bill(table, budget):
    assert [row.name for row in table.rows] == RULES
    for row in table.rows:
        assert row.over.value == pytest.approx(row.spent.value / budget - 1)
        assert row.spent.low <= row.spent.value <= row.spent.high
        assert sum(row.taken.values()) == pytest.approx(1.0)
    batch = table.rows[0]
    assert batch.predicted <= budget * (1 + 1e-9)
    assert batch.predicted > 0.9 * budget


def test_the_price_row_is_the_policy_on_the_report_part(table, fitted, planted, budget):
    """The encoder's prefill is in the budget and in the bill."""
    data, rows = planted.data, fitted.parts.certify
    heads = fitted.router.heads
    success = heads.scorer.predict_proba(heads.features.read(data.stores, data.take(rows)))
    prefill = planted.prices.encoder_cost(data.encoder_tokens)
    policy = MeanCostCap.fit(
        success, expected_cost(heads, data, rows, planted.prices) + prefill[rows, np.newaxis], budget
    )
    report = fitted.parts.report
    cost = expected_cost(heads, data, report, planted.prices) + prefill[report, np.newaxis]
    choice = policy.choose(router_predictions(data, fitted), cost)
    truth = report_truth(data, fitted, planted.prices)
    row = table.rows[1]
    assert row.accuracy.value == pytest.approx(np.nanmean(picked(truth.success, choice)))
    assert row.spent.value == pytest.approx(np.nanmean(picked(truth.cost, choice) + prefill[report]))
    assert row.predicted == pytest.approx(picked(cost, choice).mean())


def test_differences_are_paired_and_none_to_itself(table):
    by_name = {row.name: row for row in table.rows}
    for row in table.rows:
        for rule in ("batch", "price"):
            gain = by_name[rule].accuracy.value - row.accuracy.value
            assert row.behind[rule].value == pytest.approx(gain)
    assert by_name["batch"].behind["batch"][:3] == (0.0, 0.0, 0.0)
    price, mixture = by_name["price"], by_name["static mixture"]
    width = price.accuracy.high - price.accuracy.low + mixture.accuracy.high - mixture.accuracy.low
    assert mixture.behind["price"].high - mixture.behind["price"].low < width


def test_the_planted_signal_beats_a_static_mixture(table):
    assert {row.name: row for row in table.rows}["static mixture"].behind["price"].low > 0


def test_no_label_of_the_questions_served_or_calibrated_on_moves_a_choice(table, fitted, planted, budget):
    data = planted.data
    flipped = data.success.copy()
    for rows in (fitted.parts.report, fitted.parts.certify):
        flipped[rows] = 1 - flipped[rows]
    again = evaluate_budget(replace(data, success=flipped), fitted, planted.prices, budget, draws=DRAWS)
    assert [row.setting for row in again.rows] == [row.setting for row in table.rows]
    assert [row.taken for row in again.rows] == [row.taken for row in table.rows]
    assert again.rows[0].accuracy.value == pytest.approx(1 - table.rows[0].accuracy.value)


def test_a_budget_below_the_least_names_one_that_is_met(fitted, planted, table):
    with pytest.raises(BudgetError, match="the nearest feasible is") as refusal:
        evaluate_budget(planted.data, fitted, planted.prices, 0.5 * table.least)
    named = read_budget(str(refusal.value).rpartition(" is ")[2])
    assert table.least <= named < 1.001 * table.least
    found = evaluate_budget(planted.data, fitted, planted.prices, named, draws=2)
    assert found.rows[0].predicted <= named


def test_with_money_enough_every_rule_that_predicts_takes_the_likeliest(fitted, planted):
    found = {row.name: row for row in evaluate_budget(planted.data, fitted, planted.prices, 1.0, draws=2).rows}
    truth = report_truth(planted.data, fitted, planted.prices)
    likeliest = np.nanmean(picked(truth.success, router_predictions(planted.data, fitted).argmax(axis=1)))
    for name in RULES[:5]:
        assert found[name].accuracy.value == pytest.approx(likeliest)
    assert found["static mixture"].taken == found["best single within"].taken


def test_the_table_is_strict_json_and_repeats(table, fitted, planted, budget):
    found = plain(table)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert plain(evaluate_budget(planted.data, fitted, planted.prices, budget, draws=DRAWS)) == found
