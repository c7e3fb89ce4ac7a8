from unittest.mock import patch

from shop.prices import price


def test_a_price_is_read():
    with patch("shop.prices.requests.get") as get:
        get.return_value.json.return_value = {"price": 3}

        assert price("A1") == 3
