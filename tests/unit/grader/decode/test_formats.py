"""What the readers of media files make of good files."""

from __future__ import annotations

import io
import struct
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest
import soundfile  # type: ignore[import-untyped]
import trimesh
from numpy.typing import NDArray
from PIL import Image

from general_level.submission.codes import Code
from services.grader.decode.formats import (
    clouds,
    flows,
    images,
    meshes,
    sounds,
    videos,
    warm_up,
    writers,
)
from services.grader.decode.formats.arrays import read_npy, read_npz
from services.grader.decode.formats.unusable import Unusable, finite, guarded
from services.grader.decode.values import Sound, as_grey, as_rgb

RNG = np.random.default_rng(5)


def saved(pixels: NDArray[np.generic], form: str, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form, **options)
    return file.getvalue()


def random_picture(*shape: int) -> NDArray[np.uint8]:
    return RNG.integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("form", ["PNG", "WEBP"])
def test_a_colour_picture_comes_back_exactly(form: str) -> None:
    pixels = random_picture(30, 40, 3)
    data = saved(pixels, form, **({"lossless": True} if form == "WEBP" else {}))
    np.testing.assert_array_equal(images.read_image(data)["pixels"], pixels)


def test_a_jpeg_is_what_pillow_reads() -> None:
    data = saved(random_picture(30, 40, 3), "JPEG")
    expected = np.asarray(Image.open(io.BytesIO(data)))
    np.testing.assert_array_equal(images.read_image(data)["pixels"], expected)


def test_grey_deep_transparent_palette_and_bilevel_pictures() -> None:
    grey = random_picture(8, 9)
    np.testing.assert_array_equal(images.read_image(saved(grey, "PNG"))["pixels"], grey)
    deep = RNG.integers(0, 65536, (8, 9)).astype(np.uint16)
    found = images.read_image(saved(deep, "PNG"))["pixels"]
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, deep)
    clear = random_picture(8, 9, 4)
    np.testing.assert_array_equal(images.read_image(saved(clear, "PNG"))["pixels"], clear[:, :, :3])
    file = io.BytesIO()
    Image.fromarray(grey).convert("P").save(file, "PNG")
    np.testing.assert_array_equal(as_grey(images.read_image(file.getvalue())["pixels"]), grey)
    file = io.BytesIO()
    Image.fromarray(grey > 128).save(file, "PNG")
    found = images.read_image(file.getvalue())["pixels"]
    np.testing.assert_array_equal(found, np.where(grey > 128, 255, 0))


@pytest.mark.parametrize("lossless", [True, False])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_the_size_of_a_webp_is_known_before_it_is_decoded(mode: str, lossless: bool) -> None:
    file = io.BytesIO()
    Image.new(mode, (123, 45), (1, 2, 3)).save(file, "WEBP", lossless=lossless)
    assert images._webp_size(file.getvalue()) == (123, 45)


def test_a_panoptic_picture_holds_numbers() -> None:
    numbers = RNG.integers(0, 2**24, (7, 5))
    pixels = np.stack([numbers & 255, numbers >> 8 & 255, numbers >> 16], axis=2)
    found = images.read_panoptic(saved(pixels.astype(np.uint8), "PNG"))["pixels"]
    np.testing.assert_array_equal(found, numbers)
    grey = np.array([[1, 2]], dtype=np.uint8)
    found = images.read_panoptic(saved(grey, "PNG"))["pixels"]
    np.testing.assert_array_equal(found, [[0x010101, 0x020202]])


def test_pictures_become_colour_and_grey() -> None:
    colour = random_picture(6, 7, 3)
    np.testing.assert_array_equal(as_rgb(colour), colour)
    expected = np.asarray(Image.fromarray(colour).convert("L"))
    np.testing.assert_array_equal(as_grey(colour), expected)
    assert as_rgb(np.array([[0x1234]], np.uint16)).tolist() == [[[0x12] * 3]]


def test_a_lossless_video_comes_back_exactly() -> None:
    frames = random_picture(5, 24, 32, 3)
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as output:
        stream = output.add_stream("ffv1", rate=Fraction(25, 2))
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 32, 24, "bgr0"
        for frame in frames:
            output.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
        output.mux(stream.encode())
    content = videos.read_video(file.getvalue(), ".mkv")
    np.testing.assert_array_equal(content["frames"], frames)
    assert float(content["rate"]) == 12.5


