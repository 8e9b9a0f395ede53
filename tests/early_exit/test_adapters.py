from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch

from forethought.early_exit.adapters import AdaptedLinear, Adapters, shared_copy
from forethought.early_exit.blocks import PROJECTIONS
from forethought.early_exit.model import ExitModel
from forethought.errors import ArtifactError
from forethought.models import LanguageModel

IDS = torch.arange(12).view(2, 6)


def noisy(adapters: Adapters) -> Adapters:
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in adapters.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return adapters


def logits(model: object) -> torch.Tensor:
    found: torch.Tensor = model(input_ids=IDS, use_cache=False).logits  # type: ignore[operator]
    return found


@pytest.fixture
def own(make: Callable[..., LanguageModel]) -> Iterator[LanguageModel]:
    """A model that nobody else uses."""
    return make("Qwen2")


@torch.no_grad()
def test_fresh_adapters_change_nothing(own: LanguageModel) -> None:
    assert torch.equal(logits(Adapters(own.model, rank=4, alpha=8.0).model), logits(own.model))


def test_training_the_view_leaves_the_model_as_it_was(own: LanguageModel) -> None:
    before = {name: tensor.clone() for name, tensor in own.model.state_dict().items()}
    with torch.no_grad():
        said = logits(own.model)
    adapters = Adapters(own.model, rank=4, alpha=8.0)
    adam = torch.optim.Adam(list(adapters.parameters()), lr=0.1)
    losses = []
    for _ in range(5):
        adam.zero_grad()
        loss = logits(adapters.model).logsumexp(dim=-1).mean()
        loss.backward()
        adam.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] - 0.1
    assert all(torch.equal(tensor, before[name]) for name, tensor in own.model.state_dict().items())
    assert not any(parameter.grad is not None for parameter in own.model.parameters())
    with torch.no_grad():
        assert torch.equal(logits(own.model), said)


def test_merged_weights_say_what_unmerged_ones_say(own: LanguageModel) -> None:
    view = noisy(Adapters(own.model, rank=4, alpha=8.0)).model
    with torch.no_grad():
        merged = logits(view)
        assert not torch.allclose(merged, logits(own.model), atol=0.1)
    assert torch.allclose(merged, logits(view).detach(), atol=1e-5)


def test_merged_weights_follow_an_optimiser_that_nobody_told_of(own: LanguageModel) -> None:
    adapters = noisy(Adapters(own.model, rank=4, alpha=8.0))
    adam = torch.optim.Adam(list(adapters.parameters()), lr=0.1)
    logits(adapters.model).square().mean().backward()
    with torch.no_grad():
        before = logits(adapters.model)  # merged between the gradient and the step
    adam.step()
    with torch.no_grad():
        after = logits(adapters.model)
    assert not torch.allclose(after, before, atol=1e-3)
    assert torch.allclose(after, logits(adapters.model).detach(), atol=1e-5)


@torch.no_grad()
def test_weights_merged_in_reduced_precision_are_not_kept_rounded() -> None:
    torch.manual_seed(0)
    adapted = AdaptedLinear(torch.nn.Linear(16, 16), 4, 8.0)
    adapted.reset(torch.Generator().manual_seed(0))
    adapted.up.normal_()
    states = torch.randn(3, 16)
    with torch.autocast("cpu", torch.bfloat16):
        adapted(states)
    exact = adapted.base(states) + 2 * states @ adapted.down.T @ adapted.up.T
    assert torch.allclose(adapted(states), exact, atol=1e-5)


def test_a_shared_copy_has_the_same_storage_and_modules_of_its_own(own: LanguageModel) -> None:
    copied = shared_copy(own.model)
    for part in ("parameters", "buffers"):
        theirs = dict(getattr(own.model, f"named_{part}")())
        mine = dict(getattr(copied, f"named_{part}")())
        assert mine.keys() == theirs.keys()
        assert mine
        assert all(mine[name].data_ptr() == theirs[name].data_ptr() for name in mine)
    assert not {id(module) for module in copied.modules()} & {id(module) for module in own.model.modules()}
    copied.model.layers[0].self_attn.q_proj = torch.nn.Identity()
    assert isinstance(own.model.model.layers[0].self_attn.q_proj, torch.nn.Linear)


def test_the_view_adapts_every_projection_and_holds_little_of_its_own(own: LanguageModel) -> None:
    adapters = Adapters(own.model, rank=4, alpha=8.0)
    assert len(adapters.state()) == 4 * len(PROJECTIONS) * 2
    shared = {parameter.data_ptr() for parameter in own.model.parameters()}
    new = [p for p in adapters.model.parameters() if p.data_ptr() not in shared]
    assert {id(p) for p in new} == {id(p) for p in adapters.parameters()}
    assert all(p.requires_grad for p in new)


def test_a_state_goes_from_one_view_to_another(own: LanguageModel) -> None:
    source, target = noisy(Adapters(own.model, rank=4, alpha=8.0)), Adapters(own.model, rank=4, alpha=8.0)
    with torch.no_grad():
        logits(target.model)  # merges what load has to forget
        target.load(source.state())
        assert torch.equal(logits(target.model), logits(source.model))


@pytest.mark.parametrize("name", ["2.k_proj.down", "0.o_proj.up"])
def test_a_state_of_another_shape_is_refused(own: LanguageModel, name: str) -> None:
    adapters = Adapters(own.model, rank=4, alpha=8.0)
    with pytest.raises(ArtifactError, match=rf"adapter '{name}' has shape None"):
        adapters.load({key: tensor for key, tensor in adapters.state().items() if key != name})
    with pytest.raises(ArtifactError, match=rf"adapter '{name}' has shape \(1, 2\)"):
        adapters.load({**adapters.state(), name: torch.zeros(1, 2)})


def test_the_seed_draws_the_adapters(own: LanguageModel) -> None:
    def drawn(seed: int) -> torch.Tensor:
        return Adapters(own.model, rank=4, alpha=8.0, seed=seed).state()["0.q_proj.down"]

    assert torch.equal(drawn(1), drawn(1))
    assert not torch.equal(drawn(1), drawn(2))


def test_the_teacher_says_what_the_model_says_whatever_was_learned(base: LanguageModel, model: ExitModel) -> None:
    with torch.no_grad():
        assert model.teacher.model is base.model
        assert not torch.allclose(logits(model.student.model), logits(model.teacher.model), atol=0.05)
