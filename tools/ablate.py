"""Train and score a plan of named config deltas with several seeds, and write tables.

    python tools/ablate.py configs/ablations/embedded.yaml --output output/ablations
    python tools/ablate.py configs/ablations/embedded.yaml --output output/ablations --tables-only

What was interrupted continues with the same command; what is finished is not run again. OUTPUT gets
table.md, table.csv and plot.png, and for each run and seed a folder with the commands
(commands.txt), their output (console.txt) and result.json.
"""

import argparse
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from simplevtr.engine.run_folder import only_run_in
from simplevtr.formats.files import refuse_existing, write_bytes
from simplevtr.terminal import NATURAL, command, number, say
from simplevtr.toolbox.ablation import table
from simplevtr.toolbox.ablation.jobs import check_settings, cost_job, make_jobs, read_configs
from simplevtr.toolbox.ablation.plan import Plan, read_plan
from simplevtr.toolbox.ablation.schedule import run_jobs
from simplevtr.visualization.plots import draw_ablation, write_figure

from detectron2.config import CfgNode

_TABLES = ("table.md", "table.csv", "plot.png")


def _add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("plan", type=Path, help="YAML file, e.g. configs/ablations/embedded.yaml")
    add("--output", required=True, type=Path, help="folder of all runs")
    add("--only", nargs="+", metavar="NAME", help="these runs and what they need")
    add("--seeds", nargs="+", type=NATURAL, help="instead of the plan's")
    cores = number(int, least=1, most=os.cpu_count() or 1)
    add("--jobs", type=cores, default=1, help="runs side by side")
    add("--no-cost", action="store_true", help="do not measure time and memory")
    add("--list", action="store_true", help="show what would be run, and stop")
    add("--tables-only", action="store_true", help="rebuild tables, run nothing")


@command(_add_options)
def main(options: argparse.Namespace) -> int:
    """Do what is left of the plan and write its tables; 1 if a run failed."""
    plan = read_plan(options.plan, options.seeds)
    names = options.only or list(plan.runs)
    if unknown := [name for name in names if name not in plan.runs]:
        raise ValueError(f"--only: {unknown[0]!r} is not a run; runs: {', '.join(plan.runs)}")
    if options.tables_only:
        if options.only or options.no_cost:
            raise ValueError("--tables-only runs nothing, which --only and --no-cost are about")
        if not _write_tables(plan, options.output, read_configs(plan)):
            raise ValueError(f"{options.output} has no result of the plan's runs")
        return 0
    # Tables of a folder without a run of this plan are somebody else's.
    ours = any((options.output / name).is_dir() for name in plan.runs)
    for name in _TABLES:
        refuse_existing(options.output / name, overwrite=ours, inputs=[options.plan])
    configs = read_configs(plan, check=True)
    jobs = make_jobs(plan, names, options.output, configs)
    trains = [] if options.no_cost else [n for n in names if plan.runs[n].kind == "train"]
    costs = [cost_job(plan.runs[name], options.output, configs[name]) for name in trains]
    for job in [*jobs, *costs]:
        check_settings(job)
    if options.list:
        for job in [*jobs, *costs]:
            begun = "begun" if job.file("settings.json").is_file() else "to do"
            say(f"{'finished' if job.result.is_file() else begun:10}{job.name:32}{job.folder}")
        return 0
    with only_run_in(str(options.output)) as lock:
        # The commands hold the lock too: a second ablate.py cannot train into the same folders
        # while they run, even if this process is killed.
        os.set_inheritable(lock.fileno(), True)
        print(" or a command that it started", end="", file=lock, flush=True)
        try:
            failed = run_jobs(jobs, side_by_side=options.jobs)
            failed += run_jobs(costs)  # measured alone
        finally:
            _write_tables(plan, options.output, configs)
    if failed:
        say(f"ablate.py: failed: {'; '.join(failed)}", sys.stderr)
    return 1 if failed else 0


def _write_tables(plan: Plan, output: Path, configs: Mapping[str, CfgNode]) -> bool:
    """Write the tables and the plot of the results at hand; whether there are any."""
    results, costs = table.collect(plan, output, configs)
    if not results:
        return False
    by_seed = {
        key: {
            plan.runs[name].title: [found[seed].get(key) for seed in sorted(found)]
            for name, found in results.items()
        }
        for key in ("AP", "loss")
    }
    figure = draw_ablation(by_seed["AP"], by_seed["loss"], plan.runs[plan.baseline].title)
    markdown, csv, plot = (output / name for name in _TABLES)
    records = table.summarise(plan, results, costs)
    text = table.markdown(records, plan.baseline)
    write_bytes(markdown, text.encode(), overwrite=True)
    write_bytes(csv, table.csv_text(records).encode(), overwrite=True)
    write_figure(figure, plot, overwrite=True)
    say(f"{text}\n{markdown}, {csv.name}, {plot.name}")
    return True


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C
    sys.exit(main())
