"""Statistics on estimates, whatever they estimate: resampling, intervals, ranks and tests."""
