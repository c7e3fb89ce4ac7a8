from shop.prices import price

print(price.__name__)
