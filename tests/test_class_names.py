"""A label means a name: whatever order and ids a file gives its categories."""

from simplevtr.checkpoint import ClipCheckpointer
from simplevtr.data.build import build_train_loader
from simplevtr.data.class_names import align_datasets, settle_classes, settled_classes
from simplevtr.data.ytvis import register_ytvis
from simplevtr.formats.files import read_json
from simplevtr.inference import VideoPredictor
from simplevtr.inference.video_predictor import model_classes
from simplevtr.run_config import setup_cfg
from simplevtr.structures import Classes
from simplevtr.weights_file import write_weights

import pytest
import torch
from conftest import build, run_train_net
from detectron2.data import DatasetCatalog, MetadataCatalog
from json_files import edit_json
from ytvis_folder import make_ytvis_folder

NAMES = ("class_names_a", "class_names_b")
CAT_DOG = Classes(("cat", "dog"), (1, 2))
SIX = Classes(tuple("abcdef"), tuple(range(6)))


@pytest.fixture
def folder(tmp_path):
    """Videos with a cat (1) and a dog (2), registered as the first name."""
    made = make_ytvis_folder(tmp_path, videos=2, tracks=2)
    register_ytvis(NAMES[0], *made)
    return made


def register_edited(folder, edit, name=NAMES[1]):
    """The same tracks under another category list."""
    path = folder.json_file.replace(".json", "_edited.json")
    register_ytvis(name, edit_json(folder.json_file, edit, path), folder.image_root)
    return name


def renumbered(ids):
    """Category i gets id ``ids[i]``: their order changes, their names and tracks do not."""

    def edit(content):
        for entry in (*content["categories"], *content["annotations"]):
            key = "category_id" if "category_id" in entry else "id"
            entry[key] = ids[entry[key] - 1]

    return edit


def renamed(**names):
    def edit(content):
        for category in content["categories"]:
            category["name"] = names.get(category["name"], category["name"])

    return edit


def with_category(name, number=3):
    return lambda content: content["categories"].append({"id": number, "name": name})


def labels(name):
    """Track id -> label."""
    frames = [frame for record in DatasetCatalog.get(name) for frame in record["annotations"]]
    return {track["id"]: track["category_id"] for frame in frames for track in frame}


@pytest.mark.parametrize("ids", [[2, 1], [7, 0], [1, 2], [0, 2**40]])
def test_the_same_names_get_the_same_labels(folder, ids, caplog):
    b = register_edited(folder, renumbered(ids))
    assert align_datasets([NAMES[0], b]) == CAT_DOG
    assert labels(b) == labels(NAMES[0])
    metadata = MetadataCatalog.get(b)
    assert metadata.thing_classes == ["cat", "dog"]
    assert metadata.thing_dataset_id_to_contiguous_id == {ids[0]: 0, ids[1]: 1}
    assert settled_classes([NAMES[0], b]) == CAT_DOG
    assert "was renamed" not in caplog.text  # a key of detectron2's that means something else


def test_a_checkpoints_order_counts_and_another_run_may_have_another(folder):
    before = labels(NAMES[0])
    known = Classes(("dog", "cat"), (1, 5))
    assert align_datasets(NAMES[:1], known=known) == known
    assert labels(NAMES[0]) == {track: 1 - label for track, label in before.items()}
    assert align_datasets(NAMES[:1]) == CAT_DOG
    assert labels(NAMES[0]) == before


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (renamed(dog="Dog"), "lacks 'dog', also has 'Dog', .*only in spelling: 'Dog' for 'dog'"),
        (renamed(dog="d og"), "'d og' for 'dog'; DATASETS.ALLOW_CLASS_SUBSET True matches"),
        (with_category("cow"), "class_names_b has other categories than dataset class_names_a: it "
         "also has 'cow'; DATASETS.ALLOW_CLASS_SUBSET"),
        (renamed(dog="cow", cat="hen"), "lacks 'cat', 'dog', also has 'hen', 'cow'; they share no"),
    ],
)  # fmt: skip
def test_other_categories_are_refused_with_both_lists(folder, edit, message):
    b = register_edited(folder, edit)
    with pytest.raises(ValueError, match=message):
        align_datasets([NAMES[0], b])


