"""The report folder: what is kept between runs, tables, pictures, hashes, reading, verifying."""