@pytest.mark.parametrize(
    ("ending", "form", "subtype", "tolerance"),
    [
        (".wav", "WAV", "FLOAT", 0.0),
        (".wav", "WAV", "PCM_16", 1e-4),
        (".flac", "FLAC", "PCM_24", 1e-6),
        (".ogg", "OGG", "VORBIS", 0.1),
    ],
)
def test_sound_comes_back(ending: str, form: str, subtype: str, tolerance: float) -> None:
    time = np.arange(16_000) / 16_000
    wave = np.stack([np.sin(2000 * time), np.cos(3000 * time)], axis=1).astype(np.float32) * 0.5
    file = io.BytesIO()
    soundfile.write(file, wave, 16_000, subtype=subtype, format=form)
    content = sounds.read_sound(file.getvalue(), ending)
    assert content["samples"].shape == wave.shape
    assert int(content["rate"]) == 16_000
    assert np.abs(content["samples"] - wave).max() <= tolerance
    mono = Sound(content["samples"], 16_000).mono()
    np.testing.assert_allclose(mono, wave.mean(axis=1), atol=max(tolerance, 1e-6))


def test_m4a_sound_comes_back_in_full() -> None:
    content = sounds.read_sound(warm_up.m4a(8192), ".m4a")
    assert len(content["samples"]) >= 8192
    assert np.abs(content["samples"]).max() < 1e-3


