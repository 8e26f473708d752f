"""Running the plans of ablations."""

import csv
import fcntl
import json
import os
import re
import signal
import socket
import time
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

from simplevtr.commands import convert_checkpoint, train_net
from simplevtr.toolbox.ablation import jobs, schedule, table
from simplevtr.toolbox.ablation.plan import read_plan
from simplevtr.toolbox.ablation.schedule import RunningCommand
from tools import ablate

import pytest
from ablation_plan import edited, tiny_plan_opts, write_plan
from conftest import CLIPS_CONFIG

METRICS = [
    {"iteration": 0, "loss_ce": 4.0, "loss_ce_0": 9.0, "loss_dice": 2.0, "time": 0.5},
    {"iteration": 1, "loss_ce": 1.0, "loss_ce_0": 9.0, "loss_dice": 2.0, "time": 0.7},
]


@pytest.fixture
def tiny(tiny_opts):
    return tiny_plan_opts(tiny_opts)


@pytest.fixture
def plan(tmp_path, tiny):
    return write_plan(tmp_path, tiny)


class FakeLaunch:
    """Writes the files of a command at once instead of running it."""

    def __init__(self, fails=lambda command: False, interrupt_at=None):
        self.commands = []
        self.fails = fails
        self.interrupt_at = interrupt_at
        self.stopped = 0

    def __call__(self, command, log, environment):
        self.commands.append(list(command))
        assert int(environment["OMP_NUM_THREADS"]) >= 1
        log.write_text("line one\nthe reason\n")
        self.status = 1 if self.fails(command) else 0
        if not self.status:
            self.write(command)
        return self

    def write(self, command):
        if "--output" in command:
            scores = {"AP": 40.0, "AP50": 60.0, "APl": None, "per_category": {}}
            Path(command[command.index("--output") + 1]).write_text(json.dumps(scores))
        elif "--json" in command:
            content = {"parameters": 2e6, "flops": 3e9, "step_seconds": {"median": 0.5}}
            Path(command[command.index("--json") + 1]).write_text(json.dumps(content))
        elif "--resume" in command:
            folder = Path(command[command.index("OUTPUT_DIR") + 1])
            (folder / "metrics.json").write_text("\n".join(map(json.dumps, METRICS)))
            (folder / "model_final.pth").touch()

    def poll(self):
        if self.interrupt_at == len(self.commands):
            raise KeyboardInterrupt
        return self.status

    def stop(self):
        self.stopped += 1

    def folders(self):
        return [
            str(Path(*Path(c[c.index("OUTPUT_DIR") + 1]).parts[-2:]))
            for c in self.commands
            if "OUTPUT_DIR" in c
        ]


def run(plan, launch, *options, build=False):
    """Run the plan; its models are built, which takes time, where a test is about them."""
    models = nullcontext() if build else mock.patch.object(jobs, "build_model")
    soon = mock.patch.object(schedule, "_POLL", 0.01)
    with models, soon, mock.patch.object(schedule, "RunningCommand", launch):
        return ablate.main([str(plan), "--output", str(plan.parent / "out"), *options])


@pytest.fixture
def refused(plan, capsys):
    """Runs the plan, which is refused before anything runs; returns the error."""

    def refused(*options, build=False):
        launch = FakeLaunch()
        assert run(plan, launch, *options, build=build) == 2
        assert launch.commands == []
        return capsys.readouterr().err

    return refused


@pytest.fixture
def base(plan):
    """The plan's config file, which can be changed."""
    path = plan.with_name("base.yaml")
    path.write_text(f"_BASE_: {CLIPS_CONFIG}\n")
    edited(plan, lambda p: p.update(config=str(path)))
    return path


def result(plan, name, seed=1):
    return json.loads((plan.parent / f"out/{name}/seed_{seed}/result.json").read_text())


def table_of(plan):
    return list(csv.DictReader((plan.parent / "out/table.csv").open()))


