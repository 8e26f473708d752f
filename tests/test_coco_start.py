"""From COCO's stills to the start of a training on videos, by the commands of configs/coco/."""

from simplevtr import setup_cfg
from simplevtr.commands.convert_checkpoint import main as convert
from simplevtr.data.categories import COCO_CATEGORIES, YTVIS_2021_CATEGORIES
from simplevtr.data.dataset_mapper import YTVISDatasetMapper
from simplevtr.formats.images import read_frame
from simplevtr.weights_file import read_checkpoint

import numpy as np
import torch
from coco_stills_folder import make_stills
from conftest import NARROW, ROOT, metrics, run_train_net, words_of
from detectron2.data import DatasetCatalog, MetadataCatalog
from ytvis_folder import make_ytvis_folder

COCO = str(ROOT / "configs/coco/detr_R50.yaml")
VIDEOS = str(ROOT / "configs/youtubevis_2021/simplevtr_R50.yaml")
STILLS_NAME, VIDEOS_NAME = "coco_start_stills", "coco_start_videos"
TINY = NARROW | {
    "MODEL.DEVICE": "cpu",
    "MODEL.BACKBONE.NAME": "build_small_resnet_backbone",
    "MODEL.SIMPLEVTR.MASK_HEAD.WIDTHS": [16, 16, 8, 8],
    "INPUT.MIN_SIZE_TRAIN": (48,),
    "DATALOADER.NUM_WORKERS": 0,
}


def stills_options(root):
    entry = [STILLS_NAME, *map(str, make_stills(root, suffix="png")), "coco_pseudo"]
    return TINY | {
        "MODEL.WEIGHTS": "",
        "MODEL.SIMPLEVTR.ENC_LAYERS": 3,
        "MODEL.SIMPLEVTR.NUM_QUERIES": 6,
        "DATASETS.CUSTOM": [[*entry, "coco_2017_train"]],
        "DATASETS.TRAIN": (STILLS_NAME,),
        "SOLVER.IMS_PER_BATCH": 2,
        "SOLVER.MAX_ITER": 4,
        "VIS_PERIOD": 2,
        "OUTPUT_DIR": str(root / "coco"),
    }


def videos_options(root):
    names = tuple(name for _, name in YTVIS_2021_CATEGORIES)
    files = make_ytvis_folder(root / "videos", videos=1, frames=3, categories=names)
    return TINY | {
        "MODEL.SIMPLEVTR.ENC_LAYERS": 2,
        "MODEL.SIMPLEVTR.DEC_LAYERS": 2,
        "DATASETS.CUSTOM": [[VIDEOS_NAME, *map(str, files)]],
        "DATASETS.TRAIN": (VIDEOS_NAME,),
        "DATASETS.TEST": (),
        "INPUT.SAMPLING_FRAME_NUM": 2,
        "SOLVER.BASE_LR": 1e-30,  # so that the trained model shows what it started from
        "SOLVER.MAX_ITER": 1,
        "OUTPUT_DIR": str(root / "run"),
    }


def train(config, options):
    run_train_net(*words_of(options), config=config)
    path = f"{options['OUTPUT_DIR']}/model_final.pth"
    return path, read_checkpoint(path)["model"]


def test_a_detector_on_stills_starts_a_model_of_videos(tmp_path, capsys):
    path, detector = train(COCO, stills_options(tmp_path))
    assert {*metrics(tmp_path / "coco")[0]} >= {"loss_ce", "loss_bbox", "loss_giou", "loss_ce_4"}
    assert not any("mask_head" in name for name in detector)

    options, start = videos_options(tmp_path), tmp_path / "start.pth"
    fitted = options | {"DATASETS.TRAIN": ("ytvis_2021_train",)}
    arguments = [path, str(start), "--source-slots", "6", "--config-file", VIDEOS]
    assert convert([*arguments, *words_of(fitted)]) == 0
    assert '21 of 40 and "no object" by their names' in capsys.readouterr().out

    _, model = train(VIDEOS, options | {"MODEL.WEIGHTS": str(start)})
    for ours, theirs in (("encoder.0", "encoder.0"), ("encoder.1", "encoder.2")):
        name = "network.transformer.{}.self_attention.attention.in_proj_weight"
        assert torch.equal(model[name.format(ours)], detector[name.format(theirs)])
    queries = "network.query_embedding.weight"
    assert torch.equal(model[queries][:6], detector[queries])
    labels = ([name for _, name in pairs] for pairs in (YTVIS_2021_CATEGORIES, COCO_CATEGORIES))
    ytvis, coco = (dict(zip(names, range(len(names)), strict=True)) for names in labels)
    rows, known = (of["network.class_head.weight"] for of in (model, detector))
    assert torch.equal(rows[ytvis["cat"]], known[coco["cat"]])
    assert torch.equal(rows[ytvis["flying_disc"]], known[coco["frisbee"]])
    assert torch.equal(rows[-1], known[-1])
    assert not (rows[ytvis["mouse"]] == known).all(1).any()  # COCO's belongs to a computer


def test_classes_are_cocos_and_a_still_does_not_move(tmp_path):
    cfg = setup_cfg(COCO, words_of(stills_options(tmp_path) | {"INPUT.AUGMENTATIONS": []}))
    records = DatasetCatalog.get(STILLS_NAME)
    classes = MetadataCatalog.get(STILLS_NAME).thing_classes
    assert (len(classes), classes[0], classes[64]) == (80, "person", "computer_mouse")
    assert [a["category_id"] for a in records[0]["annotations"][0]] == [classes.index("cat")]
    clip = YTVISDatasetMapper(cfg, True)(records[0])
    still = read_frame(records[0]["file_names"][0])
    assert [image.numpy().transpose(1, 2, 0).tolist() for image in clip["image"]] == [
        np.asarray(still).tolist()
    ]
    assert clip["instances"][0].gt_boxes.tensor.tolist() == [[20, 10, 45, 30]]
