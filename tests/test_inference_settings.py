"""The scores of one model under several settings of inference."""

from argparse import Namespace

from benchmarks import inference_settings
from benchmarks.inference_settings import main, measure, ranking, set_dropout
from simplevtr.data.ytvis import register_ytvis

import pytest
from conftest import build
from ytvis_folder import make_ytvis_folder


@pytest.fixture(autouse=True)
def _dataset(tmp_path):
    folder = make_ytvis_folder(tmp_path, videos=1, frames=6, categories=tuple("abcdef"))
    register_ytvis("six_frames", *folder)


def args(*powers):
    return Namespace(dataset="six_frames", powers=powers, score_threshold=0.0)


def test_a_row_of_the_table(tiny_cfg):
    row = measure(tiny_cfg, build(tiny_cfg), args(0.0, 2.0), 4, 2)
    assert 0 < row["tracks"] <= 3 * 4  # windows and slots
    for power in 0, 2:
        assert 0 <= float(row[f"AP, power {power}"]) <= float(row[f"AP50, power {power}"]) <= 100


def test_a_dataset_without_annotations_is_refused_at_once(tiny_cfg, tmp_path):
    folder = make_ytvis_folder(tmp_path, annotations=False, categories=tuple("abcdef"))
    register_ytvis("no_truth", *folder)
    options = args(1.0)
    options.dataset = "no_truth"
    with pytest.raises(ValueError, match="train.json"):
        measure(tiny_cfg, build(tiny_cfg), options, 4, 2)


def test_ranking_by_any_power_follows_from_that_by_one():
    result = {"pred_scores": [0.8, 0.5, 0.0], "pred_ranking": [0.2, 0.5, 0.0]}
    assert ranking(result, 0) == [0.8, 0.5, 0.0]
    assert ranking(result, 2) == pytest.approx([0.8 / 16, 0.5, 0.0])


@pytest.mark.parametrize("rate", [0.0, 0.5])
def test_only_dropout_depends_on_the_seed(tiny_cfg, monkeypatch, rate):
    tiny_cfg.MODEL.SIMPLEVTR.DROPOUT = rate
    model = build(tiny_cfg)
    found = []
    forward = model.forward

    def kept(clips):
        found.append(forward(clips))
        return found[-1]

    monkeypatch.setattr(model, "forward", kept)
    for seed in (None, 1, 1, 2, None):
        set_dropout(model, seed)
        assert 0 <= float(measure(tiny_cfg, model, args(1.0), 0, 0)["AP"]) <= 100
    off, on, again, other, off_again = (result["pred_scores"] for result in found)
    assert off == off_again
    assert on == again
    assert (on == off) == (other == on) == (rate == 0)


def test_the_ranking_of_the_config_is_the_default(monkeypatch):
    found = []
    monkeypatch.setattr(
        inference_settings, "measure", lambda cfg, model, args, *_: found.append(args.powers) or {}
    )
    words = ["--windows", "0", "--config-file", "configs/embedded/pretrained.yaml"]
    words += ["TEST.LENGTH_POWER", "0.5"]
    assert main(words) == main(["--powers", "0", "2", *words]) == 0
    assert found == [[0.5], [0.0, 2.0]]


def test_without_dropout_its_seeds_measure_nothing(capsys):
    words = ["--config-file", "configs/embedded/clips.yaml", "--dropout-seeds", "1"]
    words += ["--threads", "1", "MODEL.WEIGHTS", "demo/embedded_easy.pth"]
    assert main(words) == 2
    assert "MODEL.SIMPLEVTR.DROPOUT must be above 0" in capsys.readouterr().err
