"""In place of `apollo_config._factory`."""

from __future__ import annotations

import os
from collections.abc import Iterable

from dotenv import load_dotenv

from capa_apollo.apollo_config.manager import ConfigManager

__all__ = ["create_config_manager", "create_config_manager_from_env"]


def create_config_manager(  # noqa: PLR0917 - the original's signature
    app_id: str,
    config_url: str,
    cluster: str = "default",
    namespaces: Iterable[str] | None = None,
    env: str | None = None,
    access_key_secret: str | None = None,
    cache_dir: str = ".apollo_cache",
    auto_start: bool = True,
    poll_timeout: float = 70,
    request_timeout: float = 5,
    poll_interval: float = 2.0,
    max_retry_backoff: float = 30.0,
) -> ConfigManager:
    """Return a manager, started unless *auto_start* is false."""
    manager = ConfigManager(
        app_id,
        config_url,
        cluster,
        namespaces,
        env,
        access_key_secret,
        cache_dir,
        poll_timeout,
        request_timeout,
        poll_interval,
        max_retry_backoff,
    )
    if auto_start:
        manager.start()
    return manager


def create_config_manager_from_env(auto_start: bool = True) -> ConfigManager:
    """Return a manager whose arguments are the variables `APOLLO_…` of the environment, or of `.env`."""
    load_dotenv()
    listed = os.environ.get("APOLLO_NAMESPACES", "application").split(",")
    return create_config_manager(
        app_id=os.environ.get("APOLLO_APP_ID", "apollo-app"),
        config_url=os.environ.get("APOLLO_CONFIG_URL", "http://localhost:8080"),
        cluster=os.environ.get("APOLLO_CLUSTER", "default"),
        namespaces=[name.strip() for name in listed if name.strip()],
        env=os.environ.get("APOLLO_ENV"),
        access_key_secret=os.environ.get("APOLLO_ACCESS_KEY_SECRET"),
        cache_dir=os.environ.get("APOLLO_CACHE_DIR", ".apollo_cache"),
        auto_start=auto_start,
    )
