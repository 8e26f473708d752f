"""A plan of three runs for the tests of ablations."""

import json

import yaml
from conftest import CLIPS_CONFIG

PLAN = """
config: {config}
opts: {opts}
seeds: [1, 2]
baseline: base
runs:
  - {{name: base, title: Base, section: ""}}
  - {{name: more, title: Trained on, start_from: base, opts: {{SOLVER.MAX_ITER: 4}}}}
  - {{name: window, title: Window, section: "4.2", evaluate: more, opts: {{TEST.WINDOW: 1}}}}
"""


def tiny_plan_opts(tiny_opts):
    """``tiny_opts`` as a plan's mapping, without what the runner sets."""
    pairs = dict(zip(tiny_opts[::2], tiny_opts[1::2], strict=True))
    return {key: value for key, value in pairs.items() if key != "OUTPUT_DIR"}


def write_plan(folder, opts):
    path = folder / "plan.yaml"
    path.write_text(PLAN.format(config=CLIPS_CONFIG, opts=json.dumps(opts)))
    return path


def edited(plan, change):
    content = yaml.safe_load(plan.read_text())
    change(content)
    plan.write_text(yaml.safe_dump(content))
    return plan
