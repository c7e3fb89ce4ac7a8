"""Times of triggers: time zones, the two changes of the clocks each year, and what is due after a while."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from capa_core.blocks.schedule._times import checked_cron, due, first_of, next_after
from capa_core.blocks.schedule.driver import At, Cron, Every
from capa_core.errors import InvalidArgumentError

BERLIN, NEW_YORK, LORD_HOWE = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"
START = datetime(2026, 1, 5, 12, tzinfo=UTC)


def times(expression: str, zone: str, day: str, days: int = 3) -> list[str]:
    """Return the local times of *expression* on the days from *day*, with their distance to UTC."""
    begin = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    found, moment = [], begin - timedelta(seconds=1)
    while (moment := next_after(Cron(expression, zone), moment)) < begin + timedelta(days=days):
        found.append(moment.astimezone(ZoneInfo(zone)).strftime("%d %H:%M %z"))
    return found


@pytest.mark.parametrize(
    ("zone", "expression", "day", "expected"),
    [
        (BERLIN, "30 2 * * *", "2026-03-28", ["28 02:30 +0100", "29 03:00 +0200", "30 02:30 +0200"]),
        (NEW_YORK, "30 2 * * *", "2026-03-07", ["07 02:30 -0500", "08 03:00 -0400", "09 02:30 -0400"]),
        (LORD_HOWE, "15 2 * * *", "2026-10-03", ["03 02:15 +1030", "04 02:30 +1100", "05 02:15 +1100"]),
    ],
)
def test_a_time_that_does_not_exist_runs_once_at_the_next_one_that_does(zone, expression, day, expected):
    assert expected == times(expression, zone, day)


@pytest.mark.parametrize(
    ("zone", "expression", "day", "expected"),
    [
        (BERLIN, "30 2 * * *", "2026-10-24", ["24 02:30 +0200", "25 02:30 +0200", "26 02:30 +0100"]),
        (NEW_YORK, "30 1 * * *", "2026-10-31", ["31 01:30 -0400", "01 01:30 -0400", "02 01:30 -0500"]),
        (LORD_HOWE, "45 1 * * *", "2026-04-04", ["04 01:45 +1100", "05 01:45 +1100", "06 01:45 +1030"]),
    ],
)
def test_a_time_that_exists_twice_runs_the_first_time_alone(zone, expression, day, expected):
    assert expected == times(expression, zone, day)


def test_several_times_that_do_not_exist_run_once_together():
    """2:00, 2:15 and 2:30 are all 3:00, which is a time of its own too."""
    assert ["29 03:00 +0200", "29 03:15 +0200", "29 03:30 +0200"] == times(
        "0,15,30 2,3 * * *", BERLIN, "2026-03-29", 1
    )


def test_the_second_pass_of_an_hour_repeats_no_time():
    """A leader that looks for the next time within the second pass does not find those of the first."""
    second_pass = datetime(2026, 10, 25, 1, 15, tzinfo=UTC)  # 2:15 for the second time

    assert datetime(2026, 10, 26, 1, 30, tzinfo=UTC) == next_after(Cron("30 2 * * *", BERLIN), second_pass)


@pytest.mark.parametrize(
    ("zone", "day", "count"),
    [
        (BERLIN, "2026-03-29", 46),
        (BERLIN, "2026-10-25", 50),
        (LORD_HOWE, "2026-10-04", 47),
        (LORD_HOWE, "2026-04-05", 49),
    ],
)
def test_an_expression_with_a_star_goes_on_through_the_change(zone, day, count):
    begin = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    end = begin + timedelta(minutes=30 * count)
    found = due(Cron("*/30 * * * *", zone), begin, end - timedelta(seconds=1), 100)

    assert [begin + timedelta(minutes=30 * number) for number in range(count)] == found
    assert "00:00" == end.astimezone(ZoneInfo(zone)).strftime("%H:%M")


@pytest.mark.parametrize("zone", ["UTC", BERLIN, NEW_YORK, LORD_HOWE, "Asia/Kathmandu", "Africa/Casablanca"])
@pytest.mark.parametrize(
    "expression", ["30 2 * * *", "*/20 * * * *", "15 1,2,3 * * *", "0 * * * *", "45 1 * * SUN"]
)
def test_times_grow_and_do_not_depend_on_where_one_begins(zone, expression):
    """Through a year: a leader that follows another finds the same times."""
    cron = Cron(expression, zone)
    for begin in (
        datetime(2026, 3, 28, tzinfo=UTC),
        datetime(2026, 4, 4, tzinfo=UTC),
        datetime(2026, 10, 24, tzinfo=UTC),
    ):
        whole = due(cron, next_after(cron, begin), begin + timedelta(days=3), 1_000)
        one_by_one, moment = [], begin
        while (moment := next_after(cron, moment)) <= begin + timedelta(days=3):
            one_by_one.append(moment)

        assert sorted(set(whole)) == whole == one_by_one


def test_a_cron_is_read_in_its_zone():
    assert datetime(2026, 7, 1, 1, tzinfo=UTC) == next_after(
        Cron("0 3 * * *", BERLIN), datetime(2026, 7, 1, 0, 59, 59, 999_999, tzinfo=UTC)
    )


@pytest.mark.parametrize(
    ("given", "expression"),
    [("@daily", "0 0 * * *"), (" 0  3 * *  MON-FRI ", "0 3 * * MON-FRI"), ("0 0 L * *", "0 0 L * *")],
)
def test_names_and_spaces_are_read(given, expression):
    assert Cron(expression) == checked_cron(given, "UTC")


@pytest.mark.parametrize(
    ("expression", "zone", "message"),
    [
        ("0 3 * *", "UTC", "give five fields"),
        ("0 0 3 * * *", "UTC", "give five fields"),
        ("", "UTC", "give five fields"),
        ("0 25 * * *", "UTC", "'0 25 .*': Bad hour"),
        ("0 0 31 2 *", "UTC", "Bad day-of-month"),
        (5, "UTC", "cron is 5"),
        ("0 3 * * *", "Europe/Berlln", "zone is 'Europe/Berlln': give a name of the IANA"),
        ("0 3 * * *", "../../etc/passwd", "zone is"),
        ("0 3 * * *", "", "zone is ''"),
        ("0 3 * * *", None, "zone is"),
    ],
)
def test_a_malformed_cron_is_refused_with_its_reason(expression, zone, message):
    with pytest.raises(InvalidArgumentError, match=message):
        checked_cron(expression, zone)


def test_a_number_of_thousands_of_digits_is_refused():
    with pytest.raises(InvalidArgumentError, match="cron is '9999"):
        checked_cron("9" * 5_000 + " * * * *", "UTC")


def test_a_time_that_never_comes_is_refused():
    with pytest.raises(InvalidArgumentError, match="no such time comes within 50 years"):
        checked_cron("0 0 */31 2 MON#5", "UTC")


def test_intervals_are_counted_from_their_start():
    every = Every(0.3, START)

    assert START + timedelta(seconds=0.3) == first_of(every, START)
    assert START + timedelta(seconds=0.6) == next_after(every, START + timedelta(seconds=0.3))
    assert START + timedelta(seconds=300_000.3) == next_after(every, START + timedelta(seconds=300_000.1))


def test_an_interval_has_no_time_before_its_start():
    """The clock of this process is behind that of the one that declared it."""
    assert START + timedelta(seconds=60) == next_after(Every(60, START), START - timedelta(days=1))


def test_a_single_time_comes_once_even_if_it_is_past():
    at = At(START)

    assert START == first_of(at, START + timedelta(days=1))
    assert START == next_after(at, START - timedelta(seconds=1))
    assert next_after(at, START) is None
    assert [START] == due(at, START, START + timedelta(days=400), 5)


@pytest.mark.parametrize("trigger", [Every(60, START), Cron("* * * * *")], ids=["every", "cron"])
def test_the_last_times_of_a_long_outage_are_found(trigger):
    """Three years of minutes: looking at each would take a minute."""
    first = next_after(trigger, START)
    now = START + timedelta(days=3 * 365, seconds=30)
    last = now - timedelta(seconds=30)

    assert [last - timedelta(minutes=back) for back in (2, 1, 0)] == due(trigger, first, now, 3)
    assert 1_000 == len(due(trigger, first, now, 1_000))


def test_rare_times_of_a_long_outage_are_found():
    leap_days = Cron("0 0 29 2 *", BERLIN)
    first = next_after(leap_days, START)
    found = due(leap_days, first, START + timedelta(days=3_000), 10)

    assert [2028, 2032] == [time.astimezone(ZoneInfo(BERLIN)).year for time in found]


@pytest.mark.parametrize("trigger", [Every(60, START), Cron("* * * * *"), At(START + timedelta(minutes=1))])
def test_nothing_is_due_before_the_first_time(trigger):
    first = first_of(trigger, START)

    assert [] == due(trigger, first, first - timedelta(microseconds=1), 10)
    assert [first] == due(trigger, first, first, 10)
