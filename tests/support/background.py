"""What runs beside the tests of a whole session."""

from __future__ import annotations

from typing import Final

#: The thread of the gateway that the contract tests share.
GATEWAY_THREAD: Final = "contract-gateway"
