"""Parts of both web services: errors as JSON, logins, signed webhooks, health."""

import hmac
import importlib.util
import logging
from functools import wraps

from flask import Flask, jsonify, request

from shop import __version__, settings
from shop.errors import Busy, Forbidden, ShopError
from shop.http.auth import HEADER, signature_of

log = logging.getLogger(__name__)


def new_service(name: str, *blueprints) -> Flask:
    app = Flask(name)
    for each in blueprints:
        app.register_blueprint(each)
    app.register_error_handler(ShopError, _answer_error)
    app.add_url_rule("/healthz", "healthz", lambda: jsonify(_health(name)))
    app.after_request(_sign_with_name(name))
    return app


def needs_service_login(view):
    """Let only the shop's own services in."""

    @wraps(view)
    def guarded(*args, **kwargs):
        config = settings.current()
        login = request.authorization
        if login is None or (login.username, login.password) != (
            config.service_user,
            config.service_password,
        ):
            raise Forbidden("this is for the shop's own services; send their user and password")
        return view(*args, **kwargs)

    return guarded


def needs_signature(view):
    """Let only webhooks in that were signed with the shared secret."""

    @wraps(view)
    def guarded(*args, **kwargs):
        expected = signature_of(request.get_data(), settings.current().webhook_secret)
        if not hmac.compare_digest(request.headers.get(HEADER, ""), expected):
            raise Forbidden("the signature in {} does not fit the body".format(HEADER))
        return view(*args, **kwargs)

    return guarded


def _answer_error(error: ShopError):
    answer = jsonify(error=type(error).__name__, message=str(error))
    answer.status_code = error.status
    if isinstance(error, Busy):
        answer.headers["Retry-After"] = "{:.3f}".format(error.retry_after)
    return answer


def _sign_with_name(name: str):
    def sign(response):
        response.headers["X-Served-By"] = name
        return response

    return sign


def _health(name: str) -> dict:
    # The catalogue image is built without the task queue; operations want to see which is which.
    return {
        "service": name,
        "version": __version__,
        "queue": importlib.util.find_spec("celery") is not None,
    }
