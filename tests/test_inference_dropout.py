"""The benchmark of dropout in inference: what is on, and what is off again."""

from benchmarks.inference_dropout import main, score
from simplevtr.data import register_ytvis

import pytest
from conftest import build
from ytvis_folder import forget, make_ytvis_folder


@pytest.fixture
def cfg(tiny_cfg, tmp_path):
    folder = make_ytvis_folder(tmp_path, videos=1, frames=4, categories=tuple("abcdef"))
    register_ytvis("inference_dropout", *folder)
    tiny_cfg.DATASETS.TEST = ("inference_dropout",)
    yield tiny_cfg
    forget("inference_dropout")


@pytest.mark.parametrize("rate", [0.0, 0.5])
def test_only_dropout_depends_on_the_seed(cfg, monkeypatch, rate):
    cfg.MODEL.SIMPLEVTR.DROPOUT = rate
    model = build(cfg)
    found = []
    forward = model.forward

    def kept(clips):
        found.append(forward(clips))
        return found[-1]

    monkeypatch.setattr(model, "forward", kept)
    for seed in (None, 1, 1, 2, None):
        assert 0 <= score(cfg, model, seed)["AP"] <= 100
    off, on, again, other, off_again = (result["pred_scores"] for result in found)
    assert off == off_again
    assert on == again
    assert (on == off) == (other == on) == (rate == 0)


def test_without_dropout_there_is_nothing_to_measure(capsys):
    assert main(["--config-file", "configs/embedded/clips.yaml"]) == 2
    assert "MODEL.SIMPLEVTR.DROPOUT must be above 0" in capsys.readouterr().err