@pytest.mark.parametrize("dtype", ["|b1", "|u1", "<i2", ">i4", "<f4", ">f8", "<f2"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_an_npy_file_is_what_numpy_reads(dtype: str, order: str) -> None:
    array = np.asarray(RNG.integers(0, 2, (3, 4, 5)), dtype=dtype, order=order)  # type: ignore[call-overload]
    data = writers.npy(array)
    found = read_npy(data)
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, np.load(io.BytesIO(data)))
    assert not found.flags.writeable


def test_npy_versions_scalars_and_several_arrays() -> None:
    for version in ((1, 0), (2, 0), (3, 0)):
        file = io.BytesIO()
        np.lib.format.write_array(file, np.arange(3), version=version)
        assert read_npy(file.getvalue()).tolist() == [0, 1, 2]
    assert read_npy(writers.npy(5)).shape == ()
    arrays = read_npz(writers.npz(a=[1], b=[[2.0]]))
    assert {name: array.tolist() for name, array in arrays.items()} == {"a": [1], "b": [[2.0]]}


def test_flow_in_its_three_formats() -> None:
    flow = RNG.integers(-500, 500, (6, 9, 2)) / 64
    for ending, data in (
        (".flo", writers.flo(flow)),
        (".png", writers.kitti_png(flow)),
        (".npy", writers.npy(flow)),
        (".npz", writers.npz(flow=flow, valid=np.ones(3))),
    ):
        np.testing.assert_array_equal(flows.read_flow(data, ending)["flow"], flow)


def test_pixels_without_flow_do_not_move() -> None:
    line = struct.pack(">6H", 2**15 + 64, 2**15 - 64, 1, 1, 2, 0)
    data = writers.png(2, 1, 16, 2, b"\0" + line)
    assert flows.read_flow(data, ".png")["flow"].tolist() == [[[1.0, -1.0], [0.0, 0.0]]]


def test_depth_in_metres() -> None:
    data = saved(np.array([[1000, 2500]], dtype=np.uint16), "PNG")
    assert flows.read_depth(data, ".png")["depth"].tolist() == [[1.0, 2.5]]
    assert flows.read_depth(data, ".png", 500.0)["depth"].tolist() == [[2.0, 5.0]]
    metres = flows.read_depth(writers.npy(np.array([[1, 2]])), ".npy")["depth"]
    assert metres.dtype == np.float64
    assert metres.tolist() == [[1.0, 2.0]]


POINTS = np.array([[0.5, 1, 2], [3, 4, 5.25], [-6, 7, 8]], dtype=np.float32)


def pcd(kind: bytes, body: bytes) -> bytes:
    return (
        b"# .PCD v0.7\nVERSION 0.7\nFIELDS rgb x y z\nSIZE 1 4 4 4\nTYPE U F F F\nCOUNT 3 1 1 1\n"
        b"WIDTH 3\nHEIGHT 1\nPOINTS 3\nDATA " + kind + b"\n" + body
    )


def cloud_files() -> list[tuple[str, bytes]]:
    cloud: Any = trimesh.PointCloud(POINTS)  # type: ignore[no-untyped-call]
    binary = b"".join(b"\1\2\3" + point.tobytes() for point in POINTS)
    text = "\n".join("1 2 3 " + " ".join(map(str, point)) for point in POINTS.tolist())
    with_colour = np.concatenate([POINTS, np.ones((3, 3), np.float32)], axis=1)
    return [
        (".ply", cloud.export(file_type="ply")),
        (".ply", cloud.export(file_type="ply", encoding="ascii")),
        (".npy", writers.npy(with_colour)),
        (".npz", writers.npz(points=POINTS)),
        (".xyz", "\n".join(" ".join(map(str, row)) for row in with_colour.tolist()).encode()),
        (".xyz", b"# x, y, z\n0.5, 1, 2\n3, 4, 5.25\n-6, 7, 8\n"),
        (".pcd", pcd(b"binary", binary)),
        (".pcd", pcd(b"ascii", text.encode())),
    ]


@pytest.mark.parametrize(("ending", "data"), cloud_files())
def test_point_clouds_of_every_format(ending: str, data: bytes) -> None:
    if data.startswith(b"# x,"):
        data = data.split(b"\n", 1)[1]
    np.testing.assert_array_equal(clouds.read_cloud(data, ending)["points"], POINTS)


@pytest.mark.parametrize("ending", [".ply", ".off", ".obj", ".stl", ".glb"])
def test_meshes_of_every_format_have_their_surface(ending: str) -> None:
    box = trimesh.creation.box((1.0, 2.0, 3.0))
    exported = box.export(file_type=ending[1:])
    data = exported if isinstance(exported, bytes) else exported.encode()
    content = meshes.read_mesh(data, ending)
    assert content["faces"].dtype == np.int32
    found = trimesh.Trimesh(content["vertices"], content["faces"])
    assert found.area == pytest.approx(22.0)
    assert found.volume == pytest.approx(6.0)


def test_polygons_become_triangles_and_materials_are_not_opened() -> None:
    data = b"mtllib /etc/passwd\nv 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nusemtl x\nf 1 2 3 4\n"
    content = meshes.read_mesh(data, ".obj")
    assert trimesh.Trimesh(content["vertices"], content["faces"]).area == pytest.approx(1.0)


def test_every_node_of_a_scene_is_at_its_place() -> None:
    content = meshes.read_mesh(writers.glb(), ".glb")
    assert len(content["faces"]) == 2
    assert content["vertices"][:, 0].max() == 6.0


def test_classes_motion_and_normals() -> None:
    assert clouds.read_classes(b"1\n-1\n7\n", ".txt")["classes"].tolist() == [1, -1, 7]
    assert clouds.read_classes(writers.npy(np.array([1.0, 2.0])), ".npy")["classes"].tolist() == [
        1,
        2,
    ]
    motion = RNG.random((10, 22, 3))
    found = clouds.read_motion(writers.npz(motion=motion, names=np.zeros(1)), ".npz")["motion"]
    np.testing.assert_array_equal(found, motion)
    normals = flows.read_normals(b"9 9 9 0 0 1\n9 9 9 1 0 0\n", ".xyz")["normals"]
    assert normals.tolist() == [[0, 0, 1], [1, 0, 0]]


def test_numbers_out_of_range_and_errors_of_libraries_have_a_code() -> None:
    for number in (np.nan, np.inf, -np.inf, 1e16):
        with pytest.raises(Unusable) as caught:
            finite(np.array([0.0, number]))
        assert caught.value.code is Code.MEDIA_NOT_FINITE
    finite(np.array([1e15, -1e15]))
    for error, code in (
        (MemoryError, Code.MEDIA_TOO_LARGE),
        (RecursionError, Code.MEDIA_UNREADABLE),
        (KeyError, Code.MEDIA_UNREADABLE),
    ):

        def fail(error: type[Exception] = error) -> dict[str, NDArray[np.uint8]]:
            raise error

        with pytest.raises(Unusable) as caught:
            guarded(fail)
        assert caught.value.code is code
