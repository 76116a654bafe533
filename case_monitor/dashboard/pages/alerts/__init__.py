"""Open and past alerts, and what people say to them."""
