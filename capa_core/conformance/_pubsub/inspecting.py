"""Looking into queues changes nothing; replaying and emptying do what they say and no more."""

from __future__ import annotations

import time
from typing import Any

import pytest

from capa_core.blocks.pubsub import Draft, MessageState, PubSub, PubSubFeature
from capa_core.blocks.pubsub.driver import PubSubDriver
from capa_core.conformance._pubsub.setting import Setting, bodies, drain, eventually, receive
from capa_core.errors import InvalidArgumentError, UnavailableError, UnsupportedError


class InspectingPromises(Setting):
    """Of `topics`, `inspect`, `peek`, `dead_letters`, `replay`, and `purge` of one group."""

    @pytest.fixture
    def inspected(self, pubsub: PubSub) -> PubSub:
        """Give the portable type, if its driver declares INSPECT."""
        if not pubsub.features[PubSubFeature.INSPECT]:
            pytest.skip("cannot be inspected")
        return pubsub

    def test_looking_is_refused_if_it_is_declared_absent(self, pubsub: PubSub, topic: str) -> None:
        """With the reason."""
        support = pubsub.features[PubSubFeature.INSPECT]
        if support:
            pytest.skip("can be inspected")

        for look in (
            pubsub.topics,
            lambda: pubsub.inspect(topic),
            lambda: pubsub.peek(topic),
            lambda: pubsub.dead_letters(topic),
            lambda: pubsub.purge(topic, "default"),
        ):
            with pytest.raises(UnsupportedError, match=support.note):
                look()

    def test_each_topic_is_listed_once(self, inspected: PubSub, topic: str) -> None:
        """Those with groups, with kept and with delayed messages alike."""
        names = [f"{topic}{ending}" for ending in ("a", "}:b", ":0", "*", "later")]
        for number, name in enumerate(names):
            if number % 2:
                inspected.consumer(name, raw=True).close()
            inspected.publish(name, b"x", raw=True, delay=number % 3 * 20, priority=0)

        assert sorted(names) == sorted(name for name in inspected.topics() if name.startswith(topic))

    def test_a_topic_that_is_not_there_has_nothing(self, inspected: PubSub, topic: str) -> None:
        """And is not made by looking."""
        status = inspected.inspect(topic)

        assert (topic, (), 0, None, 0) == (
            status.name,
            status.groups,
            status.kept,
            status.oldest_s,
            status.depth,
        )
        assert [] == inspected.peek(topic)
        assert topic not in inspected.topics()

    def test_kept_messages_are_counted_and_seen(self, inspected: PubSub, topic: str) -> None:
        """Before there is any group."""
        inspected.publish_many(topic, [b"1", b"2"], raw=True)
        inspected.publish(topic, b"later", raw=True, delay=60)
        status = inspected.inspect(topic)

        assert ((), 3, 3) == (status.groups, status.kept, status.depth)
        assert 0 <= (status.oldest_s or -1) < 10
        assert [b"1", b"2", b"later"] == [message.data for message in inspected.peek(topic)]

    def test_a_group_tells_how_it_stands(self, inspected: PubSub, topic: str) -> None:
        """What is leased or rests is in flight, and counts as waiting too."""
        consumer = inspected.consumer(topic, "group ü", raw=True)
        inspected.consumer(topic, "other", raw=True)
        inspected.publish_many(topic, [b"%d" % number for number in range(5)], raw=True)
        inspected.publish(topic, b"later", raw=True, delay=60)
        held = receive(consumer, 3)
        consumer.ack(held[:1])
        consumer.nack(held[1:2], 60)
        status = inspected.inspect(topic)
        group, other = status.groups

        assert (0, 6) == (status.kept, status.depth)
        assert ("group ü", 5, 2, False) == (group.name, group.depth, group.in_flight, group.temporary)
        assert ("other", 6, 0, False) == (other.name, other.depth, other.in_flight, other.temporary)
        assert group.depth == inspected.depth(topic, "group ü")
        assert 0 <= (group.oldest_s or -1) < 10
        assert group.consumers in (None, 1)

    def test_the_age_is_that_of_the_oldest(self, inspected: PubSub, topic: str) -> None:
        """And none if nothing waits."""
        consumer = inspected.consumer(topic, raw=True)
        empty = inspected.inspect(topic).groups[0]
        inspected.publish(topic, b"old", raw=True)
        time.sleep(0.6)
        inspected.publish(topic, b"new", raw=True)
        before = inspected.inspect(topic).groups[0].oldest_s or 0
        consumer.ack(receive(consumer, 1))
        after = inspected.inspect(topic).groups[0].oldest_s or 9

        assert (0, None) == (empty.depth, empty.oldest_s)
        assert after < 0.6 <= before < 10

    def test_a_broadcast_group_is_marked_as_temporary(self, inspected: PubSub, topic: str) -> None:
        """Where the driver itself has such groups."""
        if not inspected.features[PubSubFeature.BROADCAST].by_driver:
            pytest.skip("to the engine it is a group like any other")
        listener = inspected.consumer(topic, broadcast=True, raw=True)

        assert [(listener.group, True)] == [
            (group.name, group.temporary) for group in inspected.inspect(topic).groups
        ]

    def test_looking_at_messages_changes_nothing(self, inspected: PubSub, topic: str) -> None:
        """They are there for the consumer, and counted as before."""
        consumer = inspected.consumer(topic, raw=True)
        inspected.publish(topic, b"x", raw=True, content_type="a/b", attributes={"h": "ü"}, id="one")
        for _ in range(3):
            (seen,) = inspected.peek(topic)
        (message,) = receive(consumer, 1)

        assert ("one", b"x", 1, "a/b", {"h": "ü"}) == (
            seen.id,
            seen.data,
            seen.size,
            seen.content_type,
            seen.attributes,
        )
        assert (0, MessageState.READY) == (seen.delivery_count, seen.state)
        assert abs(seen.published_at - time.time()) < 10
        assert 1 == message.delivery_count

    def test_messages_are_seen_page_by_page(self, inspected: PubSub, topic: str) -> None:
        """Each once, whatever it waits for."""
        consumer = inspected.consumer(topic, raw=True)
        drafts = [Draft(data=b"%d" % number, delay=60 * (number % 3 == 2)) for number in range(10)]
        inspected.publish_many(topic, drafts, raw=True)
        receive(consumer, 2)
        pages, after = [], ""
        while page := inspected.peek(topic, most=3, after=after):
            pages.append(len(page))
            after = page[-1].position
            drafts = [draft for draft in drafts if draft.data not in {message.data for message in page}]

        assert [] == drafts
        assert ([3, 3, 3, 1], []) == (pages, inspected.peek(topic, after=after))

    def test_each_message_says_what_it_waits_for(self, inspected: PubSub, topic: str) -> None:
        """And how often it was delivered."""
        consumer = inspected.consumer(topic, raw=True)
        if inspected.features[PubSubFeature.DELAY].by_driver:
            inspected.publish(topic, b"later", raw=True, delay=60)
        inspected.publish(topic, b"leased", raw=True)
        (leased,) = receive(consumer, 1)
        inspected.publish(topic, b"again", raw=True)
        (again,) = receive(consumer, 1)
        consumer.nack([again])
        inspected.publish(topic, b"new", raw=True)
        seen = {message.data: (message.state, message.delivery_count) for message in inspected.peek(topic)}

        assert b"leased" == leased.data
        assert (MessageState.DELAYED, 0) == seen.pop(b"later", (MessageState.DELAYED, 0))
        assert {
            b"leased": (MessageState.IN_FLIGHT, 1),
            b"again": (MessageState.READY, 1),
            b"new": (MessageState.READY, 0),
        } == seen

    def test_a_group_is_not_shown_what_it_is_through_with(self, inspected: PubSub, topic: str) -> None:
        """Though another group still has it."""
        done, slow = inspected.consumer(topic, "done", raw=True), inspected.consumer(topic, "slow", raw=True)
        inspected.publish_many(topic, [b"1", b"2", b"3"], raw=True)
        done.ack(receive(done, 2))
        receive(slow, 1)

        assert [b"3"] == [message.data for message in inspected.peek(topic, "done")]
        assert [b"1", b"2", b"3"] == [message.data for message in inspected.peek(topic, "slow")]

    def test_long_bodies_are_cut(self, inspected: PubSub, topic: str) -> None:
        """Their size is that of the whole."""
        inspected.consumer(topic, raw=True)
        inspected.publish(topic, b"0123456789" * 1000, raw=True)
        (seen,) = inspected.peek(topic, max_bytes=12)

        assert (b"012345678901", 10_000) == (seen.data, seen.size)

    def test_an_empty_body_is_seen_as_one(self, inspected: PubSub, topic: str) -> None:
        """And not as none."""
        inspected.publish(topic, b"", raw=True)

        assert [(b"", 0)] == [(seen.data, seen.size) for seen in inspected.peek(topic)]

    def test_a_dead_letter_says_where_it_comes_from(self, inspected: PubSub, topic: str) -> None:
        """And how often it was delivered."""
        self._kill(inspected, topic, [b"x"])
        (dead,) = inspected.dead_letters(topic)

        assert (topic, "default", 1, b"x") == (dead.topic, dead.group, dead.deliveries, dead.message.data)
        assert "its consumers handed it back" == dead.reason
        assert dead.message.id != dead.id

    def test_a_dead_letter_has_the_error_of_the_handler(self, inspected: PubSub, topic: str) -> None:
        """Its type and first line, without credentials."""

        def handler(_message: object) -> None:
            raise ValueError("no stock at amqp://me:hunter2@there, token=abc\nmore lines")

        inspected.consumer(topic, raw=True).close()
        inspected.publish(topic, b"x", raw=True)
        with inspected.subscribe(topic, handler, raw=True, max_deliveries=2, retry_delay=0):
            assert eventually(lambda: inspected.depth(f"{topic}.dead") == 1)
        (dead,) = inspected.dead_letters(topic)

        assert (2, "ValueError: no stock at amqp://***@there, token=***") == (dead.deliveries, dead.reason)

    def test_a_dead_letter_of_lost_leases_says_so(self, inspected: PubSub, topic: str) -> None:
        """There was no error that could be told."""
        lost = inspected.consumer(topic, raw=True, lease=1)
        inspected.publish(topic, b"x", raw=True)
        receive(lost, 1)
        inspected.consumer(topic, raw=True, max_deliveries=1).receive(1, 2)

        assert eventually(lambda: len(inspected.dead_letters(topic)) == 1)
        assert "lost their leases" in inspected.dead_letters(topic)[0].reason

    def test_dead_letters_go_back_each_once(self, inspected: PubSub, topic: str) -> None:
        """As they were, and none is left."""
        idents = self._kill(inspected, topic, [b"%d" % number for number in range(250)])
        first, rest, nothing = (
            inspected.replay(topic, most=1),
            inspected.replay(topic),
            inspected.replay(topic),
        )
        messages = drain(inspected.consumer(topic, raw=True))

        assert (1, 249, 0) == (first, rest, nothing)
        assert sorted(idents) == sorted(message.id for message in messages)
        assert {("a/b", "v", None)} == {
            (message.content_type, message.attributes["h"], message.attributes.get("capa-dead-id"))
            for message in messages
        }
        assert [] == inspected.dead_letters(topic)

    def test_what_dies_again_meanwhile_is_left(self, inspected: PubSub, topic: str) -> None:
        """Each goes back once, so that the call ends."""
        self._kill(inspected, topic, [b"x"])
        inspected.replay(topic)
        self._give_up(inspected, topic, 1)

        assert 1 == len(inspected.dead_letters(topic))
        assert 1 == inspected.replay(topic)

    @pytest.mark.parametrize("others", [["g"], ["a", "g"]], ids=["one", "two"])
    def test_other_groups_do_not_hide_dead_letters(
        self, inspected: PubSub, topic: str, others: list[str]
    ) -> None:
        """Without a group `default` each goes back once, however many groups have a copy; no group is created."""
        for group in others:
            inspected.consumer(f"{topic}.dead", group, raw=True).close()
        self._kill(inspected, topic, [b"1", b"2", b"3"])
        seen = [letter.message.data for letter in inspected.dead_letters(topic)]
        replayed = [inspected.replay(topic, most=1), inspected.replay(topic), inspected.replay(topic)]
        left = inspected.inspect(f"{topic}.dead")

        assert [b"1", b"2", b"3"] == seen
        assert [1, 2, 0] == replayed
        assert [(group, 0) for group in others] == [(group.name, group.depth) for group in left.groups]
        assert [b"1", b"2", b"3"] == sorted(bodies(drain(inspected.consumer(topic, raw=True))))

    def test_other_groups_keep_their_copies_beside_the_default(self, inspected: PubSub, topic: str) -> None:
        """The dead letters are those of `default`, before and after another group comes."""
        self._kill(inspected, topic, [b"1", b"2"])
        inspected.replay(topic, most=1)
        inspected.consumer(f"{topic}.dead", "other", raw=True).close()
        self._give_up(inspected, topic, 1)
        letters, replayed = inspected.dead_letters(topic), inspected.replay(topic)

        assert (2, 2, []) == (len(letters), replayed, inspected.dead_letters(topic))
        assert 1 == inspected.depth(f"{topic}.dead", "other")

    def test_replaying_nothing_creates_nothing(self, inspected: PubSub, topic: str) -> None:
        """Neither the topic, nor that of its dead letters, nor a group."""
        replayed = inspected.replay(topic)

        assert 0 == replayed
        assert [] == [name for name in inspected.topics() if name.startswith(topic)]

    @pytest.mark.parametrize("position", ["zzz", "-1", "0|", "9" * 40, "L|-1", "\u0663"])
    def test_a_position_of_another_kind_is_refused(
        self, inspected: PubSub, topic: str, position: str
    ) -> None:
        """It is named."""
        inspected.publish(topic, b"x", raw=True)

        with pytest.raises(InvalidArgumentError, match="after is"):
            inspected.peek(topic, after=position)

    def test_an_interrupted_replay_loses_nothing(
        self, driver: PubSubDriver[Any], inspected: PubSub, topic: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What was published before the end is there twice, the rest once more."""
        self._kill(inspected, topic, [b"1", b"2"])

        def broken(*_args: object, **_kwargs: object) -> list[None]:
            raise UnavailableError("broken for the test")

        with monkeypatch.context() as patch:
            patch.setattr(driver, "publish", broken)
            with pytest.raises(UnavailableError):
                inspected.replay(topic)

        assert 2 == len(inspected.dead_letters(topic))
        assert 2 == inspected.replay(topic)

    def test_emptying_one_group_leaves_the_others(self, inspected: PubSub, topic: str) -> None:
        """Leased messages go too, and none comes back."""
        emptied = inspected.consumer(topic, "emptied", raw=True, lease=1)
        kept = inspected.consumer(topic, "kept", raw=True)
        inspected.publish_many(topic, [b"%d" % number for number in range(250)], raw=True)
        kept.ack(receive(kept, 3))
        receive(emptied, 5)
        count = inspected.purge(topic, "emptied")
        left = inspected.inspect(topic)

        assert 250 == count
        assert [("emptied", 0), ("kept", 247)] == [(group.name, group.depth) for group in left.groups]
        assert [] == emptied.receive(1, 1.5)
        assert 247 == len(drain(kept))
        assert (0, 0) == (inspected.depth(topic, "emptied"), inspected.depth(topic, "kept"))

    def test_emptying_the_only_group_leaves_nothing(self, inspected: PubSub, topic: str) -> None:
        """Delayed messages included; what comes later is received."""
        consumer = inspected.consumer(topic, raw=True)
        inspected.publish_many(topic, [b"1", b"2", Draft(data=b"3", delay=60)], raw=True)
        receive(consumer, 1)
        count = inspected.purge(topic, "default")
        inspected.publish(topic, b"after", raw=True)

        assert (3, 0) == (count, inspected.purge(topic, "unknown"))
        assert [b"after"] == bodies(drain(consumer))

    def test_emptying_a_topic_empties_every_group(self, pubsub: PubSub, topic: str) -> None:
        """Also those that have not received anything yet."""
        first = pubsub.consumer(topic, "first", raw=True)
        pubsub.consumer(topic, "second", raw=True)
        pubsub.publish_many(topic, [b"1", b"2"], raw=True)
        receive(first, 1)
        count = pubsub.purge(topic)

        assert 2 == count
        assert (0, 0) == (pubsub.depth(topic, "first"), pubsub.depth(topic, "second"))

    def _kill(self, pubsub: PubSub, topic: str, data: list[bytes]) -> list[str]:
        """Publish messages, give up on each, and return their ids."""
        pubsub.consumer(topic, raw=True).close()
        drafts = [Draft(data=one, content_type="a/b", attributes={"h": "v"}) for one in data]
        results = pubsub.publish_many(topic, drafts, raw=True)
        self._give_up(pubsub, topic, len(data))
        return [result.id for result in results]

    def _give_up(self, pubsub: PubSub, topic: str, count: int) -> None:
        with pubsub.consumer(topic, raw=True, max_deliveries=1) as consumer:
            while count > 0:
                messages = receive(consumer, min(count, 50))
                assert messages, f"{count} messages did not come"
                consumer.nack(messages)
                count -= len(messages)
