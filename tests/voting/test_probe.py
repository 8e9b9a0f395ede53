from __future__ import annotations

import numpy as np
import pytest

from forethought.activations import TargetPrefill
from forethought.core import DecodingPolicy, Outcome, Question, Target
from forethought.errors import ArtifactError, ConfigError, DataError, FeatureError
from forethought.models import load
from forethought.outcomes import Outcomes, folds
from forethought.targets import LocalResponder
from forethought.voting import (
    BayesVote,
    MajorityVote,
    Poll,
    Samples,
    StoppingProbe,
    VotePaths,
    certify_price,
    cross_fit,
    fit_probe,
)

N, K = 360, 16
SHARES = np.array([[0.95, 0.03, 0.02], [0.05, 0.9, 0.05], [0.5, 0.3, 0.2]])


@pytest.fixture(scope="module")
def planted() -> tuple[Samples, TargetPrefill, list[Question]]:
    """Easy, hopeless and open questions; one direction each of the states says which."""
    rng = np.random.default_rng(0)
    kind = rng.integers(3, size=N)
    questions = [Question.ask(f"planted question {i}", id=f"q{i}") for i in range(N)]
    rows = [
        Outcome(f"q{i}", "t", sample=k, success=float(a == 0), answer="abc"[a], input_tokens=9, output_tokens=2)
        for i in range(N)
        for k, a in enumerate(rng.choice(3, size=K, p=SHARES[kind[i]]))
    ]
    states = rng.normal(size=(N, 2, 12)).astype(np.float32)
    states[np.arange(N), :, kind] += 5
    concentration = (SHARES**2).sum(axis=1)[kind]
    summary = np.stack([concentration + rng.normal(0, 0.02, N), *rng.normal(size=(4, N))], axis=1).astype(np.float32)
    return Samples.read(Outcomes.from_rows(rows)), TargetPrefill((1, 3), states, summary), questions


@pytest.fixture(scope="module")
def probe(planted) -> StoppingProbe:
    return fit_probe(*planted, fingerprint="f")


def test_held_out_forecasts_save_answers_at_no_loss(planted):
    samples, prefill, questions = planted
    paths = VotePaths.of(samples, K)
    worth = np.zeros((2, N))
    for fit in cross_fit(samples, prefill, questions, folds(questions, 3)):
        assert not set(fit.train) & set(fit.test)
        assert np.corrcoef(fit.forecasts[:, 0], samples.success_rates()[fit.test])[0, 1] > 0.8
        assert np.corrcoef(fit.forecasts[:, 1], samples.concentrations()[fit.test])[0, 1] > 0.7
        part = VotePaths(samples.take(fit.test), paths.node[fit.test], paths.right[fit.test])
        for i, weights in enumerate((None, fit.gated.weights(fit.forecasts))):
            found = part.bayes(fit.gated.population, 0.01, weights)
            worth[i, fit.test] = found.success - 0.01 * found.samples
    assert worth[1].mean() > worth[0].mean() + 0.005


def test_a_probe_is_the_same_after_loading(probe, planted, tmp_path):
    _, prefill, questions = planted
    probe.with_price(0.02, 8, {"n": 3}).save(tmp_path / "probe")
    again = StoppingProbe.load(tmp_path / "probe")
    texts = [question.text for question in questions]
    assert (again.price, again.cap, again.layers, again.certificate) == (0.02, 8, (1, 3), {"n": 3})
    assert again.forecasts(prefill, texts) == pytest.approx(probe.forecasts(prefill, texts), rel=1e-6)
    assert again.gated.prior((0.5, 0.5)) == probe.gated.prior((0.5, 0.5))
    (tmp_path / "probe" / "manifest.json").write_text("{}")
    with pytest.raises(ArtifactError):
        StoppingProbe.load(tmp_path / "probe")


def test_a_live_responder_gets_a_rule_a_question(planted, tiny_model):
    responder = LocalResponder(load(str(tiny_model)), Target("t", "tiny", DecodingPolicy(temperature=0.7)))
    samples, prefill, questions = planted
    wide = TargetPrefill((1, 3), np.repeat(prefill.states, 3, axis=2)[:, :, :32], prefill.next_token)
    fitted = fit_probe(samples, wide, questions, fingerprint=responder.fingerprint)
    rules = fitted.rules(responder, questions[:3])
    assert [type(rule) for rule in rules] == [BayesVote] * 3
    assert Poll(rules[0]).update("a").confidence == pytest.approx(rules[0].prior.success, abs=1e-6)
    stranger = LocalResponder(responder.model, responder.target, seed=5)
    with pytest.raises(FeatureError, match="was fitted on responder"):
        fitted.rules(stranger, questions[:1])


def test_without_a_certified_price_the_majority_at_the_cap_is_drawn(probe):
    assert probe.with_price(None, 12).rule(probe.gated.population) == MajorityVote(12)


def test_wrong_inputs_are_refused(probe, planted):
    samples, prefill, questions = planted
    with pytest.raises(DataError, match="same order"):
        fit_probe(samples, prefill, questions[::-1])
    with pytest.raises(FeatureError, match="reads layers"):
        probe.forecasts(TargetPrefill((2, 3), prefill.states, prefill.next_token), [q.text for q in questions])


def test_a_certified_price_and_none(probe, planted):
    samples, prefill, questions = planted
    forecasts = probe.forecasts(prefill, [question.text for question in questions])
    found = certify_price(samples, probe.gated, forecasts, tolerance=0.05)
    assert found.price is not None
    assert "loses at most 0.050" in str(found)
    stricter = certify_price(samples, probe.gated, forecasts, tolerance=0.03)
    assert (stricter.price or 0) <= found.price
    few = certify_price(samples.take(np.arange(10)), probe.gated, forecasts[:10], tolerance=0.01)
    assert few.price is None
    assert "insufficient evidence at n=10" in str(few)
    with pytest.raises(ConfigError, match="must rise"):
        certify_price(samples, probe.gated, None, prices=(0.1, 0.01))


def test_the_certificate_errs_no_more_often_than_it_says(probe, planted):
    """200 calibration sets drawn from a pool whose true loss at each price is known."""
    samples, prefill, questions = planted
    forecasts = probe.forecasts(prefill, [question.text for question in questions])
    paths, weights = VotePaths.of(samples, K), probe.gated.weights(forecasts)
    prices, tolerance, rng = (0.02, 0.1, 0.2, 0.3), 0.03, np.random.default_rng(0)
    truth = [
        float((paths.right[:, -1] - paths.bayes(probe.gated.population, price, weights).success).mean())
        for price in prices
    ]
    assert max(truth) > tolerance
    wrong = 0
    for _ in range(200):
        rows = rng.integers(N, size=150)
        found = certify_price(samples.take(rows), probe.gated, forecasts[rows], tolerance=tolerance, prices=prices)
        wrong += found.price is not None and truth[prices.index(found.price)] > tolerance
    assert wrong <= 30  # 200 x 0.1, plus 2.3 standard deviations
