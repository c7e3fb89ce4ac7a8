"""A few products to start with."""

from shop.catalog import store

PRODUCTS = [
    ("tea-100", "Darjeeling, 100 g", 790, 130),
    ("tea-250", "Darjeeling, 250 g", 1750, 300),
    ("pot-1l", "Teapot, 1 litre", 3490, 900),
    ("cup-2", "Two cups", 1890, 450),
    ("tin-s", "Tin, small", 650, 160),
    ("whisk", "Bamboo whisk", 1290, 40),
]


def seed(stock: int = 10_000) -> int:
    """Put the products on the shelf; return how many there are."""
    store.init()
    for sku, name, price_cents, weight_grams in PRODUCTS:
        store.put_product(sku, name, price_cents, weight_grams, stock)
    return len(PRODUCTS)
