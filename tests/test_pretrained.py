"""The shipped model has the AP that its config claims."""

from simplevtr import setup_cfg

from conftest import ROOT, run_train_net
from make_embedded import make_embedded_dataset

CONFIG = str(ROOT / "configs/embedded/pretrained.yaml")
WEIGHTS = ROOT / "demo/embedded_easy.pth"


def test_the_shipped_model_reaches_its_ap(tmp_path):
    assert WEIGHTS.stat().st_size <= 5 * 10**6
    # A video does not depend on the number of others: these are the 60 of the full dataset.
    make_embedded_dataset(tmp_path, variant="easy", train_videos=1, val_videos=60, long_videos=1)
    easy = tmp_path / "easy"
    entry = ["shipped_val", str(easy / "val.json"), str(easy / "val/JPEGImages")]
    opts = ["DATASETS.CUSTOM", str([entry]), "DATASETS.TEST", "('shipped_val',)"]
    opts += ["MODEL.WEIGHTS", str(WEIGHTS), "OUTPUT_DIR", str(tmp_path / "run")]
    # Leaves with an exit status of 1 if AP or AP50 is not the config's.
    results = run_train_net("--eval-only", *opts, config=CONFIG)
    expected = setup_cfg(CONFIG).TEST.EXPECTED_RESULTS
    assert {metric for _, metric, *_ in expected} == {"AP", "AP50"}
    for task, metric, value, tolerance in expected:
        assert abs(results[task][metric] - value) <= tolerance <= 0.5