def test_a_dataset_without_a_file_is_told_of():
    MetadataCatalog.get(NAMES[0]).set(evaluator_type="ytvis")
    DatasetCatalog.register(NAMES[0], list)
    with pytest.raises(ValueError, match=f"'{NAMES[0]}' has no 'json_file' in its metadata"):
        align_datasets(NAMES[:1])


def test_a_name_is_the_same_however_its_accents_are_written(folder):
    b = register_edited(folder, renamed(cat="cafe\u0301"))
    assert align_datasets([b], known=Classes(("caf\u00e9", "dog"), (1, 2))).names[0] == "caf\u00e9"


def test_a_subset_can_be_allowed(folder):
    b = register_edited(folder, renamed(cat="cow"))
    align_datasets([NAMES[0], b], subset=True)
    assert set(labels(b).values()) == {1}  # cows are left out, dogs stay dogs
    assert MetadataCatalog.get(b).thing_dataset_id_to_contiguous_id == {2: 1}


def test_the_training_loader_alone_matches_names_too(folder, tiny_cfg):
    b = register_edited(folder, renumbered([2, 1]))
    tiny_cfg.DATASETS.TRAIN = (NAMES[0], b)
    tiny_cfg.MODEL.SIMPLEVTR.NUM_CLASSES = 2
    build_train_loader(tiny_cfg)
    assert labels(b) == labels(NAMES[0])


def test_the_number_of_classes_is_compared(folder, tiny_cfg):
    tiny_cfg.DATASETS.TEST = NAMES[:1]
    with pytest.raises(ValueError, match="dataset class_names_a has 2 categories, but .* to 2"):
        settle_classes(tiny_cfg, train=False)
    tiny_cfg.DATASETS.TRAIN = tiny_cfg.DATASETS.TEST = ()
    for train, key in ((True, "TRAIN"), (False, "TEST")):
        with pytest.raises(ValueError, match=rf"DATASETS\.{key} is empty; name"):
            settle_classes(tiny_cfg, train=train)


def saved(cfg, folder, classes):
    """A checkpoint; returns its path and its model."""
    model = build(cfg, seed=1)
    ClipCheckpointer(model, str(folder), classes=classes).save("model")
    return str(folder / "model.pth"), model


@pytest.mark.parametrize("offset", [0, 1])
def test_a_second_stages_class_layers_are_matched_by_name(tiny_cfg, tmp_path, offset):
    tiny_cfg.MODEL.SIMPLEVTR.CLASS_OFFSET = offset
    tiny_cfg.MODEL.SIMPLEVTR.LOSS.DENSE_WEIGHT = 1.0
    path, first = saved(tiny_cfg, tmp_path, SIX)
    second, other = build(tiny_cfg, seed=2), Classes(SIX.names[::-1], SIX.ids)
    ClipCheckpointer(second, classes=other).load(path, checkpointables=[])
    for layer, last in (("class_head", 1), ("dense_head", 0)):
        for one, two in zip(
            getattr(first.network, layer).parameters(),
            getattr(second.network, layer).parameters(),
            strict=True,
        ):
            end = len(one) - last
            assert torch.equal(two[offset:end], one[offset:end].flip(0))
            assert torch.equal(two[:offset], one[:offset])
            assert torch.equal(two[end:], one[end:])


def test_other_classes_are_refused_unless_their_layers_start_anew(tiny_cfg, tmp_path):
    path, _ = saved(tiny_cfg, tmp_path, SIX)
    other = Classes((*SIX.names[:-1], "x"), SIX.ids)
    model = build(tiny_cfg, seed=2)
    with pytest.raises(ValueError, match=r"model.pth has other .*IGNORE_WEIGHTS .*class_head"):
        ClipCheckpointer(model, classes=other).load(path, checkpointables=[])
    prefixes = ["network.class_head", "network.dense_head"]
    ClipCheckpointer(model, classes=other, ignore_prefixes=prefixes).load(path, checkpointables=[])