@pytest.mark.parametrize(
    ("opts", "message"),
    [
        ({"SOLVER.MAXITER": 3}, r"run 'more': .*SOLVER\.MAXITER does not exist.*MAX_ITER"),
        ({"SOLVER.MAX_ITER": "many"}, "run 'more'.*MAX_ITER|run 'more'.*mismatch"),
        ({"MODEL.SIMPLEVTR.MASK_HEAD.CONV": "plian"}, "run 'more'.*plian"),
        ({"DATASETS.TEST": []}, r"run 'more'.*DATASETS\.TEST"),
        ({"DATASETS.TEST": ["no"]}, "run 'more': 'no' is not a registered video dataset"),
    ],
)
def test_configs_are_checked_before_anything_runs(plan, refused, opts, message):
    edited(plan, lambda p: p["runs"][1].update(opts=opts))
    assert re.search(message, refused(build=True))


def test_order_commands_and_results(plan):
    launch = FakeLaunch()
    assert run(plan, launch) == 0
    seeds = [f"{name}/seed_{s}" for s in (1, 2) for name in ("base", "more", "window")]
    assert launch.folders() == seeds
    out = plan.parent / "out"
    trained_on, evaluated = launch.commands[2], launch.commands[4]
    assert "--resume" in trained_on
    assert f"MODEL.WEIGHTS {out}/base/seed_1/model_final.pth" in " ".join(trained_on)
    assert {"--eval-only", "--overwrite"} <= set(evaluated)
    assert f"MODEL.WEIGHTS {out}/more/seed_1/model_final.pth" in " ".join(evaluated)
    # Costs come last, once per run that trains.
    assert [c[c.index("--json") + 1] for c in launch.commands[-2:]] == [
        f"{out}/{name}/cost.json" for name in ("base", "more")
    ]
    base = result(plan, "base")
    assert (base["AP"], base["APl"], base["loss"], base["loss_first"]) == (40.0, None, 3.0, 6.0)
    assert base["iterations"] == 2
    assert "loss" not in result(plan, "window")
    commands = (out / "base/seed_1/commands.txt").read_text()
    assert all(command in commands for command in base["commands"])
    assert "Trained on" in (out / "table.md").read_text()
    assert [row["step_seconds"] for row in table_of(plan)] == ["0.5", "0.5", ""]
    assert (out / "plot.png").stat().st_size > 5000


def test_finished_runs_are_not_run_again(plan):
    assert run(plan, FakeLaunch(), "--no-cost", "--seeds", "1") == 0
    launch = FakeLaunch()
    assert run(plan, launch, "--no-cost") == 0
    assert launch.folders() == ["base/seed_2", "more/seed_2", "window/seed_2"]


def test_an_interrupt_stops_the_commands_and_the_next_call_continues(plan):
    launch = FakeLaunch(interrupt_at=3)
    assert run(plan, launch, "--no-cost", "--seeds", "1") == 130
    assert launch.stopped == 1
    again = FakeLaunch()
    assert run(plan, again, "--no-cost", "--seeds", "1") == 0
    assert again.folders() == ["more/seed_1", "window/seed_1"]


def test_only_takes_along_what_is_needed(plan, refused):
    launch = FakeLaunch()
    assert run(plan, launch, "--only", "more", "--seeds", "2", "--no-cost") == 0
    assert launch.folders() == ["base/seed_2", "more/seed_2"]
    assert "'nil' is not a run; runs: base, more, window" in refused("--only", "nil")


def test_other_settings_are_refused(plan, refused):
    assert run(plan, FakeLaunch(), "--no-cost") == 0
    edited(plan, lambda p: p["runs"][1]["opts"].update({"SOLVER.MAX_ITER": 6}))
    error = refused("--no-cost")
    assert "SOLVER.MAX_ITER: 4 before, 6 now" in error
    assert str(plan.parent / "out/more/seed_1") in error
    assert "more, seed 1 was run with other settings" in refused("--list")
    # The evaluation of other weights is not the plan's either, and no longer in the tables.
    assert run(plan, FakeLaunch(), "--tables-only") == 0
    assert [row["name"] for row in table_of(plan)] == ["base"]


def test_another_config_file_is_refused(plan, base, refused):
    assert run(plan, FakeLaunch()) == 0
    base.write_text(f"_BASE_: {CLIPS_CONFIG}\nSOLVER: {{WEIGHT_DECAY: 0.3}}\n")
    error = refused("--seeds", "1", "2", "3")
    assert "values.SOLVER.WEIGHT_DECAY: not set before, 0.3 now" in error
    # What was trained with the earlier file is not compared with what is trained now.
    assert "has no result of the plan's runs" in refused("--tables-only")


