"""Studies: each turns one backtest into an experiment by adding one labelled dim."""
