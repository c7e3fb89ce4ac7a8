"""A pydantic-settings class that reads from Capa."""

from pydantic import BaseModel, Field
from pydantic_settings import BaseSettings

from capa_apollo import ApolloSettingsSource, CapaSettingsSource


class Database(BaseModel):
    port: int = 1
    host_name: str = ""


class Settings(BaseSettings):
    timeout_s: float = 5
    tags: list[str] = []
    named: str = Field(default="", alias="other-name")
    database: Database = Database()

    @classmethod
    def settings_customise_sources(
        cls, settings_cls, init_settings, env_settings, dotenv_settings, file_secret_settings
    ):
        return init_settings, env_settings, CapaSettingsSource(settings_cls, "application", prefix="shop")


def test_fields_come_from_the_namespace(configuration):
    configuration.save(
        {
            "shop.timeout-s": "2.5",
            "shop.tags[0]": "a",
            "shop.other-name": "n",
            "shop.database.hostName": "h",
            "shop.unknown": "x",
            "timeout_s": "9",
        }
    )

    settings = Settings()
    assert (2.5, ["a"], "n", Database(host_name="h")) == (
        settings.timeout_s,
        settings.tags,
        settings.named,
        settings.database,
    )


def test_sources_before_it_win(configuration, monkeypatch):
    configuration.save({"shop.timeout_s": "2"})
    monkeypatch.setenv("TIMEOUT_S", "3")

    assert (3.0, 4.0) == (Settings().timeout_s, Settings(timeout_s=4).timeout_s)


def test_an_empty_namespace_leaves_the_defaults(runtime):
    assert 5 == Settings().timeout_s


def test_it_goes_by_both_names():
    assert ApolloSettingsSource is CapaSettingsSource
