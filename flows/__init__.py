"""Thin Prefect flows over case_monitor: fetch, measure, store, publish, decide."""
