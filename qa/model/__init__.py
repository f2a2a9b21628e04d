"""A model: any program of groups, jobs, cancellations and faults keeps the promises made."""
