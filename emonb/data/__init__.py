"""What others measured: fetched by hash, and checked by name before it is used."""
