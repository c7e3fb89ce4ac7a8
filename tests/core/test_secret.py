import copy
import dataclasses
import json
import logging
import pickle

import pytest
from pydantic import BaseModel, ValidationError

from capa_core.secret import FreshSecret, Secret

SECRET = Secret("hunter2")


class Settings(BaseModel):
    password: Secret


@dataclasses.dataclass
class Login:
    password: Secret


def test_reveal_gives_the_text():
    assert "hunter2" == SECRET.reveal()


@pytest.mark.parametrize(
    "shown",
    [
        str(SECRET),
        repr(SECRET),
        f"{SECRET}",
        f"{SECRET!r:>30}",
        f"{SECRET:>30}",
        "%s %r" % (SECRET, SECRET),  # noqa: UP031 - what a log does
        repr([SECRET]),
        repr({"password": SECRET}),
        repr(Login(SECRET)),
        repr(dataclasses.asdict(Login(SECRET))),
        repr(Settings(password="hunter2")),
        Settings(password="hunter2").model_dump_json(),
        repr(Settings(password="hunter2").model_dump()),
        json.dumps([SECRET], default=str),
        str(dir(SECRET)),
    ],
)
def test_it_shows_nowhere(shown):
    assert "hunter2" not in shown


def test_a_log_does_not_show_it(caplog):
    logging.getLogger("test").warning("password %s", SECRET)

    assert "password ********" == caplog.messages[0]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_it_is_not_pickled(protocol):
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(SECRET, protocol)


def test_json_refuses_it():
    with pytest.raises(TypeError):
        json.dumps(SECRET)


def test_a_copy_is_the_same():
    assert copy.deepcopy([SECRET])[0] is copy.copy(SECRET) is SECRET


def test_two_are_equal_if_their_texts_are():
    assert Secret("hunter2") == SECRET
    assert Secret("hunter3") != SECRET
    assert SECRET != "hunter2"
    assert {Secret("hunter2")} == {SECRET}


def test_an_empty_one_is_false():
    assert (True, False) == (bool(SECRET), bool(Secret("")))


def test_it_has_no_attributes_to_look_at():
    with pytest.raises(TypeError):
        vars(SECRET)


def test_a_model_takes_a_text_or_a_secret():
    assert SECRET == Settings(password="hunter2").password == Settings(password=SECRET).password


def test_a_model_refuses_other_types():
    with pytest.raises(ValidationError):
        Settings(password=7)


class Rotated(BaseModel):
    password: FreshSecret


def test_a_fresh_secret_is_read_at_each_use():
    texts = iter(["old", "new"])
    settings = Rotated(password=FreshSecret(lambda: Secret(next(texts))))

    assert ["old", "new"] == [settings.password.current().reveal() for _ in range(2)]


def test_a_text_is_a_constant_fresh_secret_that_does_not_show():
    settings = Rotated(password="hunter2")

    assert "hunter2" == settings.password.current().reveal()
    assert "hunter2" not in f"{settings} {settings!r} {settings.model_dump()} {settings.model_dump_json()}"
