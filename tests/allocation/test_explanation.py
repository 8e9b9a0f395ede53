from forethought.allocation import AbstentionFloor, Argmax, Tolerance, explain
from forethought.core import Prediction

PREDICTIONS = (Prediction("small", 0.31, 12.0, 0.00012), Prediction("large", 0.42))


def test_a_choice():
    assert explain(Tolerance(0.2), "small", PREDICTIONS) == (
        "small, P(success) 0.31 at 0.00012 USD: the cheapest within 0.2 of the best target's P(success)"
    )
    assert explain(Argmax(), "large", PREDICTIONS) == "large, P(success) 0.42: the target most likely to be right"


def test_an_abstention():
    floor = AbstentionFloor(Argmax(), 0.5)
    assert explain(floor, None, PREDICTIONS) == "abstained: the best P(success) is 0.42, under the floor of 0.5"
