"""What every service needs and none owns: clock, settings, logs, telemetry, errors, objects."""
