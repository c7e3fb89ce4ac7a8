import pytest
import redis

from capa_core.components.redis.sequencer import RedisSequencer, RedisSequencerSettings
from capa_core.conformance.sequencer import Connect, Sequencer, SequencerConformance
from capa_core.errors import ConflictError


@pytest.mark.server("redis")
class TestRedisSequencer(SequencerConformance):
    @pytest.fixture
    def connect(self, redis_url: str) -> Connect:
        return lambda: RedisSequencer(RedisSequencerSettings(url=redis_url))

    def test_another_program_counts_on(self, sequencer: Sequencer) -> None:
        client = sequencer.native(redis.Redis)
        taken = [sequencer.next("k"), client.incr("capa:sequencer:k"), sequencer.next("k")]

        assert [1, 2, 3] == taken

    @pytest.mark.parametrize("value", ["text", "-1", "007", ""])
    def test_what_is_no_number_is_left_and_named(self, sequencer: Sequencer, value: str) -> None:
        client = sequencer.native(redis.Redis)
        client.set("capa:sequencer:k", value)
        client.rpush("capa:sequencer:list", "x")
        for name in ("k", "list"):
            for call in (sequencer.next, lambda name: sequencer.advance(name, 5)):
                with pytest.raises(ConflictError, match="'capa:sequencer:.*' holds no whole number"):
                    call(name)

        assert value.encode() == client.get("capa:sequencer:k")
