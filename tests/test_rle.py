from simplevtr.formats.rle import decode_texts, decode_valid_texts, encode_runs, mask_text

import numpy as np
import pytest
from pycocotools import mask as coco_mask

HEIGHT, WIDTH = 30, 40
GOOD = encode_runs([100, 7, 3, 1090], HEIGHT, WIDTH)["counts"]
BAD = {
    b"~": "outside", b"0\x001": "outside", b"oooo": "inside a number", b"T" * 9 + b"0": "too large",
    GOOD[:-1] + b"0": "cover", GOOD + b"1": "cover 1204 pixels, not", b"L": "negative length",
    GOOD[:-1] + b"~": "outside", GOOD[:-1] + b"T": "inside a number", b"T" * 5: "inside a number",
    b"o" * 100 + b"0": "too large", b"n1L1": "negative length",
}  # fmt: skip


def test_sound_texts_among_others_are_decoded_as_if_alone():
    generator = np.random.default_rng(0)
    bad = [*BAD]
    for _ in range(200):
        masks = generator.random((4, HEIGHT, WIDTH)) < generator.random()
        good = [coco_mask.encode(np.asfortranarray(m, np.uint8))["counts"] for m in masks]
        texts = [*good, *generator.choice(np.array(bad, dtype=object), 5)]
        order = generator.permutation(len(texts))
        runs, rows, reasons = decode_valid_texts([texts[i] for i in order], HEIGHT * WIDTH)
        assert set(reasons) == {k for k, i in enumerate(order) if i >= len(good)}
        for k, reason in reasons.items():
            assert BAD[texts[order[k]]] in reason
        kept = [texts[i] for i in order if i < len(good)]
        expected_runs, expected_rows = decode_texts(kept, HEIGHT * WIDTH)
        np.testing.assert_array_equal(runs, expected_runs)
        np.testing.assert_array_equal(rows, expected_rows)


@pytest.mark.parametrize("texts", [[], [b"~"], [b"oooo", b"~"], [b"L"]])
def test_nothing_sound(texts):
    runs, rows, reasons = decode_valid_texts(texts, HEIGHT * WIDTH)
    assert (runs.shape, rows.shape, len(reasons)) == ((0, 2), (0,), len(texts))


def test_outlines_that_would_take_much_memory_are_refused():
    zigzag = [[0, 0, 9e4, 9e4] * 6]
    with pytest.raises(ValueError, match=r"outline of 1.08e\+06 pixels; at most 1e"):
        mask_text(zigzag, HEIGHT, WIDTH, allow_polygons=True)
    triangles = [[0, 0, 1e5, 0, 0, 1e5]] * 4  # 3e5 pixels each
    with pytest.raises(ValueError, match="outline"):
        mask_text(triangles, HEIGHT, WIDTH, allow_polygons=True)
    assert mask_text(triangles[:3], HEIGHT, WIDTH, allow_polygons=True)


def test_sizes_of_endless_nesting_are_refused():
    size = []
    for _ in range(100_000):
        size = [size]
    with pytest.raises(ValueError, match="RLE size is"):
        mask_text({"size": size, "counts": "1"}, HEIGHT, WIDTH, allow_polygons=False)
