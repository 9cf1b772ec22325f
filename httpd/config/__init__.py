"""What a person sets, wherever it is written, as one value: `Settings`."""