def test_a_config_file_that_changes_meanwhile_is_not_run(plan, base, capsys):
    class Edits(FakeLaunch):
        def __call__(self, *arguments):
            base.write_text(f"_BASE_: {CLIPS_CONFIG}\nSOLVER: {{WEIGHT_DECAY: 0.3}}\n")
            return super().__call__(*arguments)

    launch = Edits()
    assert run(plan, launch) == 1
    assert launch.folders() == ["base/seed_1"]
    error = capsys.readouterr().err
    assert "base, seed 2: not run: its config has changed meanwhile (values.SOLVER.WEI" in error
    assert "more, costs: not run: its config has changed" in error
    assert not (plan.parent / "out/base/seed_2").exists()


@pytest.mark.parametrize(
    ("key", "before", "now"),
    [
        ("MODEL.WEIGHTS", "one.pth", "two.pth"),
        ("DATASETS.CUSTOM", "{}, [a, one.json, .]]", "{}, [b, two.json, .]]"),
    ],
)
def test_weights_and_data_of_a_config_file_count(
    plan, base, tiny, refused, monkeypatch, key, before, now
):
    group, name = key.split(".")
    monkeypatch.chdir(plan.parent)
    for file in ("one.pth", "two.pth"):
        Path(file).touch()
    edited(plan, lambda p: p["opts"].pop(key, None))
    ours = str(tiny["DATASETS.CUSTOM"])[:-1]
    weights = f"_BASE_: {CLIPS_CONFIG}\nMODEL: {{WEIGHTS: one.pth}}\n"
    plan.with_name("weights.yaml").write_text(weights)
    text = "_BASE_: weights.yaml\n{}: {{{}: {}}}\n"
    base.write_text(text.format(group, name, before.format(ours)))
    assert run(plan, FakeLaunch(), "--no-cost") == 0
    base.write_text(text.format(group, name, now.format(ours)))
    assert re.search(rf"values\.{key}: .*one\..* before, .*two\..* now", refused("--no-cost"))


def test_a_folder_of_somebody_else_is_refused(plan, refused):
    folder = plan.parent / "out/base/seed_1"
    folder.mkdir(parents=True)
    (folder / "last_checkpoint").touch()
    assert "unknown settings (last_checkpoint" in refused()


@pytest.mark.parametrize("name", ["table.md", "table.csv", "plot.png"])
def test_tables_of_somebody_else_are_refused(plan, refused, name):
    (plan.parent / "out").mkdir()
    (plan.parent / "out" / name).write_text("mine")
    assert f"{name} exists already" in refused("--no-cost")


def test_a_failure_is_shown_and_the_others_go_on(plan, capsys):
    launch = FakeLaunch(fails=lambda c: "out/more/seed_1 " in " ".join(c) + " ")
    assert run(plan, launch, "--no-cost") == 1
    error = capsys.readouterr().err
    assert "more, seed 1: exit status 1" in error
    assert "| the reason" in error
    assert str(plan.parent / "out/more/seed_1/console.txt") in error
    assert "window, seed 1: not run: it needs" in error
    assert launch.folders()[-3:] == ["base/seed_2", "more/seed_2", "window/seed_2"]


@pytest.fixture
def with_start(plan, tiny):
    """The plan with a start, and ``more`` replaced by a run of these entries."""

    def change(**entries):
        def edit(content):
            content["start"] = {"config": CLIPS_CONFIG, "opts": {**tiny, "DATASETS.TEST": []}}
            content["opts"].pop("MODEL.WEIGHTS")
            content["runs"][1] = {"name": "more", "title": "Other", **entries}

        return edited(plan, edit)

    return change


def test_start_is_trained_once_per_seed_and_adapted(plan, with_start):
    launch = FakeLaunch()
    with_start(opts={"TEST.WINDOW": 2})
    assert run(plan, launch, "--seeds", "1", "--no-cost") == 0
    assert launch.folders() == ["start/seed_1", "base/seed_1", "more/seed_1", "window/seed_1"]
    out = plan.parent / "out"
    convert, train = launch.commands[1:3]
    assert convert[1].endswith("tools/convert_checkpoint.py")
    assert convert[2:5] == [
        f"{out}/start/seed_1/model_final.pth",
        f"{out}/base/seed_1/start.pth",
        "--overwrite",
    ]
    assert train[-2:] == ["MODEL.WEIGHTS", f"{out}/base/seed_1/start.pth"]


