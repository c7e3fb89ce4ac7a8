"""Settings that are fixed while a process runs, from the environment. Those that may change are in Apollo."""

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """One process's settings."""

    data_dir: Path
    broker_url: str
    result_backend: str
    catalog_url: str
    orders_url: str
    service_user: str
    service_password: str
    webhook_secret: str
    apollo_url: str
    apollo_app_id: str
    apollo_cluster: str
    log_level: str

    @property
    def catalog_database(self) -> Path:
        return self.data_dir / "catalog.db"

    @property
    def orders_database(self) -> Path:
        return self.data_dir / "orders.db"

    @property
    def reports_dir(self) -> Path:
        return self.data_dir / "reports"


@lru_cache(maxsize=1)
def current() -> Settings:
    """Read the environment once. Tests call `current.cache_clear()` after changing it."""
    env = os.environ.get
    return Settings(
        data_dir=Path(env("SHOP_DATA", "data")),
        broker_url=env("SHOP_BROKER_URL", "redis://localhost:6379/0"),
        result_backend=env("SHOP_RESULT_BACKEND", "redis://localhost:6379/1"),
        catalog_url=env("CATALOG_URL", "http://localhost:5001"),
        orders_url=env("ORDERS_URL", "http://localhost:5000"),
        service_user=env("SHOP_SERVICE_USER", "shop"),
        service_password=env("SHOP_SERVICE_PASSWORD", "open-sesame"),
        webhook_secret=env("SHOP_WEBHOOK_SECRET", "between-us"),
        apollo_url=env("APOLLO_CONFIG_URL", "http://localhost:8080"),
        apollo_app_id=env("APOLLO_APP_ID", "shop"),
        apollo_cluster=env("APOLLO_CLUSTER", "default"),
        log_level=env("SHOP_LOG_LEVEL", "INFO"),
    )
