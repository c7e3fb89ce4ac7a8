"""The conformance suites: one for each block, also for drivers of other packages."""