def test_tables_leave_out_what_began_with_other_weights(plan, with_start):
    with_start()
    assert run(plan, FakeLaunch(), "--no-cost") == 0
    out = plan.parent / "out"
    settings = json.loads((out / "start/seed_1/settings.json").read_text())
    settings["values"]["SOLVER.WEIGHT_DECAY"] = 0.3
    (out / "start/seed_1/settings.json").write_text(json.dumps(settings))
    assert run(plan, FakeLaunch(), "--tables-only") == 0
    assert {row["name"]: row["seeds"] for row in table_of(plan)}["base"] == "2"


def test_a_start_of_its_own_has_the_options_of_its_run(plan, with_start, refused):
    launch = FakeLaunch()
    with_start(opts={"MODEL.SIMPLEVTR.NUM_QUERIES": 7}, own_start=True)
    assert run(plan, launch, "--seeds", "1", "--no-cost") == 0
    folders = ["start", "base", "more/start", "more", "window"]
    expected = [f"{name}/seed_1" for name in folders]
    out = plan.parent / "out"
    trained = [c for c in launch.commands if "--resume" in c or "--eval-only" in c]
    assert [c[c.index("OUTPUT_DIR") + 1] for c in trained] == [f"{out}/{f}" for f in expected]
    slots = [c[c.index("MODEL.SIMPLEVTR.NUM_QUERIES") + 1] for c in trained]
    assert slots[1] == slots[0] != "7"
    assert slots[2:] == ["7", "7", "7"]
    converts = [c for c in launch.commands if c[1].endswith("convert_checkpoint.py")]
    sources = [(c[2], c[c.index("--source-slots") + 1]) for c in converts]
    assert sources == [
        (f"{out}/start/seed_1/model_final.pth", slots[0]),
        (f"{out}/more/start/seed_1/model_final.pth", "7"),
    ]
    # The start is a setting of the result: with another one it is not valid.
    edited(plan, lambda p: p["start"]["opts"].update({"SOLVER.MAX_ITER": 9}))
    assert "SOLVER.MAX_ITER" in refused("--seeds", "1", "--no-cost")


def test_a_start_of_its_own_is_checked_before_anything_runs(with_start, refused):
    with_start(opts={"MODEL.SIMPLEVTR.MASK_HEAD.CONV": "plian"}, own_start=True)
    assert re.search("more/start: .*plian", refused(build=True))


def test_tables_have_the_seeds_that_are_asked_for(plan, refused):
    assert run(plan, FakeLaunch(), "--no-cost") == 0
    assert run(plan, FakeLaunch(), "--tables-only", "--seeds", "1") == 0
    assert {row["seeds"] for row in table_of(plan)} == {"1"}
    assert "--tables-only runs nothing" in refused("--tables-only", "--only", "base")
    (plan.parent / "out/base/seed_1/result.json").unlink()
    known = read_plan(plan)
    results, _ = table.collect(known, plan.parent / "out", jobs.read_configs(known))
    assert [*results] == [*known.runs]  # the order of the plot, too
    (plan.parent / "out/base/seed_1/result.json").write_text("[]")
    assert "base/seed_1/result.json is not a result" in refused("--tables-only")


def test_costs_are_those_of_random_weights(plan):
    read = read_plan(plan)
    run, cfg = read.runs["base"], jobs.read_configs(read)["base"]
    other = cfg.clone()
    other.MODEL.WEIGHTS = "other.pth"
    assert jobs.job_settings(run.costs, other) == jobs.job_settings(run.costs, cfg)
    assert jobs.job_settings(run, other) != jobs.job_settings(run, cfg)


def test_addresses_of_weights_are_those_of_the_config(plan):
    read = read_plan(plan)
    cfg = jobs.read_configs(read)["base"]
    cfg.MODEL.WEIGHTS = "package://some/weights.pth"
    values = jobs.job_settings(read.runs["base"], cfg)["values"]
    assert values["MODEL.WEIGHTS"] == "package://some/weights.pth"


def test_list_runs_nothing(plan, capsys):
    launch = FakeLaunch()
    assert run(plan, launch, "--list") == 0
    assert launch.commands == []
    assert len(capsys.readouterr().out.splitlines()) == 2 * 3 + 2


