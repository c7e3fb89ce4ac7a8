"""One suite for each block: what every driver must do, shipped for drivers of anybody."""
