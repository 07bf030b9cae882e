"""Runs jobs somewhere: in the caller, in worker processes of this machine, or on a Dask cluster."""
