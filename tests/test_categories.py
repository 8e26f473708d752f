from simplevtr.data.categories import (
    COCO_CATEGORIES,
    DATASET_CATEGORIES,
    OVIS_CATEGORIES,
    YTVIS_2019_CATEGORIES,
    YTVIS_2021_CATEGORIES,
    first_difference,
    match_categories,
)

import pytest
from detectron2.data.datasets import builtin_meta


@pytest.mark.parametrize(
    ("categories", "count", "samples"),
    [
        (YTVIS_2019_CATEGORIES, 40, {1: "person", 6: "sedan", 20: "bear", 39: "earless_seal"}),
        (YTVIS_2021_CATEGORIES, 40, {1: "airplane", 14: "flying_disc", 26: "person", 40: "zebra"}),
        (OVIS_CATEGORIES, 25, {1: "Person", 12: "Poultry", 19: "Fish", 25: "Vehical"}),
    ],
)
def test_ids_count_from_one_and_names_are_distinct(categories, count, samples):
    found = dict(categories)
    assert [*found] == list(range(1, count + 1))
    assert len({*found.values()}) == count
    assert samples.items() <= found.items()


def test_names_that_only_one_of_the_two_years_has():
    names_2019 = {name for _, name in YTVIS_2019_CATEGORIES}
    names_2021 = [name for _, name in YTVIS_2021_CATEGORIES]
    assert names_2019 - {*names_2021} == {"sedan", "ape", "hand", "owl", "eagle"}
    assert {*names_2021} - names_2019 == {"bird", "car", "flying_disc", "squirrel", "whale"}
    assert names_2021 == sorted(names_2021)


def test_dataset_names_have_the_list_of_their_year():
    assert DATASET_CATEGORIES["ytvis_2019_val"] is YTVIS_2019_CATEGORIES
    assert DATASET_CATEGORIES["ytvis_2021_test"] is YTVIS_2021_CATEGORIES
    assert DATASET_CATEGORIES["ovis_train"] is OVIS_CATEGORIES


def test_first_difference():
    expected = ((1, "flying_disc"), (2, "fox"))
    assert first_difference(expected, expected) is None
    assert first_difference(((1, "Flying disc"), (2, "fox")), expected) is None
    assert "1 'cat' where 1 'flying_disc'" in first_difference(((1, "cat"), (2, "x")), expected)
    assert "3 'fox' where 2 'fox'" in first_difference(((1, "flying_disc"), (3, "fox")), expected)
    assert "1 categories, not 2" in first_difference(expected[:1], expected)
    assert "2 categories, not 1" in first_difference(expected, expected[:1])


def test_categories_are_matched_by_name():
    names = {
        "motorcycle": "vehicle",
        "tennis racket": "sports",
        "Frisbee": None,
        "mouse": "electronic",
        "sofa": None,
    }
    targets = ["flying_disc", "mouse", "tennis_racket", "motorbike"]
    assert match_categories(names, targets) == {
        "motorcycle": 3,
        "tennis racket": 2,
        "Frisbee": 0,  # but no sofa, and no mouse of a computer
    }
    assert match_categories({"mouse": "animal"}, targets) == {"mouse": 1}
    with pytest.raises(ValueError, match="'Cat' and 'cat' cannot be told apart"):
        match_categories({}, ["Cat", "cat"])


def test_coco_is_detectron2s_list_but_for_the_mouse():
    things = {c["id"]: c["name"] for c in builtin_meta.COCO_CATEGORIES if c["isthing"]}
    assert things.pop(74) == "mouse"
    coco = dict(COCO_CATEGORIES)
    assert coco.pop(74) == "computer_mouse"
    assert {number: name.replace("_", " ") for number, name in coco.items()} == things
    names = [name for _, name in COCO_CATEGORIES]
    kinds = dict.fromkeys(things.values()) | {"mouse": "electronic"}
    assert {*match_categories(kinds, names).values()} == {*range(80)}
    assert "computer_mouse" not in match_categories(dict.fromkeys(names), ["mouse"])
