from celery import Celery

app = Celery("proj", broker="redis://redis.internal:6379/0", backend="redis://redis.internal:6379/1")


@app.task
def add(x, y):
    return x + y
