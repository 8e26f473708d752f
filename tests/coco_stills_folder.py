"""A small COCO file of still images for tests."""

from pathlib import Path

import numpy as np
from json_files import save_json
from PIL import Image

SIZE = (48, 64)


def make_stills(root, *, count=3, suffix="jpg", **changes):
    """A COCO file of images with a cat and a teapot; returns (file, folder)."""
    folder = root / "stills"
    folder.mkdir(parents=True, exist_ok=True)
    content = {"images": [], "annotations": []}
    content["categories"] = [
        {"id": 17, "name": "cat", "supercategory": "animal"},
        {"id": 74, "name": "mouse", "supercategory": "electronic"},
        {"id": 90, "name": "teapot"},
    ]
    for number in range(1, count + 1):
        picture = np.full((*SIZE, 3), 90, np.uint8)
        picture[10:30, 20:45] = (230, 40, 40)
        Image.fromarray(picture).save(folder / f"{number}.{suffix}")
        image = {"id": number, "file_name": f"{number}.{suffix}", "height": 48, "width": 64}
        content["images"].append(image)
        for category, polygon in ((17, [20, 10, 45, 10, 45, 30, 20, 30]), (90, [0, 0, 9, 0, 9, 9])):
            own = {"id": len(content["annotations"]) + 1, "image_id": number, "iscrowd": 0}
            own |= {"category_id": category, "segmentation": [polygon], "bbox": [20, 10, 25, 20]}
            content["annotations"].append(own)
    for key, change in changes.items():
        change(content[key])
    return Path(save_json(root / "instances.json", content)), folder
