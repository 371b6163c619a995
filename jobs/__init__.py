"""Commands, sensors and schedules that materialize assets."""
