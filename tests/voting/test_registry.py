import pytest

from forethought.errors import ConfigError
from forethought.voting.adaptive_consistency import AdaptiveConsistency
from forethought.voting.adaptive_sequential_vote import AdaptiveSequentialVote
from forethought.voting.ahead_by import AheadBy
from forethought.voting.confidence_weighted_vote import ConfidenceWeightedVote
from forethought.voting.early_stopping import EarlyStopping
from forethought.voting.majority_vote import MajorityVote
from forethought.voting.registry import rule_from, rules
from forethought.voting.sequential_vote import SequentialVote
from forethought.voting.sprt import SequentialProbabilityRatio


@pytest.mark.parametrize(
    ("name", "setting", "rule"),
    [
        ("majority", {"cap": 9}, MajorityVote(9)),
        ("sequential", {"cap": 8.0, "consensus": 3.0}, SequentialVote(8, 3)),
        (
            "adaptive_sequential",
            {"gain": 1, "decide": "after_first"},
            AdaptiveSequentialVote(1.0, decide="after_first"),
        ),
        ("adaptive_consistency", {"criterion": "dirichlet"}, AdaptiveConsistency(criterion="dirichlet")),
        ("early_stopping", {"window": 4.0}, EarlyStopping(4)),
        ("first_to", {"consensus": 4.0}, SequentialVote(40, 4)),
        ("ahead_by", {}, AheadBy()),
        ("sprt", {"p1": 0.8}, SequentialProbabilityRatio(0.8)),
        ("confidence_weighted", {"least": 2.0}, ConfidenceWeightedVote(least=2)),
    ],
)
def test_a_rule_by_its_name(name, setting, rule):
    found = rule_from(name, setting)
    assert found == rule
    assert isinstance(found.cap, int)
    assert found.name == name or name == "first_to"


def test_every_built_in_is_named_here():
    built_in = {
        "adaptive_consistency",
        "adaptive_sequential",
        "ahead_by",
        "bayes",
        "confidence_weighted",
        "early_stopping",
        "first_to",
        "majority",
        "sequential",
        "sprt",
    }
    assert built_in <= set(rules.names)


@pytest.mark.parametrize(
    ("name", "setting", "message"),
    [
        ("majorty", {}, r"unknown stopping rule 'majorty'; allowed: .*majority"),
        ("majority", {"k": 3}, r"unexpected keyword argument 'k'; settings are cap"),
        ("adaptive_sequential", {}, "missing a required argument: 'gain'"),
        ("majority", {"cap": 2.5}, r"'majority': cap must be a whole number, got 2\.5"),
        ("majority", {"cap": float("inf")}, "cap must be a whole number, got inf"),
        ("majority", {"cap": "eight"}, "cap must be a number, got 'eight'"),
        ("majority", {"cap": True}, "cap must be a number, got True"),
        ("majority", {"cap": 0.0}, "'majority': cap must be >= 1, got cap=0"),
        ("sequential", {"cap": 2}, "cap must be >= consensus"),
        ("sprt", {"p1": "half"}, "p1 must be a number, got 'half'"),
        ("sprt", {"alpha": float("nan")}, "alpha must lie"),
        ("adaptive_consistency", {"criterion": 3.0}, "criterion must be one of"),
        ("adaptive_sequential", {"gain": 0.1, "decide": "later"}, "decide must be"),
    ],
)
def test_what_is_no_rule_is_one_clear_error(name, setting, message):
    with pytest.raises(ConfigError, match=message) as caught:
        rule_from(name, setting)
    assert "\n" not in str(caught.value)
