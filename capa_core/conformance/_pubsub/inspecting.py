"""Inspecting queues changes nothing; replaying and purging affect only the messages that they name."""

from __future__ import annotations

import time
from typing import Any

import pytest

from capa_core.abilities import How
from capa_core.blocks.pubsub import Draft, MessageState, PubSub, PubSubFeature
from capa_core.blocks.pubsub._replay import Replay
from capa_core.blocks.pubsub.driver import OutgoingMessage, PubSubDriver
from capa_core.blocks.pubsub.inspection import DEAD_LETTER_GROUP
from capa_core.conformance._pubsub.suite import Suite, bodies, drain, eventually, receive
from capa_core.errors import InvalidArgumentError, UnavailableError, UnsupportedError


class InspectingPromises(Suite):
    """The promises of `topics`, `inspect`, `peek`, `dead_letters`, `replay`, and `purge` of one group."""

    @pytest.fixture
    def inspected(self, pubsub: PubSub) -> PubSub:
        """Yield the portable type, if its driver declares INSPECT."""
        if not pubsub.features[PubSubFeature.INSPECT]:
            pytest.skip("cannot be inspected")
        return pubsub

    def test_inspecting_is_refused_if_declared_absent(self, pubsub: PubSub, topic: str) -> None:
        """The error gives the reason."""
        support = pubsub.features[PubSubFeature.INSPECT]
        if support:
            pytest.skip("can be inspected")

        for look in (
            pubsub.topics,
            lambda: pubsub.inspect(topic),
            lambda: pubsub.peek(topic),
            lambda: pubsub.dead_letters(topic),
        ):
            with pytest.raises(UnsupportedError, match=support.note):
                look()

    def test_purging_one_group_is_refused_if_declared_absent(self, pubsub: PubSub, topic: str) -> None:
        """The error gives the reason."""
        support = pubsub.features[PubSubFeature.PURGE_GROUP]
        if support:
            pytest.skip("one group can be emptied")

        with pytest.raises(UnsupportedError, match=support.note):
            pubsub.purge(topic, "default")

    def test_each_topic_is_listed_once(self, inspected: PubSub, topic: str) -> None:
        """Topics with groups, with kept and with delayed messages are all listed."""
        names = [f"{topic}{ending}" for ending in ("a", "}:b", ":0", "*", "later")]
        for number, name in enumerate(names):
            if number % 2:
                inspected.consumer(name, raw=True).close()
            inspected.publish(name, b"x", raw=True, delay=number % 3 * 20, priority=0)

        assert sorted(names) == sorted(name for name in inspected.topics() if name.startswith(topic))

    def test_an_unknown_topic_has_nothing(self, inspected: PubSub, topic: str) -> None:
        """Inspecting it does not create it."""
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

    def test_kept_messages_are_counted_and_listed(self, inspected: PubSub, topic: str) -> None:
        """They are there before any group."""
        inspected.publish_many(topic, [b"1", b"2"], raw=True)
        inspected.publish(topic, b"later", raw=True, delay=60)
        status = inspected.inspect(topic)

        assert ((), 3, 3) == (status.groups, status.kept, status.depth)
        assert 0 <= (status.oldest_s or -1) < 10
        shown = [b"1", b"2", *([b"later"] if self._shows_delayed(inspected) else [])]
        assert shown == sorted(message.data for message in inspected.peek(topic))

    def test_a_group_has_a_status(self, inspected: PubSub, topic: str) -> None:
        """Leased messages and those that wait for their next delivery are in flight and count as waiting too."""
        consumer = inspected.consumer(topic, "group ü", raw=True)
        inspected.consumer(topic, "other", raw=True)
        inspected.publish_many(topic, [b"%d" % number for number in range(5)], raw=True)
        held = receive(consumer, 3)
        consumer.ack(held[:1])
        consumer.nack(held[1:2], 60)
        inspected.publish(topic, b"later", raw=True, delay=60)
        status = inspected.inspect(topic)
        group, other = status.groups

        assert (0, 6) == (status.kept, status.depth)
        assert ("group ü", 5, 2, False) == (group.name, group.depth, group.in_flight, group.temporary)
        assert ("other", 6, 0, False) == (other.name, other.depth, other.in_flight, other.temporary)
        assert group.depth == inspected.depth(topic, "group ü")
        assert 0 <= (group.oldest_s or -1) < 10
        assert group.consumers in (None, 1)

    def test_the_age_is_that_of_the_oldest(self, inspected: PubSub, topic: str) -> None:
        """It is `None` if no message waits."""
        consumer = inspected.consumer(topic, raw=True)
        empty = inspected.inspect(topic).groups[0]
        inspected.publish(topic, b"old", raw=True)
        time.sleep(0.6)
        published = time.monotonic()
        inspected.publish(topic, b"new", raw=True)
        before = inspected.inspect(topic).groups[0].oldest_s or 0
        consumer.ack([message for message in receive(consumer, 2) if message.data == b"old"])
        after = inspected.inspect(topic).groups[0].oldest_s or 99

        assert (0, None) == (empty.depth, empty.oldest_s)
        assert 0.6 <= before < 10
        assert after < time.monotonic() - published + 0.5

    def test_a_broadcast_group_is_marked_as_temporary(self, inspected: PubSub, topic: str) -> None:
        """This holds if the driver itself has such groups and the engine knows them."""
        if not inspected.features[PubSubFeature.BROADCAST].by_driver:
            pytest.skip("to the engine it is a group like any other")
        if inspected.features[PubSubFeature.INSPECT].how is How.APPROXIMATE:
            pytest.skip(inspected.features[PubSubFeature.INSPECT].note)
        listener = inspected.consumer(topic, broadcast=True, raw=True)

        assert [(listener.group, True)] == [
            (group.name, group.temporary) for group in inspected.inspect(topic).groups
        ]

    def test_peeking_changes_nothing(self, inspected: PubSub, topic: str) -> None:
        """The consumer still receives the messages, with the same count of deliveries."""
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

    def test_messages_are_listed_page_by_page(self, inspected: PubSub, topic: str) -> None:
        """Each message is on one page, in any state; delayed ones are on none if the driver declares that absent."""
        consumer = inspected.consumer(topic, raw=True)
        some = self._shows_delayed(inspected)
        drafts = [Draft(data=b"%d" % number, delay=60 * (some and number % 3 == 2)) for number in range(10)]
        inspected.publish_many(topic, drafts, raw=True)
        receive(consumer, 2)
        pages, after = [], ""
        while page := inspected.peek(topic, most=3, after=after):
            pages.append(len(page))
            after = page[-1].position
            drafts = [draft for draft in drafts if draft.data not in {message.data for message in page}]

        assert [] == drafts
        assert ([3, 3, 3, 1], []) == (pages, inspected.peek(topic, after=after))

    def test_each_message_has_its_state(self, inspected: PubSub, topic: str) -> None:
        """It also has the number of its deliveries."""
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

    def test_the_messages_of_a_group_exclude_acknowledged_ones(self, inspected: PubSub, topic: str) -> None:
        """Messages that another group still has are not listed."""
        done, slow = inspected.consumer(topic, "done", raw=True), inspected.consumer(topic, "slow", raw=True)
        inspected.publish_many(topic, [b"1", b"2", b"3"], raw=True)
        finished = receive(done, 2)
        done.ack(finished)
        receive(slow, 1)
        left = [message.data for message in inspected.peek(topic, "done")]

        assert [b"1", b"2", b"3"] == sorted([*bodies(finished), *left])
        assert [b"1", b"2", b"3"] == sorted(message.data for message in inspected.peek(topic, "slow"))

    def test_long_bodies_are_cut(self, inspected: PubSub, topic: str) -> None:
        """Their size is that of the whole body."""
        inspected.consumer(topic, raw=True)
        inspected.publish(topic, b"0123456789" * 1000, raw=True)
        (seen,) = inspected.peek(topic, max_bytes=12)

        assert (b"012345678901", 10_000) == (seen.data, seen.size)

    def test_an_empty_body_is_listed_as_empty(self, inspected: PubSub, topic: str) -> None:
        """It is `b""`, not `None`."""
        inspected.publish(topic, b"", raw=True)

        assert [(b"", 0)] == [(seen.data, seen.size) for seen in inspected.peek(topic)]

    def test_a_dead_letter_has_its_origin(self, inspected: PubSub, topic: str) -> None:
        """It also has the number of its deliveries."""
        self._kill(inspected, topic, [b"x"])
        (dead,) = inspected.dead_letters(topic)

        assert (topic, "default", 1, b"x") == (dead.topic, dead.group, dead.deliveries, dead.message.data)
        assert "its consumers rejected it" == dead.reason
        assert dead.message.id != dead.id

    def test_a_dead_letter_has_the_error_of_the_handler(self, inspected: PubSub, topic: str) -> None:
        """The reason is the type and first line of the error, without credentials."""

        def handler(_message: object) -> None:
            raise ValueError("no stock at amqp://me:hunter2@there, token=abc\nmore lines")

        inspected.consumer(topic, raw=True).close()
        inspected.publish(topic, b"x", raw=True)
        with inspected.subscribe(topic, handler, raw=True, max_deliveries=2, retry_delay=0):
            assert eventually(lambda: inspected.depth(f"{topic}.dead") == 1)
        (dead,) = inspected.dead_letters(topic)

        assert (2, "ValueError: no stock at amqp://***@there, token=***") == (dead.deliveries, dead.reason)

    def test_a_dead_letter_of_lost_leases_has_that_reason(self, inspected: PubSub, topic: str) -> None:
        """There is no error to report."""
        lost = inspected.consumer(topic, raw=True, lease=1)
        inspected.publish(topic, b"x", raw=True)
        receive(lost, 1)
        other = inspected.consumer(topic, raw=True, max_deliveries=1)

        assert eventually(lambda: [] == other.receive(1, 0.5) and len(inspected.dead_letters(topic)) == 1)
        assert "lost their leases" in inspected.dead_letters(topic)[0].reason

    def test_dead_letters_are_replayed_once_each(self, inspected: PubSub, topic: str) -> None:
        """They are unchanged, and none is left."""
        idents = self._kill(inspected, topic, [b"%d" % number for number in range(250)])
        first, rest, nothing = (
            inspected.replay(topic, most=1),
            inspected.replay(topic),
            inspected.replay(topic),
        )
        messages = drain(inspected.consumer(topic, raw=True), 250)

        assert (1, 249, 0) == (first, rest, nothing)
        assert sorted(idents) == sorted(message.id for message in messages)
        assert {("a/b", "v", None)} == {
            (message.content_type, message.attributes["h"], message.attributes.get("capa-dead-id"))
            for message in messages
        }
        assert [] == inspected.dead_letters(topic)

    def test_a_message_that_dies_again_is_not_replayed_again(self, inspected: PubSub, topic: str) -> None:
        """Each goes back once, so that the call ends."""
        self._kill(inspected, topic, [b"x"])
        inspected.replay(topic)
        self._give_up(inspected, topic, 1)

        assert 1 == len(inspected.dead_letters(topic))
        assert 1 == inspected.replay(topic)

    @pytest.mark.parametrize("group", ["default", "other"])
    def test_letters_of_one_id_are_replayed_each(
        self, driver: PubSubDriver[Any], inspected: PubSub, topic: str, group: str
    ) -> None:
        """Messages of other programs may share an id, or have none."""
        inspected.consumer(f"{topic}.dead", group, raw=True).close()
        inspected.consumer(topic, raw=True).close()
        data = [b"%d" % number for number in range(103)]
        for part in (data[:100], data[100:]):
            assert [None] * len(part) == driver.publish(topic, [OutgoingMessage("same", one) for one in part])
        self._give_up(inspected, topic, len(data))
        first, counts = inspected.replay(topic, most=2), list[int]()

        def all_moved() -> bool:
            # A call ends early where the engine still takes back what the one before it had leased.
            counts.append(inspected.replay(topic))
            return sum(counts) >= len(data) - 2

        assert 2 == first
        assert eventually(all_moved), counts
        assert 101 == sum(counts)
        assert sorted(data) == sorted(bodies(drain(inspected.consumer(topic, raw=True), len(data))))

    def test_a_letter_that_died_again_meanwhile_is_not_moved(
        self, driver: PubSubDriver[Any], inspected: PubSub, topic: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A worker that gives up on what comes back does not keep the call going."""
        idents = self._kill(inspected, topic, [b"1", b"2"])
        publish = driver.publish

        def then_die(to: str, messages: Any) -> Any:
            done = publish(to, messages)
            if to == topic:
                self._give_up(inspected, topic, len(messages))
            return done

        with monkeypatch.context() as patch:
            patch.setattr(driver, "publish", then_die)
            # One more than there are, as where another consumer has taken one of those that were counted.
            with Replay(inspected._guard, driver, topic, DEAD_LETTER_GROUP) as replay:
                moved = replay.move(3)

        assert sorted(f"{ident}.default" for ident in idents) == sorted(moved.elements())

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

        assert [b"1", b"2", b"3"] == sorted(seen)
        assert [1, 2, 0] == replayed
        assert [(group, 0) for group in others] == [(group.name, group.depth) for group in left.groups]
        assert [b"1", b"2", b"3"] == sorted(bodies(drain(inspected.consumer(topic, raw=True), 3)))

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
        """It creates neither the topic nor the topic of its dead letters nor a group."""
        replayed = inspected.replay(topic)

        assert 0 == replayed
        assert [] == [name for name in inspected.topics() if name.startswith(topic)]

    @pytest.mark.parametrize("position", ["zzz", "-1", "0|", "9" * 40, "L|-1", "\u0663"])
    def test_a_malformed_position_is_refused(self, inspected: PubSub, topic: str, position: str) -> None:
        """The error names it."""
        inspected.publish(topic, b"x", raw=True)

        with pytest.raises(InvalidArgumentError, match="after is"):
            inspected.peek(topic, after=position)

    def test_an_interrupted_replay_loses_nothing(
        self, driver: PubSubDriver[Any], inspected: PubSub, topic: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Messages that were published before the interruption are there twice, the others once."""
        self._kill(inspected, topic, [b"1", b"2"])

        def broken(*_args: object, **_kwargs: object) -> list[None]:
            raise UnavailableError("broken for the test")

        with monkeypatch.context() as patch:
            patch.setattr(driver, "publish", broken)
            with pytest.raises(UnavailableError):
                inspected.replay(topic)

        assert 2 == len(inspected.dead_letters(topic))
        assert 2 == inspected.replay(topic)

    def test_purging_one_group_leaves_the_others(self, inspected: PubSub, topic: str) -> None:
        """Leased messages are removed too, and none comes back."""
        self._needs_purge_of_groups(inspected)
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
        assert 247 == len(drain(kept, 247))
        assert (0, 0) == (inspected.depth(topic, "emptied"), inspected.depth(topic, "kept"))

    def test_purging_the_only_group_leaves_nothing(self, inspected: PubSub, topic: str) -> None:
        """Delayed messages are removed too; later messages are received."""
        self._needs_purge_of_groups(inspected)
        consumer = inspected.consumer(topic, raw=True)
        inspected.publish_many(topic, [b"1", b"2", Draft(data=b"3", delay=60)], raw=True)
        receive(consumer, 1)
        count = inspected.purge(topic, "default")
        inspected.publish(topic, b"after", raw=True)

        assert (3, 0) == (count, inspected.purge(topic, "unknown"))
        assert [b"after"] == bodies(drain(consumer))

    def test_purging_a_topic_purges_every_group(self, pubsub: PubSub, topic: str) -> None:
        """Groups that have received nothing yet are purged too."""
        first = pubsub.consumer(topic, "first", raw=True)
        pubsub.consumer(topic, "second", raw=True)
        pubsub.publish_many(topic, [b"1", b"2"], raw=True)
        receive(first, 1)
        count = pubsub.purge(topic)

        assert 2 == count
        assert (0, 0) == (pubsub.depth(topic, "first"), pubsub.depth(topic, "second"))

    def _shows_delayed(self, pubsub: PubSub) -> bool:
        return bool(pubsub.features[PubSubFeature.PEEK_DELAYED])

    def _needs_purge_of_groups(self, pubsub: PubSub) -> None:
        if not pubsub.features[PubSubFeature.PURGE_GROUP]:
            pytest.skip("one group cannot be emptied")

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
