"""Meshes as vertices and triangles, by trimesh, with what a file announces checked first.

Colours, textures and materials are dropped and nothing that a file refers to is opened. Polygons
become triangles, the nodes of a GLB scene one mesh.
"""

from __future__ import annotations

import io
import struct
from typing import Any, Final

import msgspec
import numpy as np
import trimesh
from trimesh.exchange.off import load_off
from trimesh.exchange.ply import load_ply
from trimesh.exchange.stl import load_stl

from general_level.submission.codes import Code
from services.grader.decode.formats.clouds import check_ply, vertices
from services.grader.decode.formats.unusable import Content, check
from services.grader.decode.limits import (
    MAX_ARRAY_FILE_BYTES,
    MAX_FACES,
    MAX_HEADER_BYTES,
    MAX_POINTS,
    MAX_SCENE_JSON_BYTES,
    MAX_SCENE_NODES,
)

_STL_HEADER_BYTES: Final = 84
_STL_FACE_BYTES: Final = 50
_GLB_JSON: Final = 0x4E4F534A
_GLB_HEADER_BYTES: Final = 20


def read_mesh(data: bytes, ending: str) -> Content:
    """``vertices`` float [v, 3] and ``faces`` int32 [f, 3], rows of ``vertices``."""
    check(len(data) <= MAX_ARRAY_FILE_BYTES, Code.MEDIA_TOO_LARGE)
    found = _READERS[ending](data)
    points = vertices(np.asarray(found["vertices"]))
    faces = np.asarray(found.get("faces", np.empty((0, 3))))
    if faces.ndim == 2 and faces.shape[1] == 4:
        faces = np.concatenate([faces[:, [0, 1, 2]], faces[:, [2, 3, 0]]])
    check(len(faces), Code.MEDIA_NO_CONTENT)
    check(len(faces) <= MAX_FACES, Code.MEDIA_TOO_LARGE)
    check(faces.ndim == 2 and faces.shape[1] == 3, Code.MEDIA_WRONG_SHAPE)
    check(faces.min() >= 0 and faces.max() < len(points))
    return {"vertices": points, "faces": np.ascontiguousarray(faces, dtype=np.int32)}


def _ply(data: bytes) -> dict[str, Any]:
    check_ply(data)
    return dict(load_ply(io.BytesIO(data), prefer_color=None))


def _off(data: bytes) -> dict[str, Any]:
    """Counts are in the first line that is no comment, behind OFF or below it."""
    lines = data[:MAX_HEADER_BYTES].decode("ascii", "replace").splitlines()
    words: list[str] = []
    for line in lines:
        words += line.split("#")[0].split()
        if len(words) >= 4:
            break
    check(len(words) >= 4 and words[0].upper() == "OFF")
    counts = [int(word) for word in words[1:3]]
    check(min(counts) >= 0)
    check(counts[0] <= MAX_POINTS and counts[1] <= MAX_FACES, Code.MEDIA_TOO_LARGE)
    check(sum(counts) <= len(data))
    return dict(load_off(io.BytesIO(data)))


def _obj(data: bytes) -> dict[str, Any]:
    check(b"\0" not in data)
    most_points = data.count(b"v ")
    most_faces = data.count(b"f ")
    check(most_points <= MAX_POINTS and most_faces <= MAX_FACES, Code.MEDIA_TOO_LARGE)
    return _scene(data, "obj")


def _stl(data: bytes) -> dict[str, Any]:
    if len(data) >= _STL_HEADER_BYTES:
        (faces,) = struct.unpack_from("<I", data, _STL_HEADER_BYTES - 4)
        if len(data) == _STL_HEADER_BYTES + faces * _STL_FACE_BYTES:
            check(faces <= MAX_FACES, Code.MEDIA_TOO_LARGE)
            return dict(load_stl(io.BytesIO(data)))
    check(data.lstrip()[:5].lower() == b"solid")
    check(data.count(b"vertex") <= MAX_POINTS, Code.MEDIA_TOO_LARGE)
    return _scene(data, "stl")


class _Accessor(msgspec.Struct):
    count: int = 0


class _Primitive(msgspec.Struct):
    attributes: dict[str, int] = {}
    indices: int | None = None


class _Mesh(msgspec.Struct):
    primitives: list[_Primitive] = []


class _Node(msgspec.Struct):
    mesh: int | None = None
    children: list[int] = []


class _Buffer(msgspec.Struct):
    uri: str | None = None


class _Scene(msgspec.Struct):
    accessors: list[_Accessor] = []
    meshes: list[_Mesh] = []
    nodes: list[_Node] = []
    buffers: list[_Buffer] = []


_SCENE: Final = msgspec.json.Decoder(_Scene)


def _glb(data: bytes) -> dict[str, Any]:
    """A GLB whose nodes, each with all of its mesh, stay in bounds, without outside buffers.

    Source: glTF 2.0 specification, sections 3.5 (nodes form strict trees) and 4 (GLB).
    """
    check(data[:4] == b"glTF" and len(data) > _GLB_HEADER_BYTES)
    length, kind = struct.unpack_from("<II", data, 12)
    check(kind == _GLB_JSON and length <= len(data) - _GLB_HEADER_BYTES)
    check(length <= MAX_SCENE_JSON_BYTES, Code.MEDIA_TOO_LARGE)
    scene = _SCENE.decode(data[_GLB_HEADER_BYTES : _GLB_HEADER_BYTES + length])
    check(all(buffer.uri is None for buffer in scene.buffers))
    check(len(scene.nodes) <= MAX_SCENE_NODES, Code.MEDIA_TOO_LARGE)
    check(all(accessor.count >= 0 for accessor in scene.accessors))
    children = [child for node in scene.nodes for child in node.children]
    # One parent each: otherwise a few nodes could stand for any number of copies.
    check(len(set(children)) == len(children) and all(child >= 0 for child in children))
    # A mesh that no node shows is read all the same.
    shown = [node.mesh for node in scene.nodes if node.mesh is not None]
    points = faces = 0
    for mesh in [*shown, *range(len(scene.meshes))]:
        for primitive in scene.meshes[mesh].primitives:
            check("POSITION" in primitive.attributes)
            count = scene.accessors[primitive.attributes["POSITION"]].count
            indices = primitive.indices
            points += count
            faces += (count if indices is None else scene.accessors[indices].count) // 3
    check(points <= MAX_POINTS and faces <= MAX_FACES, Code.MEDIA_TOO_LARGE)
    check(all(accessor.count <= 3 * MAX_FACES for accessor in scene.accessors))
    return _scene(data, "glb")


def _scene(data: bytes, form: str) -> dict[str, Any]:
    """All geometries of a scene at their places as one mesh; nothing outside the file is opened."""
    scene = trimesh.load_scene(
        io.BytesIO(data), file_type=form, process=False, skip_materials=True, allow_remote=False
    )
    mesh = scene.to_mesh()
    return {"vertices": mesh.vertices, "faces": mesh.faces}


_READERS: Final = {".ply": _ply, ".off": _off, ".obj": _obj, ".stl": _stl, ".glb": _glb}
