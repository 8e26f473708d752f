"""The categories of the public datasets, (id, name) in their official order.

YTVIS-2019 and YTVIS-2021 have 40 categories each, with different names and a different order, so an
id of one means nothing in the other: datasets are matched by name. The names are those of the
annotation files ("Vehical" in OVIS is the official spelling).
"""

import itertools
from collections.abc import Mapping, Sequence

from simplevtr.formats.checks import plain_spelling

# Two names of one thing, in the spelling of plain_name.
_SYNONYMS = {"motorcycle": "motorbike", "frisbee": "flyingdisc"}
# One name of two things: names, in that spelling, for (name, supercategory) pairs that are not what
# other datasets mean. COCO's mouse belongs to a computer, YouTube-VIS's is an animal.
_OTHER_THINGS: dict[tuple[str, str | None], str] = {("mouse", "electronic"): "computermouse"}


def _numbered(names: str, unused: Sequence[int] = ()) -> tuple[tuple[int, str], ...]:
    """Names with ids from 1 on, without the ``unused`` ones."""
    ids = (number for number in itertools.count(1) if number not in unused)
    return tuple(zip(ids, names.split(), strict=False))


YTVIS_2019_CATEGORIES = _numbered("""
    person giant_panda lizard parrot skateboard sedan ape dog snake monkey
    hand rabbit duck cat cow fish train horse turtle bear
    motorbike giraffe leopard fox deer owl surfboard airplane truck zebra
    tiger elephant snowboard boat shark mouse frog eagle earless_seal tennis_racket
""")

YTVIS_2021_CATEGORIES = _numbered("""
    airplane bear bird boat car cat cow deer dog duck
    earless_seal elephant fish flying_disc fox frog giant_panda giraffe horse leopard
    lizard monkey motorbike mouse parrot person rabbit shark skateboard snake
    snowboard squirrel surfboard tennis_racket tiger train truck turtle whale zebra
""")

OVIS_CATEGORIES = _numbered("""
    Person Bird Cat Dog Horse Sheep Cow Elephant Bear Zebra
    Giraffe Poultry Giant_panda Lizard Parrot Monkey Rabbit Tiger Fish Turtle
    Bicycle Motorcycle Airplane Boat Vehical
""")

# COCO's 80 things.
COCO_CATEGORIES = _numbered(
    """
    person bicycle car motorcycle airplane bus train truck
    boat traffic_light fire_hydrant stop_sign parking_meter bench bird cat
    dog horse sheep cow elephant bear zebra giraffe
    backpack umbrella handbag tie suitcase frisbee skis snowboard
    sports_ball kite baseball_bat baseball_glove skateboard surfboard tennis_racket bottle
    wine_glass cup fork knife spoon bowl banana apple
    sandwich orange broccoli carrot hot_dog pizza donut cake
    chair couch potted_plant bed dining_table toilet tv laptop
    computer_mouse remote keyboard cell_phone microwave oven toaster sink
    refrigerator book clock vase scissors teddy_bear hair_drier toothbrush
""",
    unused=(12, 26, 29, 30, 45, 66, 68, 69, 71, 83),
)

# What the annotation file of a dataset registered under this name must say.
DATASET_CATEGORIES: dict[str, tuple[tuple[int, str], ...]] = {
    **dict.fromkeys(("ytvis_2019_train", "ytvis_2019_val"), YTVIS_2019_CATEGORIES),
    **{f"ytvis_2021_{split}": YTVIS_2021_CATEGORIES for split in ("train", "val", "test")},
    **{f"ovis_{split}": OVIS_CATEGORIES for split in ("train", "val", "test")},
    "coco_2017_train": COCO_CATEGORIES,  # detectron2's, of still images
}


def first_difference(
    found: Sequence[tuple[int, str]], expected: Sequence[tuple[int, str]]
) -> str | None:
    """The first category in which two lists sorted by id differ, as a phrase, or None.

    Case, and blanks in place of underscores, do not count: mirrors of the datasets differ in them.
    """
    for (found_id, found_name), (expected_id, expected_name) in zip(found, expected, strict=False):
        if found_id != expected_id or plain_spelling(found_name) != plain_spelling(expected_name):
            return f"has {found_id} {found_name!r} where {expected_id} {expected_name!r} belongs"
    if len(found) != len(expected):
        return f"has {len(found)} categories, not {len(expected)}"
    return None


def match_categories(names: Mapping[str, str | None], targets: Sequence[str]) -> dict[str, int]:
    """The index of its target for each name that has one; names have their supercategory or None.

    Case, and blanks or hyphens in place of underscores, do not count. "motorcycle" is "motorbike"
    and "frisbee" is "flying_disc". A "mouse" of the supercategory "electronic", as COCO has it, is
    a "computer_mouse". ValueError if two targets are the same name in different spelling.
    """
    places: dict[str, int] = {}
    for index, target in enumerate(targets):
        first = places.setdefault(plain_name(target), index)
        if first != index:
            raise ValueError(f"categories {targets[first]!r} and {target!r} cannot be told apart")
    plain = {name: plain_name(name) for name in names}
    meant = {n: _OTHER_THINGS.get((plain[n], kind), plain[n]) for n, kind in names.items()}
    return {name: places[target] for name, target in meant.items() if target in places}


def plain_name(name: str) -> str:
    """The one spelling of all that count as the same name."""
    spelling = plain_spelling(name)
    return _SYNONYMS.get(spelling, spelling)
