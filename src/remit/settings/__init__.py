"""``remit.yaml`` and ``REMIT_*`` environment variables → frozen ``Settings``."""

from remit.settings.fields import SecretRef
from remit.settings.models import AgentSettings, Settings
from remit.settings.source import (
    DEFAULT_FILE,
    effective,
    environment,
    listening_on,
    load_settings,
    read_secret,
    survey_settings,
)
from remit.settings.sts import ClientSettings, SubjectIssuerSettings, TargetSettings

__all__ = [
    "DEFAULT_FILE",
    "AgentSettings",
    "ClientSettings",
    "SecretRef",
    "Settings",
    "SubjectIssuerSettings",
    "TargetSettings",
    "effective",
    "environment",
    "listening_on",
    "load_settings",
    "read_secret",
    "survey_settings",
]
