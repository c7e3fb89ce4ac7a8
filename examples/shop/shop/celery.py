"""The Celery application. Start with `celery -A shop worker` and `celery -A shop beat`."""

from celery import Celery

app = Celery("shop")
# "Current" is per thread, and requests are served by threads: without a default, shared tasks called
# there would belong to an application that knows no broker.
app.set_default()
app.config_from_object("shop.celeryconfig")
app.autodiscover_tasks(
    [
        "shop.tasks.stock",
        "shop.tasks.packing",
        "shop.tasks.notify",
        "shop.tasks.reports",
        "shop.tasks.upkeep",
    ],
    related_name=None,
)


@app.on_after_configure.connect
def connect_signal_handlers(sender, **kwargs):
    """Import the handlers late: they reach into the database, which tests replace."""
    from shop.tasks import signals  # noqa: F401
