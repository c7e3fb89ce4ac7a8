"""`capa schedule list|run|pause|resume|history|export`: inspect jobs, request a run, suspend them, write CronJobs."""

from __future__ import annotations

import argparse
import sys
from itertools import islice
from typing import TYPE_CHECKING, Any

from capa_migration.cli import CLEAN, FAILED
from capa_migration.cli.arguments import Parser
from capa_migration.cli.component import carry_out
from capa_migration.cli.output import output_of, print_json
from capa_migration.errors import OptionsError

if TYPE_CHECKING:
    from capa_core import Schedule
    from capa_core.blocks.schedule import Job

_EXAMPLES = """\
examples:
  capa schedule list                 jobs with their times, next and last runs, and leaders
  capa schedule history reports      the last runs of a job, with their outcomes
  capa schedule run reports          let the leader run a job now
  capa schedule pause reports        begin no more scheduled runs; `resume` goes on
  capa schedule export --kubernetes --image shop:1.4   the jobs as CronJobs, for `kubectl apply -f -`

Run it in the folder where the application starts: capa.toml is searched from there.
exit codes: 0 done; 2 there is no such job, the component does not answer, or a job cannot be exported;
3 wrong usage, or capa.toml is wrong
"""
_ACTIONS = {
    "list": "show jobs: times, next and last runs, leaders",
    "run": "request a run of a job, which its leader sees within a second",
    "pause": "suspend a job: no scheduled run begins",
    "resume": "let a job run again, from its next time on",
    "history": "show the last runs of a job",
    "export": "write the jobs as manifests of another scheduler",
}
_CHANGING = {"run", "pause", "resume"}


def run(words: list[str]) -> int:
    """Run `capa schedule` with *words* and return its exit code."""
    arguments = parser().parse_args(words)
    return carry_out(
        "schedule", "schedule", _RUN[arguments.action], arguments, changing=arguments.action in _CHANGING
    )


def parser() -> Parser:
    """Return the parser of `capa schedule`."""
    parser = Parser(
        prog="capa schedule", description="Inspect and steer the jobs of a schedule.", epilog=_EXAMPLES
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True, parser_class=Parser)
    for name, summary in _ACTIONS.items():
        rest = {"list": "", "export": " --kubernetes --image shop:1.4"}.get(name, " reports")
        example = f"example:\n  capa schedule {name}{rest}"
        one = actions.add_parser(name, help=summary, description=summary.capitalize() + ".", epilog=example)
        one.set_defaults(action=name)
        _add_jobs(one, name)
        _add_common(one)
    return parser


def _add_jobs(parser: argparse.ArgumentParser, action: str) -> None:
    if action in ("list", "export"):
        parser.add_argument("jobs", nargs="*", metavar="JOB", help="these jobs; all by default")
    else:
        parser.add_argument("job", metavar="JOB", help="the name of the job")
    if action == "history":
        parser.add_argument(
            "--most", type=_positive, default=20, metavar="N", help="at most N runs; 20 by default"
        )
    if action == "export":
        _add_export(parser)


def _add_export(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kubernetes", action="store_true", required=True, help="as CronJobs of Kubernetes")
    parser.add_argument("--image", required=True, metavar="IMAGE", help="the image of the container")
    parser.add_argument(
        "--command",
        type=_words,
        default=(),
        metavar="COMMAND",
        help="its command, such as 'python -m shop.jobs {job}'; by default the image's entry point gets the job's name",
    )
    parser.add_argument("--namespace", default="", metavar="NAME", help="the namespace of the CronJobs")


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--component", metavar="NAME", default="default", help="the schedule; `default` if not given"
    )
    parser.add_argument("--profile", metavar="NAME", help="the profile of capa.toml")
    parser.add_argument("--json", action="store_true", help="print data instead of text")


def _positive(text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    if not 1 <= number <= 1_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 1000")
    return number


def _words(text: str) -> list[str]:
    from capa_migration.live.cronjobs import words_of

    try:
        return words_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a command: {error}") from None


def _list(schedule: Schedule, arguments: argparse.Namespace) -> int:
    from capa_migration.cli import schedule_view

    jobs = _chosen(schedule, arguments.jobs)
    if arguments.json:
        data = [schedule_view.job_data(job) for job in jobs]
        return print_json({"component": schedule.name, "jobs": data}, CLEAN)
    schedule_view.print_jobs(jobs, schedule.name)
    return CLEAN


def _request(schedule: Schedule, arguments: argparse.Namespace) -> int:
    from capa_migration.cli import schedule_view

    ident = schedule.trigger(arguments.job)
    said = f"run {ident} of {arguments.job} requested: the process that leads the job sees it within a second"
    with output_of(said):
        if arguments.json:
            return print_json({"job": arguments.job, "run": ident}, CLEAN)
        schedule_view.print_line(said)
    return CLEAN


def _suspend(schedule: Schedule, arguments: argparse.Namespace) -> int:
    from capa_migration.cli import schedule_view

    suspends = arguments.action == "pause"
    (schedule.pause if suspends else schedule.resume)(arguments.job)
    (job,) = _chosen(schedule, [arguments.job])
    said = f"{arguments.job} is " + (
        "suspended" if suspends else f"due next at {schedule_view.time(job.next_at)}"
    )
    with output_of(said):
        if arguments.json:
            return print_json({"job": schedule_view.job_data(job)}, CLEAN)
        schedule_view.print_line(said)
    return CLEAN


def _history(schedule: Schedule, arguments: argparse.Namespace) -> int:
    from capa_migration.cli import schedule_view

    runs = list(islice(schedule.history(arguments.job), arguments.most))
    if arguments.json:
        data = [schedule_view.run_data(one) for one in runs]
        return print_json({"job": arguments.job, "runs": data}, CLEAN)
    schedule_view.print_runs(runs)
    return CLEAN


def _export(schedule: Schedule, arguments: argparse.Namespace) -> int:
    from capa_migration.live.cronjobs import Container, export

    jobs = _chosen(schedule, arguments.jobs)
    exported = export(jobs, Container(arguments.image, arguments.command, arguments.namespace))
    code = FAILED if exported.refused else CLEAN
    for name, reason in exported.refused.items():
        print(ascii(f"capa schedule export: {name}: {reason}")[1:-1], file=sys.stderr)
    if arguments.json:
        return print_json({"manifests": exported.manifests, "refused": exported.refused}, code)
    import yaml

    sys.stdout.write(yaml.safe_dump_all(exported.manifests, sort_keys=False, allow_unicode=True))
    return code


def _chosen(schedule: Schedule, names: list[str]) -> list[Job]:
    """Return the jobs of these names, or all, by name.

    Raises:
        OptionsError: There is no job of a name.
    """
    if not names:
        return sorted(schedule.jobs(), key=lambda job: job.name)
    found: dict[str, Any] = {name: schedule.get(name) for name in dict.fromkeys(names)}
    if missing := [name for name, job in found.items() if job is None]:
        raise OptionsError(
            f"component {schedule.name} has no job {missing[0]!r}: `capa schedule list` shows all"
        )
    return list(found.values())


_RUN = {
    "list": _list,
    "run": _request,
    "pause": _suspend,
    "resume": _suspend,
    "history": _history,
    "export": _export,
}
