"""The simulator: addresses and scalars in, plain records out. Nothing here knows xarray, dask or pandas."""
