from __future__ import annotations

import pytest
import torch

from forethought.early_exit.heads import ExitHeads, GateKind, MLPGate, normalised

HIDDEN = 5 * torch.randn(3, 4, 8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("gate", ["linear", "mlp"])
@torch.no_grad()
def test_before_training_gates_are_undecided_and_maps_do_nothing(gate: GateKind) -> None:
    heads = ExitHeads((2, 5), 8, gate=gate, map_rank=3)
    for exit in range(2):
        assert torch.equal(heads.gate_logit(exit, HIDDEN), torch.zeros(3, 4))
        assert torch.equal(heads.mapped(exit, HIDDEN), HIDDEN)


@torch.no_grad()
def test_gates_and_maps_by_their_formulas() -> None:
    heads = ExitHeads((2, 5), 8, gate="mlp", map_rank=3)
    for parameter in heads.parameters():
        parameter.normal_()
    unit = HIDDEN / HIDDEN.square().mean(dim=-1, keepdim=True).sqrt()
    gate, lens = heads.gates[1], heads.maps[1]
    assert isinstance(gate, MLPGate)
    inner = (unit @ gate.inner.weight.T + gate.inner.bias).clamp_min(0)
    wanted = (inner @ gate.out.weight.T + gate.out.bias)[..., 0]
    assert torch.allclose(heads.gate_logit(1, HIDDEN), wanted, atol=1e-5)
    moved = HIDDEN + unit @ lens.down.weight.T @ lens.up.weight.T + lens.up.bias  # type: ignore[union-attr, operator]
    assert torch.allclose(heads.mapped(1, HIDDEN), moved, atol=1e-5)


@torch.no_grad()
def test_a_linear_gate_does_not_see_the_size_of_the_residual() -> None:
    heads = ExitHeads((1,), 8)
    heads.gates[0].out.weight.normal_()  # type: ignore[union-attr]
    assert torch.allclose(heads.gate_logit(0, HIDDEN), heads.gate_logit(0, 40 * HIDDEN), atol=1e-5)
    assert torch.allclose(normalised(HIDDEN).square().mean(dim=-1), torch.ones(3, 4), atol=1e-5)


def test_without_maps_the_state_is_read_out_as_it_is() -> None:
    heads = ExitHeads((1, 2), 8)
    assert heads.mapped(0, HIDDEN) is HIDDEN
    assert (heads.map_macs, len(heads.maps), len(heads.gates)) == (0, 0, 2)


@pytest.mark.parametrize("gate", ["linear", "mlp"])
def test_multiply_accumulates_are_the_weights_of_the_linear_maps(gate: GateKind) -> None:
    heads = ExitHeads((1, 2), 8, gate=gate, map_rank=3)

    def matrices(module: torch.nn.Module) -> int:
        return sum(parameter.numel() for parameter in module.parameters() if parameter.dim() == 2)

    assert heads.gate_macs == matrices(heads.gates[0])
    assert heads.map_macs == matrices(heads.maps[0])


def test_first_weights_depend_on_the_seed_and_disturb_no_other_stream() -> None:
    torch.manual_seed(7)
    undisturbed = torch.rand(1)
    torch.manual_seed(7)
    first, again, other = (ExitHeads((1,), 8, gate="mlp", map_rank=2, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.rand(1), undisturbed)
    assert torch.equal(first.maps[0].down.weight, again.maps[0].down.weight)  # type: ignore[union-attr, arg-type]
    assert not torch.equal(first.maps[0].down.weight, other.maps[0].down.weight)  # type: ignore[union-attr, arg-type]
