"""The benchmark of learning when to vote, in its quick form: arms run, resume, pack and give figures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

ARMS = ("smoothed-0.25", "price-0.05")


def test_arms_run_resume_pack_and_give_figures(module: Callable[[str, str], ModuleType], tmp_path: Path) -> None:
    torch.set_num_threads(1)
    study, tables, figures = (module("ibpo", name) for name in ("study", "tables", "figures"))
    told: list[str] = []
    first = study.Study(tmp_path, study.QUICK, 0, told.append)
    first.run(ARMS)
    assert told
    told.clear()
    study.Study(tmp_path, study.QUICK, 0, told.append).run(ARMS)
    assert told == [], "what is there is not computed again"

    seed = tables.read_study(first)
    tables.write_seed(seed, tmp_path / "seed-0.npz")
    back = tables.read_seed(tmp_path / "seed-0.npz")
    assert set(back.tables) == {"sv", "asv", *ARMS}
    assert back.late == seed.late
    for arm, table in seed.tables.items():
        kept = study.as_arrays(back.tables[arm])
        assert all((kept[name] == values).all() for name, values in study.as_arrays(table).items())

    found = figures.study_figures([seed])
    wanted = {"share_over_q25", "above_line_q25", "above_base_to_sv_q25", "accuracy_asv", "accuracy_plain_8"}
    assert wanted <= set(found)
    assert found["share_over_q25"].value == pytest.approx(seed.late["smoothed-0.25"]["share"] - 0.25)
    assert found["share_sv"].n == study.QUICK.test
    assert np.isfinite(found["accuracy_price-0.05"].value)
