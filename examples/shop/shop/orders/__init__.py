"""The order desk: takes orders, and knows how far each of them is."""
