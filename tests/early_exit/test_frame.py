from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from forethought.early_exit.frame import Frame, causal_mask, left_padded
from forethought.targets.generation import Prompt


def test_a_mask_by_hand() -> None:
    real = torch.tensor([[True] * 4, [False, True, True, True]])
    mask = causal_mask(real, 2, 2, additive=False)
    assert mask is not None
    assert mask.int().tolist() == [[[[0, 1, 1, 0], [0, 0, 1, 1]]], [[[0, 1, 1, 0], [0, 0, 1, 1]]]]
    wide = causal_mask(real, 2, None, additive=False)
    assert wide is not None
    assert wide.int().tolist() == [[[[1, 1, 1, 0], [1, 1, 1, 1]]], [[[0, 1, 1, 0], [0, 1, 1, 1]]]]


@given(st.lists(st.integers(0, 6), min_size=1, max_size=4), st.integers(1, 7), st.none() | st.integers(1, 8))
def test_a_mask_shows_real_tokens_before_within_the_window(padding: list[int], tokens: int, window: int | None) -> None:
    real = torch.arange(7) >= torch.tensor(padding)[:, None]
    mask = causal_mask(real, tokens, window, additive=False)
    for row, left in enumerate(padding):
        for query in range(tokens):
            own = 7 - tokens + query
            first = 0 if window is None else max(0, own - window + 1)
            sees = set(range(max(left, first), own + 1)) | {own}
            if mask is None:
                assert sees == set(range(7))
            else:
                assert set(mask[row, 0, query].nonzero()[:, 0].tolist()) == sees


def test_a_single_token_that_sees_all_needs_no_mask() -> None:
    real = torch.ones(2, 6, dtype=torch.bool)
    assert causal_mask(real, 1, None, additive=False) is None
    assert causal_mask(real, 1, 6, additive=True) is None
    assert causal_mask(real, 1, 5, additive=False) is not None
    real[1, 0] = False
    assert causal_mask(real, 1, None, additive=False) is not None


def test_an_additive_mask_is_nought_where_the_other_is_true() -> None:
    real = torch.tensor([[False, True, True, True]])
    seen, added = (causal_mask(real, 3, 2, additive=additive) for additive in (False, True))
    assert seen is not None
    assert added is not None
    assert torch.equal(added == 0, seen)
    assert bool((added[~seen] < -1e30).all())


def test_a_frame_of_some_rows() -> None:
    angles = torch.arange(12.0).view(3, 2, 2)
    frame = Frame({"full": (angles, -angles)}, {"full": None, "sliding": torch.rand(3, 1, 2, 5)}, 3, 2)
    part = frame.of(torch.tensor([2, 0]))
    assert torch.equal(part.rotary["full"][0], angles[[2, 0]])
    assert part.masks["full"] is None
    assert torch.equal(part.masks["sliding"], frame.masks["sliding"][[2, 0]])  # type: ignore[index,arg-type]
    assert (part.start, part.tokens) == (3, 2)
    assert frame.of(None) is frame


def test_prompts_share_their_prefix_where_padding_behind_it_does_no_harm() -> None:
    long, short = Prompt((1, 2, 3, 4, 5), 2), Prompt((1, 2, 6), 2)
    assert left_padded([long, short], None, 100) == [long, short]
    assert left_padded([long, short], 8, 3) == [long, short]  # the window is never full
    assert left_padded([long, short], 8, 4) == [Prompt(long.ids, 0), Prompt(short.ids, 0)]
    assert left_padded([long, Prompt((1, 2, 7, 8, 9), 2)], 3, 9)[0] == long  # no padding
    other = Prompt((7, 8, 9), 2)
    assert left_padded([long, other], None, 1) == [Prompt(long.ids, 0), Prompt(other.ids, 0)]
