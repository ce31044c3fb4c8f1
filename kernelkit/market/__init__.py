"""What a venue does to an order: fees, slippage, and the settings that bundle them."""
