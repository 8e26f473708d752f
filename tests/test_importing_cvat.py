from simplevtr.importing import read_cvat

import pytest
from foreign_formats import SIZE, assert_same_tracks, decoded, imported, known_dataset, write_cvat


@pytest.fixture
def known(tmp_path):
    return known_dataset(tmp_path / "known", videos=1, ragged=False)


@pytest.fixture
def read(tmp_path, known):
    def read(tracks, *, head="", **options):
        path = tmp_path / "video1.xml"
        path.write_text(f"{head}<annotations><version>1.1</version>{tracks}</annotations>")
        return read_cvat(path, images=known.images, **options)

    return read


@pytest.mark.parametrize("shape", ["mask", "polygon"])
def test_round_trip(tmp_path, shape):
    known = known_dataset(tmp_path / "known", ragged=shape == "mask")
    source = write_cvat(known, tmp_path / "cvat", shape=shape)
    other = imported("cvat", source, tmp_path / "out.json", "--images", known.images)
    assert_same_tracks(known, other)
    assert [c["name"] for c in other.content["categories"]] == ["cat", "dog"]


def test_one_file_with_the_frames_at_once(known, tmp_path):
    source = write_cvat(known, tmp_path / "cvat") / "video1.xml"
    (video,) = read_cvat(source, images=known.images / "video1").videos
    assert video.file_names[0] == "00000.jpg"


def polygon(frame, *, x=0, outside=0, **attributes):
    points = f"{x},0;{x + 4},0;{x + 4},4;{x},4"
    more = "".join(f' {key}="{value}"' for key, value in attributes.items())
    return f'<polygon frame="{frame}" outside="{outside}" points="{points}"{more}/>'


def track(*shapes, label="cat"):
    return f'<track id="0" label="{label}">{"".join(shapes)}</track>'


def shown(dataset):
    """Of the only track: frame -> left edge."""
    ((found,),) = [video.tracks for video in dataset.videos]
    return {t: int(decoded(mask).any(axis=0).argmax()) for t, mask in found.masks.items()}


@pytest.mark.parametrize(
    ("gaps", "expected"), [("absent", {0: 0, 2: 8}), ("hold", {0: 0, 1: 0, 2: 8, 3: 8})]
)
def test_gaps_between_shapes(read, gaps, expected):
    dataset = read(track(polygon(0), polygon(2, x=8)), gaps=gaps)
    assert shown(dataset) == expected
    assert sum(dataset.notes.values()) - dataset.notes["empty masks left out"] == 2


@pytest.mark.parametrize("gaps", ["absent", "hold"])
def test_nothing_is_held_after_outside_or_before_the_first_shape(read, gaps):
    dataset = read(track(polygon(1), polygon(2, outside=1)), gaps=gaps)
    assert shown(dataset) == {1: 0}
    assert not any("between" in note for note in dataset.notes)


def test_interpolated_shapes_are_imported_and_counted(read):
    dataset = read(track(*(polygon(t, x=t, keyframe=int(t == 0)) for t in range(4))))
    assert shown(dataset) == {0: 0, 1: 1, 2: 2, 3: 3}
    assert dataset.notes["shapes interpolated by CVAT, imported"] == 3


def test_shapes_without_a_mask_are_counted(read):
    box = '<box frame="1" outside="0" xtl="1" ytl="1" xbr="5" ybr="5"/>'
    dataset = read(track(box, polygon(0), '<polyline frame="2" points="1,1;2,2"/>'))
    assert shown(dataset) == {0: 0}
    assert dataset.notes["shapes of kind box left out"] == 1
    assert dataset.notes["shapes of kind polyline left out"] == 1


def mask(**values):
    values = {"left": 1, "top": 2, "width": 3, "height": 2, "rle": "1, 4, 1"} | values
    attributes = " ".join(f'{key}="{value}"' for key, value in values.items())
    return f'<mask frame="0" outside="0" {attributes}/>'


def test_runs_of_a_mask_go_along_rows(read):
    ((found,),) = [video.tracks for video in read(track(mask())).videos]
    pixels = decoded(found.masks[0])
    assert pixels.shape == SIZE
    assert {tuple(map(int, p)) for p in zip(*pixels.nonzero(), strict=True)} == {
        (2, 2),
        (2, 3),
        (3, 1),
        (3, 2),
    }


@pytest.mark.parametrize(
    ("tracks", "message"),
    [
        (track(polygon(9)), "track '0': frame 9: there is no image with this number"),
        (track(polygon("x")), "frame of a polygon is 'x'; a number"),
        (track(polygon(0), polygon(0)), "frame 0: the track has a second shape"),
        (track(polygon(0, keyframe="yes")), "keyframe of a polygon is 'yes'; 0 or 1"),
        (track(polygon(0, outside=2)), "outside of a polygon is '2'"),
        (track('<polygon frame="0" points="1,2;3"/>'), "points are '1,2;3'; x,y;x,y"),
        (track('<polygon frame="0" points="1,2;3,nan;1,1"/>'), "points are "),
        (track('<polygon frame="0" points="1,2;3,1e300;1,1"/>'), r"1e\+300 is out of all bounds"),
        (track('<polygon frame="0" points="1,2;a,3"/>'), "points are '1,2;a,3'"),
        (track('<blob frame="0"/>'), "unknown shape 'blob'"),
        (track(polygon(0), label=""), "track '0': has no label"),
        (track(mask(rle="1, 2")), "do not fill a mask of 3 x 2"),
        (track(mask(rle="-1, 7")), "run lengths with commas"),
        (track(mask(width=999)), "leaves the frame of 64 x 48"),
        (track(mask(width=0, rle="")), "run lengths with commas"),
        ("<track>", "video1.xml: is not XML: mismatched tag"),
        ("<image/>", "is 'CVAT for images'; export it as"),
        ("<a>" * 50 + "</a>" * 50, "nested more than 20 levels"),
    ],
)
def test_bad_files_are_named(read, tracks, message):
    with pytest.raises(ValueError, match=message):
        read(tracks)


LAUGHS = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10 if i else "ha"}">' for i in range(10))


@pytest.mark.parametrize(
    "subset", [f"[{LAUGHS}]", '[<!ENTITY l9 SYSTEM "file:///etc/hostname">]', 'SYSTEM "x.dtd"']
)
def test_document_types_are_refused(read, subset):
    with pytest.raises(ValueError, match=r"video1.xml: has a DOCTYPE \('annotations'\)"):
        read(track(polygon(0), label="&l9;"), head=f"<!DOCTYPE annotations {subset}>")


def test_other_roots_versions_and_encodings_are_refused(tmp_path, known):
    path = tmp_path / "video1.xml"
    for content, message in (
        (b"<svg/>", "the root is 'svg'"),
        (b"<annotations><version>1.0</version></annotations>", "version '1.0'; 1.1 is needed"),
        (b'<?xml version="1.0" encoding="nonsense"?><annotations/>', "video1.xml: "),
        (b"", "is not XML"),
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=message):
            read_cvat(path, images=known.images)


def test_frames_are_needed(tmp_path, known):
    with pytest.raises(ValueError, match="CVAT files need the folder"):
        read_cvat(tmp_path)
    with pytest.raises(ValueError, match="gaps is 'jump'; allowed: absent, hold"):
        read_cvat(tmp_path, images=known.images, gaps="jump")
