// A worker: the SHA-256 of a file, read piece by piece, so that no file is too large for memory.
import { sha256 } from "./vendor/noble-hashes-2.4.0/sha2.js";

const PIECE_BYTES = 4 * 1024 * 1024;

onmessage = async ({ data: file }) => {
  try {
    const hash = sha256.create();
    for (let at = 0; at < file.size; at += PIECE_BYTES) {
      const piece = await file.slice(at, at + PIECE_BYTES).arrayBuffer();
      hash.update(new Uint8Array(piece));
      postMessage({ done: at + piece.byteLength });
    }
    const digits = [...hash.digest()].map((byte) => byte.toString(16).padStart(2, "0"));
    postMessage({ digest: digits.join("") });
  } catch (error) {
    postMessage({ error: String(error?.name ?? "Error") });
  }
};
