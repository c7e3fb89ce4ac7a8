"""In place of `apollocfg._factory`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from dotenv import load_dotenv

from capa_apollo.apollocfg.client import ResolvedAssertion
from capa_apollo.apollocfg.manager import ConfigManager

__all__ = ["create_config_manager", "create_config_manager_from_env"]

_BEFORE_AUTO_START = 13
"""The arguments between `app_id` and `auto_start`, which the client does not have."""


def create_config_manager(
    app_id: str, *arguments: Any, auto_start: bool = True, **named: Any
) -> ConfigManager:
    """Return a manager, started unless *auto_start* is false; takes the other arguments of `ApolloClient`.

    By position *auto_start* is the fifteenth, as in the original. Raises as `ApolloClient.start` does.
    """
    if len(arguments) > _BEFORE_AUTO_START:
        auto_start = arguments[_BEFORE_AUTO_START]
        arguments = (*arguments[:_BEFORE_AUTO_START], *arguments[_BEFORE_AUTO_START + 1 :])
    manager = ConfigManager(app_id, *arguments, **named)
    if auto_start:
        manager.start()
    return manager


def create_config_manager_from_env(
    auto_start: bool = True,
    on_resolved: ResolvedAssertion | None = None,
    static_fallback: Mapping[str, Mapping[str, str]] | None = None,
) -> ConfigManager:
    """Return a manager whose arguments are the variables `APOLLO_…` of the environment, or of `.env`.

    Raises:
        ValueError: `APOLLO_APP_ID`, or both of `APOLLO_META_SERVER` and `APOLLO_CONFIG_URL`, are not set, or a number
            is none.
    """
    load_dotenv()
    app_id, meta_server, config_url = map(_text, ("APOLLO_APP_ID", "APOLLO_META_SERVER", "APOLLO_CONFIG_URL"))
    if not app_id:
        raise ValueError("APOLLO_APP_ID is not set")
    if not meta_server and not config_url:
        raise ValueError("set APOLLO_META_SERVER or APOLLO_CONFIG_URL")
    return create_config_manager(
        app_id=app_id,
        config_url=config_url,
        meta_server=meta_server,
        cluster=os.environ.get("APOLLO_CLUSTER", "default"),
        namespaces=_listed("APOLLO_NAMESPACES", "application"),
        env=_text("APOLLO_ENV"),
        client_ip=_text("APOLLO_CLIENT_IP"),
        access_key_secret=_text("APOLLO_ACCESS_KEY_SECRET"),
        required_keys=_listed("APOLLO_REQUIRED_KEYS"),
        frozen_keys=_listed("APOLLO_FROZEN_KEYS"),
        allow_fallback=_truth("APOLLO_ALLOW_FALLBACK", True),
        require_resolved_keys=_truth("APOLLO_REQUIRE_RESOLVED_KEYS", False),
        static_fallback=static_fallback,
        on_resolved=on_resolved,
        refresh_interval=_number("APOLLO_REFRESH_INTERVAL", 300.0),
        startup_timeout=_number("APOLLO_STARTUP_TIMEOUT", None),
        auto_start=auto_start,
    )


def _text(variable: str) -> str | None:
    return os.environ.get(variable, "").strip() or None


def _listed(variable: str, default: str = "") -> list[str]:
    return [item.strip() for item in os.environ.get(variable, default).split(",") if item.strip()]


def _truth(variable: str, default: bool) -> bool:
    text = _text(variable)
    return default if text is None else text.lower() in ("1", "true", "yes", "on")


def _number(variable: str, default: float | None) -> float | None:
    text = _text(variable)
    try:
        return default if text is None else float(text)
    except ValueError:
        raise ValueError(f"{variable} is no number: {text!r}") from None
