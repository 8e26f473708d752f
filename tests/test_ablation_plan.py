"""Reading and checking plans of ablations."""

from simplevtr.toolbox.ablation.plan import read_plan

import pytest
from ablation_plan import edited, tiny_plan_opts, write_plan
from conftest import CLIPS_CONFIG


@pytest.fixture
def plan(tmp_path, tiny_opts):
    return write_plan(tmp_path, tiny_plan_opts(tiny_opts))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p.update(colour=1), "unknown field `colour`"),
        (lambda p: p.pop("seeds"), "missing required field `seeds`"),
        (lambda p: p.update(seeds=[1, 1]), r"seeds is \[1, 1\].*different"),
        (lambda p: p.update(seeds=[True]), r"Expected `int`, got `bool` - at `\$\.seeds\[0\]`"),
        (lambda p: p.update(config="none.yaml"), r"config .*none\.yaml does not exist"),
        (
            lambda p: p.update(baseline="nil"),
            "baseline 'nil' is not a run; runs: base, more, window",
        ),
        (lambda p: p.update(opts=[1]), r"got `array` - at `\$\.opts`"),
        (lambda p: p.update(opts={"A": {"B": 1}}), r"got `object` - at `\$\.opts\[\.\.\.\]`"),
        (lambda p: p.update(opts={"SEED": 1}), "sets SEED, which the runner"),
        (
            lambda p: p.update(start={"opts": {}}),
            r"missing required field `config` - at `\$\.start`",
        ),
        (lambda p: p.update(start={"config": CLIPS_CONFIG}), r"sets MODEL\.WEIGHTS"),
        (lambda p: p.update(runs=[]), r"length >= 1 - at `\$\.runs`"),
        (lambda p: p.update(runs=["base"]), r"Expected `object`, got `str` - at `\$\.runs\[0\]`"),
        (lambda p: p["runs"][1].update(name="base"), "two runs have this name"),
        (
            lambda p: p["runs"][1].update(name="../more"),
            r"matching regex .* at `\$\.runs\[1\]\.name`",
        ),
        (
            lambda p: p["runs"][1].update(name="start"),
            r"matching regex .* at `\$\.runs\[1\]\.name`",
        ),
        (
            lambda p: p["runs"][1].update(section=3.2),
            r"got `float` - at `\$\.runs\[1\]\.section` \(text needs quotes",
        ),
        (lambda p: p["runs"][1].update(evaluate="base"), "start_from and evaluate"),
        (lambda p: p["runs"][1].update(start_from="nil"), "'nil' is not a run"),
        (lambda p: p["runs"][1].update(own_start=True), "'more': has own_start; allowed in a plan"),
        (lambda p: p["runs"][0].update(own_start=True), "'base': has own_start; allowed in a plan"),
        (lambda p: p["runs"][0].update(start_from="more"), "come from itself"),
        (lambda p: p["runs"][1].update(start_from="window"), "'window' is an evaluation"),
        (lambda p: p["runs"][0].update(seeds=[1]), r"'more'.*seeds \[2\], which 'base' has not"),
    ],
)
def test_mistakes_in_a_plan_are_named(plan, change, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message) as error:
        read_plan(edited(plan, change))
    assert str(plan) in str(error.value)


def test_a_plan_that_is_not_yaml(tmp_path):
    (tmp_path / "p.yaml").write_text("runs: [")
    with pytest.raises(ValueError, match="not valid YAML"):
        read_plan(tmp_path / "p.yaml")
    with pytest.raises(FileNotFoundError, match=r"plan file .*q.yaml does not exist"):
        read_plan(tmp_path / "q.yaml")


def test_options_of_a_run(plan):
    edited(plan, lambda p: p["runs"][2].update(seeds=[1]))
    read = read_plan(plan, seeds=[2, 5])
    assert [run.seeds for run in read.runs.values()] == [(2, 5), (2, 5), ()]
    opts = read.runs["window"].opts
    # An evaluation has the options of the run that it evaluates; one that trains on has not.
    assert (opts["SOLVER.MAX_ITER"], opts["TEST.WINDOW"]) == (4, 1)
    assert read.runs["base"].opts["SOLVER.MAX_ITER"] == "2"


def test_settings_are_written_as_earlier_versions_did(plan):
    """Else folders of a half-finished ablation would be refused."""

    def change(content):
        content["start"] = {"config": CLIPS_CONFIG, "opts": {"A": 1}}
        content["opts"] = {"B": 2}
        content["runs"].append({"name": "own", "title": "O", "opts": {"C": 3}, "own_start": True})

    runs = read_plan(edited(plan, change)).runs
    config = "configs/embedded/clips.yaml"
    base = {"config": config, "opts": {"B": 2}, "start": {"config": config, "opts": {"A": 1}}}
    more = {"config": config, "opts": {"B": 2, "SOLVER.MAX_ITER": 4}, "start_from": base}
    opts = {**more["opts"], "TEST.WINDOW": 1}
    start = {"config": config, "opts": {"A": 1, "C": 3}}
    own = {"config": config, "opts": {"B": 2, "C": 3}, "start": start}
    window = {"config": config, "opts": opts, "evaluate": more}
    expected = {"base": base, "more": more, "window": window, "own": own}
    assert {name: run.settings for name, run in runs.items()} == expected
