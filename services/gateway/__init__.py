"""The only public edge: identity, quotas, uploads, checking, the queue, the ledger, standings."""