def test_a_checkpoint_without_names_loads_with_a_word(tiny_cfg, tmp_path, caplog):
    path, _ = saved(tiny_cfg, tmp_path, None)
    ClipCheckpointer(build(tiny_cfg), classes=SIX).load(path, checkpointables=[])
    assert "model.pth does not name its classes" in caplog.text


def test_a_test_set_in_another_order_has_the_same_scores(tiny_opts, embedded, tmp_path):
    """A training and evaluations end to end: names are saved, obeyed, and written."""
    run_train_net(*tiny_opts, "DATASETS.TEST", "()")
    path = tmp_path / "run/model_final.pth"
    content = read_json(embedded / "val.json")
    names = [category["name"] for category in content["categories"]]
    ids = [category["id"] for category in content["categories"]]
    assert torch.load(path, weights_only=True)["classes"] == {"names": names, "ids": ids}
    reverse = renumbered([100 - number for number in ids])
    other = edit_json(embedded / "val.json", reverse, tmp_path / "other.json")
    results = {}
    for name in ("tiny_val", "class_names_b"):
        custom = [["class_names_b", other, str(embedded / "val/JPEGImages")]]
        # The datasets of the training are registered in this process.
        opts = [*tiny_opts, "DATASETS.CUSTOM", str(custom), "DATASETS.TEST", f"('{name}',)"]
        opts += ["MODEL.WEIGHTS", str(path), "OUTPUT_DIR", str(tmp_path / name)]
        run_train_net("--eval-only", *opts)
        file = tmp_path / name / "inference" / name / "results.json"
        results[name] = read_json(file)
    one, two = results.values()
    assert one
    assert [entry["category_name"] for entry in one] == [entry["category_name"] for entry in two]
    assert [100 - entry["category_id"] for entry in one] == [e["category_id"] for e in two]
    assert all(names[ids.index(entry["category_id"])] == entry["category_name"] for entry in one)


def test_the_ids_of_a_predictors_results(folder, tmp_path, caplog):
    """Those of the checkpoint, else of a dataset of the config, else numbers from 1."""
    cfg = setup_cfg("", ["MODEL.SIMPLEVTR.NUM_CLASSES", "2"])
    cfg.MODEL.WEIGHTS = str(tmp_path / "model.pth")
    write_weights({"a": torch.ones(1)}, cfg.MODEL.WEIGHTS)
    assert model_classes(cfg) is None
    assert "category ids of results are numbered from 1" in caplog.text
    cfg.DATASETS.TRAIN = (register_edited(folder, renumbered([7, 0])),)
    assert model_classes(cfg) == Classes(("dog", "cat"), (0, 7))
    classes = Classes(("hen", "cow"), (5, 3))
    write_weights({"a": torch.ones(1)}, cfg.MODEL.WEIGHTS, overwrite=True, classes=classes)
    assert model_classes(cfg) == classes
    cfg.MODEL.SIMPLEVTR.NUM_CLASSES = 3
    with pytest.raises(ValueError, match=r"pth names 2 classes, but .*NUM_CLASSES is 3"):
        model_classes(cfg)
    model = torch.nn.Identity()
    predictor = VideoPredictor(model=model, class_names=classes.names, category_ids=classes.ids)
    mask = torch.ones(1, 4, 4, dtype=torch.bool)
    result = {"pred_scores": [0.5, 0.4], "pred_labels": [1, 0], "pred_masks": [mask, mask]}
    predictor.write_results(str(tmp_path / "r.json"), result)
    found = [(e["category_id"], e["category_name"]) for e in read_json(tmp_path / "r.json")]
    assert found == [(3, "cow"), (5, "hen")]
