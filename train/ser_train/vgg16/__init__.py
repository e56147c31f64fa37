"""Transfer learning with VGG16 on pictures of mel spectrograms: the report's chapter 5."""
