"""CatalogueService: the benchmark as data, the public inputs, the commitments to the keys."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from io import BufferedReader
from pathlib import Path
from typing import Any, Final

from general_level.catalogue.messages import board_message, catalogue_message
from general_level.catalogue.model import Catalogue, Scope
from general_level.errors import InvalidRequest, NotFound, OffsetMismatch, UnknownBoard
from general_level.v1 import catalogue_pb2 as pb
from general_level.v1 import catalogue_pb2_grpc
from services.gateway.identity import Authenticator
from services.gateway.public_folder import PublishedCommitments

#: Bytes of the inputs file in one message.
CHUNK_BYTES: Final = 1024 * 1024


class CatalogueServicer(catalogue_pb2_grpc.CatalogueServiceServicer):
    """Open to everyone, except that the inputs need a lab token.

    ``public_folder`` holds ``boards/<board id>.zip`` as sealing wrote them; without it there is
    nothing to download. ``commitments`` are those of the same folder.
    """

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        public_folder: Path | None,
        commitments: PublishedCommitments,
        authenticator: Authenticator,
    ) -> None:
        self._catalogue = catalogue
        self._folder = public_folder
        self._commitments = commitments
        self._authenticator = authenticator
        self._answer = catalogue_message(catalogue)
        self._digests: dict[Path, tuple[tuple[int, int], str]] = {}

    async def GetCatalogue(
        self, _request: pb.GetCatalogueRequest, _context: Any
    ) -> pb.GetCatalogueResponse:
        return self._answer

    async def ListBoards(
        self, request: pb.ListBoardsRequest, _context: Any
    ) -> pb.ListBoardsResponse:
        if request.scope and request.scope not in set(Scope):
            raise InvalidRequest("The scopes are A, B, C and D.", field="scope")
        sizes = await asyncio.to_thread(self._inputs_sizes)
        return pb.ListBoardsResponse(
            catalogue_id=self._catalogue.id,
            boards=[
                board_message(board, sizes.get(board.id, 0))
                for board in self._catalogue.boards.values()
                if request.scope in ("", board.scope)
            ],
        )

    async def DownloadInputs(
        self, request: pb.DownloadInputsRequest, context: Any
    ) -> AsyncIterator[pb.DownloadInputsResponse]:
        caller = await self._authenticator.follow(context, "lab")
        # Only a known board's id becomes part of a path.
        if request.board_id not in self._catalogue.boards:
            raise UnknownBoard(board_id=request.board_id)
        path = self._inputs_path(request.board_id)
        if path is None or not await asyncio.to_thread(path.is_file):
            raise NotFound("No inputs are published for this board.", board_id=request.board_id)
        file = await asyncio.to_thread(path.open, "rb")
        try:
            size, sha256 = await asyncio.to_thread(self._measure, path, file)
            if not 0 <= request.offset <= size:
                raise OffsetMismatch(
                    f"The file has {size} bytes.", total_bytes=size, offset=request.offset
                )
            await asyncio.to_thread(file.seek, request.offset)
            first = True
            while (data := await asyncio.to_thread(file.read, CHUNK_BYTES)) or first:
                await caller.recheck()
                if first:
                    yield pb.DownloadInputsResponse(total_bytes=size, sha256=sha256, data=data)
                else:
                    yield pb.DownloadInputsResponse(data=data)
                first = False
        finally:
            file.close()

    async def ListKeyCommitments(
        self, _request: pb.ListKeyCommitmentsRequest, _context: Any
    ) -> pb.ListKeyCommitmentsResponse:
        published = await asyncio.to_thread(self._commitments.entries)
        return pb.ListKeyCommitmentsResponse(
            commitments=[
                pb.KeyCommitment(
                    task_id=entry.task_id,
                    key_version=entry.key_version,
                    commitment=entry.commitment,
                    item_count=entry.item_count,
                )
                for entry in published or ()
            ]
        )

    def _inputs_path(self, board_id: str) -> Path | None:
        return None if self._folder is None else self._folder / "boards" / f"{board_id}.zip"

    def _inputs_sizes(self) -> dict[str, int]:
        if self._folder is None:
            return {}
        return {path.stem: path.stat().st_size for path in (self._folder / "boards").glob("*.zip")}

    def _measure(self, path: Path, file: BufferedReader) -> tuple[int, str]:
        """Size and SHA-256 of an open file; hashed again only when it was replaced."""
        info = os.fstat(file.fileno())
        version = (info.st_size, info.st_mtime_ns)
        known = self._digests.get(path)
        if known is None or known[0] != version:
            known = self._digests[path] = (version, hashlib.file_digest(file, "sha256").hexdigest())
        return info.st_size, known[1]
