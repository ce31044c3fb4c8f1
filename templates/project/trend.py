"""Hold while the last close is above the average of the closes before it."""

import kernelkit as kk


@kk.strategy
def trend(ctx, n=100):
    """Hold while the close is above the average of the last ``n`` closes, itself among them."""
    if ctx.close[0] > ctx.close.sma(n):
        ctx.target_percent(1.0)
    else:
        ctx.target_percent(0.0)
