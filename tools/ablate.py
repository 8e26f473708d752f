"""Train and score a plan of named config deltas with several seeds, and write tables.

    python tools/ablate.py configs/ablations/embedded.yaml --output output/ablations
    python tools/ablate.py configs/ablations/embedded.yaml --output output/ablations --tables-only

What was interrupted continues with the same command; what is finished is not run again. OUTPUT gets
table.md, table.csv and plot.png, and for each run and seed a folder with the commands
(commands.txt), their output (console.txt) and result.json.
"""

from __future__ import annotations

import argparse
import fcntl
import io
import os
import signal
import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installation too

from simplevtr.ablation.checks import check_configs, start_slots
from simplevtr.ablation.plan import Plan, read_plan
from simplevtr.ablation.results import check_settings, collect
from simplevtr.ablation.schedule import Command, Launch, Schedule
from simplevtr.ablation.steps import Job, JobBuilder
from simplevtr.ablation.table import csv_text, markdown, summarise
from simplevtr.formats.files import write_bytes
from simplevtr.terminal import command_parser, number, run_command, say_error
from simplevtr.visualization.plots import draw_ablation

from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]


def main(arguments: list[str] | None = None, launch: Launch | None = None) -> int:
    """Run the command.

    Args:
        arguments: those of the command line by default.
        launch: starts one command of a run; a process of its own by default.

    Returns:
        0; 1 if a run failed; 2 after a user's error; 130 after Ctrl-C.
    """
    return run_command(_parser(), partial(run, launch=launch), arguments)


def run(options: argparse.Namespace, launch: Launch | None = None) -> int:
    """Do what is left of the plan and write its tables; 1 if a run failed."""
    plan = read_plan(options.plan, options.seeds)
    names = _chosen(plan, options.only)
    if options.tables_only:
        return 0 if _write_tables(plan, options.output) else _no_results(options.output)
    scored_sets = check_configs(plan)
    builder = JobBuilder(
        plan,
        output=options.output,
        root=ROOT,
        scored_sets=scored_sets,
        start_slots=start_slots(plan),
    )
    jobs = builder.jobs(names, cost=not options.no_cost)
    if options.list:
        _list(jobs)
        return 0
    for job in jobs:
        check_settings(job)
    return _run(plan, jobs, options, launch)


def _run(plan: Plan, jobs: list[Job], options: argparse.Namespace, launch: Launch | None) -> int:
    options.output.mkdir(parents=True, exist_ok=True)
    with (options.output / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(
                f"another ablate.py, or a training that one left behind, writes to {options.output}"
            ) from None
        # The commands hold the lock too: a second ablate.py cannot train into the same folders
        # while they run, even if this process is killed.
        launch = launch or partial(Command, keep_open=[lock.fileno()])
        with tqdm(total=len(jobs), unit="job", dynamic_ncols=True) as progress:

            def show(names: list[str], ended: int) -> None:
                progress.set_postfix_str("; ".join(names), refresh=False)
                progress.update(ended - progress.n)
                progress.refresh()

            schedule = Schedule(
                jobs,
                side_by_side=options.jobs,
                launch=launch,
                on_change=show,
                on_failure=partial(tqdm.write, file=sys.stderr),
            )
            try:
                schedule.run()
            finally:
                _write_tables(plan, options.output)
    if schedule.failed:
        print(f"ablate.py: failed: {'; '.join(schedule.failed)}", file=sys.stderr)
    return 1 if schedule.failed else 0


def _write_tables(plan: Plan, output: Path) -> bool:
    """Write the tables and the plot of the results at hand; whether there are any."""
    results, costs = collect(plan, JobBuilder(plan, output=output, root=ROOT), output)
    rows = summarise(plan, results, costs)
    if not rows:
        return False
    figure = draw_ablation(
        {row.title: row.by_seed["AP"] for row in rows},
        {row.title: row.by_seed["loss"] for row in rows},
        plan.runs[plan.baseline].title,
    )
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=110)
    table = markdown(rows, plan.baseline)
    for name, content in (
        ("table.md", table.encode()),
        ("table.csv", csv_text(rows).encode()),
        ("plot.png", picture.getvalue()),
    ):
        write_bytes(output / name, content, overwrite=True)
    tqdm.write(f"{table}\n{output / 'table.md'}, table.csv, plot.png")
    return True


def _no_results(output: Path) -> int:
    return say_error("ablate.py", f"{output} has no result of the plan's runs")


def _chosen(plan: Plan, only: list[str] | None) -> list[str]:
    unknown = [name for name in only or () if name not in plan.runs]
    if unknown:
        raise ValueError(f"--only: {unknown[0]!r} is not a run; runs: {', '.join(plan.runs)}")
    return only or list(plan.runs)


def _list(jobs: list[Job]) -> None:
    for job in jobs:
        begun = (job.folder / "settings.json").is_file() and job.seed is not None
        state = "finished" if job.result.is_file() else "begun" if begun else "to do"
        print(f"{state:10}{job.name:32}{job.folder}")


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = command_parser(__file__, __doc__)
    parser.add_argument("plan", type=Path, help="YAML file, e.g. configs/ablations/embedded.yaml")
    parser.add_argument("--output", required=True, type=Path, help="folder of all runs")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these runs and what they need")
    parser.add_argument("--seeds", nargs="+", type=int, help="instead of the plan's")
    cores = number(int, least=1, most=os.cpu_count() or 1)
    parser.add_argument("--jobs", type=cores, default=1, help="runs side by side")
    parser.add_argument("--no-cost", action="store_true", help="do not measure time and memory")
    parser.add_argument("--list", action="store_true", help="show what would be run, and stop")
    parser.add_argument("--tables-only", action="store_true", help="rebuild tables, run nothing")
    return parser


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _interrupt)
    sys.exit(main())
