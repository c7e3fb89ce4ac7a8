"""The catalogue service: products, prices, and the stock of the warehouse."""
