# ruff: noqa: E501 - tables of texts, which are easier to compare unbroken
"""Objects of an SDK are followed through what can bind them to nothing else."""

import pytest


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("from celery import current_app\nuse(current_app)\n", [(2, "use", "celery.current_app()")]),
        ("from celery import current_app\ncurrent_app.send_task(x)\n", [(2, "call", "celery.Celery().send_task(*)")]),
        ("import celery\napp = celery.current_app\n@app.task\ndef f(): ...\nf.delay()\n",
         [(2, "use", "celery.current_app()"), (3, "use", "celery.Celery().task()"), (5, "call", "celery.Task().delay()")]),
    ],
)  # fmt: skip
def test_a_name_that_is_an_object_is_followed_as_one(shapes, source, expected):
    assert expected == shapes(source)
