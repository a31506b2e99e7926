"""The operators' command line: a client of `general_level.v1.OperationsService`, nothing more."""
