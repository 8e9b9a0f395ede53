from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forethought.errors import ConfigError
from forethought.voting.answer_prior import AnswerPrior, Component, broad_prior, likelihoods, observed_likelihoods
from forethought.voting.partitions import MOST_VOTES, lattice

concentrations = st.floats(0.05, 40)
components = st.builds(Component, concentrations, concentrations, concentrations, concentrations)


def test_the_lattice_holds_every_partition_once():
    nodes = lattice(10)
    assert np.diff(nodes.levels).tolist() == [1, 1, 2, 3, 5, 7, 11, 15, 22, 30, 42]
    assert (nodes.sizes * nodes.multiplicity).sum(axis=1).tolist() == [sum(partition) for partition in nodes.index]
    for partition, node in nodes.index.items():
        following = {tuple(sorted((*partition, 1), reverse=True))}
        following |= {
            tuple(sorted((*partition[:i], partition[i] + 1, *partition[i + 1 :]), reverse=True))
            for i in range(len(partition))
        }
        found = set(nodes.successor[node].tolist()) - {len(nodes.index)}
        assert found == {nodes.index[p] for p in following if p in nodes.index}
    assert len(lattice(MOST_VOTES).index) == 215_308


@settings(max_examples=60, deadline=None)
@given(components)
def test_counts_are_a_distribution_at_every_level(component):
    nodes, found = lattice(9), likelihoods((component,), 9)
    many = np.column_stack([nodes.multiplicity, np.ones(len(nodes.sizes))])
    after = np.append(found.counts[0], 0.0)[nodes.successor]
    inner = slice(0, int(nodes.levels[9]))
    assert (after * many).sum(axis=1)[inner] == pytest.approx(found.counts[0][inner], rel=1e-9)
    assert (found.leader <= found.counts * (1 + 1e-12)).all()
    whole = component.right + component.rival + component.others
    assert found.leader[0, nodes.index[(1,)]] == pytest.approx(component.right / whole)


def test_three_answers_by_hand():
    """Every way to seat three answers at right, rival and two tables of others, summed by enumeration."""
    c = Component(1.5, 0.7, 2.2, 1.3)

    def rising(a: float, n: int) -> float:
        return float(np.prod([a + i for i in range(n)]))

    def table(blocks: tuple[int, ...], right: int | None, rival: int | None) -> float:
        kinds = [blocks[i] if i is not None else 0 for i in (right, rival)]
        rest = [size for i, size in enumerate(blocks) if i not in (right, rival)]
        shares = rising(c.right, kinds[0]) * rising(c.rival, kinds[1]) * rising(c.others, sum(rest))
        seats = np.prod([c.diversity * rising(1, size - 1) for size in rest]) / rising(c.diversity, sum(rest))
        return float(shares * seats / rising(c.right + c.rival + c.others, sum(blocks)))

    found, nodes = likelihoods((c,), 4), lattice(4)
    for blocks in ((3,), (2, 1), (1, 1, 1), (2, 2), (2, 1, 1)):
        places = [None, *range(len(blocks))]
        pairs = [(i, k) for i, k in itertools.product(places, places) if i is None or i != k]
        node = nodes.index[blocks]
        assert found.counts[0, node] == pytest.approx(sum(table(blocks, i, k) for i, k in pairs))
        assert found.leader[0, node] == pytest.approx(sum(table(blocks, i, k) for i, k in pairs if i == 0))


def test_observed_likelihoods_sum_to_the_blind_ones():
    grid = broad_prior().components
    blind, node = likelihoods(grid, 6).counts, lattice(6).index[(3, 2, 1)]
    ways = [(3, [2, 1]), (2, [3, 1]), (1, [3, 2]), (0, [3, 2, 1])]
    told = observed_likelihoods(grid, [c for c, _ in ways], [w for _, w in ways])
    assert told.sum(axis=0) == pytest.approx(blind[:, node])


@pytest.mark.parametrize(
    ("components", "weights", "said"),
    [((), (), "one each"), ((Component(1, 1, 1, 1),), (0.5,), "sum to 1"), ((Component(0, 1, 1, 1),), (1.0,), "> 0")],
)
def test_priors_refused(components, weights, said):
    with pytest.raises(ConfigError, match=said):
        AnswerPrior(components, weights)


def test_expected_success_and_the_mode():
    prior = AnswerPrior((Component(6, 1, 3, 4), Component(1, 8, 1, 4)), (0.25, 0.75))
    assert prior.success == pytest.approx(0.25 * 0.6 + 0.75 * 0.1)
    assert prior.mode_is_right == pytest.approx(0.25)
