from simplevtr.env import describe


def test_versions_devices_and_kernel():
    rows = dict(describe())
    assert rows["deformable convolution, CPU"] == "grid_sample"
    assert "detectron2" in rows
    assert rows["torch"][0].isdigit()
    assert any(name.startswith("GPU") for name in rows)
