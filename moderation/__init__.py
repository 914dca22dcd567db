"""The pipeline between a submission and a decision: intake, detectors, jobs, storage, report."""
