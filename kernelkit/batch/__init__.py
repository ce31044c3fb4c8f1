"""Notebooks as jobs: parameters, runs, records and the command line."""