def launch_here(command, log, environment):
    """Train and convert in this process, which has the imports already; start the others."""
    mains = {"train_net.py": train_net.main, "tools/convert_checkpoint.py": convert_checkpoint.main}
    script, *words = command[1:]
    assert Path(script).is_file()
    if script not in mains:
        return RunningCommand(command, log, environment)
    status = mains[script](words)
    return SimpleNamespace(poll=lambda: status)


def test_a_real_run_from_a_start_without_masks(plan, tiny):
    tiny.pop("MODEL.WEIGHTS")
    start = {**tiny, "DATASETS.TEST": [], "MODEL.MASK_ON": False, "SOLVER.MAX_ITER": 1}

    def change(content):
        content["start"] = {"config": CLIPS_CONFIG, "opts": {**start, "MODEL.WEIGHTS": ""}}
        content.update(opts=tiny, seeds=[3], runs=content["runs"][:1])

    assert run(edited(plan, change), launch_here, "--no-cost") == 0
    found = result(plan, "base", 3)
    assert found["iterations"] == 2
    assert found["loss"] > 0
    assert found["losses"] == [[1, pytest.approx(found["loss_first"])]]
    assert set(found) >= {"AP", "AP50", "APs", "AR10"}
    assert result(plan, "start", 3)["iterations"] == 1
    folder = plan.parent / "out/base/seed_3"
    logged = [json.loads(line) for line in (folder / "metrics.json").read_text().splitlines()]
    assert found["AP"] == pytest.approx(logged[-1]["segm/AP"])


def test_a_command_is_stopped_with_all_that_it_started(tmp_path):
    log = tmp_path / "console.txt"
    command = RunningCommand(["sh", "-c", "sleep 60 & echo $!; wait"], log, {})
    while len(log.read_text().splitlines()) < 2:
        time.sleep(0.01)
    first, child = log.read_text().splitlines()
    assert first.startswith("$ sh -c")
    assert command.poll() is None
    command.stop()
    assert command.poll() == -signal.SIGTERM
    state = Path(f"/proc/{child}/stat")
    for _ in range(100):  # until the system has taken it away
        if not state.exists() or ") Z " in state.read_text():
            return
        time.sleep(0.05)
    pytest.fail("the child still runs")


def test_a_command_holds_the_lock_of_its_ablation(tmp_path):
    """So that a killed ablation's training is not joined by another one's."""
    with (tmp_path / ".lock").open("w") as lock:
        os.set_inheritable(lock.fileno(), True)
        fcntl.flock(lock, fcntl.LOCK_EX)
        command = RunningCommand(["sleep", "60"], tmp_path / "console.txt", {})
    with (tmp_path / ".lock").open("w") as lock:
        with pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        command.stop()
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_two_at_once_are_refused(plan, refused):
    (plan.parent / "out").mkdir()
    with (plan.parent / "out/.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "is in use by another process" in refused()
    assert run(plan, FakeLaunch(), "--no-cost") == 0


def test_who_holds_the_lock_of_an_ablation_may_be_a_command_of_it(plan, capsys):
    class Second(FakeLaunch):
        def __call__(self, command, log_file, environment):
            self.status_of_second = run(plan, FakeLaunch())
            return super().__call__(command, log_file, environment)

    launch = Second()
    assert run(plan, launch, "--no-cost") == 0
    assert launch.status_of_second == 2
    holder = f"is in use by process {os.getpid()} on {socket.gethostname()} or a command that it"
    assert holder in capsys.readouterr().err


def test_side_by_side(plan, monkeypatch):
    """Two at a time, but never a run before the one that it needs, and costs alone."""
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    log = []

    class Slow(FakeLaunch):
        def __call__(self, command, log_file, environment):
            process = FakeLaunch()
            process(command, log_file, environment)
            log.append(len(alive))
            alive.append(process)
            looks = iter([None, process.status])

            def poll():
                status = next(looks)
                if status is not None:
                    alive.remove(process)
                return status

            process.poll = poll
            self.commands += process.commands
            return process

    alive = []
    launch = Slow()
    assert run(plan, launch, "--jobs", "2") == 0
    assert max(log) == 1  # one other was running
    assert log[-2:] == [0, 0]  # the costs
    order = launch.folders()
    for seed in (1, 2):
        places = [order.index(f"{name}/seed_{seed}") for name in ("base", "more", "window")]
        assert places == sorted(places)
