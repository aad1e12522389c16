"""Values as bits and bytes: data types, packing, arrays in files."""
