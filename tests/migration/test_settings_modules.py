"""Settings of Celery in a settings module: those that lose their effect are named, with what replaces them."""

from __future__ import annotations

import json

import pytest

SETTINGS = """\
DEBUG = True
CELERY_BROKER_URL = "redis://redis.internal:6379/0"
CELERY_RESULT_BACKEND = CELERY_BROKER_URL
CELERY_BEAT_ENABLE_REMOTE_CONTROL = True
CELERY_WORKER_POOL_RESTARTS: bool = True
CELERY_TASK_ACKS_LATE = True
# CELERY_WORKER_AUTOSCALER = "x:Y"
if CELERY_BROKER_URL == "":
    CELERY_WORKER_DISABLE_PREFETCH = True
"""


@pytest.fixture
def shop(capa, adapters_maps, tmp_path):
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop/settings.py").write_text(SETTINGS)
    return tmp_path / "shop"


def test_the_settings_of_one_reason_are_one_warning(capa, shop):
    lines = capa("migrate", "check", shop).out.splitlines()

    assert (
        "settings.py:2: warning: CELERY_BROKER_URL, CELERY_RESULT_BACKEND: accepted and never connected to: capa.toml "
        "names the component that serves it. Next: use `url` of `[pubsub.default]` and `[state.default]` in capa.toml. "
        "[celery-settings]"
    ) == lines[0]
    assert lines[1].startswith(
        "settings.py:4: warning: CELERY_BEAT_ENABLE_REMOTE_CONTROL, CELERY_WORKER_POOL_RESTARTS: without effect"
    )
    assert lines[2].startswith("settings.py:9: warning: CELERY_WORKER_DISABLE_PREFETCH: without effect")
    assert 4 == len(lines)


def test_apply_leaves_them_and_says_so(capa, shop):
    ran = capa("migrate", "apply", shop)

    assert SETTINGS == (shop / "settings.py").read_text()
    assert "CELERY_BROKER_URL, CELERY_RESULT_BACKEND: " in ran.out


def test_a_scan_lists_each_with_its_reason(capa, shop):
    sites = json.loads(capa("scan", shop, "--json").out)["sites"]

    assert [2, 3, 4, 5, 9] == [site["line"] for site in sites]
    assert ("celery.Celery.conf.beat_enable_remote_control", "none", "celery/remote-control") == tuple(
        sites[2][key] for key in ("name", "support", "id")
    )


def test_a_comment_settles_them(capa, shop):
    (shop / "settings.py").write_text('CELERY_BROKER_URL = "redis://a"  # capa: ignore[celery-settings]\n')

    assert "nothing to do in 1 file\n" == capa("migrate", "check", shop).out


@pytest.mark.parametrize(
    "source",
    [
        "CELERY_TASK_ACKS_LATE = True\n",
        "CELERY_TIMEOUT = 3\n",
        "print(CELERY_BROKER_URL)\n",
        "if CELERY_BROKER_URL == 1: ...\n",
        "f(CELERY_BROKER_URL=1)\n",
        'MY_CELERY_BROKER_URL = ""\n',
    ],
)
def test_a_setting_that_is_served_or_none_of_celery_is_left_in_peace(capa, shop, source):
    (shop / "settings.py").write_text(source)

    assert "warning" not in capa("migrate", "check", shop).out
    assert [] == json.loads(capa("scan", shop, "--json").out)["sites"]
