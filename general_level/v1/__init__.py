"""Generated from proto/general_level/v1; run `make proto`."""
