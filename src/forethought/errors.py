"""Everything forethought raises on purpose, flat and named by the boundary crossed.

    ForethoughtError
    ├── ConfigError    (ValueError)    a setting, a flag or a file of settings
    ├── DataError      (ValueError)    questions, outcomes, labels, tables
    ├── FeatureError   (ValueError)    activations: wrong spec, shape, NaN
    ├── ArtifactError  (OSError)       a directory on disk: missing, altered, other version
    ├── UpstreamError  (RuntimeError)  an endpoint, a registry, a worker process
    └── BudgetError    (ValueError)    a cap or floor that cannot be met

A message says what is wrong, the value found and what is allowed.
"""


class ForethoughtError(Exception):
    """Base of every error that forethought raises on purpose."""


class ConfigError(ForethoughtError, ValueError):
    """A setting has a value that is not allowed."""


class DataError(ForethoughtError, ValueError):
    """Questions, outcomes or labels that cannot be used as they are."""


class FeatureError(ForethoughtError, ValueError):
    """Activations that do not mean what the probe was fitted on."""


class ArtifactError(ForethoughtError, OSError):
    """An artifact that is missing, altered or of another schema version."""


class UpstreamError(ForethoughtError, RuntimeError):
    """Something outside the process failed: endpoint, registry, worker."""


class BudgetError(ForethoughtError, ValueError):
    """A cap or a floor that no allowed choice can meet."""
