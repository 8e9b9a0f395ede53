from __future__ import annotations

import pytest

from forethought.cli.study import _check_same_study
from forethought.errors import ConfigError
from forethought.router import FitConfig


def test_a_study_is_resumed_under_its_own_settings_only(tmp_path):
    _check_same_study(tmp_path, FitConfig(seed=0), 100)
    _check_same_study(tmp_path, FitConfig(seed=0), 100)
    for config, draws in ((FitConfig(seed=1), 100), (FitConfig(seed=0), 200)):
        with pytest.raises(ConfigError, match="other settings"):
            _check_same_study(tmp_path, config, draws)
