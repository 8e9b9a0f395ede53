from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from forethought.activations import extract
from forethought.allocation import Single
from forethought.evaluation import baselines, encoder_matrix, evaluate, held_out_families
from forethought.evaluation.frontier import value_settings
from forethought.router import PriceList

DRAWS = 60


@pytest.fixture(scope="module")
def evaluation(fitted, planted):
    return evaluate(planted.data, fitted, baselines(planted.data)[:3], planted.prices, draws=DRAWS)


def test_the_planted_signal_shows_in_the_cards(evaluation):
    cards = {card.name: card for card in evaluation.cards}
    assert list(cards) == ["base rate", "family mean", "length", "forethought"]
    assert cards["forethought"].auroc.low > 0.75
    assert cards["base rate"].auroc.value == pytest.approx(0.5)
    assert cards["forethought"].gap is not None
    assert cards["forethought"].gap.low > 0.3
    assert [d.other for d in evaluation.differences] == ["base rate", "family mean", "length"]
    assert all(d.gap.low > 0.2 for d in evaluation.differences)


def test_the_references_stand_around_the_router(evaluation):
    found = evaluation.references
    routed = evaluation.cards[-1].accuracy.value
    assert found.best_single.accuracy < routed < found.oracle.accuracy
    assert found.cheapest.cost < found.best_single.cost <= found.dearest.cost


def test_the_frontier_runs_from_thrifty_to_accurate(evaluation):
    curve = {c.name: c.points for c in evaluation.frontier.curves}["forethought"]
    costs = [point.cost for point in curve]
    assert costs[0] == pytest.approx(evaluation.references.cheapest.cost, rel=0.05)
    assert curve[-1].accuracy > curve[0].accuracy
    assert max(p.accuracy for p in evaluation.frontier.oracle.points) == pytest.approx(
        evaluation.references.oracle.accuracy
    )
    hull = evaluation.frontier.hull
    assert [p.cost for p in hull] == sorted(p.cost for p in hull)
    assert [p.accuracy for p in hull] == sorted(p.accuracy for p in hull)


def test_operating_rows_are_paid_for_with_the_prefill(evaluation, fitted, planted):
    rows = {row.name: row for row in evaluation.operating}
    assert {"most accurate", "as good as best single", "certified"} <= set(rows)
    report = fitted.parts.report
    prefill = planted.prices.encoder_cost(planted.data.encoder_tokens[report]).mean()
    certified = rows["certified"]
    assert certified.cost.value == pytest.approx(evaluation.frontier.certified.cost + prefill)
    assert certified.accuracy.value == pytest.approx(evaluation.frontier.certified.accuracy)
    assert sum(taken.share for taken in certified.taken.values()) == pytest.approx(1.0)
    change, ratio = certified.against_best_single
    assert change.value == pytest.approx(certified.accuracy.value - evaluation.references.best_single.accuracy, abs=0.1)
    assert ratio.value < 0


def test_usage_agrees_with_what_was_taken(evaluation):
    taken = {row.name: row for row in evaluation.operating}["certified"].taken
    assert {u.target: u.share for u in evaluation.usage if u.share} == pytest.approx(
        {name: t.share for name, t in taken.items()}
    )


def test_the_json_is_strict(evaluation):
    found = evaluation.json()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["about"]["n_train"] + found["about"]["n_certify"] + found["about"]["n_report"] == found["about"]["n"]


def test_a_safe_router_costs_the_best_single_target_and_the_prefill(fitted, planted):
    safe = replace(fitted, router=fitted.router.with_policy(Single(fitted.best_single)))
    found = evaluate(planted.data, safe, [], planted.prices, draws=DRAWS)
    row = {row.name: row for row in found.operating}["certified"]
    assert row.against_best_single[0].value == 0.0
    prefill = planted.prices.encoder_cost(planted.data.encoder_tokens[fitted.parts.report]).mean()
    assert row.against_best_single[1].value == pytest.approx(prefill / found.references.best_single.cost, rel=0.05)


def test_free_targets_cost_nothing(fitted, planted):
    free = PriceList(np.zeros(5), np.zeros(5))
    assert value_settings(np.zeros((3, 5)))[0].setting["usd_per_success"] > 0
    found = evaluate(planted.data, fitted, [], free, draws=DRAWS)
    assert found.references.dearest.cost == 0.0
    assert all(np.isnan(row.against_best_single[1].value) for row in found.operating)
    assert json.dumps(found.json(), allow_nan=False)


def test_held_out_families_are_never_trained_on(planted):
    config = planted.config.model_copy(update={"text": False})
    found = held_out_families(planted.data, config, planted.prices, share=0.25, draws=DRAWS)
    names = {card.name: card for card in found.cards}
    assert len(found.families) == 2
    assert found.n_train + found.n_report <= len(planted.data.questions)
    assert found.n_report == sum(group in found.families for group in planted.data.groups)
    assert names["family mean"].auroc.value == pytest.approx(0.5)
    assert names["stack without text"].auroc.value > 0.7


def test_the_encoder_matrix_tells_who_reads_the_signal(planted, make_encoder, fitted, tmp_path):
    blind = extract(make_encoder("blind", signal=0.0), planted.questions, tmp_path / "blind")
    data = planted.assemble(stores=(*planted.data.stores, blind))
    data = replace(data, targets=(replace(data.targets[0], model="blind"), *data.targets[1:]))
    rows = encoder_matrix(data, fitted, planted.config, readout="last", draws=DRAWS)
    assert [list(row.encoders) for row in rows] == [["planted"], ["blind"], ["planted", "blind"]]
    assert [list(row.own) for row in rows] == [[], ["north"], ["north"]]
    seeing, unseeing, both = (row.mean_auroc.value for row in rows)
    assert seeing > unseeing + 0.15
    assert both > unseeing + 0.15
    assert rows[0].layers == [2]
    assert set(rows[0].auroc) == {target.name for target in data.targets}
    assert {row.readout for row in rows} == {"last"}
